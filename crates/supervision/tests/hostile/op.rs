//! What a hostile world does.

use std::time::Duration;

use impresario_supervision::ExitReason;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

/// One thing that happens. Numbers choose among what is there at that moment, so every op fits every world.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A life that is starting says how that went, or ends.
    Answer(usize, How),
    /// Any life ends by itself.
    Crash(usize, ExitReason),
    /// A life that was told ends.
    Obey(usize, ExitReason),
    /// Somebody answers for a life that is over, or never was.
    Stale(usize, usize, How),
    /// Somebody asks a supervisor for something about one of its children.
    Ask(usize, Wish, usize),
    /// A supervisor is told to stop by somebody else than its parent's rules.
    Shutdown(usize),
    /// Time passes.
    Pass(Duration),
    /// The next deadline comes.
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

fn op() -> impl Strategy<Value = Op> {
    let at = any::<u16>().prop_map(usize::from);
    let other = any::<u16>().prop_map(usize::from);
    prop_oneof![
        8 => (at.clone(), how()).prop_map(|(at, how)| Op::Answer(at, how)),
        4 => (at.clone(), reason()).prop_map(|(at, reason)| Op::Crash(at, reason)),
        4 => (at.clone(), reason()).prop_map(|(at, reason)| Op::Obey(at, reason)),
        2 => (at.clone(), other.clone(), how()).prop_map(|(at, life, how)| Op::Stale(at, life, how)),
        3 => (at.clone(), wish(), other).prop_map(|(at, wish, child)| Op::Ask(at, wish, child)),
        1 => at.prop_map(Op::Shutdown),
        2 => (0_u64..60).prop_map(|ms| Op::Pass(Duration::from_millis(ms))),
        2 => Just(Op::Deadline),
    ]
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 0..80)
}

/// Only failures, and time: nobody asks for anything and nobody is told to stop.
pub(crate) fn failures() -> impl Strategy<Value = Vec<Op>> {
    let at = any::<u16>().prop_map(usize::from);
    let op = prop_oneof![
        4 => at.clone().prop_map(|at| Op::Answer(at, How::Started)),
        2 => (at.clone(), reason()).prop_map(|(at, reason)| Op::Answer(at, How::Failed(reason))),
        4 => (at.clone(), reason()).prop_map(|(at, reason)| Op::Crash(at, reason)),
        4 => (at, reason()).prop_map(|(at, reason)| Op::Obey(at, reason)),
        2 => (0_u64..60).prop_map(|ms| Op::Pass(Duration::from_millis(ms))),
        2 => Just(Op::Deadline),
    ];
    vec(op, 0..120)
}
