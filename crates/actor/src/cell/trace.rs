//! Traces: the events of one actor, sent to a logger or a channel.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use slog::Logger;
use tokio::sync::mpsc::Sender;

use crate::cell::control::TRACED;
use crate::cell::{ActorCell, Pid, Sink, TraceEvent, TraceKind, TraceSink};
use crate::panic::catch_panic;
use crate::sync::lock;

impl TraceSink {
    /// Sends an event to the logger or the channel. An event that the channel has no capacity for is counted as missed.
    pub(crate) fn record(&self, pid: Pid, kind: TraceKind) {
        let at = pid.uptime();
        match &*self.0 {
            Sink::Logger(log) => {
                // The drain is user code and may panic. That must not end the traced actor.
                let _ = catch_panic(|| {
                    let (pid, at) = (pid.number(), at.as_secs_f64());
                    slog::info!(log, "{}", kind; "actor_pid" => pid, "age_s" => at);
                });
            }
            Sink::Channel { events, missed } => {
                let before = missed.swap(0, Ordering::Relaxed);
                if events.try_send(TraceEvent { pid, at, kind, missed: before }).is_err() {
                    missed.fetch_add(before + 1, Ordering::Relaxed);
                }
            }
        }
    }
}

impl From<Logger> for TraceSink {
    fn from(log: Logger) -> Self {
        Self(Arc::new(Sink::Logger(log)))
    }
}

impl From<Sender<TraceEvent>> for TraceSink {
    fn from(events: Sender<TraceEvent>) -> Self {
        Self(Arc::new(Sink::Channel { events, missed: AtomicU64::new(0) }))
    }
}

impl fmt::Debug for TraceSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TraceSink")
    }
}

impl fmt::Display for TraceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(name) => write!(f, "message {name}"),
            Self::AddrMessage => f.write_str("message by address"),
            Self::ExitSignal { from: Some(pid), reason } => write!(f, "exit signal from {pid}: {reason}"),
            Self::ExitSignal { from: None, reason } => write!(f, "exit signal: {reason}"),
            Self::Started => f.write_str("started"),
            Self::Stop => f.write_str("stop requested"),
            Self::Suspended => f.write_str("suspended"),
            Self::Resumed => f.write_str("resumed"),
            Self::Starts(pid) => write!(f, "starts {pid}"),
            Self::Stops(pid) => write!(f, "stops {pid}"),
            Self::Kills(pid) => write!(f, "kills {pid}"),
            Self::End(reason) => write!(f, "exited: {reason}"),
        }
    }
}

impl ActorCell {
    /// Sets or removes the trace. Has no effect on an actor that has exited.
    pub(crate) fn set_trace(&self, sink: Option<TraceSink>) {
        let mut state = lock(&self.state);
        if state.exit_reason.is_some() {
            return;
        }
        let bit = if sink.is_some() { TRACED } else { 0 };
        // The old sink is dropped outside of the lock: its destructor may run any code.
        let old = std::mem::replace(&mut state.cold().trace, sink);
        self.flags.fetch_and(!TRACED, Ordering::AcqRel);
        self.flags.fetch_or(bit, Ordering::AcqRel);
        drop(state);
        drop(old);
    }

    /// Records an event, if a trace is set.
    pub(crate) fn trace(self: &Arc<Self>, kind: impl FnOnce() -> TraceKind) {
        if self.flags.load(Ordering::Relaxed) & TRACED == 0 {
            return;
        }
        let sink = lock(&self.state).cold.as_ref().and_then(|cold| cold.trace.clone());
        if let Some(sink) = sink {
            sink.record(Pid::of(self), kind());
        }
    }
}
