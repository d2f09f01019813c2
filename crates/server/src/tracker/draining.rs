//! The future that resolves when a drain begins.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::shared::Shared;
use super::wait::WaiterSlot;

/// A future that resolves when the drain of the listener begins. The connection should then finish its work and close.
///
/// It borrows nothing, so a connection can select between it and a read.
#[must_use = "futures do nothing unless polled"]
pub struct Draining {
    shared: Option<Arc<Shared>>,
    slot: WaiterSlot,
}

impl Draining {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Some(Arc::clone(shared)), slot: WaiterSlot::default() }
    }

    /// The future of a connection without a tracker. It never resolves.
    pub(crate) fn never() -> Self {
        Self { shared: None, slot: WaiterSlot::default() }
    }

    /// Whether the drain has begun.
    pub fn is_draining(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.phase().is_draining())
    }
}

/// A clone is a second future for the same drain.
impl Clone for Draining {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), slot: WaiterSlot::default() }
    }
}

impl Future for Draining {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { shared, slot } = &mut *self;
        let Some(shared) = shared else { return Poll::Pending };
        slot.poll(&shared.draining, cx, || shared.phase().is_draining().then_some(()))
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            self.slot.unregister(&shared.draining);
        }
    }
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").field("is_draining", &self.is_draining()).finish_non_exhaustive()
    }
}
