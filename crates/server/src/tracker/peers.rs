//! How many connections each peer has: a table with a bound.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::address::Address;

/// Maximum number of peers in the table. Only peers with a connection are in it. When it is full, further peers
/// have no limit of
/// their own.
pub(crate) const MAX_PEERS: usize = 65_536;

/// Prefix length of an IPv6 peer: the holder of one address of a /64 usually has all of them.
const V6_PREFIX: u32 = 64;

/// The key of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PeerKey(IpAddr);

impl PeerKey {
    /// The peer of this address; `None` without an IP address, because such peers cannot be distinguished.
    pub(crate) fn at(address: &Address) -> Option<Self> {
        Some(match address.as_ip()?.ip().to_canonical() {
            IpAddr::V6(v6) => {
                let network = v6.to_bits() >> (128 - V6_PREFIX) << (128 - V6_PREFIX);
                Self(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
            v4 => Self(v4),
        })
    }
}

/// Connections by peer.
#[derive(Debug, Default)]
pub(crate) struct PeerCounts(HashMap<PeerKey, usize>);

/// Whether a peer may have one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerAdmission {
    /// Yes, and it is counted until it is [unregistered](PeerCounts::unregister).
    Counted,
    /// Yes, and it is not counted: the table is full.
    Uncounted,
    /// No: the limit is reached.
    TooMany,
}

impl PeerCounts {
    /// Registers one more connection of a peer with this limit.
    pub(crate) fn check_admission(&mut self, peer: PeerKey, limit: usize) -> PeerAdmission {
        let full = self.0.len() >= MAX_PEERS;
        match self.0.get_mut(&peer) {
            Some(count) if *count >= limit => PeerAdmission::TooMany,
            Some(count) => {
                *count += 1;
                PeerAdmission::Counted
            }
            None if limit == 0 => PeerAdmission::TooMany,
            None if full => PeerAdmission::Uncounted,
            None => {
                self.0.insert(peer, 1);
                PeerAdmission::Counted
            }
        }
    }

    /// A counted connection has closed.
    pub(crate) fn unregister(&mut self, peer: PeerKey) {
        if let Some(count) = self.0.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&peer);
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn peer(address: &str) -> PeerKey {
        let address = SocketAddr::new(address.parse().expect("an address"), 1);
        PeerKey::at(&address.into()).expect("somebody")
    }

    #[test]
    fn each_peer_has_its_own_count() {
        let mut peers = PeerCounts::default();
        assert_eq!(peers.check_admission(peer("10.0.0.1"), 2), PeerAdmission::Counted);
        assert_eq!(peers.check_admission(peer("10.0.0.1"), 2), PeerAdmission::Counted);
        assert_eq!(peers.check_admission(peer("10.0.0.1"), 2), PeerAdmission::TooMany);
        assert_eq!(peers.check_admission(peer("10.0.0.2"), 2), PeerAdmission::Counted);
        peers.unregister(peer("10.0.0.1"));
        assert_eq!(peers.check_admission(peer("10.0.0.1"), 2), PeerAdmission::Counted);
        // A lower limit closes no connection; it admits none until the number is below it.
        assert_eq!(peers.check_admission(peer("10.0.0.1"), 1), PeerAdmission::TooMany);
        assert_eq!(peers.check_admission(peer("10.0.0.3"), 0), PeerAdmission::TooMany);
    }

    #[test]
    fn a_peer_without_connections_leaves_the_table() {
        let mut peers = PeerCounts::default();
        for number in 0..1000_u32 {
            let peer = PeerKey(IpAddr::V4(number.into()));
            peers.check_admission(peer, 5);
            peers.unregister(peer);
            peers.unregister(peer);
        }
        assert_eq!(peers.len(), 0);
    }

    #[test]
    fn a_full_table_admits_new_peers_uncounted() {
        let mut peers = PeerCounts::default();
        let nth = |number: usize| PeerKey(IpAddr::V4(u32::try_from(number).expect("few").into()));
        for number in 0..MAX_PEERS {
            assert_eq!(peers.check_admission(nth(number), 1), PeerAdmission::Counted);
        }
        assert_eq!(peers.check_admission(nth(MAX_PEERS), 1), PeerAdmission::Uncounted);
        assert_eq!(peers.check_admission(nth(0), 1), PeerAdmission::TooMany);
        peers.unregister(nth(0));
        assert_eq!(peers.check_admission(nth(MAX_PEERS), 1), PeerAdmission::Counted);
        assert_eq!(peers.len(), MAX_PEERS);
    }

    #[test]
    fn addresses_of_one_network_are_one_peer() {
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:10.0.0.1"), peer("10.0.0.1"));
        assert_eq!(PeerKey::at(&Address::unnamed()), None, "a unix socket's peer");
    }
}
