//! The number of connections of each peer, in a table of bounded size.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::address::Address;

/// The most peers in the table. Only peers with a connection are in it, so it takes as many connections to fill it.
/// Further peers are not limited then, except by the limit of all connections.
pub(crate) const MAX_PEERS: usize = 65_536;

/// The number of bits of an IPv6 address that identify a peer. A network of one site has a /64, and so all of its
/// addresses.
const V6_PREFIX: u32 = 64;

/// The identity of a peer: an IPv4 address, or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PeerKey(IpAddr);

impl PeerKey {
    /// The peer at this address; `None` without an IP address, because such peers cannot be distinguished.
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

/// The number of connections by peer.
#[derive(Debug, Default)]
pub(crate) struct PeerCounts(HashMap<PeerKey, usize>);

/// Whether one more connection of a peer is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerAdmission {
    /// Admitted, and counted until [`PeerCounts::unregister`].
    Counted,
    /// Admitted and not counted: the table is full, or the peer is not limited.
    Uncounted,
    /// Rejected: the peer has as many as the limit allows.
    TooMany,
}

impl PeerCounts {
    /// Counts one more connection of a peer, if it has fewer than `limit`.
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

    /// Removes a connection that was counted.
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
        PeerKey::at(&address.into()).expect("an IP address")
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
        // A lower limit closes no connection. It admits none until the count is below it.
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
