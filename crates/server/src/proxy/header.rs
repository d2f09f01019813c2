//! What a PROXY header says.

use super::tlv::Tlvs;
use crate::address::Address;

/// What is known of the client, from the header of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// 1 is text, 2 is binary.
    pub version: u8,
    /// Who connected to the proxy, and to which of its addresses. `None` when the proxy speaks for itself (a health
    /// check, `LOCAL`) or does not know: the connection's own addresses hold.
    pub addresses: Option<Addresses>,
    /// Extensions of version 2.
    pub tlvs: Tlvs,
}

/// Both ends of the client's connection to the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The client.
    pub source: Address,
    /// What it connected to.
    pub destination: Address,
}

/// What a piece of bytes begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A header of this length.
    Header(Box<Header>, usize),
    /// The beginning of one.
    Incomplete,
}
