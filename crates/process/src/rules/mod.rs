//! The rulebook that a process with children plays: a list in main, a pool in a prototype.

pub(crate) mod pool;

use std::hash::{BuildHasher, RandomState};

use impresario_supervision::{Action, ChildKey, Event, Report, ReportKind, Supervisor, Time};

use crate::rules::pool::PoolRules;

/// Another number for each process, so that the jitter of their restarts differs.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[derive(Debug)]
pub(crate) enum Rules {
    List(Supervisor),
    Pool(PoolRules),
}

impl Rules {
    pub(crate) fn handle(&mut self, now: Time, event: Event) {
        match self {
            Self::List(rules) => rules.handle(now, event),
            Self::Pool(rules) => rules.handle(now, event),
        }
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::List(rules) => rules.poll_action(),
            Self::Pool(rules) => rules.poll_action(),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        match self {
            Self::List(rules) => rules.poll_timeout(),
            Self::Pool(rules) => rules.poll_timeout(),
        }
    }

    /// Which plan starts this entry, and as which of its instances. A list has one plan per child, in order.
    pub(crate) fn place(&self, key: ChildKey) -> (usize, u32) {
        match self {
            Self::List(_) => (usize::try_from(key.number()).unwrap_or(usize::MAX), 0),
            Self::Pool(rules) => (0, rules.slot(key)),
        }
    }

    /// Whether this report means that the rules have decided to leave. A list's first start fails as a whole; a
    /// pool's says so by its exit, and its workers leave at once.
    pub(crate) fn is_leaving(&self, report: &Report, starting: bool) -> bool {
        match report.kind {
            ReportKind::GaveUp => true,
            ReportKind::StartError => starting && matches!(self, Self::List(_)),
            _ => false,
        }
    }
}
