//! Supervisors: an actor that executes the rules of `impresario-supervision`, the handles of its users, and snapshots of
//! a running tree.
//!
//! The decisions are not made here: the rules are pure, and this folder passes events to them and executes
//! their actions. It does not know which supervisor is the root of a program.

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

/// A supervisor: children in start order, a strategy, and a restart limit (OTP: `supervisor`).
///
/// It is a value. Its tree exists after [`run`](Self::run) or [`start`](Self::start), or as a child of another
/// supervisor by [`child_spec`](Self::child_spec). Children start in the order in which they were added, each
/// after the one before it is ready, and stop in reverse. Defaults: 3 restarts in 5 s, no auto-shutdown.
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

    /// The restart limit. Default: 3 in 5 s.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Whether it shuts down with its significant children. Default: never.
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.auto_shutdown = auto_shutdown;
        self
    }

    /// The logger of its reports and of everything below it. Default: its parent's logger; for a root, lines on
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

    /// Flags and specs for the rules, and the starters of the children, in their order.
    pub(crate) fn into_parts(self) -> (Flags, Vec<rules::ChildRules>, Vec<Arc<dyn Starter>>) {
        let Self { strategy, intensity, auto_shutdown, children, log: _ } = self;
        let (specs, starters) = children.into_iter().map(|child| (child.rules, child.starter)).unzip();
        (Flags { strategy, intensity, auto_shutdown }, specs, starters)
    }
}
