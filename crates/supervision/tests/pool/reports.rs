//! What reports say.

use std::time::Duration;

use impresario_supervision::pool::WorkerState::{Ready, Retiring, Starting};
use impresario_supervision::pool::{
    Action, Event, PoolSize, RecycleReason, Report, RetireReason, RollAbort, StartOutcome, WorkerPool,
};
use impresario_supervision::{ExitReason, Time};

use crate::world::World;

#[test]
fn every_report_is_a_sentence() {
    let world = World::new(PoolSize::Static(1));
    let worker = world.id(0);
    let generation = world.pool.generation();
    assert_eq!(
        (worker.to_string(), generation.to_string()),
        ("worker 0 (life 1)".into(), "generation 1".into())
    );
    let failed = || ExitReason::Code(3);
    for (report, text) in [
        (Report::Start(worker, StartOutcome::Ready), "worker 0 (life 1) is ready"),
        (
            Report::Start(worker, StartOutcome::Failed(failed())),
            "worker 0 (life 1) did not start: exit code 3",
        ),
        (Report::Start(worker, StartOutcome::TimedOut), "worker 0 (life 1) did not start in time, killed"),
        (Report::Died(worker, failed()), "worker 0 (life 1) died: exit code 3"),
        (Report::UncleanExit(worker, failed()), "worker 0 (life 1) did not leave as told: exit code 3"),
        (
            Report::BackingOff { slot: 4, delay: Duration::from_millis(20) },
            "worker 4 keeps failing, started again in 20 ms",
        ),
        (Report::Recycling(worker, RecycleReason::Asked), "worker 0 (life 1) is recycled: it was asked for"),
        (Report::Rolling(generation), "generation 1 begins"),
        (Report::Rolled(generation), "generation 1 is ready, the old ones leave"),
        (
            Report::RollAborted(generation, RollAbort::Failed(failed())),
            "generation 1 is given up, the old one stays: exit code 3",
        ),
        (Report::RollAborted(generation, RollAbort::Superseded), "generation 1 is given up for a newer one"),
        (Report::RollAborted(generation, RollAbort::Stopped), "generation 1 is given up: the pool leaves"),
        (Report::Scaled(PoolSize::Static(2)), "the pool has now 2 workers"),
        (Report::Scaled(PoolSize::dynamic(1, 3)), "the pool has now 1 spare and up to 3 workers"),
        (
            Report::ScaleRefused(PoolSize::on_demand(1)),
            "the pool stays at up to 1 worker on demand, its limit",
        ),
    ] {
        assert_eq!(report.to_string(), text);
    }
}

#[test]
fn every_reason_to_leave_is_a_sentence() {
    for (leave, text) in [
        (RetireReason::Idle, "it was idle for too long"),
        (RetireReason::Surplus, "the pool has become smaller"),
        (
            RetireReason::Recycled(RecycleReason::Requests(5)),
            "it is recycled because it has served 5 requests",
        ),
        (RetireReason::Replaced, "its generation is not wanted any more"),
        (RetireReason::Drained, "the pool is drained"),
        (RetireReason::Stopped, "the pool is stopped"),
    ] {
        assert_eq!(leave.to_string(), text);
    }
}

#[test]
fn the_state_can_be_listed() {
    let mut pool = WorkerPool::new(PoolSize::Static(3), 0).unwrap();
    pool.handle(Time::START, Event::Start);
    let started: Vec<_> = std::iter::from_fn(|| pool.poll_action())
        .map(|action| match action {
            Action::Start(id, generation) => (id, generation),
            action => panic!("{action:?}"),
        })
        .collect();
    pool.handle(Time::START, Event::Started(started[0].0));
    pool.handle(Time::START, Event::Load { worker: started[0].0, active: 2, queued: 1 });
    pool.handle(Time::START, Event::ScaleDown);
    let listed: Vec<_> =
        pool.workers().map(|info| (info.id, info.generation, info.state, info.active)).collect();
    let expected = [Ready, Starting, Retiring].into_iter().zip([2, 0, 0]).zip(&started);
    assert_eq!(
        listed,
        expected
            .map(|((state, active), (id, generation))| (*id, *generation, state, active))
            .collect::<Vec<_>>()
    );
    let counts = pool.counts();
    assert_eq!((counts.lives(), counts.ready(), counts.starting, counts.retiring), (3, 1, 1, 1));
    assert_eq!((counts.busy, counts.idle, counts.active, counts.queued, counts.waiting), (1, 0, 2, 1, 0));
}
