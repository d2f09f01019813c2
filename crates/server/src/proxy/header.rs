//! The contents of a PROXY header.

use super::tlv::Tlvs;
use crate::address::Address;

/// What the header of a proxy says about the client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// 1 is text, 2 is binary.
    pub version: u8,
    /// Addresses of the client's connection to the proxy. `None` for a health check (`LOCAL`) or an unknown
    /// client: the connection's own addresses apply.
    pub addresses: Option<Addresses>,
    /// Extensions of version 2.
    pub tlvs: Tlvs,
}

/// Both ends of the client's connection to the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The client.
    pub source: Address,
    /// The address that it connected to.
    pub destination: Address,
}

/// The result of parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A header of this length.
    Header(Box<Header>, usize),
    /// The beginning of a header.
    Incomplete,
}
