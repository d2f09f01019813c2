//! The limits that few listeners want, decided together: by peer and by rate.

use impresario_supervision::Time;

use crate::alarm::Alarms;
use crate::peers::{Entry, Peer, Peers};
use crate::rate::Bucket;
use crate::{Address, Policy};

/// What is decided under a lock, by listeners that want it.
#[derive(Debug)]
pub(crate) struct Strict {
    /// How many connections one peer may have.
    pub(crate) per_peer: usize,
    pub(crate) peers: Peers,
    pub(crate) rate: Option<Bucket>,
    pub(crate) alarms: Alarms,
}

/// Why a connection may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoEntry {
    Full,
    Peer,
    Rate,
}

impl Default for Strict {
    fn default() -> Self {
        Self { per_peer: usize::MAX, peers: Peers::default(), rate: None, alarms: Alarms::default() }
    }
}

impl Strict {
    /// Whether it has anything to decide.
    pub(crate) fn is_wanted(&self) -> bool {
        self.per_peer != usize::MAX || self.rate.is_some()
    }

    /// Whether one more from this peer may come in now, and if so, whether it is counted as the peer's.
    pub(crate) fn enter(&mut self, policy: Policy, now: Time, from: &Address) -> Result<bool, NoEntry> {
        let peer = Peer::at(from);
        let entry = match peer {
            Some(peer) if self.per_peer != usize::MAX => self.peers.enter(peer, self.per_peer),
            _ => Entry::Uncounted,
        };
        if entry == Entry::TooMany {
            return Err(NoEntry::Peer);
        }
        // Who queues has waited for its turn before.
        if policy == Policy::Reject && self.rate.as_mut().is_some_and(|bucket| bucket.take(now).is_err()) {
            if let (Some(peer), Entry::Counted) = (peer, entry) {
                self.peers.leave(peer);
            }
            return Err(NoEntry::Rate);
        }
        Ok(entry == Entry::Counted)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::Rate;

    fn from(last: u8) -> Address {
        SocketAddr::from(([10, 0, 0, last], 1)).into()
    }

    #[test]
    fn without_limits_nobody_is_looked_at() {
        let mut strict = Strict::default();
        assert!(!strict.is_wanted());
        assert_eq!(strict.enter(Policy::Reject, Time::START, &from(1)), Ok(false));
    }

    #[test]
    fn whom_the_rate_refuses_is_not_counted_as_its_peers() {
        let rate = Some(Bucket::new(Rate::per_second(1)));
        let mut strict = Strict { per_peer: 2, rate, ..Strict::default() };
        assert!(strict.is_wanted());
        assert_eq!(strict.enter(Policy::Reject, Time::START, &from(1)), Ok(true));
        for _ in 0..3 {
            assert_eq!(strict.enter(Policy::Reject, Time::START, &from(1)), Err(NoEntry::Rate));
        }
        let later = Time::from_start(Duration::from_secs(1));
        assert_eq!(strict.enter(Policy::Reject, later, &from(1)), Ok(true));
        let later = later + Duration::from_secs(1);
        assert_eq!(strict.enter(Policy::Reject, later, &from(1)), Err(NoEntry::Peer));
        // Whom the limit of its peer refuses takes no token from others.
        assert_eq!(strict.enter(Policy::Reject, later, &from(2)), Ok(true));
    }

    #[test]
    fn who_queues_has_had_its_turn() {
        let rate = Some(Bucket::new(Rate::per_second(1)));
        let mut strict = Strict { rate, ..Strict::default() };
        for _ in 0..3 {
            assert_eq!(strict.enter(Policy::Queue, Time::START, &from(1)), Ok(false));
        }
    }
}
