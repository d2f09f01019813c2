//! The two forms of an address: on a connection, and on the wire between processes.

use impresario_server as server;
use impresario_wire as wire;

pub(crate) fn to_wire(address: &server::Address) -> wire::Address {
    match address {
        server::Address::Ip(address) => wire::Address::Ip(*address),
        server::Address::Unix(name) => wire::Address::Unix(name.to_vec()),
        // A form that is not known here has no name.
        _ => wire::Address::Unix(Vec::new()),
    }
}

pub(crate) fn from_wire(address: wire::Address) -> server::Address {
    match address {
        wire::Address::Ip(address) => address.into(),
        wire::Address::Unix(name) => server::Address::Unix(name.into()),
    }
}
