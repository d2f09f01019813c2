//! The limits by peer and by rate, and what happens to connections above a limit.

use impresario_supervision::Time;

use super::alarm::Alarms;
use super::peers::{PeerAdmission, PeerCounts, PeerKey};
use super::rate::Bucket;
use crate::address::Address;

/// The policy for connections above a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// They wait in the kernel's queue until capacity is free. The same when descriptors run out.
    #[default]
    Queue,
    /// They are accepted and closed immediately, so that clients can try another server. When descriptors run
    /// out, the reserve
    /// descriptor is used for that.
    Reject,
}

/// Decisions that need a lock, for listeners that have these limits.
#[derive(Debug)]
pub(crate) struct AdmissionRules {
    /// Maximum number of connections of one peer.
    pub(crate) per_peer: usize,
    pub(crate) peers: PeerCounts,
    pub(crate) rate: Option<Bucket>,
    pub(crate) alarms: Alarms,
}

/// Why a connection was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RejectReason {
    Full,
    Peer,
    Rate,
}

impl Default for AdmissionRules {
    fn default() -> Self {
        Self { per_peer: usize::MAX, peers: PeerCounts::default(), rate: None, alarms: Alarms::default() }
    }
}

impl AdmissionRules {
    /// Whether it has a limit to check.
    pub(crate) fn is_enabled(&self) -> bool {
        self.per_peer != usize::MAX || self.rate.is_some()
    }

    /// Admits one more connection of this peer, or rejects it. Returns whether it is counted for the peer.
    pub(crate) fn check_admission(
        &mut self,
        policy: Policy,
        now: Time,
        from: &Address,
    ) -> Result<bool, RejectReason> {
        let peer = PeerKey::at(from);
        let entry = match peer {
            Some(peer) if self.per_peer != usize::MAX => self.peers.check_admission(peer, self.per_peer),
            _ => PeerAdmission::Uncounted,
        };
        if entry == PeerAdmission::TooMany {
            return Err(RejectReason::Peer);
        }
        // Under `Queue` the acceptor has taken a token before.
        if policy == Policy::Reject && self.rate.as_mut().is_some_and(|bucket| bucket.take(now).is_err()) {
            if let (Some(peer), PeerAdmission::Counted) = (peer, entry) {
                self.peers.unregister(peer);
            }
            return Err(RejectReason::Rate);
        }
        Ok(entry == PeerAdmission::Counted)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::tracker::rate::Rate;

    fn from(last: u8) -> Address {
        SocketAddr::from(([10, 0, 0, last], 1)).into()
    }

    #[test]
    fn without_limits_no_peer_is_counted() {
        let mut rules = AdmissionRules::default();
        assert!(!rules.is_enabled());
        assert_eq!(rules.check_admission(Policy::Reject, Time::START, &from(1)), Ok(false));
    }

    #[test]
    fn rejected_by_rate_is_not_counted_by_peer() {
        let rate = Some(Bucket::new(Rate::per_second(1)));
        let mut rules = AdmissionRules { per_peer: 2, rate, ..AdmissionRules::default() };
        assert!(rules.is_enabled());
        assert_eq!(rules.check_admission(Policy::Reject, Time::START, &from(1)), Ok(true));
        for _ in 0..3 {
            assert_eq!(rules.check_admission(Policy::Reject, Time::START, &from(1)), Err(RejectReason::Rate));
        }
        let later = Time::from_start(Duration::from_secs(1));
        assert_eq!(rules.check_admission(Policy::Reject, later, &from(1)), Ok(true));
        let later = later + Duration::from_secs(1);
        assert_eq!(rules.check_admission(Policy::Reject, later, &from(1)), Err(RejectReason::Peer));
        // A peer above its own limit takes no token.
        assert_eq!(rules.check_admission(Policy::Reject, later, &from(2)), Ok(true));
    }

    #[test]
    fn queued_connections_take_no_second_token() {
        let rate = Some(Bucket::new(Rate::per_second(1)));
        let mut rules = AdmissionRules { rate, ..AdmissionRules::default() };
        for _ in 0..3 {
            assert_eq!(rules.check_admission(Policy::Queue, Time::START, &from(1)), Ok(false));
        }
    }
}
