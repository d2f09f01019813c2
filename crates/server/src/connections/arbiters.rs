//! The arbiters that connections run on: the supervisor's own, or threads of their own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Arbiter, Context};
use impresario_actor::{
    ChildContext, ChildSpec, DynamicRef, DynamicSupervisor, Intensity, StartError, Strategy, Supervisor,
};
use slog::Logger;
use tokio::time::timeout;

use super::balance::{self, Load};
use crate::socket::accepted::Accepted;
use crate::tracker::slot::SlotCounts;

/// Default time for a connection's actor to stop.
const ACTOR_STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The period in which the arbiters may restart once each and [`RESTARTS`] times more.
const RESTART_PERIOD: Duration = Duration::from_secs(5);
/// Restarts above one for each arbiter.
const RESTARTS: u32 = 3;
/// The most arbiters: each is a thread, and more of them than cores gain nothing.
const MAX_ARBITERS: usize = 1024;
/// How long an acceptor waits for an arbiter that claims nothing, when there are others.
const STUCK_AFTER: Duration = Duration::from_millis(100);

/// Makes the actor of a connection.
pub(super) type MakeActor<A> = dyn Fn(&ChildContext, Accepted) -> A + Send + Sync;

/// One arbiter: the supervisor of the connections on it, and its counts. A clone is the same arbiter.
#[derive(Clone)]
pub(crate) struct ArbiterSlot {
    supervisor: DynamicRef<Accepted>,
    counts: Arc<SlotCounts>,
    /// Whether it has a thread of its own; otherwise it is the arbiter of the supervisor of the connections.
    own: bool,
}

/// Arbiters of their own, at most [`MAX_ARBITERS`]; with 0 that of the supervisor.
pub(super) fn slots(arbiters: usize) -> Arc<[ArbiterSlot]> {
    let slot = |_| ArbiterSlot { supervisor: DynamicRef::new(), counts: Arc::default(), own: arbiters > 0 };
    (0..arbiters.clamp(1, MAX_ARBITERS)).map(slot).collect()
}

/// Refuses more than [`MAX_ARBITERS`].
pub(super) fn check(arbiters: usize) -> Result<(), StartError> {
    if arbiters <= MAX_ARBITERS {
        return Ok(());
    }
    Err(format!("{arbiters} arbiters are too many; ask for {MAX_ARBITERS} at most").into())
}

/// The supervisor of all arbiters. The exit of one does not affect the others, nor the acceptors that are
/// started after this supervisor.
pub(super) fn supervisor<A: Actor<Context = Context<A>>>(
    slots: &[ArbiterSlot],
    make: &Arc<MakeActor<A>>,
) -> Supervisor {
    let restarts = RESTARTS.saturating_add(u32::try_from(slots.len()).unwrap_or(u32::MAX));
    let supervisor = Supervisor::new(Strategy::OneForOne).intensity(Intensity::new(restarts, RESTART_PERIOD));
    slots.iter().enumerate().fold(supervisor, |supervisor, (number, slot)| {
        let make = Arc::clone(make);
        supervisor.child(if slot.own { slot.on_own_arbiter(number, make) } else { slot.actors(make, ()) })
    })
}

/// Number of connections of each arbiter; empty when they run on the arbiter of the supervisor.
pub(crate) fn loads(slots: &[ArbiterSlot]) -> Vec<usize> {
    slots.iter().filter(|slot| slot.own).map(|slot| slot.counts.active()).collect()
}

/// Waits until the arbiter that gets the next connection has fewer than
/// [`MAX_IN_FLIGHT`](crate::tracker::slot::MAX_IN_FLIGHT) in flight. One that claims nothing for [`STUCK_AFTER`] is
/// marked as stuck, and passed over while there are others.
pub(crate) async fn wait_for_capacity(slots: &[ArbiterSlot], log: &Logger) {
    while let Some(number) = balance::best(slots.iter().map(ArbiterSlot::load)) {
        let Some(slot) = slots.get(number).filter(|slot| !slot.counts.has_capacity()) else { return };
        let waited = timeout(STUCK_AFTER, slot.counts.wait_for_capacity()).await;
        if waited.is_err() && slots.len() > 1 && slot.counts.mark_stuck() {
            slog::warn!(log, "an arbiter is stuck, others get its connections"; "arbiter" => number);
        }
    }
}

/// Starts the actor of a connection on the running arbiter with the fewest.
pub(super) fn start(slots: &[ArbiterSlot], mut accepted: Accepted) -> Result<(), Accepted> {
    if let [only] = slots {
        return only.start(accepted);
    }
    let loads: Vec<Load> = slots.iter().map(ArbiterSlot::load).collect();
    for number in balance::order(&loads) {
        match slots.get(number).map(|slot| slot.start(accepted)) {
            Some(Err(back)) => accepted = back,
            _ => return Ok(()),
        }
    }
    Err(accepted)
}

impl ArbiterSlot {
    /// The supervisor of the actors. `keep` is dropped with it.
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

    /// The supervisor of the actors, on an arbiter of its own. Each restart makes a new arbiter, also when the
    /// old one has exited.
    fn on_own_arbiter<A: Actor<Context = Context<A>>>(
        &self,
        number: usize,
        make: Arc<MakeActor<A>>,
    ) -> ChildSpec {
        let slot = self.clone();
        ChildSpec::supervisor(format!("arbiter {number}"), move |_| {
            let arbiter = StopOnDrop(Arbiter::new());
            let handle = arbiter.0.handle();
            let actors = slot.actors(Arc::clone(&make), arbiter).on(handle);
            Ok(Supervisor::new(Strategy::OneForOne)
                .intensity(Intensity::new(0, RESTART_PERIOD))
                .child(actors))
        })
    }

    fn start(&self, mut accepted: Accepted) -> Result<(), Accepted> {
        if let Some(permit) = accepted.permit_mut() {
            permit.assign(&self.counts);
        }
        self.supervisor.start(accepted)?;
        self.counts.count_served();
        Ok(())
    }

    fn load(&self) -> Load {
        Load { active: self.counts.active(), stuck: self.counts.is_stuck(), served: self.counts.served() }
    }
}

impl fmt::Debug for ArbiterSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArbiterSlot")
            .field("counts", &self.counts)
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}

/// Stops an arbiter when it is dropped.
struct StopOnDrop(Arbiter);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        // It may have exited before.
        self.0.stop();
    }
}
