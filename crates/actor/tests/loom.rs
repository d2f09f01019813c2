//! Model checking of the part of an actor that other threads touch, in the interleavings with at most 2 preemptions.
//!
//! The sources are those of the crate. Its atomics, locks and wakers are replaced by those of loom. loom reports a lost
//! wake-up as a deadlock.

// These tests use only a part of the included modules.
#![allow(dead_code, unreachable_pub, unused_imports)]

#[path = "../src/bonds.rs"]
mod bonds;
#[path = "../src/door.rs"]
mod door;
#[path = "../src/downs.rs"]
mod downs;
#[path = "../src/errand.rs"]
mod errand;
#[path = "../src/life.rs"]
mod life;
#[path = "../src/pid.rs"]
mod pid;
#[path = "../src/signal.rs"]
mod signal;
#[path = "../src/trace.rs"]
mod trace;
#[path = "../src/word.rs"]
mod word;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use actix::{Actor, Context, Handler, Message};
use impresario_supervision::{ExitReason, Incarnation, Time};
use loom::future::block_on;
use loom::thread;

use door::Door;
use downs::Downs;
use errand::Errand;
use life::Life;
use pid::{Pid, Watch};
use signal::{ExitSignal, Signal};
use sync::AtomicU8;

/// loom's atomics, locks and waker.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU32};
    pub(crate) use loom::sync::{Mutex, MutexGuard};

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

/// The crate's module stores panics in thread-local state, which loom does not model. This one catches nothing.
mod panic {
    use impresario_supervision::ExitReason;

    pub(crate) fn catch_panic<T>(code: impl FnOnce() -> T) -> Result<T, ExitReason> {
        Ok(code())
    }
}

mod census {
    pub(crate) struct Census;
}

/// A registry without names.
#[derive(Clone, Default)]
pub struct Registry;

impl Registry {
    fn next_number(&self) -> u64 {
        0
    }

    fn age(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    fn forget(&self, _: &Pid) {}
}

fn life() -> Arc<Life> {
    Life::new(Registry, Incarnation::ROOT, Time::START)
}

/// Checks all interleavings with at most 2 preemptions. A higher bound takes minutes and found no more failures.
fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(test);
}

fn exit(life: &Life) {
    life.signal(Signal::Exit { from: None, reason: ExitReason::Shutdown, linked: false });
}

/// Runs the actor's task until it has received this number of signals and system messages.
fn run(life: &Life, signals: usize, errands: usize) {
    let (mut heard, mut done) = (0, 0);
    block_on(poll_fn(|cx| {
        let word = life.poll(cx);
        if word.signals() {
            heard += life.take_signals().len();
        }
        while life.take_errand().is_some() {
            done += 1;
        }
        assert!(heard <= signals && done <= errands, "a signal or system message arrived twice");
        if (heard, done) == (signals, errands) { Poll::Ready(()) } else { Poll::Pending }
    }));
}

#[test]
fn messages_by_address_are_all_taken() {
    model(|| {
        let (life, queue) = (life(), Arc::new(AtomicU8::new(0)));
        let others = [1, 2].map(|_| {
            let (waker, queue) = (Waker::from(Arc::clone(&life)), Arc::clone(&queue));
            thread::spawn(move || {
                queue.fetch_add(1, Ordering::AcqRel);
                waker.wake();
            })
        });
        let mut letters = 0;
        block_on(poll_fn(|cx| {
            life.poll(cx);
            while life.take_mail() {
                let found = queue.swap(0, Ordering::AcqRel);
                if found > 0 {
                    life.leave_mail();
                }
                letters += found;
            }
            if letters == 2 { Poll::Ready(()) } else { Poll::Pending }
        }));
        for other in others {
            other.join().expect("no panic");
        }
    });
}

#[test]
fn signal_and_system_message_are_both_received() {
    model(|| {
        let life = life();
        let (first, second) = (Arc::clone(&life), Arc::clone(&life));
        let others = [
            thread::spawn(move || exit(&first)),
            thread::spawn(move || assert!(second.errand(Errand::job::<Nobody>(|_, _| {})))),
        ];
        run(&life, 1, 1);
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        assert!(!life.has_errands() && life.take_signals().is_empty());
    });
}

#[test]
fn concurrent_system_messages_are_all_handled() {
    model(|| {
        let life = life();
        let other = Arc::clone(&life);
        let other = thread::spawn(move || {
            for _ in 0..3 {
                assert!(other.errand(Errand::job::<Nobody>(|_, _| {})));
            }
        });
        run(&life, 0, 3);
        other.join().expect("no panic");
    });
}

#[test]
fn kill_and_stop_flags_are_not_lost() {
    let says: [&[fn(&Life)]; 2] = [&[Life::kill, Life::stop], &[Life::stop]];
    for says in says {
        model(move || {
            let life = life();
            let others = says.iter().map(|say| {
                let life = Arc::clone(&life);
                thread::spawn(move || say(&life))
            });
            let others: Vec<_> = others.collect();
            block_on(poll_fn(|cx| {
                let word = life.poll(cx);
                life.take_signals();
                // The actor's own thread changes other bits of the same atomic.
                life.set_suspended(!life.is_suspended());
                // A stop after a kill sets no flag.
                let heard = if says.len() == 1 { word.stop() } else { word.kill() };
                if heard { Poll::Ready(()) } else { Poll::Pending }
            }));
            others.into_iter().for_each(|other| other.join().expect("no panic"));
        });
    }
}

#[test]
fn last_of_suspend_and_resume_decides() {
    model(|| {
        let life = life();
        let other = Arc::clone(&life);
        let other = thread::spawn(move || {
            let (answer, suspended) = tokio::sync::oneshot::channel();
            other.errand(Errand::Suspend(answer));
            other.resume();
            other.resume();
            suspended
        });
        let mut resumed = false;
        block_on(poll_fn(|cx| {
            life.poll(cx);
            while let Some(errand) = life.take_errand() {
                match errand {
                    Errand::Suspend(_) => life.set_suspended(true),
                    Errand::Resume => {
                        life.set_suspended(false);
                        resumed = true;
                    }
                    Errand::Job(_) => unreachable!("no job was sent"),
                }
            }
            if resumed { Poll::Ready(()) } else { Poll::Pending }
        }));
        assert!(!life.is_suspended());
        drop(other.join());
    });
}

#[test]
fn system_message_to_an_exiting_actor_is_dropped() {
    model(|| {
        let life = life();
        let other = Arc::clone(&life);
        let other = thread::spawn(move || {
            let (answer, dropped) = tokio::sync::oneshot::channel();
            other.errand(Errand::Suspend(answer));
            dropped
        });
        drop(life.take_errand());
        life.over(&ExitReason::Normal);
        let mut dropped = other.join().expect("no panic");
        assert!(matches!(dropped.try_recv(), Err(tokio::sync::oneshot::error::TryRecvError::Closed)));
    });
}

struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Hello;

impl Handler<Hello> for Nobody {
    type Result = ();

    fn handle(&mut self, _: Hello, _: &mut Context<Self>) {}
}

fn door(limit: usize) -> Arc<Door<Nobody>> {
    Door::new(actix::Addr::new(actix::dev::channel::channel(1).0).downgrade(), limit)
}

#[test]
fn push_wakes_the_receiver_when_needed() {
    model(|| {
        let (life, door) = (life(), door(8));
        let others = [1, 2].map(|messages| {
            let (life, door) = (Arc::clone(&life), Arc::clone(&door));
            thread::spawn(move || {
                for _ in 0..messages {
                    match door.push(Hello, None) {
                        Ok(true) => life.wake(),
                        Ok(false) => {}
                        Err(_) => panic!("the mailbox is full"),
                    }
                }
            })
        });
        let mut messages = 0;
        block_on(poll_fn(|cx| {
            life.poll(cx);
            while door.pop().is_some() {
                messages += 1;
            }
            if messages == 3 { Poll::Ready(()) } else { Poll::Pending }
        }));
        others.into_iter().for_each(|other| other.join().expect("no panic"));
    });
}

#[test]
fn exit_future_resolves_once() {
    model(|| {
        let life = life();
        let other = Arc::clone(&life);
        let other = thread::spawn(move || other.over(&ExitReason::Killed));
        let watch = Watch::begin(&Pid::of(&life));
        if let Some(watch) = watch {
            assert_eq!(block_on(watch), ExitReason::Killed);
        } else {
            assert_eq!(life.end_reason(), Some(ExitReason::Killed));
        }
        other.join().expect("no panic");
    });
}

#[test]
fn monitor_sends_one_down_unless_demonitored() {
    for taken_back in [false, true] {
        model(move || {
            let (life, downs) = (life(), Arc::<Downs>::default());
            let other = Arc::clone(&life);
            let other = thread::spawn(move || other.over(&ExitReason::Killed));
            let key = downs.monitor(&Pid::of(&life));
            if taken_back {
                downs.demonitor(key);
            } else {
                let reason = block_on(poll_fn(|cx| {
                    downs.register(cx.waker());
                    downs.pop().map_or(Poll::Pending, |(_, reason)| Poll::Ready(reason))
                }));
                assert!(matches!(reason, ExitReason::Killed | ExitReason::NoProc));
            }
            other.join().expect("no panic");
            assert!(downs.pop().is_none());
        });
    }
}

fn linked(from: &Life, to: &Arc<Life>) -> bool {
    from.with_bonds(|bonds| bonds.is_linked(&Pid::of(to))).unwrap_or(false)
}

#[test]
fn link_to_an_exiting_actor_sends_one_signal() {
    model(|| {
        let (a, b) = (life(), life());
        let other = Arc::clone(&b);
        let other = thread::spawn(move || other.over(&ExitReason::Killed));
        a.link(&Pid::of(&b));
        a.link(&Pid::of(&b));
        other.join().expect("no panic");
        let reasons: Vec<_> = a.take_signals().into_iter().collect();
        let [Signal::Exit { reason, .. }, more @ ..] = &reasons[..] else { panic!("no exit signal") };
        // The second link sends its own signal if the actor has exited between the two.
        assert!(more.len() <= 1 && matches!(reason, ExitReason::Killed | ExitReason::NoProc));
        assert!(!linked(&a, &b));
    });
}

#[test]
fn link_by_an_exiting_actor_is_complete_or_absent() {
    model(|| {
        let (a, b) = (life(), life());
        let other = Arc::clone(&a);
        let other = thread::spawn(move || other.over(&ExitReason::Killed));
        a.link(&Pid::of(&b));
        other.join().expect("no panic");
        assert!(!linked(&b, &a), "an exited actor is still linked");
        assert!(b.take_signals().len() <= 1);
    });
}

#[test]
fn concurrent_link_and_unlink_stay_symmetric() {
    model(|| {
        let (a, b) = (life(), life());
        let (mine, theirs) = (Arc::clone(&a), Arc::clone(&b));
        let other = thread::spawn(move || theirs.link(&Pid::of(&mine)));
        a.link(&Pid::of(&b));
        a.unlink(&Pid::of(&b));
        other.join().expect("no panic");
        assert_eq!(linked(&a, &b), linked(&b, &a));
    });
}

#[test]
fn linked_actors_exiting_together_are_both_unlinked() {
    model(|| {
        let (a, b) = (life(), life());
        a.link(&Pid::of(&b));
        let other = Arc::clone(&b);
        let other = thread::spawn(move || other.over(&ExitReason::Killed));
        a.over(&ExitReason::Shutdown);
        other.join().expect("no panic");
        assert!(!linked(&a, &b) && !linked(&b, &a));
    });
}
