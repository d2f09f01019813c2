//! The roles at the two ends of one port, and the check that each message passes.

use crate::error::PortPolicyError;
use crate::kind::MessageKind;
use crate::role::{Role, may_hold_port, may_send};

/// Roles of the two ends of a port, and optionally the peer's process id. Decides which messages may be received and
/// sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortPolicy {
    own: Role,
    peer: Role,
    peer_pid: Option<u32>,
}

impl PortPolicy {
    /// Policy of a port that an `own` process holds to a `peer` process.
    ///
    /// # Errors
    ///
    /// [`PortPolicyError::NoPort`] when [`may_hold_port`] denies it.
    pub const fn new(own: Role, peer: Role) -> Result<Self, PortPolicyError> {
        if !may_hold_port(own, peer) {
            return Err(PortPolicyError::NoPort { own, peer });
        }
        Ok(PortPolicy { own, peer, peer_pid: None })
    }

    /// Accepts messages from the process with this id only.
    ///
    /// Parent and child set it for each other. A worker does not set it for its router, because a restarted router
    /// uses the same port with another pid.
    #[must_use]
    pub const fn with_peer_pid(self, process: u32) -> Self {
        PortPolicy { peer_pid: Some(process), ..self }
    }

    /// Role of this end.
    pub const fn own(&self) -> Role {
        self.own
    }

    /// Role of the other end.
    pub const fn peer(&self) -> Role {
        self.peer
    }

    /// Required process id of the peer; `None` when any process of the peer's role may send.
    pub const fn process(&self) -> Option<u32> {
        self.peer_pid
    }

    /// Checks a received message. `source` is the pid in the frame's header, `sender` the pid in the kernel's
    /// `SCM_CREDENTIALS`.
    ///
    /// # Errors
    ///
    /// [`PortPolicyError`]. Close the port then: the peer is not the expected process, or it violates the protocol.
    pub fn check(&self, sender: Option<u32>, source: u32, kind: MessageKind) -> Result<(), PortPolicyError> {
        let sender = sender.ok_or(PortPolicyError::MissingCredentials)?;
        if sender != source {
            return Err(PortPolicyError::SenderMismatch { sender, claimed: source });
        }
        match self.peer_pid {
            Some(expected) if expected != sender => {
                return Err(PortPolicyError::WrongPeer { sender, expected });
            }
            _ => {}
        }
        if !may_send(self.peer, self.own, kind) {
            return Err(PortPolicyError::Forbidden { from: self.peer, to: self.own, kind });
        }
        Ok(())
    }

    /// Checks a message before it is sent, so that a bug in this process is reported here and not at the peer.
    ///
    /// # Errors
    ///
    /// [`PortPolicyError::Forbidden`].
    pub fn check_outgoing(&self, kind: MessageKind) -> Result<(), PortPolicyError> {
        if !may_send(self.own, self.peer, kind) {
            return Err(PortPolicyError::Forbidden { from: self.own, to: self.peer, kind });
        }
        Ok(())
    }
}
