//! Requests to any running actor (OTP: `sys`).

use std::fmt::{self, Write};
use std::time::Duration;

use actix::{Actor, Context};
use impresario_supervision::ExitReason;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::cell::actor_ref::ActorRef;
use crate::cell::{Pid, SystemMessage, TraceSink};
use crate::panic::catch_panic;
use crate::refs::call::TIMEOUT;

/// Maximum length of the text of a state, in bytes.
const MAX_STATE: usize = 65_536;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SysError {
    /// The actor has exited, with this reason. If the requested function panicked, that is the reason.
    NotAlive(ExitReason),
    /// The actor did not handle the request in this time: its handler does not return, or it waits in
    /// `ctx.wait()`.
    Timeout(Duration),
    /// The queue of system messages is full.
    Busy,
    /// The `Debug` of its state panicked; the actor is running.
    Panic(ExitReason),
}

impl Pid {
    /// Suspends the actor: it handles no message, no timer and no future of its own until it is resumed.
    /// Returns when it is suspended, within 5 s. It can still be stopped, killed, and asked for its state (OTP:
    /// `sys:suspend`).
    ///
    /// # Errors
    ///
    /// When it has exited or does not answer in time. It does not become suspended later then.
    pub async fn suspend(&self) -> Result<(), SysError> {
        request(self, SystemMessage::Suspend).await
    }

    /// Resumes it, after the earlier requests (OTP: `sys:resume`).
    pub fn resume(&self) {
        self.cell().resume();
    }

    /// Whether it is suspended now.
    pub fn is_suspended(&self) -> bool {
        self.cell().is_suspended()
    }

    /// Number of queued messages (OTP: `process_info(Pid, message_queue_len)`).
    ///
    /// Messages through an [`ActorRef`] or a [`ChildRef`](crate::ChildRef) are counted. Messages through a
    /// plain `Addr` are not, because actix does not count them.
    #[doc(alias = "message_queue_len")]
    pub fn queued(&self) -> usize {
        self.cell().queued()
    }

    /// From now on, sends every event of the actor to a logger or a channel: messages, exit signals, stop
    /// requests, the exit, and for a supervisor the starts and stops of its children. One trace at a time: a
    /// new one replaces the old one (OTP: `sys:trace`, `sys:install`).
    ///
    /// The trace ends with this incarnation. An actor without a trace pays nothing.
    ///
    /// ```
    /// # use impresario_actor::{Pid, TraceEvent};
    /// # fn example(pid: &Pid) {
    /// let (events, mut received) = tokio::sync::mpsc::channel::<TraceEvent>(1_000);
    /// pid.trace(events);
    /// # drop(received.try_recv());
    /// # }
    /// ```
    pub fn trace(&self, sink: impl Into<TraceSink>) {
        self.cell().set_trace(Some(sink.into()));
    }

    /// Ends the trace.
    pub fn trace_off(&self) {
        self.cell().set_trace(None);
    }
}

impl<A: Actor<Context = Context<A>>> ActorRef<A> {
    /// Runs a function on the state of the actor, between two messages, and even while it is suspended (OTP:
    /// `sys:get_state`, `sys:replace_state`).
    ///
    /// # Errors
    ///
    /// When it has exited or does not answer within 5 s. A panic in the function ends the actor, like one in a
    /// handler.
    #[doc(alias = "get_state")]
    pub async fn with_state<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut A) -> T + Send + 'static,
    ) -> Result<T, SysError> {
        request(self.pid(), |reply| {
            SystemMessage::state_fn::<A>(move |actor, _| {
                // An error means that the caller dropped its future. Nothing is left to do.
                let _ = reply.send(work(actor));
            })
        })
        .await
    }

    /// The state of the actor as the text of its `Debug`, of which at most 64 KiB are kept; see
    /// [`with_state`](Self::with_state).
    ///
    /// # Errors
    ///
    /// When it has exited, does not answer within 5 s, or its `Debug` panics; the actor survives that panic.
    pub async fn state_text(&self) -> Result<String, SysError>
    where
        A: fmt::Debug,
    {
        self.with_state(|actor| catch_panic(|| debug_text(actor))).await?.map_err(SysError::Panic)
    }

    /// Replaces the state of the actor and returns the old one (OTP: `sys:replace_state`).
    ///
    /// # Errors
    ///
    /// When it has exited or does not answer within 5 s.
    pub async fn replace_state(&self, state: A) -> Result<A, SysError>
    where
        A: Send,
    {
        self.with_state(|actor| std::mem::replace(actor, state)).await
    }
}

/// Sends a system message and waits for its reply.
async fn request<T>(
    pid: &Pid,
    message: impl FnOnce(oneshot::Sender<T>) -> SystemMessage,
) -> Result<T, SysError> {
    let (reply, receiver) = oneshot::channel();
    if !pid.cell().push_system_message(message(reply)) {
        return Err(SysError::Busy);
    }
    let response = async {
        match receiver.await {
            Ok(reply) => Ok(reply),
            // Only the exit of the actor drops a system message.
            Err(_) => Err(SysError::NotAlive(pid.wait_exit().await)),
        }
    };
    timeout(TIMEOUT, response).await.unwrap_or(Err(SysError::Timeout(TIMEOUT)))
}

/// The `Debug` text of a value, cut at a limit.
fn debug_text(value: &impl fmt::Debug) -> String {
    let mut text = Limited(String::new());
    if write!(text, "{value:?}").is_err() {
        text.0.push_str("...");
    }
    text.0
}

/// Accepts text up to [`MAX_STATE`].
struct Limited(String);

impl Write for Limited {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let part = truncate(more, MAX_STATE.saturating_sub(self.0.len()));
        self.0.push_str(part);
        if part.len() == more.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// The longest prefix of a text with at most this many bytes, cut at a character boundary.
fn truncate(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

impl fmt::Display for SysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAlive(reason) => write!(f, "the actor has exited: {reason}"),
            Self::Timeout(limit) => write!(f, "the actor did not handle the request within {limit:?}"),
            Self::Busy => f.write_str("the queue of system messages is full; try again later"),
            Self::Panic(reason) => write!(f, "Debug of the state failed: {reason}"),
        }
    }
}

impl std::error::Error for SysError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_state_is_cut_between_two_characters() {
        assert_eq!(debug_text(&"short"), "\"short\"");
        let long = debug_text(&"ä".repeat(MAX_STATE));
        assert_eq!(long.len(), MAX_STATE + "...".len() - 1, "a quote before, and half a character less");
        assert!(long.ends_with("ä..."));
    }
}
