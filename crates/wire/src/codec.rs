//! The bodies of frames: the one file that knows bincode.

use bincode::config::{self, Config};
use bincode::error::DecodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{CodecError, MAX_MESSAGE};

/// The most bytes a body may claim while it is decoded.
///
/// bincode counts what lengths *claim*, eight bytes for each length itself among them, so an honest message can
/// count for several times its size. Without a limit a body of 17 bytes that claims a terabyte ends the process.
const DECODE_LIMIT: usize = 4 * MAX_MESSAGE;

fn format() -> impl Config {
    config::standard().with_limit::<DECODE_LIMIT>()
}

/// `value` as bytes.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    bincode::serde::encode_to_vec(value, format()).map_err(|error| CodecError::Malformed(error.to_string()))
}

/// The value that is exactly `bytes`: nothing may be missing and nothing left over.
///
/// The caller has checked the length of `bytes` before.
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
