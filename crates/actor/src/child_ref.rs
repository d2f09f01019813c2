//! The stable name of a child whose lives come and go.

use std::fmt;
use std::sync::{Arc, Mutex};

use actix::{Actor, Addr, Context};
use impresario_supervision::ChildId;

use crate::control::lock;
use crate::spec::{ActorStarter, ChildSpec};
use crate::{Env, StartError};

/// Names the slot of a child, not one of its lives: after a restart it leads to the new one.
///
/// The mailbox is lost with a life, as in OTP: messages to the old one are not handled by the new one.
pub struct ChildRef<A: Actor>(Arc<Mutex<Option<Addr<A>>>>);

impl<A: Actor<Context = Context<A>>> ChildRef<A> {
    /// A name that leads nowhere until a spec made from it is started.
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// The address of the present life, or of the last one. `None` before the first.
    pub fn addr(&self) -> Option<Addr<A>> {
        lock(&self.0).clone()
    }

    /// A child that this name leads to. Otherwise as [`ChildSpec::actor`].
    pub fn child_spec<F>(&self, id: impl Into<ChildId>, factory: F) -> ChildSpec
    where
        F: Fn(&Env) -> Result<A, StartError> + Send + Sync + 'static,
    {
        let name = self.clone();
        let publish = move |addr: Addr<A>| *lock(&name.0) = Some(addr);
        ChildSpec::worker(id.into(), Arc::new(ActorStarter::new(factory, publish)))
    }

    pub(crate) fn publish(&self, addr: Addr<A>) {
        *lock(&self.0) = Some(addr);
    }
}

impl<A: Actor<Context = Context<A>>> Default for ChildRef<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor> Clone for ChildRef<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> fmt::Debug for ChildRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChildRef<{}>", std::any::type_name::<A>())
    }
}
