//! The tower service as hyper calls it: requests, responses and response bodies.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use http::header::{CONNECTION, HOST, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use pin_project_lite::pin_project;

use crate::body::{Body, ClientError};
use crate::conn::connection_state::{ConnectionState, ResponseGuard};
use crate::error::BoxError;
use crate::http_service::HttpService;

/// The service of one connection, as hyper calls it.
#[derive(Debug)]
pub(crate) struct HyperService<S> {
    service: RefCell<S>,
    state: Rc<ConnectionState>,
}

impl<S> HyperService<S> {
    pub(crate) fn new(service: S, state: Rc<ConnectionState>) -> Self {
        Self { service: RefCell::new(service), state }
    }
}

pin_project! {
    /// The future of one response.
    pub(crate) struct ResponseFuture<S, F> {
        #[pin]
        call_state: CallState<S, F>,
        guard: Option<ResponseGuard>,
        client_error: Option<ClientError>,
    }
}

pin_project! {
    #[project = CallStateProjection]
    enum CallState<S, F> {
        // The service was not ready. The instance that was polled is kept, with the request.
        NotReady { pending: Box<(S, Option<Request<Body>>)> },
        Called { #[pin] future: F },
        Failed { error: Option<BoxError> },
    }
}

pin_project! {
    /// A response body. The request counts as in flight until the body is dropped.
    pub(crate) struct TrackedBody<B> {
        // `None` for an error response of this crate.
        #[pin]
        body: Option<B>,
        guard: ResponseGuard,
    }
}

impl<S: HttpService> hyper::service::Service<Request<Incoming>> for HyperService<S> {
    type Response = Response<TrackedBody<S::ResBody>>;
    type Error = BoxError;
    type Future = ResponseFuture<S, S::Future>;

    // Inlined because a request is large, and each call that is not inlined copies it once more.
    #[inline]
    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let guard = Some(self.state.start_request());
        if !has_one_host(&request) {
            let call_state = CallState::Failed { error: Some("the request does not name one host".into()) };
            return ResponseFuture { call_state, guard, client_error: Some(ClientError::no_host()) };
        }
        self.state.insert_connection_info(&mut request);
        if request.body().is_end_stream() && !self.state.is_shared() {
            let mut service = self.service.borrow_mut();
            let call_state = call_service(&mut *service, request.map(Body::empty));
            return ResponseFuture { call_state, guard, client_error: None };
        }
        self.call_limited(request, guard)
    }
}

impl<S: HttpService> HyperService<S> {
    fn call_limited(
        &self,
        request: Request<Incoming>,
        guard: Option<ResponseGuard>,
    ) -> ResponseFuture<S, S::Future> {
        let (call_state, client_error) = match self.state.limit_body(request) {
            Ok((request, client_error)) => {
                let called =
                    self.state.catch_panic(|| call_service(&mut *self.service.borrow_mut(), request));
                (called.unwrap_or_else(|panic| CallState::Failed { error: Some(panic) }), client_error)
            }
            Err(client_error) => {
                (CallState::Failed { error: Some("the body is too long".into()) }, client_error)
            }
        };
        ResponseFuture { call_state, guard, client_error: Some(client_error) }
    }
}

/// Whether an HTTP/1.1 request has exactly one `Host` field (RFC 9112, 3.2). hyper does not check it.
#[inline]
fn has_one_host<B>(request: &Request<B>) -> bool {
    request.version() != Version::HTTP_11 || request.headers().get_all(HOST).iter().take(2).count() == 1
}

/// Calls the service immediately if it is ready, so that the request is not stored in the future.
#[inline]
fn call_service<S: HttpService>(service: &mut S, request: Request<Body>) -> CallState<S, S::Future> {
    // No wake-up is needed: if the service is not ready, `CallState::poll` polls it again with its own waker.
    match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => CallState::Called { future: service.call(request) },
        Poll::Ready(Err(error)) => CallState::Failed { error: Some(error.into()) },
        Poll::Pending => {
            // The instance that was polled may hold a slot in a queue, so this request keeps it.
            let other = service.clone();
            let polled = std::mem::replace(service, other);
            CallState::NotReady { pending: Box::new((polled, Some(request))) }
        }
    }
}

impl<S: HttpService> Future for ResponseFuture<S, S::Future> {
    type Output = Result<Response<TrackedBody<S::ResBody>>, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // hyper does not poll a future that is complete.
        let Some(guard) = this.guard.take() else { return Poll::Pending };
        let state = guard.state();
        let polled = if state.is_shared() {
            state.catch_panic(|| this.call_state.poll(cx)).unwrap_or_else(|panic| Poll::Ready(Err(panic)))
        } else {
            this.call_state.poll(cx)
        };
        let result = match polled {
            Poll::Ready(Ok(response)) if this.client_error.is_none() => {
                return Poll::Ready(Ok(tracked_response(response, guard)));
            }
            Poll::Ready(result) => result,
            Poll::Pending => {
                *this.guard = Some(guard);
                return Poll::Pending;
            }
        };
        // A client error has its own status. A successful response of the service is kept.
        Poll::Ready(match (result, this.client_error.as_ref().and_then(ClientError::status)) {
            (Ok(response), Some(status)) if is_error(response.status()) => Ok(error_response(status, guard)),
            (Err(_), Some(status)) => Ok(error_response(status, guard)),
            (Ok(mut response), Some(_)) => {
                set_connection_close(&mut response);
                Ok(tracked_response(response, guard))
            }
            (Ok(response), None) => Ok(tracked_response(response, guard)),
            (Err(error), None) => Err(state.record_error(error)),
        })
    }
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// A response of this crate without a body, the last one of its connection.
fn error_response<B>(status: StatusCode, guard: ResponseGuard) -> Response<TrackedBody<B>> {
    let mut response = Response::new(TrackedBody { body: None, guard });
    *response.status_mut() = status;
    set_connection_close(&mut response);
    response
}

#[inline]
fn tracked_response<B>(mut response: Response<B>, mut guard: ResponseGuard) -> Response<TrackedBody<B>> {
    if guard.state().must_close() {
        set_connection_close(&mut response);
    }
    // hyper polls the body only when the flow-control window has capacity, so until then it is blocked on the client.
    guard.set_blocked_on_client(guard.state().is_shared());
    response.map(|body| TrackedBody { body: Some(body), guard })
}

/// Sets `Connection: close`. hyper reads it and closes after the response; for HTTP/2 hyper removes it.
fn set_connection_close<B>(response: &mut Response<B>) {
    // After a 101 the service owns the connection.
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

impl<S: HttpService> CallState<S, S::Future> {
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response<S::ResBody>, BoxError>> {
        loop {
            let future = match self.as_mut().project() {
                CallStateProjection::Called { future } => return future.poll(cx).map_err(Into::into),
                CallStateProjection::Failed { error } => {
                    // hyper does not poll a future that is complete.
                    return error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                }
                CallStateProjection::NotReady { pending } => {
                    let (service, request) = &mut **pending;
                    ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    let Some(request) = request.take() else { return Poll::Pending };
                    service.call(request)
                }
            };
            self.set(CallState::Called { future });
        }
    }
}

impl<B: HttpBody<Error: Into<BoxError>>> HttpBody for TrackedBody<B> {
    type Data = B::Data;
    type Error = BoxError;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else { return Poll::Ready(None) };
        if !this.guard.state().is_shared() {
            return body.poll_frame(cx).map_err(Into::into);
        }
        this.guard.set_blocked_on_client(false);
        let state = this.guard.state();
        let polled = match state.catch_panic(|| body.poll_frame(cx)) {
            Ok(polled) => polled.map_err(|error| state.record_error(error.into())),
            Err(panic) => Poll::Ready(Some(Err(panic))),
        };
        this.guard.set_blocked_on_client(matches!(polled, Poll::Ready(Some(Ok(_)))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}
