//! What threads share of a life, in every order in which threads can do it.
//!
//! The sources are those of the crate; only the primitives below them are a model checker's. A wake-up that is lost is a
//! deadlock here, which it reports.

// The crate uses more of these modules than is tested here.
#![allow(dead_code, unreachable_pub, unused_imports)]

#[path = "../src/cell/mod.rs"]
mod cell;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use actix::{Actor, Context, Handler, Message};
use impresario_supervision::{ExitReason, Incarnation, Time};
use loom::future::block_on;
use loom::thread;

use cell::exit::ExitFuture;
use cell::mailbox::{Limit, Mailbox};
use cell::tree_core::TreeCore;
use cell::{ActorCell, MonitorSet, Pid, Signal, SystemMessage};
use loom::sync::atomic::AtomicU8;

/// The primitives of the model checker.
mod sync {
    use std::sync::PoisonError;

    pub(crate) use loom::sync::atomic::AtomicU32;
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[derive(Default)]
    pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

    impl AtomicWaker {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn register(&self, waker: &std::task::Waker) {
            self.0.register_by_ref(waker);
        }

        pub(crate) fn wake(&self) {
            self.0.wake();
        }
    }
}

/// What is said of panics elsewhere needs a thread's own state.
mod panic {
    use impresario_supervision::ExitReason;

    pub(crate) fn catch_panic<T>(code: impl FnOnce() -> T) -> Result<T, ExitReason> {
        Ok(code())
    }
}

fn cell() -> Arc<ActorCell> {
    ActorCell::new(Arc::new(TreeCore::new()), Incarnation::ROOT, Time::START)
}

/// What the exit guard does when an incarnation exits.
fn mark_exited(cell: &Arc<ActorCell>, reason: ExitReason) {
    if let Some(notice) = cell.mark_exited(&reason) {
        notice.notify(cell, &reason);
    }
}

/// Every order with at most so many switches that nobody asked for; more take minutes and have found nothing more.
fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(test);
}

fn exit(cell: &ActorCell) {
    cell.signal(Signal::Exit { from: None, reason: ExitReason::Shutdown, linked: false });
}

/// Plays the task of a life until it has seen so many signals and errands.
fn run(cell: &ActorCell, signals: usize, messages: usize) {
    let (mut received, mut done) = (0, 0);
    block_on(poll_fn(|cx| {
        let flags = cell.poll(cx);
        if flags.signals() {
            received += cell.take_signals().len();
        }
        while cell.pop_system_message().is_some() {
            done += 1;
        }
        assert!(received <= signals && done <= messages, "nothing comes twice");
        if (received, done) == (signals, messages) { Poll::Ready(()) } else { Poll::Pending }
    }));
}

#[test]
fn no_letter_is_left_in_the_queue_of_actix() {
    model(|| {
        let (cell, queue) = (cell(), Arc::new(AtomicU8::new(0)));
        let others = [1, 2].map(|_| {
            let (waker, queue) = (Waker::from(Arc::clone(&cell)), Arc::clone(&queue));
            thread::spawn(move || {
                queue.fetch_add(1, Ordering::AcqRel);
                waker.wake();
            })
        });
        let mut messages = 0;
        block_on(poll_fn(|cx| {
            cell.poll(cx);
            while cell.take_addr_pending() {
                let found = queue.swap(0, Ordering::AcqRel);
                if found > 0 {
                    cell.set_addr_pending();
                }
                messages += found;
            }
            if messages == 2 { Poll::Ready(()) } else { Poll::Pending }
        }));
        for other in others {
            other.join().expect("it does not panic");
        }
    });
}

#[test]
fn no_signal_and_no_errand_is_lost() {
    model(|| {
        let cell = cell();
        let (first, second) = (Arc::clone(&cell), Arc::clone(&cell));
        let others = [
            thread::spawn(move || exit(&first)),
            thread::spawn(move || {
                assert!(second.push_system_message(SystemMessage::state_fn::<Idle>(|_, _| {})))
            }),
        ];
        run(&cell, 1, 1);
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        assert!(!cell.has_system_messages() && cell.take_signals().is_empty());
    });
}

#[test]
fn errands_that_come_together_are_all_done() {
    model(|| {
        let cell = cell();
        let other = Arc::clone(&cell);
        let other = thread::spawn(move || {
            for _ in 0..3 {
                assert!(other.push_system_message(SystemMessage::state_fn::<Idle>(|_, _| {})));
            }
        });
        run(&cell, 0, 3);
        other.join().expect("no panic");
    });
}

#[test]
fn no_kill_and_no_stop_is_lost() {
    let requests: [&[fn(&ActorCell)]; 2] = [&[ActorCell::kill, ActorCell::stop], &[ActorCell::stop]];
    for requests in requests {
        model(move || {
            let cell = cell();
            let others = requests.iter().map(|request| {
                let cell = Arc::clone(&cell);
                thread::spawn(move || request(&cell))
            });
            let others: Vec<_> = others.collect();
            block_on(poll_fn(|cx| {
                let flags = cell.poll(cx);
                cell.take_signals();
                // The life itself changes other bits of the same word.
                cell.set_suspended(!cell.is_suspended());
                // A stop that comes after a kill is not said.
                let received = if requests.len() == 1 { flags.stop() } else { flags.kill() };
                if received { Poll::Ready(()) } else { Poll::Pending }
            }));
            others.into_iter().for_each(|other| other.join().expect("no panic"));
        });
    }
}

#[test]
fn the_last_word_on_suspension_counts() {
    model(|| {
        let cell = cell();
        let other = Arc::clone(&cell);
        let other = thread::spawn(move || {
            let (reply, suspended) = tokio::sync::oneshot::channel();
            other.push_system_message(SystemMessage::Suspend(reply));
            other.resume();
            other.resume();
            suspended
        });
        let mut resumed = false;
        block_on(poll_fn(|cx| {
            cell.poll(cx);
            while let Some(message) = cell.pop_system_message() {
                match message {
                    SystemMessage::Suspend(_) => cell.set_suspended(true),
                    SystemMessage::Resume => {
                        cell.set_suspended(false);
                        resumed = true;
                    }
                    SystemMessage::StateFn(_) => unreachable!("nobody sends one"),
                }
            }
            if resumed { Poll::Ready(()) } else { Poll::Pending }
        }));
        assert!(!cell.is_suspended());
        drop(other.join());
    });
}

#[test]
fn an_errand_for_a_life_that_ends_is_done_or_dropped() {
    model(|| {
        let cell = cell();
        let other = Arc::clone(&cell);
        let other = thread::spawn(move || {
            let (reply, dropped) = tokio::sync::oneshot::channel();
            other.push_system_message(SystemMessage::Suspend(reply));
            dropped
        });
        drop(cell.pop_system_message());
        mark_exited(&cell, ExitReason::Normal);
        let mut dropped = other.join().expect("no panic");
        assert!(matches!(dropped.try_recv(), Err(tokio::sync::oneshot::error::TryRecvError::Closed)));
    });
}

struct Idle;

impl Actor for Idle {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Hello;

impl Handler<Hello> for Idle {
    type Result = ();

    fn handle(&mut self, _: Hello, _: &mut Context<Self>) {}
}

fn mailbox(limit: usize) -> Arc<Mailbox<Idle>> {
    Mailbox::new(actix::Addr::new(actix::dev::channel::channel(1).0).downgrade(), limit)
}

#[test]
fn who_brings_a_message_wakes_whom_it_must() {
    model(|| {
        let (cell, mailbox) = (cell(), mailbox(8));
        let others = [1, 2].map(|messages| {
            let (cell, mailbox) = (Arc::clone(&cell), Arc::clone(&mailbox));
            thread::spawn(move || {
                for _ in 0..messages {
                    match mailbox.push(Hello, None, Limit::Bound) {
                        Ok(true) => cell.wake(),
                        Ok(false) => {}
                        Err(_) => panic!("there is room"),
                    }
                }
            })
        });
        let mut messages = 0;
        block_on(poll_fn(|cx| {
            cell.poll(cx);
            while mailbox.pop().is_some() {
                messages += 1;
            }
            if messages == 3 { Poll::Ready(()) } else { Poll::Pending }
        }));
        others.into_iter().for_each(|other| other.join().expect("no panic"));
    });
}

#[test]
fn an_end_is_heard_of_once_by_whoever_watches() {
    model(|| {
        let cell = cell();
        let other = Arc::clone(&cell);
        let other = thread::spawn(move || mark_exited(&other, ExitReason::Killed));
        let exit = ExitFuture::new(&Pid::of(&cell));
        if let Some(exit) = exit {
            assert_eq!(block_on(exit), ExitReason::Killed);
        } else {
            assert_eq!(cell.exit_reason(), Some(ExitReason::Killed));
        }
        other.join().expect("no panic");
    });
}

#[test]
fn a_monitored_end_is_heard_of_once_unless_it_is_taken_back() {
    for removed in [false, true] {
        model(move || {
            let (cell, monitors) = (cell(), Arc::<MonitorSet>::default());
            let other = Arc::clone(&cell);
            let other = thread::spawn(move || mark_exited(&other, ExitReason::Killed));
            let key = monitors.monitor(&Pid::of(&cell));
            if removed {
                monitors.demonitor(key);
            } else {
                let reason = block_on(poll_fn(|cx| {
                    monitors.register(cx.waker());
                    monitors.pop().map_or(Poll::Pending, |(_, reason)| Poll::Ready(reason))
                }));
                assert!(matches!(reason, ExitReason::Killed | ExitReason::NoProc));
            }
            other.join().expect("no panic");
            assert!(monitors.pop().is_none());
        });
    }
}

fn linked(from: &ActorCell, to: &Arc<ActorCell>) -> bool {
    from.with_links(|links| links.is_linked(&Pid::of(to))).unwrap_or(false)
}

#[test]
fn a_link_to_somebody_who_ends_is_one_signal() {
    model(|| {
        let (a, b) = (cell(), cell());
        let other = Arc::clone(&b);
        let other = thread::spawn(move || mark_exited(&other, ExitReason::Killed));
        a.link(&Pid::of(&b));
        a.link(&Pid::of(&b));
        other.join().expect("no panic");
        let reasons: Vec<_> = a.take_signals().into_iter().collect();
        let [Signal::Exit { reason, .. }, more @ ..] = &reasons[..] else { panic!("it hears of it") };
        // The second link is one of its own if the first is over.
        assert!(more.len() <= 1 && matches!(reason, ExitReason::Killed | ExitReason::NoProc));
        assert!(!linked(&a, &b));
    });
}

#[test]
fn a_link_by_somebody_who_ends_is_whole_or_none() {
    model(|| {
        let (a, b) = (cell(), cell());
        let other = Arc::clone(&a);
        let other = thread::spawn(move || mark_exited(&other, ExitReason::Killed));
        a.link(&Pid::of(&b));
        other.join().expect("no panic");
        assert!(!linked(&b, &a), "nobody is linked to one who is over");
        assert!(b.take_signals().len() <= 1);
    });
}

#[test]
fn no_link_is_half() {
    model(|| {
        let (a, b) = (cell(), cell());
        let (mine, theirs) = (Arc::clone(&a), Arc::clone(&b));
        let other = thread::spawn(move || theirs.link(&Pid::of(&mine)));
        a.link(&Pid::of(&b));
        a.unlink(&Pid::of(&b));
        other.join().expect("no panic");
        assert_eq!(linked(&a, &b), linked(&b, &a));
    });
}

#[test]
fn when_both_ends_end_nobody_waits_for_the_other() {
    model(|| {
        let (a, b) = (cell(), cell());
        a.link(&Pid::of(&b));
        let other = Arc::clone(&b);
        let other = thread::spawn(move || mark_exited(&other, ExitReason::Killed));
        mark_exited(&a, ExitReason::Shutdown);
        other.join().expect("no panic");
        assert!(!linked(&a, &b) && !linked(&b, &a));
    });
}
