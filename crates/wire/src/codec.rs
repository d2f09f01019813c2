//! Encoding of message bodies. No other file of this crate uses bincode.

use bincode::config::{self, Config};
use bincode::error::DecodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::CodecError;
use crate::limits::MAX_MESSAGE;

/// Maximum number of bytes that a body may claim while it is decoded.
///
/// bincode adds up the lengths that a body claims, and eight bytes for each length field. A valid message can therefore
/// count for several times its size. Without this limit a body of 17 bytes that claims a terabyte aborts the process.
const DECODE_LIMIT: usize = 4 * MAX_MESSAGE;

fn format() -> impl Config {
    config::standard().with_limit::<DECODE_LIMIT>()
}

/// Encodes `value`.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    bincode::serde::encode_to_vec(value, format()).map_err(|error| CodecError::Malformed(error.to_string()))
}

/// Decodes a value that occupies `bytes` exactly.
///
/// The caller has checked that `bytes` has at most [`MAX_MESSAGE`] bytes.
///
/// # Errors
///
/// [`CodecError`]; missing and trailing bytes are errors too.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, format()).map_err(|error| match error {
        DecodeError::LimitExceeded => CodecError::Limit { limit: DECODE_LIMIT },
        DecodeError::UnexpectedEnd { .. } => CodecError::Truncated,
        other => CodecError::Malformed(other.to_string()),
    })?;
    match bytes.len().saturating_sub(used) {
        0 => Ok(value),
        extra => Err(CodecError::Trailing { extra }),
    }
}
