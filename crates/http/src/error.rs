//! Whose fault it was that an HTTP connection ended.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;

/// The error of a connection as the server wants it: the kind says whether the peer is to blame.
pub(crate) fn blame(error: hyper::Error) -> io::Error {
    let kind = if error.is_user() { users(&error) } else { peers(&error) };
    io::Error::new(kind, error)
}

/// An error of our service or its body. It may only pass on what the peer did to the body of the request.
fn users(error: &hyper::Error) -> ErrorKind {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .find(|cause| !cause.is_user())
        .map_or(ErrorKind::Other, peers)
}

fn peers(error: &hyper::Error) -> ErrorKind {
    if error.is_timeout() {
        ErrorKind::TimedOut
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        ErrorKind::UnexpectedEof
    } else if let Some(cause) = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()) {
        match cause.kind() {
            // So hyper calls chunks that are none. To others it would be a mistake of ours.
            ErrorKind::InvalidInput => ErrorKind::InvalidData,
            kind => kind,
        }
    } else {
        ErrorKind::InvalidData
    }
}

fn causes(error: &hyper::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(error.source(), |&cause| cause.source())
}
