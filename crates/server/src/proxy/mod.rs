//! The PROXY protocol: what a proxy in front says about the client, before the client's own bytes.
//!
//! By HAProxy's specification of versions 1 and 2, taken strictly: a header that is not exactly as written there is an
//! error, and so is one that is missing. The parser is a pure function of bytes: this folder does no I/O and knows
//! nothing of this crate but [`Address`](crate::Address).

mod crc32c;
pub(crate) mod error;
pub(crate) mod header;
pub(crate) mod tlv;
mod v1;
mod v2;

pub use error::{MAX_HEADER_BYTES, ProxyError};
pub use header::{Addresses, Header, Parsed};
pub use tlv::{TlsInfo, Tlv, Tlvs};

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
