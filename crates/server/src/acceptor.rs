//! The actor that accepts.

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures::future::{Either, select};
use impresario_actor::{ChildContext, ChildId, ChildSpec, ExitReason};
use rustix::io::Errno;
use slog::Logger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::accept_error::{Class, class};
use crate::alarm::Ring;
use crate::held::Held;
use crate::metrics::Count;
use crate::phase::{Phase, Step};
use crate::spare::Spare;
use crate::units::Units;
use crate::waiting::{Guard, within};
use crate::window::Window;
use crate::{Accepted, ClaimOutcome, ConnectionTracker, ListenSocket, Permit, Policy, RejectError};

/// How many connections may be handed over without an answer yet. One would be enough, and as fast, while giver and
/// taker share a thread; to another thread or process each answer takes its way, and connections need not queue for it.
pub(crate) const HAND_OVERS: usize = 16;
/// How long an arbiter may take none of those, while there are others that could.
const STANDSTILL: Duration = Duration::from_millis(100);
/// How many accepts in a row may fail before a pause, when each says that only its own connection is lost.
const RETRIES: usize = 64;
/// How many connections are refused between two pauses while there are no descriptors.
const REFUSALS: usize = 256;
/// How long to wait for descriptors or memory to be given back.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections and hands them over: to [`Connections`](crate::Connections), or to whoever else takes them.
///
/// A connection needs a permit of the gate before it is accepted, or, where the policy is to reject, to stay. The
/// acceptor goes on at once, but never has more than a few hand-overs without an answer, where claiming or dropping the
/// connection is the answer.
#[derive(Clone)]
pub struct Acceptor {
    held: Arc<Held>,
    gate: ConnectionTracker,
    take: Arc<Take>,
    /// Where they go, if that is known.
    units: Option<Arc<Units>>,
}

type Take = dyn Fn(Accepted) -> Result<(), RejectError> + Send + Sync;

impl Acceptor {
    /// Accepts on a socket that listens already, behind a gate, for `take`. A connection that `take` refuses is closed.
    ///
    /// A drain closes the socket. After that the acceptor cannot start again in this process.
    pub fn new(
        socket: ListenSocket,
        gate: &ConnectionTracker,
        take: impl Fn(Accepted) -> Result<(), RejectError> + Send + Sync + 'static,
    ) -> Self {
        Self::held(Arc::new(Held::inherited(socket)), gate, None, Arc::new(take))
    }

    pub(crate) fn held(
        held: Arc<Held>,
        gate: &ConnectionTracker,
        units: Option<Arc<Units>>,
        take: Arc<Take>,
    ) -> Self {
        Self { held, gate: gate.clone(), take, units }
    }

    /// Waits until one more connection may be on its way. Those who stand still are not waited for while there are
    /// others: what they were given is written off, by another window.
    async fn room(&self, window: &mut Window, log: &Logger) {
        let limit = HAND_OVERS * self.units.as_ref().map_or(1, |units| units.count());
        while !window.has_room(limit) {
            let waited = within(self.units.as_ref().map(|_| STANDSTILL), window.room(limit)).await;
            if waited.is_none() && self.units.as_ref().is_some_and(|units| units.pass_over(log)) {
                *window = Window::default();
            }
        }
    }

    /// The acceptor as a child. Its restarts bind nothing anew.
    pub fn child_spec(self, id: impl Into<ChildId>) -> ChildSpec {
        ChildSpec::actor(id, move |env| {
            self.gate.step(Step::Start);
            // One that is suspended stays so, with the socket closed or not.
            let socket = if self.gate.phase().accepts() { Some(self.open(env.log())?) } else { None };
            Ok(Life { acceptor: self.clone(), socket, env: env.clone() })
        })
    }

    fn open(&self, log: &Logger) -> io::Result<Watched> {
        register(self.held.open(log).map_err(io::Error::other)?)
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("held", &self.held).field("gate", &self.gate).finish_non_exhaustive()
    }
}

/// A listening socket that the reactor of this arbiter watches.
type Watched = AsyncFd<Arc<ListenSocket>>;

#[expect(
    deprecated,
    reason = "the new one is unsafe for types that may change their descriptor; ours never does"
)]
fn register(socket: Arc<ListenSocket>) -> io::Result<Watched> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// One life of an acceptor.
struct Life {
    acceptor: Acceptor,
    /// Until the life has begun.
    socket: Option<Watched>,
    env: ChildContext,
}

impl Actor for Life {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // Counted from the start, so that whoever starts after it finds it counted.
        let (accepting, socket) = (self.acceptor.gate.accepting(), self.socket.take());
        let listening = socket.is_some().then(|| self.acceptor.gate.listening());
        let (acceptor, log) = (self.acceptor.clone(), self.env.log().clone());
        let accept = async move {
            let _accepting = accepting;
            live(&acceptor, socket.zip(listening), &log).await
        };
        ctx.spawn(accept.into_actor(self).map(|error, life, ctx| {
            life.env.set_exit_reason(ExitReason::Error(format!("cannot accept: {error}")));
            ctx.stop();
        }));
    }
}

/// Accepts whenever the gate is in a phase to do so, until the listening socket is broken.
async fn live(acceptor: &Acceptor, mut open: Option<(Watched, Guard)>, log: &Logger) -> io::Error {
    let gate = &acceptor.gate;
    loop {
        if let Some((socket, listening)) = open.take() {
            {
                // The phase is asked first, so nothing is accepted after it has changed.
                let over = pin!(gate.until_phase(|phase| !phase.accepts()));
                let accept = pin!(accept_all(acceptor, &socket, log));
                if let Either::Right((error, _)) = select(over, accept).await {
                    // The next life binds a new one, if it can.
                    acceptor.held.close();
                    return error;
                }
            }
            if !gate.phase().listens() {
                acceptor.held.close();
            }
            // In this order: when nobody is said to listen, the socket is closed.
            drop(socket);
            drop(listening);
        }
        gate.until_phase(|phase| phase.accepts() || !phase.listens()).await;
        if gate.phase().accepts() {
            match acceptor.open(log) {
                Ok(socket) => open = Some((socket, gate.listening())),
                Err(error) => return error,
            }
        } else {
            // Kept until now, and closed after all.
            acceptor.held.close();
            gate.until_phase(Phase::listens).await;
        }
    }
}

async fn accept_all(acceptor: &Acceptor, socket: &Watched, log: &Logger) -> io::Error {
    let (mut window, mut trouble) = (Window::default(), Trouble::new());
    let gate = &acceptor.gate;
    loop {
        acceptor.room(&mut window, log).await;
        gate.turn().await;
        let (accepted, permit) = match accept(socket, gate, &mut trouble, log).await {
            Ok(accepted) => accepted,
            Err(error) => return error,
        };
        // One that may not come in is closed by its drop.
        let Ok(permit) = gate.enter(permit, accepted.peer_addr()) else { continue };
        ring(gate, log);
        let hand_over = window.begin();
        let (conn, counter) = (permit.conn().cloned(), gate.clone());
        let accepted = accepted.with_permit(permit).on_outcome(move |outcome| {
            // Wherever it was dropped. Once it has an actor, that says how it ended.
            if outcome == ClaimOutcome::Dropped && !conn.is_some_and(|conn| conn.was_served()) {
                counter.cast(Count::RejectedRefused);
            }
            drop(hand_over);
        });
        if let Err(refusal) = (acceptor.take)(accepted) {
            slog::warn!(log, "connection refused"; "reason" => %refusal);
        }
    }
}

/// Has alarms ring, if there are so many connections now.
fn ring(gate: &ConnectionTracker, log: &Logger) {
    for Ring { report, call } in gate.rings() {
        match call {
            Some(call) => drop(actix::spawn(async move { call(report) })),
            None => slog::warn!(log, "many connections";
                "active" => report.active, "threshold" => report.threshold),
        }
    }
}

/// What goes wrong while accepting.
struct Trouble {
    retries: usize,
    paused: bool,
    spare: Spare,
}

impl Trouble {
    fn new() -> Self {
        Self { retries: 0, paused: false, spare: Spare::new() }
    }

    /// It works.
    fn over(&mut self, log: &Logger) {
        self.retries = 0;
        if std::mem::take(&mut self.paused) {
            self.spare.renew();
            slog::info!(log, "accepting again");
        }
    }

    /// Waits until it may work again, or says that it will not.
    async fn wait(
        &mut self,
        error: io::Error,
        socket: &ListenSocket,
        gate: &ConnectionTracker,
        log: &Logger,
    ) -> io::Result<()> {
        // An error without a number is not the kernel's.
        let class = Errno::from_io_error(&error).map_or(Class::Stop, class);
        match class {
            Class::Stop => return Err(error),
            Class::Retry if self.retries < RETRIES => {
                self.retries += 1;
                return Ok(());
            }
            Class::Retry | Class::Pause | Class::NoDescriptors => {}
        }
        if !self.paused {
            slog::warn!(log, "cannot accept for now, trying again"; "reason" => %error);
        }
        (self.retries, self.paused) = (0, true);
        gate.cast(Count::Pauses);
        if class == Class::NoDescriptors && gate.policy() == Policy::Reject {
            let refused = self.spare.refuse(socket, REFUSALS);
            (0..refused).for_each(|_| gate.cast(Count::RejectedDescriptors));
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

/// Accepts one connection, with a permit unless the policy is to reject it later. Errors that pass are waited for; the
/// one that is returned does not.
async fn accept(
    socket: &Watched,
    gate: &ConnectionTracker,
    trouble: &mut Trouble,
    log: &Logger,
) -> io::Result<(Accepted, Option<Permit>)> {
    loop {
        gate.room().await;
        // The permit is taken when a connection is there: an acceptor that waits for one holds nobody else's place.
        let accept = |socket: &Arc<ListenSocket>| match gate.permit() {
            None if gate.policy() == Policy::Queue => Ok(None),
            permit => Ok(Some((socket.accept()?, permit))),
        };
        match socket.async_io(Interest::READABLE, accept).await {
            Ok(Some(accepted)) => {
                trouble.over(log);
                return Ok(accepted);
            }
            // Somebody else has taken the last place.
            Ok(None) => {}
            Err(error) => trouble.wait(error, socket.get_ref(), gate, log).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// How long it waits after each of these errors in a row; `None` when it gives up.
    fn waits(errors: impl IntoIterator<Item = Errno>, gate: &ConnectionTracker) -> Vec<Option<Duration>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            tokio::time::pause();
            let socket = ListenSocket::bind("127.0.0.1:0").expect("a free port");
            let (log, mut trouble) = (Logger::root(slog::Discard, slog::o!()), Trouble::new());
            let mut waits = Vec::new();
            for error in errors {
                let began = Instant::now();
                let waited = trouble.wait(error.into(), &socket, gate, &log).await;
                waits.push(waited.ok().map(|()| began.elapsed()));
            }
            waits
        })
    }

    /// Thousand Island's `transient accept(2)`.
    #[test]
    fn errors_of_single_connections_are_passed_over_but_not_for_ever() {
        let all =
            [Errno::INTR, Errno::CONNABORTED, Errno::PERM, Errno::PROTO, Errno::NETDOWN, Errno::TIMEDOUT];
        let gate = ConnectionTracker::new();
        assert_eq!(waits(all, &gate), [Some(Duration::ZERO); 6]);
        assert_eq!(gate.metrics().pauses, 0);
        let waits = waits([Errno::CONNABORTED; 2 * RETRIES + 2], &gate);
        let pauses: Vec<usize> = (0..waits.len()).filter(|number| waits[*number] >= Some(PAUSE)).collect();
        assert_eq!((pauses, gate.metrics().pauses), (vec![RETRIES, 2 * RETRIES + 1], 2));
    }

    #[test]
    fn what_is_used_up_is_waited_for_each_time_and_a_broken_socket_is_given_up() {
        let gate = ConnectionTracker::new();
        let waits = waits([Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::BADF], &gate);
        let (last, pauses) = waits.split_last().expect("five");
        assert!(pauses.iter().all(|pause| *pause >= Some(PAUSE)), "{pauses:?}");
        assert_eq!((*last, gate.metrics().pauses), (None, 4));
    }
}
