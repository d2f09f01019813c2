//! The limits by peer and by rate, and what happens to connections above a limit.

use impresario_supervision::Time;

use super::alarm::Alarms;
use super::peers::{PeerAdmission, PeerCounts, PeerKey};
use super::rate::Bucket;
use crate::address::Address;

/// What happens to connections above the limit of connections or above the rate limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// They wait in the kernel's queue until a permit and a token are free. They also wait while the process has no free
    /// descriptor.
    #[default]
    Queue,
    /// They are accepted and closed immediately, so a client can try another server. While the process has no free
    /// descriptor, a reserve descriptor is used for that.
    Reject,
}

/// The limits that are decided under a lock. Listeners that set none of them never take it.
#[derive(Debug)]
pub(crate) struct AdmissionRules {
    /// The most connections of one peer; `usize::MAX` for no limit.
    pub(crate) per_peer: usize,
    pub(crate) peers: PeerCounts,
    pub(crate) rate: Option<Bucket>,
    pub(crate) alarms: Alarms,
}

/// The limit that a rejected connection is above.
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
    /// Whether a limit for peers or a rate is set.
    pub(crate) fn is_enabled(&self) -> bool {
        self.per_peer != usize::MAX || self.rate.is_some()
    }

    /// Whether the rate limit has a token. Takes none.
    pub(crate) fn has_token(&self, now: Time) -> bool {
        self.rate.is_none_or(|bucket| bucket.wait(now).is_none())
    }

    /// Admits a connection: counts it for its peer and takes a token of the rate. `true` when the peer counts it.
    ///
    /// The peer is checked first, so a peer above its own limit takes no token from the other peers.
    ///
    /// # Errors
    ///
    /// The limit that is reached. Nothing is counted then and no token is taken.
    pub(crate) fn check_admission(&mut self, now: Time, from: &Address) -> Result<bool, RejectReason> {
        let peer = PeerKey::at(from);
        let entry = match peer {
            Some(peer) if self.per_peer != usize::MAX => self.peers.check_admission(peer, self.per_peer),
            _ => PeerAdmission::Uncounted,
        };
        if entry == PeerAdmission::TooMany {
            return Err(RejectReason::Peer);
        }
        if self.rate.as_mut().is_some_and(|bucket| bucket.take(now).is_err()) {
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
        assert_eq!(rules.check_admission(Time::START, &from(1)), Ok(false));
    }

    #[test]
    fn rejected_by_rate_is_not_counted_by_peer() {
        let rate = Some(Bucket::new(Rate::per_second(1)));
        let mut rules = AdmissionRules { per_peer: 2, rate, ..AdmissionRules::default() };
        assert!(rules.is_enabled());
        assert_eq!(rules.check_admission(Time::START, &from(1)), Ok(true));
        for _ in 0..3 {
            assert_eq!(rules.check_admission(Time::START, &from(1)), Err(RejectReason::Rate));
        }
        let later = Time::from_start(Duration::from_secs(1));
        assert_eq!(rules.check_admission(later, &from(1)), Ok(true));
        let later = later + Duration::from_secs(1);
        assert_eq!(rules.check_admission(later, &from(1)), Err(RejectReason::Peer));
        // The rejected peer took no token.
        assert_eq!(rules.check_admission(later, &from(2)), Ok(true));
    }

    #[test]
    fn only_an_admitted_connection_takes_a_token() {
        let rate = Some(Bucket::new(Rate::per_second(1).burst(2)));
        let mut rules = AdmissionRules { per_peer: 1, rate, ..AdmissionRules::default() };
        for peer in [1, 2] {
            assert!(rules.has_token(Time::START) && rules.has_token(Time::START));
            assert_eq!(rules.check_admission(Time::START, &from(peer)), Ok(true));
            for _ in 0..3 {
                assert_eq!(rules.check_admission(Time::START, &from(1)), Err(RejectReason::Peer));
            }
        }
        assert!(!rules.has_token(Time::START));
        assert_eq!(rules.check_admission(Time::START, &from(3)), Err(RejectReason::Rate));
    }
}
