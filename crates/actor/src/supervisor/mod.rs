//! Supervisors: an actor that executes the rules of `impresario-supervision`, the handles of its users, and snapshots of
//! a running tree.
//!
//! The decisions are not made here: the rules are pure, and this folder moves events to them and performs their actions.
//! It does not know which supervisor is the root of a program.

pub(crate) mod actor;
pub(crate) mod child_table;
pub(crate) mod dynamic;
pub(crate) mod error;
pub(crate) mod report;
pub(crate) mod snapshot;
pub(crate) mod static_core;
pub(crate) mod supervisor_ref;

use std::sync::Arc;

use impresario_supervision as rules;
use impresario_supervision::{AutoShutdown, Flags, Intensity, Strategy};
use slog::Logger;

use crate::child::spec::{ChildSpec, Starter};

/// A supervisor: children in start order, a strategy, and a limit (OTP: `supervisor`).
///
/// It is a value: what it describes exists when it is [`run`](Self::run), [`start`](Self::start)ed, or a child of
/// another supervisor by [`child_spec`](Self::child_spec). Children are started in the order in which they were
/// added, each after the one before it is ready, and stopped in reverse. The defaults are 3 restarts in 5 s and no
/// auto-shutdown.
#[must_use = "a supervisor does nothing until it is run, started, or made a child"]
#[derive(Clone, Debug)]
pub struct Supervisor {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) children: Vec<ChildSpec>,
    pub(crate) log: Option<Logger>,
}

impl Supervisor {
    /// A supervisor without children.
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            intensity: Intensity::default(),
            auto_shutdown: AutoShutdown::default(),
            children: Vec::new(),
            log: None,
        }
    }

    /// How many restarts are too many. The default is 3 in 5 s.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Whether it ends with its significant children. The default is never.
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.auto_shutdown = auto_shutdown;
        self
    }

    /// Where its reports go, and those of everything below. The default is its parent's logger; for a root, lines on
    /// stderr.
    pub fn logger(mut self, log: Logger) -> Self {
        self.log = Some(log);
        self
    }

    /// Adds a child, as the last one.
    pub fn child(mut self, child: impl Into<ChildSpec>) -> Self {
        self.children.push(child.into());
        self
    }

    /// Flags and specs for the rules, and what starts the children, in their order.
    pub(crate) fn into_parts(self) -> (Flags, Vec<rules::ChildRules>, Vec<Arc<dyn Starter>>) {
        let Self { strategy, intensity, auto_shutdown, children, log: _ } = self;
        let (specs, starters) = children.into_iter().map(|child| (child.rules, child.starter)).unzip();
        (Flags { strategy, intensity, auto_shutdown }, specs, starters)
    }
}
