//! The two ends of one port, and the check that every message passes.

use crate::{MessageKind, PortPolicyError, Role, may_hold_port, may_send};

/// Who holds this end of a port and who is at the other: the rule for what may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortPolicy {
    own: Role,
    peer: Role,
    process: Option<u32>,
}

impl PortPolicy {
    /// A port of an `own` process to a `peer` process.
    ///
    /// # Errors
    ///
    /// [`LinkError::NoPort`] when these two may not hold a port to each other.
    pub const fn new(own: Role, peer: Role) -> Result<Self, PortPolicyError> {
        if !may_hold_port(own, peer) {
            return Err(PortPolicyError::NoPort { own, peer });
        }
        Ok(PortPolicy { own, peer, process: None })
    }

    /// The same, but only the process with this id may speak. A worker cannot say it of its router, which may be
    /// replaced at any time; a parent can of its child, and a child of its parent.
    #[must_use]
    pub const fn with_peer_pid(self, process: u32) -> Self {
        PortPolicy { process: Some(process), ..self }
    }

    /// What we are.
    pub const fn own(&self) -> Role {
        self.own
    }

    /// What the other end is.
    pub const fn peer(&self) -> Role {
        self.peer
    }

    /// Which process the other end must be, if that is known.
    pub const fn process(&self) -> Option<u32> {
        self.process
    }

    /// Whether a message of this kind may come in, when its frame says it is from `source` and the kernel says
    /// `sender`.
    ///
    /// # Errors
    ///
    /// [`LinkError`], after which the port is to be closed: the peer is not what we take it for.
    pub fn check(&self, sender: Option<u32>, source: u32, kind: MessageKind) -> Result<(), PortPolicyError> {
        let sender = sender.ok_or(PortPolicyError::MissingCredentials)?;
        if sender != source {
            return Err(PortPolicyError::SenderMismatch { sender, claimed: source });
        }
        match self.process {
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

    /// Whether we may send a message of this kind.
    ///
    /// # Errors
    ///
    /// [`LinkError::Forbidden`]: a mistake in our own program, found before the peer finds it.
    pub fn check_outgoing(&self, kind: MessageKind) -> Result<(), PortPolicyError> {
        if !may_send(self.own, self.peer, kind) {
            return Err(PortPolicyError::Forbidden { from: self.own, to: self.peer, kind });
        }
        Ok(())
    }
}
