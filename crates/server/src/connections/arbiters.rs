//! The arbiters that connections run on: the arbiter of their supervisor, or arbiters with a thread each.

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
use crate::tracker::ConnectionTracker;
use crate::tracker::slot::SlotCounts;

/// The shutdown timeout of a connection's actor, after which its supervisor kills it.
const ACTOR_STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The period of the restart limit: one restart for each arbiter, and [`RESTARTS`] more.
const RESTART_PERIOD: Duration = Duration::from_secs(5);
/// The restarts in [`RESTART_PERIOD`] above one for each arbiter.
const RESTARTS: u32 = 3;
/// The most arbiters. Each is a thread, and more threads than cores have no use.
const MAX_ARBITERS: usize = 1024;
/// How long an arbiter claims nothing, with [`MAX_IN_FLIGHT`](crate::tracker::slot::MAX_IN_FLIGHT) connections in
/// flight, before an acceptor reports it as stuck.
const STUCK_AFTER: Duration = Duration::from_millis(100);

/// Constructs the actor of a connection.
pub(super) type MakeActor<A> = dyn Fn(&ChildContext, Accepted) -> A + Send + Sync;

/// One arbiter: the supervisor of the connections on it, and its counts. A clone is the same arbiter.
#[derive(Clone)]
pub(crate) struct ArbiterSlot {
    supervisor: DynamicRef<Accepted>,
    counts: Arc<SlotCounts>,
    /// Whether it has a thread. Otherwise it is the arbiter of the supervisor of the connections.
    own: bool,
}

/// Slots for this number of arbiters, at most [`MAX_ARBITERS`]; with 0 one slot for the arbiter of the supervisor.
pub(super) fn slots(arbiters: usize) -> Arc<[ArbiterSlot]> {
    let slot = |counts| ArbiterSlot { supervisor: DynamicRef::new(), counts, own: arbiters > 0 };
    SlotCounts::of_arbiters(arbiters.clamp(1, MAX_ARBITERS)).map(slot).collect()
}

/// Checks the number of arbiters.
///
/// # Errors
///
/// One line, for more than [`MAX_ARBITERS`].
pub(super) fn check(arbiters: usize) -> Result<(), StartError> {
    if arbiters <= MAX_ARBITERS {
        return Ok(());
    }
    Err(format!("{arbiters} arbiters are too many; ask for {MAX_ARBITERS} at most").into())
}

/// The supervisor of all arbiters, one for one. The exit of one arbiter affects neither the others nor the acceptors,
/// which are later siblings of this supervisor.
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

/// The number of connections of each arbiter; empty when they run on the arbiter of the supervisor.
pub(crate) fn loads(slots: &[ArbiterSlot]) -> Vec<usize> {
    slots.iter().filter(|slot| slot.own).map(|slot| slot.counts.active()).collect()
}

/// Waits until an arbiter has fewer than [`MAX_IN_FLIGHT`](crate::tracker::slot::MAX_IN_FLIGHT) connections in flight.
/// Returns immediately when one has, so a blocked arbiter does not delay the others.
///
/// Logs an arbiter that has been without capacity for [`STUCK_AFTER`].
pub(crate) async fn wait_for_capacity(slots: &[ArbiterSlot], tracker: &ConnectionTracker, log: &Logger) {
    loop {
        let mut free = 0;
        for (number, slot) in slots.iter().enumerate() {
            if slot.counts.has_capacity() {
                free += 1;
            } else if slots.len() > 1 && slot.counts.report_stuck(tracker.now(), STUCK_AFTER) {
                slog::warn!(log, "arbiter is stuck, it gets no connections until it claims one";
                    "arbiter" => number);
            }
        }
        let Some(slot) = slots.first().filter(|_| free == 0) else { return };
        // The timeout is there to report again, not to go on.
        drop(timeout(STUCK_AFTER, slot.counts.wait_for_any_capacity()).await);
    }
}

/// Starts the actor of a connection on the first arbiter, by [`balance::order`], with a supervisor that runs.
///
/// # Errors
///
/// The connection, when no supervisor runs.
pub(super) fn start(slots: &[ArbiterSlot], accepted: Accepted) -> Result<(), Accepted> {
    let Some(best) = balance::best(slots.iter().map(ArbiterSlot::load)) else { return Err(accepted) };
    let Err(mut accepted) = slots[best].start(accepted) else { return Ok(()) };
    // The supervisor of the best arbiter is being restarted. Only then is the whole order needed, which allocates.
    let loads: Vec<Load> = slots.iter().map(ArbiterSlot::load).collect();
    for number in balance::order(&loads).filter(|number| *number != best) {
        match slots[number].start(accepted) {
            Ok(()) => return Ok(()),
            Err(back) => accepted = back,
        }
    }
    Err(accepted)
}

impl ArbiterSlot {
    /// The supervisor of the connections' actors. `keep` is dropped with it.
    fn actors<A: Actor<Context = Context<A>>>(
        &self,
        make: Arc<MakeActor<A>>,
        keep: impl Send + Sync + 'static,
    ) -> ChildSpec {
        let supervisor = DynamicSupervisor::new(move |context, accepted| {
            let _ = &keep;
            Ok(make(context, accepted))
        });
        self.supervisor.child_spec("actors", supervisor.child_id("connection").shutdown(ACTOR_STOP_TIMEOUT))
    }

    /// The supervisor of the connections' actors, on a new arbiter with a thread. Each restart starts a new arbiter.
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
        Load { active: self.counts.active(), full: !self.counts.has_capacity(), served: self.counts.served() }
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
        // `false` means that the arbiter has exited already.
        self.0.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use futures::FutureExt;
    use slog::{Discard, o};

    use super::*;
    use crate::tracker::permit::Permit;
    use crate::tracker::slot::MAX_IN_FLIGHT;

    /// Permits of this number of connections that are handed to the arbiter and not claimed.
    fn hand_over(tracker: &ConnectionTracker, slot: &ArbiterSlot, count: usize) -> Vec<Permit> {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1)).into();
        let permits = (0..count).map(|_| {
            let mut permit = tracker.check_admission(&peer).expect("no limit");
            permit.assign(&slot.counts);
            permit
        });
        permits.collect()
    }

    #[test]
    fn a_full_arbiter_is_passed_over_without_a_wait() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (tracker, slots, log) = (ConnectionTracker::new(), slots(2), Logger::root(Discard, o!()));
            let best = || balance::best(slots.iter().map(ArbiterSlot::load));
            let mut blocked = hand_over(&tracker, &slots[0], MAX_IN_FLIGHT);
            let mut busy = hand_over(&tracker, &slots[1], 2 * MAX_IN_FLIGHT);
            busy.iter_mut().for_each(Permit::set_claimed);
            assert!(wait_for_capacity(&slots, &tracker, &log).now_or_never().is_some());
            assert_eq!(best(), Some(1), "the other one has more connections");
            busy.extend(hand_over(&tracker, &slots[1], MAX_IN_FLIGHT));
            assert!(wait_for_capacity(&slots, &tracker, &log).now_or_never().is_none(), "both are full");
            blocked[0].set_claimed();
            assert!(wait_for_capacity(&slots, &tracker, &log).now_or_never().is_some());
            assert_eq!(best(), Some(0));
        });
    }
}
