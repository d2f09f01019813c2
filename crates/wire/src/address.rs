//! The address of one end of a connection, as it travels with the connection.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Where one end of a connection is: an IP address with port, or the name of a unix socket.
///
/// It is sent along because it need not be what the kernel says of the descriptor: a proxy may have said better.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Raw", into = "Raw")]
pub enum Address {
    /// An IP address and port, with the scope of a link-local one.
    Ip(SocketAddr),
    /// The name of a unix socket as bytes; empty for one without a name, as clients usually are.
    Unix(Vec<u8>),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Ip(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => write!(f, "{address}"),
            Address::Unix(name) if name.is_empty() => f.write_str("unix:unnamed"),
            Address::Unix(name) => write!(f, "unix:{}", name.escape_ascii()),
        }
    }
}

/// The form in bytes. serde's own form of an IPv6 socket address would lose its flow label and its scope.
#[derive(Serialize, Deserialize)]
enum Raw {
    V4(Ipv4Addr, u16),
    V6(Ipv6Addr, u16, u32, u32),
    Unix(ByteBuf),
}

impl From<Raw> for Address {
    fn from(raw: Raw) -> Self {
        match raw {
            Raw::V4(ip, port) => Address::Ip(SocketAddr::new(IpAddr::V4(ip), port)),
            Raw::V6(ip, port, flow, scope) => Address::Ip(SocketAddrV6::new(ip, port, flow, scope).into()),
            Raw::Unix(name) => Address::Unix(name.into_vec()),
        }
    }
}

impl From<Address> for Raw {
    fn from(address: Address) -> Self {
        match address {
            Address::Ip(SocketAddr::V4(v4)) => Raw::V4(*v4.ip(), v4.port()),
            Address::Ip(SocketAddr::V6(v6)) => Raw::V6(*v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id()),
            Address::Unix(name) => Raw::Unix(ByteBuf::from(name)),
        }
    }
}
