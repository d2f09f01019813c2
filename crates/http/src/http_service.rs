//! The trait bound of services that can be served.

use http::{Request, Response};
use hyper::body::Body as HttpBody;
use tower_service::Service;

use crate::body::Body;
use crate::error::BoxError;

/// A tower service that takes `Request<`[`Body`]`>` and returns a `Response` with any body. Errors must convert to a boxed
/// error.
///
/// Implemented for every such service, for example axum's `Router`. No other implementation is possible.
pub trait HttpService:
    Service<Request<Body>, Response = Response<<Self as HttpService>::ResBody>, Error: Into<BoxError>> + Clone
{
    /// The body of its responses.
    type ResBody: HttpBody<Error: Into<BoxError>> + 'static;
}

impl<S, B> HttpService for S
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>> + Clone,
    B: HttpBody<Error: Into<BoxError>> + 'static,
{
    type ResBody = B;
}
