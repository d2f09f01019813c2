//! What can be served.

use http::{Request, Response};
use hyper::body::Body as HttpBody;
use tower_service::Service;

use crate::Body;
use crate::talk::BoxError;

/// A tower service of HTTP requests, by another name: whatever takes `Request<`[`Body`]`>` and answers by a `Response`
/// with any body, where errors can be boxed.
///
/// It is implemented for all of them, axum's `Router` included, and cannot be implemented otherwise.
pub trait HttpService:
    Service<Request<Body>, Response = Response<<Self as HttpService>::ResBody>, Error: Into<BoxError>> + Clone
{
    /// The body of its answers.
    type ResBody: HttpBody<Error: Into<BoxError>> + 'static;
}

impl<S, B> HttpService for S
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>> + Clone,
    B: HttpBody<Error: Into<BoxError>> + 'static,
{
    type ResBody = B;
}
