//! Tasks that wait for a change of shared state.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Waits for `future`, at most for `limit`; `None` when the limit has passed. Without a limit it waits for any time.
pub(crate) async fn timeout_opt<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

/// A set of wakers. A waker stays in it until its [`WaiterSlot`] is unregistered, so no wake-up is lost.
#[derive(Debug, Default)]
pub(crate) struct WakerSet(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// The place of one task's waker in a set.
#[derive(Debug)]
struct Slot {
    index: usize,
    waker: Waker,
}

/// A task's registration in at most one [`WakerSet`].
#[derive(Debug, Default)]
pub(crate) struct WaiterSlot(Option<Slot>);

impl WakerSet {
    /// Wakes all tasks in the set. The caller changes the state that they wait for first.
    pub(crate) fn wake_all(&self) {
        self.lock().wakers.iter().flatten().for_each(Waker::wake_by_ref);
    }

    fn insert(&self, waker: Waker) -> usize {
        let mut slots = self.lock();
        if let Some(index) = slots.free.pop() {
            slots.wakers[index] = Some(waker);
            index
        } else {
            slots.wakers.push(Some(waker));
            slots.wakers.len() - 1
        }
    }

    fn remove(&self, index: usize) {
        let mut slots = self.lock();
        slots.wakers[index] = None;
        slots.free.push(index);
    }

    /// Each change under the lock is a single step that cannot panic half-way, so a poisoned lock is still consistent.
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaiterSlot {
    /// Polls a condition; registers the task in the set first, so that a change wakes it.
    ///
    /// A poll by the same task while the condition does not hold takes no lock.
    pub(crate) fn poll<T>(
        &mut self,
        wakers: &WakerSet,
        cx: &Context<'_>,
        condition: impl Fn() -> Option<T>,
    ) -> Poll<T> {
        if let Some(value) = condition() {
            return Poll::Ready(value);
        }
        if self.0.as_ref().is_some_and(|slot| slot.waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        self.unregister(wakers);
        let waker = cx.waker().clone();
        self.0 = Some(Slot { index: wakers.insert(waker.clone()), waker });
        // The condition may have changed before the waker was in the set.
        condition().map_or(Poll::Pending, Poll::Ready)
    }

    /// Removes the waker from the set, which must be the one that was polled.
    pub(crate) fn unregister(&mut self, wakers: &WakerSet) {
        if let Some(slot) = self.0.take() {
            wakers.remove(slot.index);
        }
    }
}

/// A task that waits for a change of `T`; dropped, it is unregistered from the set.
pub(crate) struct Waiter<T> {
    state: Arc<T>,
    set: fn(&T) -> &WakerSet,
    slot: WaiterSlot,
}

impl<T> Waiter<T> {
    pub(crate) fn new(state: &Arc<T>, set: fn(&T) -> &WakerSet) -> Self {
        Self { state: Arc::clone(state), set, slot: WaiterSlot::default() }
    }

    /// Waits until the condition gives a value.
    pub(crate) async fn until<V>(mut self, condition: impl Fn() -> Option<V>) -> V {
        poll_fn(|cx| self.slot.poll((self.set)(&self.state), cx, &condition)).await
    }
}

impl<T> Drop for Waiter<T> {
    fn drop(&mut self) {
        self.slot.unregister((self.set)(&self.state));
    }
}
