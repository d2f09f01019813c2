//! Requests and their answers.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use http::header::{CONNECTION, HOST, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use pin_project_lite::pin_project;

use crate::HttpService;
use crate::body::{Body, Fault};
use crate::talk::{Answering, BoxError, Talk};

/// The service of one connection, as hyper calls it.
#[derive(Debug)]
pub(crate) struct Exchange<S> {
    service: RefCell<S>,
    talk: Rc<Talk>,
}

impl<S> Exchange<S> {
    pub(crate) fn new(service: S, talk: Rc<Talk>) -> Self {
        Self { service: RefCell::new(service), talk }
    }
}

pin_project! {
    /// The answer to one request, as a future.
    pub(crate) struct Answer<S, F> {
        #[pin]
        stage: Stage<S, F>,
        answering: Option<Answering>,
        fault: Option<Fault>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<S, F> {
        // Its service was not ready, and is kept for it.
        Waiting { waiting: Box<(S, Option<Request<Body>>)> },
        Called { #[pin] future: F },
        Failed { error: Option<BoxError> },
    }
}

pin_project! {
    /// The body of an answer. Its end is the end of the answer.
    pub(crate) struct Reply<B> {
        // `None` for answers of ours.
        #[pin]
        body: Option<B>,
        answering: Answering,
    }
}

impl<S: HttpService> hyper::service::Service<Request<Incoming>> for Exchange<S> {
    type Response = Response<Reply<S::ResBody>>;
    type Error = BoxError;
    type Future = Answer<S, S::Future>;

    // A request is large, and each function that is not inlined moves it once more.
    #[inline]
    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let answering = Some(self.talk.begin());
        if !names_its_host(&request) {
            let stage = Stage::Failed { error: Some("the request does not name one host".into()) };
            return Answer { stage, answering, fault: Some(Fault::no_host()) };
        }
        self.talk.inform(&mut request);
        if request.body().is_end_stream() && !self.talk.is_shared() {
            let mut service = self.service.borrow_mut();
            let stage = begin(&mut *service, request.map(Body::plain));
            return Answer { stage, answering, fault: None };
        }
        self.call_guarded(request, answering)
    }
}

impl<S: HttpService> Exchange<S> {
    fn call_guarded(&self, request: Request<Incoming>, answering: Option<Answering>) -> Answer<S, S::Future> {
        let (stage, fault) = match self.talk.admit(request) {
            Ok((request, fault)) => {
                let begun = self.talk.run(|| begin(&mut *self.service.borrow_mut(), request));
                (begun.unwrap_or_else(|panic| Stage::Failed { error: Some(panic) }), fault)
            }
            Err(fault) => (Stage::Failed { error: Some("the body is too long".into()) }, fault),
        };
        Answer { stage, answering, fault: Some(fault) }
    }
}

/// Whether it names one host, as HTTP/1.1 demands (RFC 9112, 3.2). hyper does not look.
#[inline]
fn names_its_host<B>(request: &Request<B>) -> bool {
    request.version() != Version::HTTP_11 || request.headers().get_all(HOST).iter().take(2).count() == 1
}

/// Calls the service at once if possible, so that the request is not kept while hyper reads on.
#[inline]
fn begin<S: HttpService>(service: &mut S, request: Request<Body>) -> Stage<S, S::Future> {
    // Nobody needs to be woken for this question: if the answer is no it is asked again.
    match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => Stage::Called { future: service.call(request) },
        Poll::Ready(Err(error)) => Stage::Failed { error: Some(error.into()) },
        Poll::Pending => {
            // The one that was asked may have a place in a queue, so it is the one to wait with.
            let other = service.clone();
            let asked = std::mem::replace(service, other);
            Stage::Waiting { waiting: Box::new((asked, Some(request))) }
        }
    }
}

impl<S: HttpService> Future for Answer<S, S::Future> {
    type Output = Result<Response<Reply<S::ResBody>>, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // hyper does not poll what has ended.
        let Some(answering) = this.answering.take() else { return Poll::Pending };
        let talk = answering.talk();
        let polled = if talk.is_shared() {
            talk.run(|| this.stage.poll(cx)).unwrap_or_else(|panic| Poll::Ready(Err(panic)))
        } else {
            this.stage.poll(cx)
        };
        let result = match polled {
            Poll::Ready(Ok(response)) if this.fault.is_none() => {
                return Poll::Ready(Ok(reply(response, answering)));
            }
            Poll::Ready(result) => result,
            Poll::Pending => {
                *this.answering = Some(answering);
                return Poll::Pending;
            }
        };
        // The client's fault has a status of its own. A service that makes good of it may say so.
        Poll::Ready(match (result, this.fault.as_ref().and_then(Fault::status)) {
            (Ok(response), Some(status)) if is_error(response.status()) => Ok(refusal(status, answering)),
            (Err(_), Some(status)) => Ok(refusal(status, answering)),
            (Ok(mut response), Some(_)) => {
                close(&mut response);
                Ok(reply(response, answering))
            }
            (Ok(response), None) => Ok(reply(response, answering)),
            (Err(error), None) => Err(talk.note(error)),
        })
    }
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// An answer of ours, the last of its connection.
fn refusal<B>(status: StatusCode, answering: Answering) -> Response<Reply<B>> {
    let mut response = Response::new(Reply { body: None, answering });
    *response.status_mut() = status;
    close(&mut response);
    response
}

#[inline]
fn reply<B>(mut response: Response<B>, mut answering: Answering) -> Response<Reply<B>> {
    if answering.talk().is_last() {
        close(&mut response);
    }
    // Its body is not asked for before there is room for some of it.
    answering.set_untaken(answering.talk().is_shared());
    response.map(|body| Reply { body: Some(body), answering })
}

/// Says that the answer is the last. hyper reads this too, and closes; over HTTP/2 it leaves it out.
fn close<B>(response: &mut Response<B>) {
    // What was switched to another protocol is in other hands.
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

impl<S: HttpService> Stage<S, S::Future> {
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response<S::ResBody>, BoxError>> {
        loop {
            let future = match self.as_mut().project() {
                StageProjection::Called { future } => return future.poll(cx).map_err(Into::into),
                StageProjection::Failed { error } => {
                    // hyper does not poll what has ended.
                    return error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                }
                StageProjection::Waiting { waiting } => {
                    let (service, request) = &mut **waiting;
                    ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    let Some(request) = request.take() else { return Poll::Pending };
                    service.call(request)
                }
            };
            self.set(Stage::Called { future });
        }
    }
}

impl<B: HttpBody<Error: Into<BoxError>>> HttpBody for Reply<B> {
    type Data = B::Data;
    type Error = BoxError;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else { return Poll::Ready(None) };
        if !this.answering.talk().is_shared() {
            return body.poll_frame(cx).map_err(Into::into);
        }
        this.answering.set_untaken(false);
        let talk = this.answering.talk();
        let polled = match talk.run(|| body.poll_frame(cx)) {
            Ok(polled) => polled.map_err(|error| talk.note(error.into())),
            Err(panic) => Poll::Ready(Some(Err(panic))),
        };
        this.answering.set_untaken(matches!(polled, Poll::Ready(Some(Ok(_)))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}
