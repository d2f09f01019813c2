//! Names that belong to a spec.

use std::sync::Arc;

use impresario_supervision::ExitReason;

use crate::notify::ExitGuard;
use crate::spec::Starter;
use crate::{ChildContext, ChildSpec};

impl ChildSpec {
    /// Gives every life this name in the [`Registry`](crate::Registry), from before its factory runs until its end
    /// (OTP: `start_link({local, Name}, ..)`).
    ///
    /// So the name follows restarts. If somebody else has it, the start fails and says who.
    pub fn registered(mut self, name: impl Into<String>) -> Self {
        self.starter = Arc::new(Registered { starter: self.starter, name: name.into() });
        self
    }
}

/// Begins lives that have a name.
struct Registered {
    starter: Arc<dyn Starter>,
    name: String,
}

impl Starter for Registered {
    fn start(&self, env: ChildContext, mut guard: ExitGuard) {
        match env.system().register(&*self.name, &env.pid()) {
            Ok(()) => self.starter.start(env, guard),
            Err(error) => {
                guard.exited(ExitReason::Error(format!("cannot be registered as {:?}: {error}", self.name)));
            }
        }
    }
}
