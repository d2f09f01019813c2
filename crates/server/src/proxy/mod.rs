//! The PROXY protocol: a header with the client's address, which a proxy sends before the client's bytes.
//!
//! The parser follows HAProxy's specification of versions 1 and 2 strictly: any deviation is an error, and so
//! is a missing header. It is a pure function of bytes: this folder does no I/O and knows nothing of this crate
//! but [`Address`](crate::Address).

mod crc32c;
pub(crate) mod error;
pub(crate) mod header;
pub(crate) mod tlv;
mod v1;
mod v2;

pub use error::{MAX_HEADER_BYTES, ProxyError};
pub use header::{Addresses, Header, Parsed};
pub use tlv::{TlsInfo, Tlv, Tlvs};

/// Parses the header at the beginning of `bytes`. Reports as early as possible that there is none.
///
/// # Errors
///
/// Why the bytes do not begin with a valid header.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    if begins(bytes, v1::SIGNATURE) {
        v1::parse(bytes)
    } else if begins(bytes, v2::SIGNATURE) {
        v2::parse(bytes)
    } else {
        Err(ProxyError::Missing)
    }
}

/// Whether the bytes begin with a whole signature, for clients that must not send a header.
pub(crate) fn is_signed(bytes: &[u8]) -> bool {
    bytes.starts_with(v1::SIGNATURE) || bytes.starts_with(v2::SIGNATURE)
}

/// Whether more bytes can complete a header.
pub(crate) fn may_be_signed(bytes: &[u8]) -> bool {
    begins(bytes, v1::SIGNATURE) || begins(bytes, v2::SIGNATURE)
}

/// Whether the bytes, as far as they go, match this signature.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, expected)| byte == expected)
}
