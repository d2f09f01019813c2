//! Properties in a hostile world with late, wrong, repeated and missing answers, against a model that only
//! keeps a list of workers.

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_oneof, proptest};
use proptest::sample::Index;

use impresario_supervision::pool::{PoolSize, Recycling, RollingRestart, Settings};

use crate::model::{Model, Said};
use crate::world::ms;

#[derive(Clone, Debug)]
enum Op {
    /// A worker sends an event, allowed or not.
    Says(Index, Said),
    /// An exited worker sends an event.
    Ghost(Index, Said),
    /// The newest worker dies, ready or not (Unit's defect D2).
    NewestDies,
    /// Every worker with a stop request exits, and every starting worker is ready.
    AllObey,
    /// Time passes, but not beyond the next deadline of the pool.
    Waits(u64),
    /// The next deadline is reached.
    TimesOut,
    Queued(u32),
    Restart,
    ScaleUp,
    ScaleDown,
    Reshape(Settings),
    Drain,
    Start,
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        4 => Just(Said::Started),
        1 => Just(Said::StartFailed),
        2 => any::<bool>().prop_map(Said::Exited),
        4 => (0u32..4, 0u32..6).prop_map(|(active, queued)| Said::Load(active, queued)),
        1 => (0u64..200, 0u64..200).prop_map(|(requests, memory)| Said::Usage(requests, memory)),
        1 => Just(Said::Recycle),
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
        20 => (any::<Index>(), said()).prop_map(|(index, said)| Op::Says(index, said)),
        2 => (any::<Index>(), said()).prop_map(|(index, said)| Op::Ghost(index, said)),
        4 => Just(Op::NewestDies),
        3 => Just(Op::AllObey),
        4 => (0u64..300).prop_map(Op::Waits),
        6 => Just(Op::TimesOut),
        3 => (0u32..12).prop_map(Op::Queued),
        2 => Just(Op::Restart),
        1 => Just(Op::ScaleUp),
        1 => Just(Op::ScaleDown),
        1 => settings().prop_map(Op::Reshape),
        1 => Just(Op::Drain),
        2 => Just(Op::Start),
    ]
}

fn play(model: &mut Model, ops: Vec<Op>) {
    for op in ops {
        match op {
            Op::Says(index, said) => model.says(index, said),
            Op::Ghost(index, said) => model.ghost(index, said),
            Op::NewestDies => model.newest_dies(),
            Op::AllObey => model.all_obey(),
            Op::Waits(time) => model.waits(ms(time)),
            Op::TimesOut => model.times_out(),
            Op::Queued(queued) => model.queued(queued),
            Op::Restart => model.restart(),
            Op::ScaleUp => model.scale(true),
            Op::ScaleDown => model.scale(false),
            Op::Reshape(settings) => model.reshape(settings),
            Op::Drain => model.drains(),
            Op::Start => model.starts(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// The model checks every step. At the end the world obeys; then all wanted workers are running and nothing
    /// is in progress.
    #[test]
    fn random_events_end_with_all_wanted_ready(
        settings in settings(),
        seed in any::<u64>(),
        ops in proptest::collection::vec(op(), 0..120),
    ) {
        let mut model = Model::new(settings, seed);
        play(&mut model, ops);
        model.starts();
        model.calms_down();
    }

    /// From any state a stop ends the pool, and a kill ends it without the help of the workers.
    #[test]
    fn stop_or_kill_ends_in_exit(
        settings in settings(),
        ops in proptest::collection::vec(op(), 0..60),
        after in proptest::collection::vec(op(), 0..20),
        kill in any::<bool>(),
    ) {
        let mut model = Model::new(settings, 1);
        play(&mut model, ops);
        model.stops(kill);
        play(&mut model, after);
        model.all_obey();
        prop_assert!(model.has_exited());
    }
}
