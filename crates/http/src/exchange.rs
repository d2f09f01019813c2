//! The requests of one connection, one after the other.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Body;
use tower_service::Service;

/// The service of one connection, and whether the client or the service is to act next.
///
/// hyper has a timer for the heads of requests. It is not used, because it costs a tenth of a small request: it is set
/// for each one.
#[derive(Debug)]
pub(crate) struct Exchange<S> {
    service: RefCell<S>,
    turn: Turn,
    /// Answers that begin now are the last of their connection.
    leaving: Cell<bool>,
}

/// Since when the client is to send the head of a request; `None` while the service is at one.
#[derive(Clone, Debug)]
struct Turn(Rc<Cell<Option<Instant>>>);

/// An answer that is under way. Its end makes it the client's turn.
struct Answering(Turn);

/// How far a request got without waiting.
enum Begun<F, B> {
    Called(F),
    /// The service was not ready for it.
    Waiting(Box<Request<B>>),
}

impl<S> Exchange<S> {
    /// Nothing was received yet.
    pub(crate) fn new(service: S) -> Self {
        let turn = Turn(Rc::new(Cell::new(Some(Instant::now()))));
        Self { service: RefCell::new(service), turn, leaving: Cell::new(false) }
    }

    /// Resolves when the client has had its turn for that long; never without a time-out.
    ///
    /// The timer is set when the connection begins and again when it fires, however many requests there are.
    pub(crate) async fn silence(&self, timeout: Option<Duration>) {
        let Some(timeout) = timeout else { return pending().await };
        loop {
            let now = Instant::now();
            let since = self.turn.0.get().unwrap_or(now);
            // A deadline beyond all time is none.
            let Some(deadline) = since.checked_add(timeout) else { return pending().await };
            if deadline <= now {
                return;
            }
            tokio::time::sleep_until(deadline.into()).await;
        }
    }

    /// Whether the client is to send the head of a request, or the rest of it.
    pub(crate) fn is_clients_turn(&self) -> bool {
        self.turn.0.get().is_some()
    }

    /// From now on an answer says that it is the last.
    pub(crate) fn leave(&self) {
        self.leaving.set(true);
    }

    /// Resolves when the client has let that time pass without a request; never once there was one since this call.
    pub(crate) fn unasked(&self, limit: Duration) -> impl Future<Output = ()> + use<'_, S> {
        let turn = self.turn.0.get();
        async move {
            tokio::time::sleep(limit).await;
            if turn.is_none() || turn != self.turn.0.get() {
                pending::<()>().await;
            }
        }
    }

    /// Answers a request. HTTP/1 has one at a time, so one service is enough.
    pub(crate) fn answer<I, B>(
        &self,
        request: Request<I>,
    ) -> impl Future<
        Output = Result<
            Response<impl Body<Data = B::Data, Error = B::Error> + 'static + use<S, I, B>>,
            S::Error,
        >,
    >
    where
        S: Service<Request<I>, Response = Response<B>>,
        B: Body + 'static,
    {
        self.turn.0.set(None);
        let answering = Answering(self.turn.clone());
        // Called at once if possible, so that the request is not kept while hyper reads on.
        let begun = self.begin(request);
        async move {
            let future = match begun? {
                Begun::Called(future) => future,
                Begun::Waiting(request) => {
                    poll_fn(|cx| self.service.borrow_mut().poll_ready(cx)).await?;
                    self.service.borrow_mut().call(*request)
                }
            };
            let mut response = future.await?;
            if self.leaving.get() {
                // hyper reads this too, and closes.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            // No error is changed; but what the closure owns lives as long as the body does.
            let keep = move |error| {
                let Answering(_) = &answering;
                error
            };
            Ok(response.map(|body| body.map_err(keep)))
        }
    }

    fn begin<B>(&self, request: Request<B>) -> Result<Begun<S::Future, B>, S::Error>
    where
        S: Service<Request<B>>,
    {
        let mut service = self.service.borrow_mut();
        // Nobody needs to be woken for this question: if the answer is no it is asked again.
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Ok(Begun::Called(service.call(request))),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(Begun::Waiting(Box::new(request))),
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.set(Some(Instant::now()));
    }
}
