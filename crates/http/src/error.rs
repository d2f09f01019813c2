//! Errors of a connection, and whether the peer or the service caused them.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;
use std::time::Duration;

use http_body_util::LengthLimitError;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The client sent no bytes of a request body for this long, see
/// [`body_read_timeout`](crate::Http::body_read_timeout).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client sent no bytes of the request body for {0:?}; see `Http::body_read_timeout`")]
#[non_exhaustive]
pub struct BodyTimeout(pub Duration);

/// The error of hyper as the server expects it: kind `Other` is a failure of the service, the other kinds are the peer's.
pub(crate) fn classify_error(error: hyper::Error) -> io::Error {
    let kind = if error.is_user() { user_error_kind(&error) } else { hyper_error_kind(&error) };
    io::Error::new(kind, error)
}

/// The kind of an error of the service or its response body. The service may only pass on an error of the request body.
fn user_error_kind(error: &hyper::Error) -> ErrorKind {
    causes(error).find_map(peer_error_kind).unwrap_or(ErrorKind::Other)
}

/// Whether an error of the service only passes on an error that the peer caused.
pub(crate) fn is_peer_error(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    let error: &(dyn Error + 'static) = error;
    successors(Some(error), |&cause| cause.source()).any(|cause| peer_error_kind(cause).is_some())
}

fn peer_error_kind(cause: &(dyn Error + 'static)) -> Option<ErrorKind> {
    if cause.is::<BodyTimeout>() {
        return Some(ErrorKind::TimedOut);
    }
    if cause.is::<LengthLimitError>() {
        return Some(ErrorKind::InvalidData);
    }
    cause.downcast_ref::<hyper::Error>().filter(|cause| !cause.is_user()).map(hyper_error_kind)
}

fn hyper_error_kind(error: &hyper::Error) -> ErrorKind {
    if error.is_timeout() {
        ErrorKind::TimedOut
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        ErrorKind::UnexpectedEof
    } else if let Some(cause) = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()) {
        match cause.kind() {
            // hyper's kind for malformed chunks. The server takes `InvalidInput` for a failure of the service.
            ErrorKind::InvalidInput => ErrorKind::InvalidData,
            // h2's kind for an end of the stream in the middle of a frame. Errors of the kernel have other kinds.
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
