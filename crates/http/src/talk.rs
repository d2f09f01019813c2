//! What has been said on one connection.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;

use http::Request;
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use impresario_actor::catch_panic;

use crate::ConnectionInfo;
use crate::body::{Body, BodyLimits, Fault, Uploads};
use crate::error::is_of_peer;
use crate::pace::Phase;
use crate::stream::Sight;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// How much a client of HTTP/2 must take of the answers that wait for it to count as one that reads.
const TAKEN_BYTES: usize = 1024;

/// The state of the conversation on one connection: what is under way, and what went wrong.
#[derive(Debug)]
pub(crate) struct Talk {
    /// Requests that are being answered.
    under_way: Cell<usize>,
    /// How many were answered.
    answers: Cell<usize>,
    /// How many of the answers that are under way wait for the client to take what there is of them. Counted only where
    /// that is not seen at the socket, because each stream has a window of its own.
    untaken: Cell<usize>,
    /// How many pieces of such answers were taken.
    taken: Cell<usize>,
    uploads: Uploads,
    /// Answers that begin now are the last of their connection.
    leaving: Cell<bool>,
    /// The first failure of ours that did not end the connection at once.
    failure: RefCell<Option<String>>,
    sight: Arc<Sight>,
    terms: Terms,
}

/// What was agreed for the connection.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) bodies: BodyLimits,
    pub(crate) info: ConnectionInfo,
    /// All requests have it among their extensions.
    pub(crate) info_for_all: bool,
    /// Several requests share the connection, so none may end it alone.
    pub(crate) shared: bool,
}

/// An answer that is under way.
#[derive(Debug)]
pub(crate) struct Answering {
    talk: Rc<Talk>,
    /// Whether it waits for the client to take what there is of it.
    untaken: bool,
}

impl Answering {
    pub(crate) fn talk(&self) -> &Talk {
        &self.talk
    }

    /// There is something for the client to take, or the client has taken it.
    pub(crate) fn set_untaken(&mut self, untaken: bool) {
        let talk = &self.talk;
        match (std::mem::replace(&mut self.untaken, untaken), untaken) {
            (false, true) => talk.untaken.set(talk.untaken.get() + 1),
            (true, false) => {
                talk.untaken.set(talk.untaken.get() - 1);
                talk.taken.set(talk.taken.get().wrapping_add(1));
            }
            _ => {}
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.set_untaken(false);
        // Bytes of a body are not the beginning of a head.
        self.talk.sight.forget_heard();
        self.talk.under_way.set(self.talk.under_way.get() - 1);
        self.talk.answers.set(self.talk.answers.get().wrapping_add(1));
    }
}

impl Talk {
    pub(crate) fn new(sight: Arc<Sight>, terms: Terms) -> Self {
        Self {
            under_way: Cell::default(),
            answers: Cell::default(),
            untaken: Cell::default(),
            taken: Cell::default(),
            uploads: Uploads::default(),
            leaving: Cell::default(),
            failure: RefCell::default(),
            sight,
            terms,
        }
    }

    /// From now on an answer says that it is the last.
    pub(crate) fn leave(&self) {
        self.leaving.set(true);
    }

    /// Whether an answer is to say so; on a shared connection that is said in another way.
    pub(crate) fn is_last(&self) -> bool {
        self.leaving.get() && !self.terms.shared
    }

    /// What the connection waits for, and a number that has changed if that has begun anew.
    pub(crate) fn phase(&self) -> (Phase, usize) {
        if self.sight.is_stalled() {
            return (Phase::Stalled, self.sight.sent());
        }
        let under_way = self.under_way.get();
        let taken = self.sight.taken() / TAKEN_BYTES;
        if under_way > 0 && self.untaken.get() == under_way {
            return (Phase::Stalled, self.taken.get().wrapping_add(taken));
        }
        let answers = self.answers.get();
        let phase = if under_way > 0 || self.uploads.are_there() {
            Phase::Busy
        } else if self.terms.shared {
            // Answers that are over for the service may still wait for the client to take them.
            let mark = if self.leaving.get() { self.sight.taken() } else { answers.wrapping_add(taken) };
            return (Phase::Idle, mark);
        } else if self.sight.heard() {
            Phase::Head { begun: true }
        } else if answers == 0 {
            Phase::Head { begun: false }
        } else {
            Phase::Idle
        };
        (phase, answers)
    }

    /// A request has come.
    pub(crate) fn begin(self: &Rc<Self>) -> Answering {
        self.sight.forget_heard();
        self.under_way.set(self.under_way.get() + 1);
        Answering { talk: Rc::clone(self), untaken: false }
    }

    /// A request that may have a body, as the service gets it. If that is too long already it is the client's fault.
    pub(crate) fn admit(&self, request: Request<Incoming>) -> Result<(Request<Body>, Fault), Fault> {
        if self.terms.bodies.refuse(request.body().size_hint().lower()) {
            return Err(Fault::too_long());
        }
        let (parts, incoming) = request.into_parts();
        let (body, fault) = Body::guarded(incoming, self.terms.bodies, &self.uploads);
        Ok((Request::from_parts(parts, body), fault))
    }

    /// Several requests share the connection, so none may end it alone.
    pub(crate) fn is_shared(&self) -> bool {
        self.terms.shared
    }

    /// Tells a request about its connection, if it wants to know.
    #[inline]
    pub(crate) fn inform(&self, request: &mut Request<Incoming>) {
        // To look is cheap, because a usual request has no extensions at all.
        let may_upgrade = request.extensions().get::<OnUpgrade>().is_some();
        if may_upgrade {
            self.sight.upgrade();
        }
        if may_upgrade || self.terms.info_for_all {
            request.extensions_mut().insert(self.terms.info.clone());
        }
    }

    /// Runs code of the service. On a shared connection a panic becomes an error of its request alone.
    pub(crate) fn run<T>(&self, code: impl FnOnce() -> T) -> Result<T, BoxError> {
        if !self.is_shared() {
            return Ok(code());
        }
        catch_panic(code).map_err(|reason| {
            self.fail(reason.to_string());
            "the service panicked".into()
        })
    }

    /// Notes an error of the service, unless it only passes on what the client did.
    pub(crate) fn note(&self, error: BoxError) -> BoxError {
        if self.terms.shared && !is_of_peer(&*error) {
            self.fail(error.to_string());
        }
        error
    }

    fn fail(&self, failure: String) {
        self.failure.borrow_mut().get_or_insert(failure);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    pub(crate) fn take_failure(&self) -> Option<String> {
        self.failure.take()
    }
}
