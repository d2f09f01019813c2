//! Texts of reports and reasons; lists of workers and counts.

use std::time::Duration;

use impresario_supervision::pool::WorkerState::{Ready, Retiring, Starting};
use impresario_supervision::pool::{
    Action, Event, PoolSize, RecycleReason, Report, RetireReason, RollAbort, StartOutcome, WorkerPool,
};
use impresario_supervision::{DelayedRestart, ExitReason, Time};

use crate::world::World;

#[test]
fn every_report_has_its_text() {
    let world = World::new(PoolSize::Static(1));
    let worker = world.id(0);
    let generation = world.pool.generation();
    assert_eq!(
        (worker.to_string(), generation.to_string()),
        ("worker 0 (incarnation 1)".into(), "generation 1".into())
    );
    let failed = || ExitReason::Code(3);
    for (report, text) in [
        (Report::Start(worker, StartOutcome::Ready), "worker 0 (incarnation 1) is ready"),
        (
            Report::Start(worker, StartOutcome::Failed(failed())),
            "worker 0 (incarnation 1) failed to start: exit code 3",
        ),
        (
            Report::Start(worker, StartOutcome::TimedOut),
            "worker 0 (incarnation 1) was not ready in time, killed",
        ),
        (Report::Died(worker, failed()), "worker 0 (incarnation 1) terminated: exit code 3"),
        (
            Report::UncleanExit(worker, failed()),
            "worker 0 (incarnation 1) did not shut down cleanly: exit code 3",
        ),
        (
            Report::BackingOff {
                slot: 4,
                restart: DelayedRestart { delay: Duration::from_millis(20), attempt: 2 },
            },
            "worker 4: restarting in 20 ms (attempt 2)",
        ),
        (
            Report::Recycling(worker, RecycleReason::Asked),
            "worker 0 (incarnation 1) is recycled: it was requested",
        ),
        (Report::Rolling(generation), "rolling restart to generation 1 begins"),
        (Report::Rolled(generation), "rolling restart to generation 1 is complete"),
        (
            Report::RollAborted(generation, RollAbort::Failed(failed())),
            "rolling restart to generation 1 is aborted, the old one stays: exit code 3",
        ),
        (
            Report::RollAborted(generation, RollAbort::Superseded),
            "rolling restart to generation 1 is aborted by a newer one",
        ),
        (
            Report::RollAborted(generation, RollAbort::Stopped),
            "rolling restart to generation 1 is aborted: the pool is drained or stopped",
        ),
        (Report::Scaled(PoolSize::Static(2)), "pool size is now 2 workers"),
        (Report::Scaled(PoolSize::dynamic(1, 3)), "pool size is now 1 spare and up to 3 workers"),
        (
            Report::ScaleRefused(PoolSize::on_demand(1)),
            "pool size stays at up to 1 worker on demand, its limit",
        ),
    ] {
        assert_eq!(report.to_string(), text);
    }
}

#[test]
fn every_retire_reason_has_its_text() {
    for (reason, text) in [
        (RetireReason::Idle, "it was idle"),
        (RetireReason::Surplus, "the pool is smaller"),
        (
            RetireReason::Recycled(RecycleReason::Requests(5)),
            "it is recycled because it has served 5 requests",
        ),
        (RetireReason::Replaced, "its generation is replaced"),
        (RetireReason::Drained, "the pool is drained"),
        (RetireReason::Stopped, "the pool is stopped"),
    ] {
        assert_eq!(reason.to_string(), text);
    }
}

#[test]
fn workers_and_counts_show_every_state() {
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
    assert_eq!((counts.total(), counts.ready(), counts.starting, counts.retiring), (3, 1, 1, 1));
    assert_eq!((counts.busy, counts.idle, counts.active, counts.queued, counts.waiting), (1, 0, 2, 1, 0));
}
