//! A set of wakers for tasks that wait for a change of shared state, and the future of such a task.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Waits for `future`, at most for `limit`; `None` when the limit has passed. Without a limit there is no bound.
pub(crate) async fn timeout_opt<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

/// How many wakers [`WakerSet::wake_all`] copies under one lock.
const WAKE_BATCH: usize = 8;

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
    ///
    /// The lock is not held while a waker runs: a waker may run code that uses this set. A waker that is inserted
    /// meanwhile may be missed: its task reads the condition after the insertion.
    pub(crate) fn wake_all(&self) {
        let mut next = 0;
        loop {
            // An array on the stack, so that no wake-up allocates.
            let mut batch: [Option<Waker>; WAKE_BATCH] = Default::default();
            let slots = self.lock();
            let Some(wakers) = slots.wakers.get(next..).filter(|wakers| !wakers.is_empty()) else { return };
            batch.iter_mut().zip(wakers).for_each(|(copy, waker)| copy.clone_from(waker));
            drop(slots);
            batch.into_iter().flatten().for_each(Waker::wake);
            next += WAKE_BATCH;
        }
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
        let waker = slots.wakers[index].take();
        slots.free.push(index);
        drop(slots);
        // After the unlock: the drop of a waker may drop its task, and that may use this set.
        drop(waker);
    }

    /// Each change under the lock is a single step that cannot panic half-way, so a poisoned lock is still consistent.
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaiterSlot {
    /// Polls a condition. While it is `None`, the waker of the task is in the set, so that a change wakes the task.
    ///
    /// A second poll with the same waker takes no lock.
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
        // The state may have changed between the first check and the insertion. That change did not wake this task.
        condition().map_or(Poll::Pending, Poll::Ready)
    }

    /// Removes the waker from the set. `wakers` must be the set that [`poll`](Self::poll) got.
    pub(crate) fn unregister(&mut self, wakers: &WakerSet) {
        if let Some(slot) = self.0.take() {
            wakers.remove(slot.index);
        }
    }
}

/// A task that waits for a change of `T`. Its drop removes its waker from the set.
pub(crate) struct Waiter<T> {
    state: Arc<T>,
    set: fn(&T) -> &WakerSet,
    slot: WaiterSlot,
}

impl<T> Waiter<T> {
    pub(crate) fn new(state: &Arc<T>, set: fn(&T) -> &WakerSet) -> Self {
        Self { state: Arc::clone(state), set, slot: WaiterSlot::default() }
    }

    /// Waits until the condition is `Some`, and returns its value.
    pub(crate) async fn until<V>(mut self, condition: impl Fn() -> Option<V>) -> V {
        poll_fn(|cx| self.slot.poll((self.set)(&self.state), cx, &condition)).await
    }
}

impl<T> Drop for Waiter<T> {
    fn drop(&mut self) {
        self.slot.unregister((self.set)(&self.state));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// Counts the wake-ups and drops that find the set unlocked.
    struct UsesSet {
        set: Arc<WakerSet>,
        unlocked: Arc<AtomicUsize>,
    }

    impl UsesSet {
        fn check(&self) {
            self.unlocked.fetch_add(usize::from(self.set.0.try_lock().is_ok()), Ordering::SeqCst);
        }
    }

    impl Wake for UsesSet {
        fn wake(self: Arc<Self>) {
            self.check();
        }
    }

    impl Drop for UsesSet {
        fn drop(&mut self) {
            self.check();
        }
    }

    #[test]
    fn wakers_run_and_drop_without_the_lock() {
        const TASKS: usize = 2 * WAKE_BATCH + 1;
        let (set, unlocked) = (Arc::<WakerSet>::default(), Arc::<AtomicUsize>::default());
        let count = || unlocked.load(Ordering::SeqCst);
        let indices = [(); TASKS].map(|()| {
            let waker = UsesSet { set: Arc::clone(&set), unlocked: Arc::clone(&unlocked) };
            set.insert(Arc::new(waker).into())
        });
        set.wake_all();
        assert_eq!(count(), TASKS, "each task is woken once, with the set unlocked");
        set.remove(indices[3]);
        assert_eq!(count(), TASKS + 1, "a removed waker is dropped with the set unlocked");
        set.wake_all();
        assert_eq!(count(), 2 * TASKS, "all but the removed one");
        for index in indices.into_iter().filter(|index| *index != indices[3]) {
            set.remove(index);
        }
    }
}
