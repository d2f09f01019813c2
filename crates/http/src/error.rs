//! Whose fault it was that an HTTP connection ended.

use std::error::Error;
use std::io;

/// The error of a connection as the server wants it: the kind says whether the peer is to blame.
pub(crate) fn blame(error: hyper::Error) -> io::Error {
    // A service or a body of ours failed.
    if error.is_user() {
        return io::Error::other(error);
    }
    let kind = if error.is_timeout() {
        io::ErrorKind::TimedOut
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        io::ErrorKind::UnexpectedEof
    } else if let Some(cause) = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()) {
        cause.kind()
    } else {
        io::ErrorKind::InvalidData
    };
    io::Error::new(kind, error)
}
