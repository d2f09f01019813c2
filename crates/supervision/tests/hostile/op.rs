//! Random events.

use std::time::Duration;

use impresario_supervision::ExitReason;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

/// One event. The numbers select, modulo the count, among what exists at that moment, so every op fits every tree.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A worker that starts answers, or exits.
    Answer(usize, Answer),
    /// An incarnation exits without a request; a supervisor exits with all its children.
    Crash(usize, ExitReason),
    /// A worker that was stopped or killed exits.
    Stopped(usize, ExitReason),
    /// An answer about an incarnation that has exited, or one that was given before.
    Stale(usize, usize, Answer),
    /// A request to a supervisor about one of its children.
    Request(usize, RequestKind, usize),
    /// A shutdown that does not come from the rules of the parent.
    Shutdown(usize),
    /// Time passes; deadlines in it are handled.
    Pass(Duration),
    /// Time passes until the next deadline.
    Deadline,
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Started,
    Ignored,
    Failed(ExitReason),
    Exited(ExitReason),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum RequestKind {
    Start,
    Terminate,
    Restart,
    Delete,
    Which,
    Count,
    Spec,
    Replace,
}

pub(crate) fn reason() -> impl Strategy<Value = ExitReason> {
    prop_oneof![
        Just(ExitReason::Normal),
        Just(ExitReason::Shutdown),
        Just(ExitReason::Killed),
        Just(ExitReason::Error("boom".into())),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Started),
        1 => Just(Answer::Ignored),
        2 => reason().prop_map(Answer::Failed),
        1 => reason().prop_map(Answer::Exited),
    ]
}

fn kind() -> impl Strategy<Value = RequestKind> {
    prop_oneof![
        3 => Just(RequestKind::Start),
        2 => Just(RequestKind::Terminate),
        2 => Just(RequestKind::Restart),
        1 => Just(RequestKind::Delete),
        1 => Just(RequestKind::Which),
        1 => Just(RequestKind::Count),
        1 => Just(RequestKind::Spec),
        1 => Just(RequestKind::Replace),
    ]
}

/// The relative frequency of each op.
struct Weights {
    answer: u32,
    crash: u32,
    stopped: u32,
    stale: u32,
    request: u32,
    shutdown: u32,
    pass: u32,
    deadline: u32,
}

/// Every op.
const DEFAULT: Weights =
    Weights { answer: 8, crash: 4, stopped: 4, stale: 2, request: 3, shutdown: 1, pass: 2, deadline: 2 };

fn mixed(weights: &Weights) -> impl Strategy<Value = Vec<Op>> + use<> {
    let at = any::<u16>().prop_map(usize::from);
    let other = any::<u16>().prop_map(usize::from);
    let op = prop_oneof![
        weights.answer => (at.clone(), answer()).prop_map(|(at, answer)| Op::Answer(at, answer)),
        weights.crash => (at.clone(), reason()).prop_map(|(at, reason)| Op::Crash(at, reason)),
        weights.stopped => (at.clone(), reason()).prop_map(|(at, reason)| Op::Stopped(at, reason)),
        weights.stale => (at.clone(), other.clone(), answer()).prop_map(|(at, which, answer)| Op::Stale(at, which, answer)),
        weights.request => (at.clone(), kind(), other).prop_map(|(at, kind, child)| Op::Request(at, kind, child)),
        weights.shutdown => at.prop_map(Op::Shutdown),
        weights.pass => (0_u64..60).prop_map(|ms| Op::Pass(Duration::from_millis(ms))),
        weights.deadline => Just(Op::Deadline),
    ];
    vec(op, 0..80)
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    mixed(&DEFAULT)
}

/// More stale answers than any other op.
pub(crate) fn stale_ops() -> impl Strategy<Value = Vec<Op>> {
    mixed(&Weights { stale: 16, ..DEFAULT })
}

/// More requests than any other op.
pub(crate) fn request_ops() -> impl Strategy<Value = Vec<Op>> {
    mixed(&Weights { request: 16, ..DEFAULT })
}

/// Few answers, so that time-outs expire.
pub(crate) fn unanswered_ops() -> impl Strategy<Value = Vec<Op>> {
    mixed(&Weights { crash: 1, stopped: 1, request: 6, deadline: 8, ..DEFAULT })
}

/// An answer, a failure or passing time: no request and no shutdown.
fn failure() -> impl Strategy<Value = Op> {
    let at = any::<u16>().prop_map(usize::from);
    prop_oneof![
        4 => at.clone().prop_map(|at| Op::Answer(at, Answer::Started)),
        2 => (at.clone(), reason()).prop_map(|(at, reason)| Op::Answer(at, Answer::Failed(reason))),
        4 => (at.clone(), reason()).prop_map(|(at, reason)| Op::Crash(at, reason)),
        4 => (at, reason()).prop_map(|(at, reason)| Op::Stopped(at, reason)),
        2 => (0_u64..60).prop_map(|ms| Op::Pass(Duration::from_millis(ms))),
        2 => Just(Op::Deadline),
    ]
}

pub(crate) fn failures() -> impl Strategy<Value = Vec<Op>> {
    vec(failure(), 0..120)
}

/// As `failures`, with starts of new instances in between.
pub(crate) fn failures_of_instances() -> impl Strategy<Value = Vec<Op>> {
    vec(prop_oneof![8 => failure(), 1 => Just(Op::Request(0, RequestKind::Start, 0))], 0..120)
}
