//! Random trees and random operations on them.

use std::time::Duration;

use impresario_actor::{ExitReason, Intensity, Restart, Shutdown, Strategy as Group};
use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};

use crate::actors::{Deed, Wish};

/// A child and its subtree.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) restart: Restart,
    /// Shutdown rule of a worker or of the instances. Static supervisors have `Infinity`.
    pub(crate) shutdown: Shutdown,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Worker(Temper),
    Static(Group, Intensity, Vec<Node>),
    Dynamic(Intensity, Temper),
}

/// Behavior of an actor.
#[derive(Clone, Debug)]
pub(crate) struct Temper {
    /// Outcome of each start in turn. The last one repeats.
    pub(crate) starts: Vec<Start>,
    pub(crate) stops: Stop,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    Ok,
    After(Duration),
    Fail(Duration),
    Panic,
    Ignore,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stop {
    Obey,
    After(Duration),
    Refuse,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Kill(usize),
    Exit(usize, ExitReason),
    Do(usize, Deed),
    Ask(usize, Wish, usize),
    Pass(Duration),
    Settle,
}

impl Node {
    /// Maximum time that the node takes to stop.
    pub(crate) fn longest_stop(&self) -> Duration {
        let own = match self.shutdown {
            Shutdown::Timeout(time) => time,
            Shutdown::Kill | Shutdown::Infinity => Duration::ZERO,
        };
        match &self.body {
            Body::Worker(Temper { stops: Stop::After(time), .. }) => own.max(*time) + SLACK,
            Body::Worker(_) => own + SLACK,
            // Instances stop concurrently.
            Body::Dynamic(_, temper) => match temper.stops {
                Stop::After(time) => own.max(time) + SLACK,
                Stop::Obey | Stop::Refuse => own + SLACK,
            },
            Body::Static(_, _, children) => children.iter().map(Node::longest_stop).sum::<Duration>() + SLACK,
        }
    }
}

/// Tolerance for timers, which tokio rounds to whole milliseconds.
pub(crate) const SLACK: Duration = Duration::from_millis(4);

fn time() -> impl Strategy<Value = Duration> {
    (0_u64..60).prop_map(Duration::from_millis)
}

fn restart() -> impl Strategy<Value = Restart> {
    prop_oneof![3 => Just(Restart::Permanent), 2 => Just(Restart::Transient), 1 => Just(Restart::Temporary)]
}

fn intensity() -> impl Strategy<Value = Intensity> {
    (0_u32..8).prop_map(|restarts| Intensity::new(restarts, Duration::from_millis(500)))
}

fn temper() -> impl Strategy<Value = Temper> {
    let start = prop_oneof![
        5 => Just(Start::Ok),
        2 => time().prop_map(Start::After),
        1 => time().prop_map(Start::Fail),
        1 => Just(Start::Panic),
        1 => Just(Start::Ignore),
    ];
    let stops =
        prop_oneof![3 => Just(Stop::Obey), 1 => time().prop_map(Stop::After), 1 => Just(Stop::Refuse)];
    // The first start of a worker succeeds: otherwise most trees would not start.
    (vec(start, 0..4), stops).prop_map(|(mut starts, stops)| {
        starts.insert(0, Start::Ok);
        Temper { starts, stops }
    })
}

/// Never `Infinity`: an actor that refuses to stop would block the shutdown.
fn shutdown() -> impl Strategy<Value = Shutdown> {
    prop_oneof![1 => Just(Shutdown::Kill), 4 => time().prop_map(Shutdown::Timeout)]
}

fn node(depth: u32) -> BoxedStrategy<Node> {
    let worker = (restart(), shutdown(), temper()).prop_map(|(restart, shutdown, temper)| Node {
        restart,
        shutdown,
        body: Body::Worker(temper),
    });
    if depth == 0 {
        return worker.boxed();
    }
    let dynamic =
        (restart(), shutdown(), intensity(), temper()).prop_map(|(restart, shutdown, intensity, temper)| {
            Node { restart, shutdown, body: Body::Dynamic(intensity, temper) }
        });
    prop_oneof![4 => worker, 1 => dynamic, 2 => supervisor(depth - 1)].boxed()
}

fn supervisor(depth: u32) -> BoxedStrategy<Node> {
    let group = prop_oneof![Just(Group::OneForOne), Just(Group::OneForAll), Just(Group::RestForOne)];
    (restart(), group, intensity(), vec(node(depth), 1..4))
        .prop_map(|(restart, group, intensity, children)| Node {
            restart,
            shutdown: Shutdown::Infinity,
            body: Body::Static(group, intensity, children),
        })
        .boxed()
}

pub(crate) fn root() -> impl Strategy<Value = Node> {
    supervisor(2)
}

fn op() -> impl Strategy<Value = Op> {
    let at = any::<u16>().prop_map(usize::from);
    let other = any::<u16>().prop_map(usize::from);
    let reason = prop_oneof![
        Just(ExitReason::Normal),
        Just(ExitReason::Shutdown),
        Just(ExitReason::Error("boom".to_owned()))
    ];
    let deed = prop_oneof![Just(Deed::Panic), Just(Deed::Stop), Just(Deed::Fail), Just(Deed::Hang)];
    let wish = prop_oneof![
        3 => Just(Wish::Start),
        2 => Just(Wish::Terminate),
        2 => Just(Wish::Restart),
        1 => Just(Wish::Delete),
        1 => Just(Wish::Which),
        1 => Just(Wish::Count),
    ];
    prop_oneof![
        3 => at.clone().prop_map(Op::Kill),
        2 => (at.clone(), reason).prop_map(|(at, reason)| Op::Exit(at, reason)),
        3 => (at.clone(), deed).prop_map(|(at, deed)| Op::Do(at, deed)),
        4 => (at, wish, other).prop_map(|(at, wish, child)| Op::Ask(at, wish, child)),
        3 => time().prop_map(Op::Pass),
        2 => Just(Op::Settle),
    ]
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 0..40)
}
