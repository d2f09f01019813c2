//! The PROXY protocol: what a proxy in front says about the client, before the client's own bytes.
//!
//! By HAProxy's specification of versions 1 and 2, taken strictly: a header that is not exactly as written there is an
//! error, and so is one that is missing. The parser is a pure function of bytes; the connection's own actor feeds it.

mod crc32c;
mod tlv;
mod v1;
mod v2;

use std::io;

use crate::Address;

pub use tlv::{TlsInfo, Tlv, Tlvs};

/// The longest header that is taken. Addresses need 232 bytes; the rest is for extensions.
pub const MAX_HEADER_BYTES: usize = 4096;

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

/// Why bytes are no header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// They begin otherwise.
    #[error("no PROXY header; the peer must be a proxy that sends one, or the listener must not ask for it")]
    Missing,
    /// A header came where none may.
    #[error("a PROXY header where none is expected; have the listener require it, or the proxy not send it")]
    Unexpected,
    /// It is not as the specification says.
    #[error("bad PROXY header: {0}")]
    Malformed(&'static str),
    /// It is longer than [`MAX_HEADER_BYTES`].
    #[error("a PROXY header of {0} bytes; at most {MAX_HEADER_BYTES} are taken")]
    TooLong(usize),
    /// It came damaged.
    #[error("the checksum of the PROXY header is wrong")]
    Checksum,
}

impl From<ProxyError> for io::Error {
    fn from(error: ProxyError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Parses the header that bytes begin with. Says as early as possible that there is none.
///
/// # Errors
///
/// Why they do not begin with one.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    if begins(bytes, v1::SIGNATURE) {
        v1::parse(bytes)
    } else if begins(bytes, v2::SIGNATURE) {
        v2::parse(bytes)
    } else {
        Err(ProxyError::Missing)
    }
}

/// Whether bytes begin with a whole signature: a client that must not send a header is asked this.
pub(crate) fn is_signed(bytes: &[u8]) -> bool {
    bytes.starts_with(v1::SIGNATURE) || bytes.starts_with(v2::SIGNATURE)
}

/// Whether bytes may still become a header.
pub(crate) fn may_be_signed(bytes: &[u8]) -> bool {
    begins(bytes, v1::SIGNATURE) || begins(bytes, v2::SIGNATURE)
}

/// Whether bytes, as far as they go, are this signature.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, expected)| byte == expected)
}
