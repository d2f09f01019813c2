//! Tasks that wait for something shared.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A set of tasks to wake. A task stays in it until its [`Entry`] is dropped, so no wake-up is ever lost.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// One task's place in a set of wakers.
#[derive(Debug)]
struct Place {
    slot: usize,
    waker: Waker,
}

/// A task that waits, at most in one set.
#[derive(Debug, Default)]
pub(crate) struct Entry(Option<Place>);

impl Wakers {
    /// Wakes all tasks in the set. Change what they wait for first.
    pub(crate) fn wake_all(&self) {
        self.lock().wakers.iter().flatten().for_each(Waker::wake_by_ref);
    }

    fn insert(&self, waker: Waker) -> usize {
        let mut slots = self.lock();
        if let Some(slot) = slots.free.pop() {
            slots.wakers[slot] = Some(waker);
            slot
        } else {
            slots.wakers.push(Some(waker));
            slots.wakers.len() - 1
        }
    }

    fn remove(&self, slot: usize) {
        let mut slots = self.lock();
        slots.wakers[slot] = None;
        slots.free.push(slot);
    }

    /// The slots are changed by single steps that cannot panic half-way, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Polls a condition, having seen to it that the task is woken when it may have changed.
    ///
    /// While the condition does not hold and the task is the same as before this costs no lock.
    pub(crate) fn poll<T>(
        &mut self,
        wakers: &Wakers,
        cx: &Context<'_>,
        condition: impl Fn() -> Option<T>,
    ) -> Poll<T> {
        if let Some(value) = condition() {
            return Poll::Ready(value);
        }
        if self.0.as_ref().is_some_and(|place| place.waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        self.leave(wakers);
        let waker = cx.waker().clone();
        self.0 = Some(Place { slot: wakers.insert(waker.clone()), waker });
        // It may have changed before the waker was in the set.
        condition().map_or(Poll::Pending, Poll::Ready)
    }

    /// Leaves the set, which must be the one that was polled.
    pub(crate) fn leave(&mut self, wakers: &Wakers) {
        if let Some(place) = self.0.take() {
            wakers.remove(place.slot);
        }
    }
}
