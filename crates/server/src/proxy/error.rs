//! Why bytes are no PROXY header, and how long one may be.

use std::io;

/// The longest header that is taken. Addresses need 232 bytes; the rest is for extensions.
pub const MAX_HEADER_BYTES: usize = 4096;

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
