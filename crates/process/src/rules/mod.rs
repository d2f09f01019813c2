//! The supervision rules of a parent process: a list of children in main, a pool of workers in a prototype.
//!
//! Pure: events and the time go in, actions come out. This folder may not know processes, descriptors or the
//! loop.

pub(crate) mod pool;
pub(crate) mod seed;

use impresario_supervision::{Action, ChildKey, Event, Report, ReportKind, Supervisor, Time};

use self::pool::PoolRules;

/// The rules that a parent process runs.
#[derive(Debug)]
pub(crate) enum Rules {
    /// Children in a fixed order, in main.
    List(Supervisor),
    /// Workers of one kind, in a prototype.
    Pool(PoolRules),
}

/// Which kind of child an entry of the rules is, and its slot in the pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChildSlot {
    /// Index of the kind in the order in which the kinds were added.
    pub(crate) kind: usize,
    /// Slot in the pool; 0 in a list.
    pub(crate) slot: u32,
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

    /// The kind and slot of an entry. A list has one kind per child, in order; a pool has one kind.
    pub(crate) fn slot_of(&self, key: ChildKey) -> ChildSlot {
        match self {
            Self::List(_) => ChildSlot { kind: usize::try_from(key.number()).unwrap_or(usize::MAX), slot: 0 },
            Self::Pool(rules) => ChildSlot { kind: 0, slot: rules.slot(key) },
        }
    }

    /// Whether the rules shut down after this report. A list does after a failed first start; a pool reports
    /// a failed first start by its exit reason and stops its workers itself.
    pub(crate) fn is_shutting_down(&self, report: &Report, starting: bool) -> bool {
        match report.kind {
            ReportKind::GaveUp => true,
            ReportKind::StartError => starting && matches!(self, Self::List(_)),
            _ => false,
        }
    }
}
