//! Where connections live: on the arbiter of their supervisor, or on arbiters of their own.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, Arbiter, Context};
use impresario_actor::{
    ChildContext, ChildId, ChildSpec, DynamicRef, DynamicSupervisor, Intensity, StartError, Strategy,
    Supervisor, SupervisorRef,
};
use slog::Logger;

use super::balance::{self, Load};
use crate::socket::accepted::Accepted;

/// How long a connection's actor has to end when its supervisor stops and it did not leave during the drain.
const ACTOR_STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// In what time units may restart so many times: one for each, and some more.
const RESTART_PERIOD: Duration = Duration::from_secs(5);
/// How many more than one for each.
const RESTARTS: u32 = 3;

/// How many arbiters there may be: each is a thread, and more of them than cores gain nothing.
const MAX_ARBITERS: usize = 1024;

/// How many connections may be handed over without an answer yet. One would be enough, and as fast, while giver and
/// taker share a thread; to another thread or process each answer takes its way, and connections need not queue for it.
pub(crate) const MAX_IN_FLIGHT: usize = 16;

/// Makes the actor of a connection.
type MakeActor<A> = dyn Fn(&ChildContext, Accepted) -> A + Send + Sync;

/// The supervisors of connections, each with its own arbiter if they are several.
pub(crate) struct ArbiterPool {
    slots: Box<[ArbiterSlot]>,
    /// On how many arbiters of their own they are to be; 0 for that of the supervisor.
    arbiters: usize,
}

#[derive(Clone, Default)]
struct ArbiterSlot {
    supervisor: DynamicRef<Accepted>,
    /// How many connections it has.
    active: Arc<AtomicUsize>,
    /// How many are on their way to it.
    in_flight: Arc<AtomicUsize>,
    /// It has taken none of many for long.
    stuck: Arc<AtomicBool>,
    /// How many it got so far.
    served: Arc<AtomicU64>,
}

impl ArbiterPool {
    /// One, on the arbiter of the supervisor.
    pub(crate) fn here() -> Self {
        Self { slots: Box::new([ArbiterSlot::default()]), arbiters: 0 }
    }

    /// So many with arbiters of their own; none means [`here`](Self::here), and too many that they do not start.
    pub(crate) fn on(arbiters: usize) -> Self {
        if arbiters == 0 {
            return Self::here();
        }
        let slots = (0..arbiters.min(MAX_ARBITERS)).map(|_| ArbiterSlot::default()).collect();
        Self { slots, arbiters }
    }

    /// Whether they can start, to be known before anything else is begun.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        check(self.arbiters)
    }

    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }

    /// How many connections each arbiter has; empty when there are none but the supervisor's own.
    pub(crate) fn loads(&self) -> Vec<usize> {
        if self.arbiters == 0 {
            return Vec::new();
        }
        self.slots.iter().map(|slot| slot.load().active).collect()
    }

    /// A supervisor of them. Each is on its own: the death of one costs the others nothing, and above all not the
    /// acceptors, which come after this supervisor.
    pub(crate) fn child_spec<A: Actor<Context = Context<A>>>(
        &self,
        id: ChildId,
        name: &SupervisorRef,
        make: impl Fn(&ChildContext, Accepted) -> A + Send + Sync + 'static,
    ) -> ChildSpec {
        let (slots, arbiters, make): (Vec<ArbiterSlot>, _, Arc<MakeActor<A>>) =
            (self.slots.to_vec(), self.arbiters, Arc::new(make));
        name.child_spec(id, move |_| {
            check(arbiters)?;
            let restarts = RESTARTS.saturating_add(u32::try_from(slots.len()).unwrap_or(u32::MAX));
            let supervisor =
                Supervisor::new(Strategy::OneForOne).intensity(Intensity::new(restarts, RESTART_PERIOD));
            Ok(slots.iter().enumerate().fold(supervisor, |supervisor, (number, slot)| {
                let (slot, make) = (slot.clone(), Arc::clone(&make));
                supervisor.child(if arbiters > 0 {
                    slot.on_own_arbiter(number, make)
                } else {
                    slot.actors(make, ())
                })
            }))
        })
    }

    /// Whoever hands connections over has waited in vain for long: those who take none are passed over from here on.
    /// Says whether there are such, and others.
    pub(crate) fn mark_stuck(&self, log: &Logger) -> bool {
        for (number, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.is_full()) {
            if !slot.stuck.swap(true, Ordering::AcqRel) {
                slog::warn!(log, "an arbiter stands still, others get its connections"; "arbiter" => number);
            }
        }
        let stuck = self.slots.iter().filter(|slot| slot.is_stuck()).count();
        (1..self.slots.len()).contains(&stuck)
    }

    /// Starts the actor of a connection where the fewest are.
    pub(crate) fn start(&self, mut accepted: Accepted) -> Result<(), Accepted> {
        if let [only] = &*self.slots {
            return only.start(accepted, self.arbiters > 0);
        }
        let loads: Vec<Load> = self.slots.iter().map(ArbiterSlot::load).collect();
        for number in balance::order(&loads) {
            match self.slots.get(number).map(|slot| slot.start(accepted, true)) {
                Some(Err(back)) => accepted = back,
                _ => return Ok(()),
            }
        }
        Err(accepted)
    }
}

fn check(arbiters: usize) -> Result<(), StartError> {
    if arbiters <= MAX_ARBITERS {
        return Ok(());
    }
    Err(format!("{arbiters} arbiters are too many; ask for {MAX_ARBITERS} at most").into())
}

impl ArbiterSlot {
    /// The supervisor of the actors. `keep` lives as long as it may be started.
    fn actors<A: Actor<Context = Context<A>>>(
        &self,
        make: Arc<MakeActor<A>>,
        keep: impl Send + Sync + 'static,
    ) -> ChildSpec {
        let supervisor = DynamicSupervisor::new(move |context, accepted| {
            let _ = &keep;
            Ok(make(context, accepted))
        });
        self.supervisor.child_spec("actors", supervisor.shutdown(ACTOR_STOP_TIMEOUT))
    }

    /// The same on an arbiter of its own. When it dies, and be it because the arbiter has, its next life has a new one.
    fn on_own_arbiter<A: Actor<Context = Context<A>>>(
        self,
        number: usize,
        make: Arc<MakeActor<A>>,
    ) -> ChildSpec {
        ChildSpec::supervisor(format!("arbiter {number}"), move |_| {
            let arbiter = StopOnDrop(Arbiter::new());
            let handle = arbiter.0.handle();
            let actors = self.actors(Arc::clone(&make), arbiter).on(handle);
            Ok(Supervisor::new(Strategy::OneForOne)
                .intensity(Intensity::new(0, RESTART_PERIOD))
                .child(actors))
        })
    }

    fn start(&self, mut accepted: Accepted, count: bool) -> Result<(), Accepted> {
        if let (true, Some(permit)) = (count, accepted.permit_mut()) {
            permit.count_on_arbiter(&self.active, &self.in_flight);
        }
        self.supervisor.start(accepted)?;
        self.served.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) >= MAX_IN_FLIGHT
    }

    /// Until it takes one.
    fn is_stuck(&self) -> bool {
        let was = self.stuck.load(Ordering::Acquire);
        if was && !self.is_full() {
            self.stuck.store(false, Ordering::Release);
            return false;
        }
        was
    }

    fn load(&self) -> Load {
        Load {
            active: self.active.load(Ordering::Acquire),
            stuck: self.is_stuck(),
            served: self.served.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for ArbiterPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArbiterPool").field("arbiters", &self.arbiters).field("loads", &self.loads()).finish()
    }
}

/// An arbiter that ends with its owner.
struct StopOnDrop(Arbiter);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        // It may have ended before.
        self.0.stop();
    }
}
