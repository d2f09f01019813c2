//! Random trees of supervisors.

use std::time::Duration;

use impresario_supervision::{
    AutoShutdown, Backoff, ChildKind, ChildRules, Flags, Intensity, Restart, Shutdown, Strategy as Group,
};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

/// One supervisor and its children.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) flags: Flags,
    pub(crate) children: Vec<ChildPlan>,
    /// Dynamic: its children are instances of the first child.
    pub(crate) dynamic: bool,
}

impl Plan {
    /// The same flags as a dynamic supervisor of the first child.
    pub(crate) fn of_instances(&self) -> Self {
        Self { children: self.children[..1].to_vec(), dynamic: true, ..self.clone() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ChildPlan {
    pub(crate) spec: ChildRules,
    pub(crate) nested: Option<Plan>,
}

/// A time-out or delay from 0 to 49 ms, so that a few ops exceed it.
fn time() -> impl Strategy<Value = Duration> {
    (0_u64..50).prop_map(Duration::from_millis)
}

pub(crate) fn group() -> impl Strategy<Value = Group> {
    prop_oneof![Just(Group::OneForOne), Just(Group::OneForAll), Just(Group::RestForOne)]
}

fn flags() -> impl Strategy<Value = Flags> {
    let auto = prop_oneof![
        Just(AutoShutdown::Never),
        Just(AutoShutdown::AnySignificant),
        Just(AutoShutdown::AllSignificant)
    ];
    (group(), auto, 0_u32..6, 1_u64..200).prop_map(|(strategy, auto_shutdown, restarts, period)| Flags {
        strategy,
        intensity: Intensity::new(restarts, Duration::from_millis(period)),
        auto_shutdown,
    })
}

pub(crate) fn shutdown() -> impl Strategy<Value = Shutdown> {
    prop_oneof![Just(Shutdown::Kill), time().prop_map(Shutdown::Timeout), Just(Shutdown::Infinity)]
}

fn restart() -> impl Strategy<Value = Restart> {
    prop_oneof![3 => Just(Restart::Permanent), 2 => Just(Restart::Transient), 1 => Just(Restart::Temporary)]
}

fn backoff() -> impl Strategy<Value = Option<Backoff>> {
    let some = (time(), 0.0..=1.0, time()).prop_map(|(first, jitter, reset_after)| {
        Some(Backoff { first, max: first * 4, factor: 2.0, jitter, reset_after })
    });
    prop_oneof![2 => Just(None), 1 => some]
}

/// A spec. `named` clears `significant` where the flags do not allow it.
fn spec() -> impl Strategy<Value = ChildRules> {
    let start_timeout =
        prop_oneof![2 => Just(None), 1 => time().prop_map(|time| Some(time + Duration::from_millis(1)))];
    (restart(), shutdown(), any::<bool>(), backoff(), start_timeout).prop_map(
        |(restart, shutdown, significant, backoff, start_timeout)| ChildRules {
            restart,
            shutdown,
            significant,
            backoff,
            start_timeout,
            ..ChildRules::worker("?")
        },
    )
}

fn child(depth: u32) -> proptest::strategy::BoxedStrategy<ChildPlan> {
    let worker = spec().prop_map(|spec| ChildPlan { spec, nested: None });
    if depth == 0 {
        return worker.boxed();
    }
    let nested = (spec(), plan(depth - 1)).prop_map(|(spec, plan)| ChildPlan {
        spec: ChildRules { kind: ChildKind::Supervisor, ..spec },
        nested: Some(plan),
    });
    prop_oneof![3 => worker, 1 => nested].boxed()
}

/// A supervisor with 1 to 4 children. `depth`: the number of levels of nested supervisors.
pub(crate) fn plan(depth: u32) -> proptest::strategy::BoxedStrategy<Plan> {
    let dynamic = prop_oneof![3 => Just(false), 1 => Just(true)];
    (flags(), vec(child(depth), 1..5), dynamic)
        .prop_map(|(flags, children, dynamic)| named(flags, children, dynamic))
        .boxed()
}

fn named(flags: Flags, mut children: Vec<ChildPlan>, dynamic: bool) -> Plan {
    for (at, child) in children.iter_mut().enumerate() {
        child.spec.id = format!("c{at}").into();
        let may = child.spec.restart != Restart::Permanent && flags.auto_shutdown != AutoShutdown::Never;
        child.spec.significant &= may;
    }
    Plan { flags, children, dynamic }
}

/// A static supervisor of permanent workers without backoff and time-out of starts.
pub(crate) fn permanent_workers(restarts: u32) -> impl Strategy<Value = Plan> {
    let intensity = Intensity::new(restarts, Duration::from_millis(100));
    (group(), vec(shutdown(), 1..6)).prop_map(move |(strategy, shutdowns)| {
        let child =
            |shutdown| ChildPlan { spec: ChildRules { shutdown, ..ChildRules::worker("?") }, nested: None };
        let children = shutdowns.into_iter().map(child).collect();
        named(Flags { strategy, intensity, ..Flags::default() }, children, false)
    })
}
