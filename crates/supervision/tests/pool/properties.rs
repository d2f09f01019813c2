//! Properties under random events: answers that are late, wrong, repeated or missing, checked by `model`.

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_oneof, proptest};
use proptest::sample::Index;

use impresario_supervision::pool::{PoolSize, Recycling, RollingRestart, Settings};

use crate::model::{Model, WorkerEvent};
use crate::world::ms;

#[derive(Clone, Debug)]
enum Op {
    /// An event about a running worker, possible or not.
    Worker(Index, WorkerEvent),
    /// An event about an exited worker.
    Stale(Index, WorkerEvent),
    /// The newest worker exits, ready or not (Unit: defect D2).
    NewestExits,
    /// Starting workers become ready; retiring and killed ones exit.
    AnswerAll,
    /// Time passes, at most until the next deadline.
    Wait(u64),
    /// Time passes until the next deadline.
    TimeOut,
    Queued(u32),
    Restart,
    ScaleUp,
    ScaleDown,
    Reconfigure(Settings),
    Drain,
    Start,
}

fn event() -> impl Strategy<Value = WorkerEvent> {
    prop_oneof![
        4 => Just(WorkerEvent::Started),
        1 => Just(WorkerEvent::StartFailed),
        2 => any::<bool>().prop_map(WorkerEvent::Exited),
        4 => (0u32..4, 0u32..6).prop_map(|(active, queued)| WorkerEvent::Load(active, queued)),
        1 => (0u64..200, 0u64..200).prop_map(|(requests, memory)| WorkerEvent::Usage(requests, memory)),
        1 => Just(WorkerEvent::Recycle),
    ]
}

fn size() -> impl Strategy<Value = PoolSize> {
    let idle = prop_oneof![Just(ms(0)), Just(ms(50)), Just(ms(1_000))];
    let dynamic = (0u32..4, 1u32..8, idle.clone()).prop_map(|(spare, max, idle_timeout)| PoolSize::Dynamic {
        spare: spare.min(max),
        max,
        idle_timeout,
    });
    let on_demand = (1u32..6, idle).prop_map(|(max, idle_timeout)| PoolSize::OnDemand { max, idle_timeout });
    prop_oneof![(1u32..6).prop_map(PoolSize::Static), dynamic, on_demand]
}

fn settings() -> impl Strategy<Value = Settings> {
    let bounds = (1u32..3, 1u32..5, proptest::option::of(1u32..3), 1u32..4);
    let limits = proptest::option::of((1u64..150, 1u64..2_000));
    let waits = (proptest::option::of(1u64..500), proptest::option::of(1u64..500));
    (size(), bounds, limits, waits).prop_map(
        |(size, (capacity, parallel, surge, failures), limits, waits)| Settings {
            capacity,
            parallel_starts: parallel,
            start_timeout: waits.0.map(ms),
            retire_timeout: waits.1.map(ms),
            recycling: Recycling {
                max_requests: limits.map(|limits| limits.0),
                max_age: limits.map(|limits| ms(limits.1)),
                max_memory: limits.map(|limits| limits.0),
                ..Recycling::default()
            },
            roll: RollingRestart { surge, failures },
            ..Settings::new(size)
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => (any::<Index>(), event()).prop_map(|(index, event)| Op::Worker(index, event)),
        2 => (any::<Index>(), event()).prop_map(|(index, event)| Op::Stale(index, event)),
        4 => Just(Op::NewestExits),
        3 => Just(Op::AnswerAll),
        4 => (0u64..300).prop_map(Op::Wait),
        6 => Just(Op::TimeOut),
        3 => (0u32..12).prop_map(Op::Queued),
        2 => Just(Op::Restart),
        1 => Just(Op::ScaleUp),
        1 => Just(Op::ScaleDown),
        1 => settings().prop_map(Op::Reconfigure),
        1 => Just(Op::Drain),
        2 => Just(Op::Start),
    ]
}

fn run(model: &mut Model, ops: Vec<Op>) {
    for op in ops {
        match op {
            Op::Worker(index, event) => model.worker_event(index, event),
            Op::Stale(index, event) => model.stale_event(index, event),
            Op::NewestExits => model.newest_exits(),
            Op::AnswerAll => model.answer_all(),
            Op::Wait(time) => model.wait(ms(time)),
            Op::TimeOut => model.time_out(),
            Op::Queued(queued) => model.queued(queued),
            Op::Restart => model.restart(),
            Op::ScaleUp => model.scale(true),
            Op::ScaleDown => model.scale(false),
            Op::Reconfigure(settings) => model.reconfigure(settings),
            Op::Drain => model.request_drain(),
            Op::Start => model.request_start(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// The model asserts after every event. At the end all is answered: the wanted workers are ready, and none is
    /// starting or retiring.
    #[test]
    fn random_events_end_with_all_wanted_ready(
        settings in settings(),
        seed in any::<u64>(),
        ops in proptest::collection::vec(op(), 0..120),
    ) {
        let mut model = Model::new(settings, seed);
        run(&mut model, ops);
        model.request_start();
        model.run_until_idle();
    }

    /// A stop ends in the exit from any state; a kill does so without answers to retirements.
    #[test]
    fn stop_or_kill_ends_in_exit(
        settings in settings(),
        ops in proptest::collection::vec(op(), 0..60),
        after in proptest::collection::vec(op(), 0..20),
        kill in any::<bool>(),
    ) {
        let mut model = Model::new(settings, 1);
        run(&mut model, ops);
        model.request_stop(kill);
        run(&mut model, after);
        model.answer_all();
        prop_assert!(model.has_exited());
    }
}
