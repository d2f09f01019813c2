//! Conversion of addresses between connections and frames.

use std::io;

use impresario_server as server;
use impresario_wire as wire;

pub(crate) fn to_wire(address: &server::Address) -> wire::Address {
    match address {
        server::Address::Ip(address) => wire::Address::Ip(*address),
        server::Address::Unix(name) => wire::Address::Unix(name.to_vec()),
        // `Address` is non-exhaustive: an unknown kind becomes the unnamed unix address.
        _ => wire::Address::Unix(Vec::new()),
    }
}

pub(crate) fn from_wire(address: wire::Address) -> server::Address {
    match address {
        wire::Address::Ip(address) => address.into(),
        wire::Address::Unix(name) => server::Address::Unix(name.into()),
    }
}

/// The local address of a connection, as the router sends it. An unknown one becomes the unnamed unix address.
pub(crate) fn local_to_wire(address: io::Result<server::Address>) -> wire::Address {
    address.map_or_else(|_| wire::Address::Unix(Vec::new()), |address| to_wire(&address))
}

/// The local address of a connection, as a worker receives it. `None` if the router does not know it: the connection
/// then asks the kernel (`getsockname`).
pub(crate) fn local_from_wire(address: wire::Address) -> Option<server::Address> {
    match address {
        wire::Address::Unix(name) if name.is_empty() => None,
        address => Some(from_wire(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_local_address_is_left_to_the_kernel() {
        let unknown = local_to_wire(Err(io::ErrorKind::OutOfMemory.into()));
        assert_eq!(local_from_wire(unknown), None);
    }

    #[test]
    fn a_known_local_address_is_passed_on() {
        for address in ["127.0.0.1:80".parse::<std::net::SocketAddr>().unwrap().into(), unix(b"/tmp/s")] {
            assert_eq!(local_from_wire(local_to_wire(Ok(address.clone()))), Some(address));
        }
    }

    fn unix(name: &[u8]) -> server::Address {
        server::Address::Unix(name.to_vec().into())
    }
}
