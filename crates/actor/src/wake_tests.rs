//! No task is woken under the lock of a cell or of the groups: a woken task may run at once and need that lock.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use actix::Actor;
use impresario_supervision::{Incarnation, Time};
use tokio::sync::oneshot;

use crate::cell::exit::ExitFuture;
use crate::cell::{ActorCell, Pid, SystemMessage};
use crate::registry::Registry;
use crate::registry::groups::Inbox;
use crate::sync::lock;

/// A waker that takes the lock on another thread. It reports whether that was possible before `wake` returned.
struct Probe {
    take_lock: Arc<dyn Fn() + Send + Sync>,
    free: Mutex<Sender<bool>>,
}

impl Wake for Probe {
    fn wake(self: Arc<Self>) {
        let (done, taken) = channel();
        let take_lock = Arc::clone(&self.take_lock);
        thread::spawn(move || {
            take_lock();
            let _ = done.send(());
        });
        let free = taken.recv_timeout(Duration::from_secs(2)).is_ok();
        let _ = self.free.lock().expect("no panic under this lock").send(free);
    }
}

fn probe(take_lock: impl Fn() + Send + Sync + 'static) -> (Waker, Receiver<bool>) {
    let (free, reports) = channel();
    (Waker::from(Arc::new(Probe { take_lock: Arc::new(take_lock), free: Mutex::new(free) })), reports)
}

fn cell(registry: &Registry) -> Arc<ActorCell> {
    ActorCell::new(Arc::clone(registry.tree()), Incarnation::ROOT, Time::START)
}

fn cell_probe(cell: &Arc<ActorCell>) -> (Waker, Receiver<bool>) {
    let cell = Arc::clone(cell);
    probe(move || drop(cell.exit_reason()))
}

#[test]
fn group_changes_wake_monitors_without_the_lock() {
    let registry = Registry::new();
    let pid = Pid::of(&cell(&registry));
    let inbox = Arc::<Inbox>::default();
    lock(registry.groups()).monitor("red", &inbox);
    let other = registry.clone();
    let (waker, free) = probe(move || drop(other.members("red")));
    let register = || inbox.register(&waker);
    register();
    registry.join("red", &pid).expect("the process is alive");
    register();
    assert!(registry.leave("red", &pid));
    registry.join("red", &pid).expect("the process is alive");
    register();
    registry.remove_pid(&pid);
    assert_eq!(free.try_iter().collect::<Vec<_>>(), [true; 3]);
}

#[test]
fn dropped_exit_future_wakes_without_the_lock() {
    let cell = cell(&Registry::new());
    let (waker, free) = cell_probe(&cell);
    let mut exit = Box::pin(ExitFuture::new(&Pid::of(&cell)).expect("the process is alive"));
    assert!(exit.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(exit);
    assert!(free.try_iter().all(|free| free));
}

struct Idle;

impl Actor for Idle {
    type Context = actix::Context<Self>;
}

#[test]
fn refused_system_message_wakes_without_the_lock() {
    let cell = cell(&Registry::new());
    while cell.push_system_message(SystemMessage::state_fn::<Idle>(|_, _| {})) {}
    let (waker, free) = cell_probe(&cell);
    let (reply, refused) = oneshot::channel();
    let mut refused = pin!(refused);
    assert!(refused.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(!cell.push_system_message(SystemMessage::Suspend(reply)));
    assert_eq!(free.try_iter().collect::<Vec<_>>(), [true]);
    assert!(matches!(refused.poll(&mut Context::from_waker(&waker)), Poll::Ready(Err(_))));
}
