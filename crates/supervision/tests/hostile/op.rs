//! Events of a hostile world.

use std::time::Duration;

use impresario_supervision::ExitReason;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

/// One event. Numbers select among what exists at that moment, so every op fits every world.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A starting incarnation answers or exits.
    Answer(usize, How),
    /// Any incarnation exits by itself; a supervisor with all its children.
    Crash(usize, ExitReason),
    /// An incarnation with a stop request exits.
    Obey(usize, ExitReason),
    /// An answer for an incarnation that has exited, or a repeated answer.
    Stale(usize, usize, How),
    /// A supervisor gets a request about one of its children.
    Ask(usize, Wish, usize),
    /// A supervisor gets a stop request that does not come from its parent's rules.
    Shutdown(usize),
    /// Time passes.
    Pass(Duration),
    /// The next deadline is reached.
    Deadline,
}

#[derive(Clone, Debug)]
pub(crate) enum How {
    Started,
    Ignored,
    Failed(ExitReason),
    Exited(ExitReason),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
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

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        4 => Just(How::Started),
        1 => Just(How::Ignored),
        2 => reason().prop_map(How::Failed),
        1 => reason().prop_map(How::Exited),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        3 => Just(Wish::Start),
        2 => Just(Wish::Terminate),
        2 => Just(Wish::Restart),
        1 => Just(Wish::Delete),
        1 => Just(Wish::Which),
        1 => Just(Wish::Count),
        1 => Just(Wish::Spec),
        1 => Just(Wish::Replace),
    ]
}

/// Frequency of each kind of event, relative to the others.
struct Mix {
    answer: u32,
    crash: u32,
    obey: u32,
    stale: u32,
    ask: u32,
    shutdown: u32,
    pass: u32,
    deadline: u32,
}

/// All kinds of events.
const ALL: Mix = Mix { answer: 8, crash: 4, obey: 4, stale: 2, ask: 3, shutdown: 1, pass: 2, deadline: 2 };

fn mixed(mix: &Mix) -> impl Strategy<Value = Vec<Op>> + use<> {
    let at = any::<u16>().prop_map(usize::from);
    let other = any::<u16>().prop_map(usize::from);
    let op = prop_oneof![
        mix.answer => (at.clone(), how()).prop_map(|(at, how)| Op::Answer(at, how)),
        mix.crash => (at.clone(), reason()).prop_map(|(at, reason)| Op::Crash(at, reason)),
        mix.obey => (at.clone(), reason()).prop_map(|(at, reason)| Op::Obey(at, reason)),
        mix.stale => (at.clone(), other.clone(), how()).prop_map(|(at, life, how)| Op::Stale(at, life, how)),
        mix.ask => (at.clone(), wish(), other).prop_map(|(at, wish, child)| Op::Ask(at, wish, child)),
        mix.shutdown => at.prop_map(Op::Shutdown),
        mix.pass => (0_u64..60).prop_map(|ms| Op::Pass(Duration::from_millis(ms))),
        mix.deadline => Just(Op::Deadline),
    ];
    vec(op, 0..80)
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    mixed(&ALL)
}

/// Many stale answers.
pub(crate) fn stale_ops() -> impl Strategy<Value = Vec<Op>> {
    mixed(&Mix { stale: 16, ..ALL })
}

/// Many requests.
pub(crate) fn curious_ops() -> impl Strategy<Value = Vec<Op>> {
    mixed(&Mix { ask: 16, ..ALL })
}

/// Few children obey, so that timeouts must act.
pub(crate) fn stubborn_ops() -> impl Strategy<Value = Vec<Op>> {
    mixed(&Mix { crash: 1, obey: 1, ask: 6, deadline: 8, ..ALL })
}

/// Failures and time: no requests and no stops.
fn failure() -> impl Strategy<Value = Op> {
    let at = any::<u16>().prop_map(usize::from);
    prop_oneof![
        4 => at.clone().prop_map(|at| Op::Answer(at, How::Started)),
        2 => (at.clone(), reason()).prop_map(|(at, reason)| Op::Answer(at, How::Failed(reason))),
        4 => (at.clone(), reason()).prop_map(|(at, reason)| Op::Crash(at, reason)),
        4 => (at, reason()).prop_map(|(at, reason)| Op::Obey(at, reason)),
        2 => (0_u64..60).prop_map(|ms| Op::Pass(Duration::from_millis(ms))),
        2 => Just(Op::Deadline),
    ]
}

pub(crate) fn failures() -> impl Strategy<Value = Vec<Op>> {
    vec(failure(), 0..120)
}

/// The same with many starts of instances.
pub(crate) fn failures_of_instances() -> impl Strategy<Value = Vec<Op>> {
    vec(prop_oneof![8 => failure(), 1 => Just(Op::Ask(0, Wish::Start, 0))], 0..120)
}
