//! Traces: hearing of all that one life does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use impresario_supervision::ExitReason;
use slog::Logger;
use tokio::sync::mpsc::Sender;

use crate::Pid;
use crate::panic::catch_panic;

/// Something that a traced life did or that was done to it (OTP: the events of `sys:trace`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TraceEvent {
    /// Which life.
    pub pid: Pid,
    /// When, as the life's age.
    pub at: Duration,
    /// What.
    pub kind: TraceKind,
    /// How many events before this one are missing, because the channel was full.
    pub missed: u64,
}

/// What a traced life did, or what was done to it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TraceKind {
    /// It is about to handle a message of this type.
    Message(&'static str),
    /// It is about to handle a message that came through a plain `Addr`, which hides the type.
    AddrMessage,
    /// An exit signal has come.
    ExitSignal {
        /// Who sent it, if it was a process.
        from: Option<Pid>,
        /// Its reason.
        reason: ExitReason,
    },
    /// It is ready.
    Started,
    /// It was told to stop.
    Stop,
    /// It is suspended.
    Suspended,
    /// It goes on.
    Resumed,
    /// As a supervisor, it starts this life.
    Starts(Pid),
    /// As a supervisor, it tells this life to stop.
    Stops(Pid),
    /// As a supervisor, it kills this life.
    Kills(Pid),
    /// It is over. Nothing comes after this.
    End(ExitReason),
}

/// Where a trace goes: made from a [`Logger`], or from the sending end of a channel of [`TraceEvent`]s.
///
/// The logger gets a record of level info for each event. The channel's bound is the bound of the trace: what does not
/// fit is dropped, and the next event says how many were.
#[derive(Clone)]
pub struct TraceSink(Arc<Sink>);

enum Sink {
    Logger(Logger),
    Channel { events: Sender<TraceEvent>, missed: AtomicU64 },
}

impl TraceSink {
    pub(crate) fn record(&self, pid: Pid, kind: TraceKind) {
        let at = pid.uptime();
        match &*self.0 {
            Sink::Logger(log) => {
                // A drain is anybody's code.
                let _ = catch_panic(|| {
                    let (pid, at) = (pid.number(), at.as_secs_f64());
                    slog::info!(log, "{}", kind; "life" => pid, "age_s" => at);
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
            Self::Stop => f.write_str("told to stop"),
            Self::Suspended => f.write_str("suspended"),
            Self::Resumed => f.write_str("resumed"),
            Self::Starts(pid) => write!(f, "starts {pid}"),
            Self::Stops(pid) => write!(f, "stops {pid}"),
            Self::Kills(pid) => write!(f, "kills {pid}"),
            Self::End(reason) => write!(f, "end: {reason}"),
        }
    }
}
