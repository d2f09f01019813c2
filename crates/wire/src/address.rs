//! Address of one end of a connection, sent along with its descriptor.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Address of one end of a connection: IP address and port, or the name of a unix socket.
///
/// `getpeername` on the descriptor does not replace it: behind a proxy the address comes from the PROXY header.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "EncodedAddress", into = "EncodedAddress")]
pub enum Address {
    /// IP address and port; for IPv6 with flow label and scope id.
    Ip(SocketAddr),
    /// Name of a unix socket, as bytes. Empty for an unnamed socket, which most clients use.
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

/// The encoded form. serde's own encoding of `SocketAddrV6` drops flow label and scope id.
#[derive(Serialize, Deserialize)]
enum EncodedAddress {
    V4(Ipv4Addr, u16),
    V6(Ipv6Addr, u16, u32, u32),
    Unix(ByteBuf),
}

impl From<EncodedAddress> for Address {
    fn from(raw: EncodedAddress) -> Self {
        match raw {
            EncodedAddress::V4(ip, port) => Address::Ip(SocketAddr::new(IpAddr::V4(ip), port)),
            EncodedAddress::V6(ip, port, flow, scope) => {
                Address::Ip(SocketAddrV6::new(ip, port, flow, scope).into())
            }
            EncodedAddress::Unix(name) => Address::Unix(name.into_vec()),
        }
    }
}

impl From<Address> for EncodedAddress {
    fn from(address: Address) -> Self {
        match address {
            Address::Ip(SocketAddr::V4(v4)) => EncodedAddress::V4(*v4.ip(), v4.port()),
            Address::Ip(SocketAddr::V6(v6)) => {
                EncodedAddress::V6(*v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id())
            }
            Address::Unix(name) => EncodedAddress::Unix(ByteBuf::from(name)),
        }
    }
}
