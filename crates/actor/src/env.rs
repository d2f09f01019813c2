//! What a child is born with.

use std::sync::Arc;

use impresario_supervision::{ChildId, ExitReason};
use slog::Logger;

use crate::control::Control;

/// What one life of a child gets from its supervisor. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Env {
    /// The logger of the tree, without the place in it.
    base: Logger,
    log: Logger,
    /// Where in the tree the supervisor is: ids from the root, with slashes.
    path: Arc<str>,
    control: Arc<Control>,
}

impl Env {
    /// What a root is born with.
    pub(crate) fn root(log: Logger) -> Self {
        Self { base: log.clone(), log, path: Arc::default(), control: Arc::default() }
    }

    /// What a new life of a child is born with.
    pub(crate) fn child(&self) -> Self {
        Self { control: Arc::default(), ..self.clone() }
    }

    /// The same life, as that of a supervisor one step further down, perhaps with a logger of its own.
    pub(crate) fn supervisor(&self, id: &ChildId, log: Option<Logger>) -> Self {
        let path: Arc<str> = match &*self.path {
            "" => id.as_str().into(),
            path => format!("{path}/{id}").into(),
        };
        let base = log.unwrap_or_else(|| self.base.clone());
        let log = base.new(slog::o!("supervisor" => path.to_string()));
        Self { base, log, path, control: Arc::clone(&self.control) }
    }

    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// The logger of the supervisor.
    pub fn log(&self) -> &Logger {
        &self.log
    }

    /// Says why this life is about to end; call `ctx.stop()` afterwards.
    ///
    /// Without it a life that stops by itself ends as [`ExitReason::Normal`], and one that was told to as
    /// [`ExitReason::Shutdown`] (OTP: the reason in `{stop, Reason, State}`).
    #[doc(alias = "exit")]
    pub fn set_exit_reason(&self, reason: ExitReason) {
        self.control.set_reason(reason);
    }
}
