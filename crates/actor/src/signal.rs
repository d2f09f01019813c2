//! What reaches a life out of band, and what it makes of it.

use std::fmt;

use actix::Message;
use impresario_supervision::ExitReason;
use tokio::sync::oneshot;

use crate::Pid;

/// Waits for a life at its next poll.
pub(crate) enum Signal {
    /// An exit signal, with whom it is from; `linked` when it came over a link.
    Exit { from: Option<Pid>, reason: ExitReason, linked: bool },
    /// Answered when it is seen: whatever the life did in its poll before is over then.
    Ping(oneshot::Sender<()>),
}

impl Signal {
    /// Whoever sends it may send any number: every other kind has somebody who sends one and then waits, or has ended.
    pub(crate) fn is_unsolicited(&self) -> bool {
        matches!(self, Self::Exit { linked: false, .. })
    }
}

/// An exit signal, as a process that traps exits hears of it (OTP: `{'EXIT', From, Reason}`).
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "EXIT")]
#[non_exhaustive]
pub struct ExitSignal {
    /// Who ended, or who sent it; `None` if it was sent by something that is not a process.
    pub from: Option<Pid>,
    /// Why.
    pub reason: ExitReason,
}

impl Message for ExitSignal {
    type Result = ();
}

/// What an exit signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitAction {
    /// Nothing.
    Ignore,
    /// It becomes a message.
    Deliver,
    /// It ends the life with the signal's reason.
    Terminate,
}

/// OTP's rule; `own` is a signal that the life sent itself. A kill is no such signal: it cannot be trapped, and takes
/// another way.
pub(crate) fn exit_action(traps: bool, own: bool, reason: &ExitReason) -> ExitAction {
    match (traps, reason) {
        (true, _) => ExitAction::Deliver,
        (false, ExitReason::Normal) if !own => ExitAction::Ignore,
        (false, _) => ExitAction::Terminate,
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit { from, reason, linked } => f
                .debug_struct("Exit")
                .field("from", from)
                .field("reason", reason)
                .field("linked", linked)
                .finish(),
            Self::Ping(_) => f.write_str("Ping"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_signals_follow_otp() {
        let error = ExitReason::Error("x".to_owned());
        assert_eq!(exit_action(false, false, &ExitReason::Normal), ExitAction::Ignore);
        assert_eq!(exit_action(false, true, &ExitReason::Normal), ExitAction::Terminate);
        for reason in [ExitReason::Shutdown, ExitReason::Killed, ExitReason::NoProc, error] {
            assert_eq!(exit_action(false, false, &reason), ExitAction::Terminate);
            assert_eq!(exit_action(true, false, &reason), ExitAction::Deliver);
        }
        assert_eq!(exit_action(true, false, &ExitReason::Normal), ExitAction::Deliver);
    }
}
