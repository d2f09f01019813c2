//! Why bytes are not a valid PROXY header, and the maximum length of one.

use std::io;

/// Maximum length of a header, in bytes. Addresses need 232; the rest is for extensions.
pub const MAX_HEADER_BYTES: usize = 4096;

/// Why bytes are not a valid header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// They do not begin with a signature.
    #[error("no PROXY header; the peer must be a proxy that sends one, or the listener must not ask for it")]
    Missing,
    /// A header came where it is refused.
    #[error("a PROXY header where none is expected; have the listener require it, or the proxy not send it")]
    Unexpected,
    /// It violates the specification.
    #[error("bad PROXY header: {0}")]
    Malformed(&'static str),
    /// It is longer than [`MAX_HEADER_BYTES`].
    #[error("a PROXY header of {0} bytes; at most {MAX_HEADER_BYTES} are taken")]
    TooLong(usize),
    /// Its checksum is wrong.
    #[error("the checksum of the PROXY header is wrong")]
    Checksum,
}

impl From<ProxyError> for io::Error {
    fn from(error: ProxyError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}
