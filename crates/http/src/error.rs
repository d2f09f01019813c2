//! Whose fault it was that an HTTP connection ended.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;

use http_body_util::LengthLimitError;

use crate::body::BodyTimeout;

/// The error of a connection as the server wants it: the kind says whether the peer is to blame.
pub(crate) fn blame(error: hyper::Error) -> io::Error {
    let kind = if error.is_user() { users(&error) } else { peers(&error) };
    io::Error::new(kind, error)
}

/// An error of our service or its body. It may only pass on what the peer did to the body of the request.
fn users(error: &hyper::Error) -> ErrorKind {
    causes(error).find_map(of_peer).unwrap_or(ErrorKind::Other)
}

/// Whether an error of our service only passes on what the peer did.
pub(crate) fn is_of_peer(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    let error: &(dyn Error + 'static) = error;
    successors(Some(error), |&cause| cause.source()).any(|cause| of_peer(cause).is_some())
}

fn of_peer(cause: &(dyn Error + 'static)) -> Option<ErrorKind> {
    if cause.is::<BodyTimeout>() {
        return Some(ErrorKind::TimedOut);
    }
    if cause.is::<LengthLimitError>() {
        return Some(ErrorKind::InvalidData);
    }
    cause.downcast_ref::<hyper::Error>().filter(|cause| !cause.is_user()).map(peers)
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
            // So HTTP/2 calls an end in the middle of a frame. The kernel's errors have kinds of their own.
            ErrorKind::Other => ErrorKind::UnexpectedEof,
            kind => kind,
        }
    } else {
        ErrorKind::InvalidData
    }
}

fn causes(error: &hyper::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(error.source(), |&cause| cause.source())
}
