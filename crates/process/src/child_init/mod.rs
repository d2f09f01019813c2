//! The first moments of a process, in the order that each of its steps was learnt to need, and its last.

pub(crate) mod process_kind;

use std::any::Any;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use impresario_sys::{
    Pid, SeqPacket, Signal, close_all_except, exit_now, reset_signals, set_parent_death_signal,
};
use impresario_wire::{Encoder, Message, PortPolicy, StreamId};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::child_init::process_kind::ProcessKind;
use crate::identity::LoggerFactory;
use crate::listen_fds::ListenFds;
use crate::process_init::error_chain;
use crate::{ProcessContext, ProcessExit, ProcessIdentity, ProcessInit, ProcessLogger};

/// How long a child waits for room on the port to its parent. There always is: it says one or two things there.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// A process that was just forked: all that it takes along from its parent.
pub(crate) struct ChildInit {
    pub(crate) identity: ProcessIdentity,
    pub(crate) plan: ProcessKind,
    /// Our end of the port to the parent.
    pub(crate) port: SeqPacket,
    pub(crate) link: PortPolicy,
    pub(crate) parent: Pid,
    pub(crate) inherited: Vec<OwnedFd>,
    pub(crate) listeners: ListenFds,
    pub(crate) logging: LoggerFactory,
    /// Whether it and what it forks are a process group of their own. So are the children of main: a terminal's
    /// Ctrl-C reaches main alone, which tells the others in order, and one signal can reach all of one app.
    pub(crate) new_process_group: bool,
}

impl ChildInit {
    /// The whole life of the process. It never returns into the frames of its parent, not even by a panic.
    pub(crate) fn live(self) -> ! {
        let exit = catch_unwind(AssertUnwindSafe(|| self.enter_and_run())).unwrap_or(ProcessExit::Panicked);
        exit_now(exit.code());
    }

    fn enter_and_run(self) -> ProcessExit {
        if let Err(error) = self.enter() {
            say(&self.port, &Message::failed(error));
            return ProcessExit::NotStarted;
        }
        match self.plan {
            ProcessKind::Leaf(_) => self.run_leaf(),
            ProcessKind::Prototype { .. } => crate::roles::prototype::run(self),
        }
    }

    /// Leaves everything behind that is the parent's.
    fn enter(&self) -> Result<(), ChildInitError> {
        // Before anything else: what is open here keeps others from seeing the end of their ports.
        let inherited = self.inherited.iter().map(AsFd::as_fd);
        let inherit: Vec<BorrowedFd<'_>> =
            inherited.chain(self.listeners.fds()).chain([self.port.as_fd()]).collect();
        close_all_except(&inherit).map_err(ChildInitError::Close)?;
        reset_signals().map_err(ChildInitError::Signals)?;
        if self.new_process_group {
            let this = Pid::from_raw(0);
            nix::unistd::setpgid(this, this).map_err(|error| ChildInitError::Group(error.into()))?;
        }
        // After everything that changes credentials, which would clear it.
        set_parent_death_signal(Signal::SIGKILL, self.parent).map_err(ChildInitError::Parent)
    }

    /// A leaf's body runs on a thread of its own: a fresh thread has its own hash keys, random numbers and no
    /// stale runtime; the first thread only waits, as the one whose parent's death the kernel watches.
    fn run_leaf(self) -> ProcessExit {
        // Open until the very end: while it is, the parent knows that this process is alive.
        let status_port = match self.port.try_clone() {
            Ok(status_port) => Arc::new(status_port),
            Err(error) => {
                say(&self.port, &Message::failed(ChildInitError::Port(error)));
                return ProcessExit::NotStarted;
            }
        };
        let body_voice = Arc::clone(&status_port);
        let thread = thread::Builder::new().name(self.identity.to_string());
        match thread.spawn(move || self.run_body(&body_voice)).map(thread::JoinHandle::join) {
            Ok(Ok(exit)) => exit,
            Ok(Err(panic)) => {
                say(&status_port, &Message::failed(format_args!("panicked: {}", panic_text(&*panic))));
                ProcessExit::Panicked
            }
            Err(error) => {
                say(&status_port, &Message::failed(ChildInitError::Thread(error)));
                ProcessExit::NotStarted
            }
        }
    }

    fn run_body(self, status_port: &SeqPacket) -> ProcessExit {
        let ProcessKind::Leaf(leaf) = self.plan else { return ProcessExit::NotStarted };
        let ProcessLogger { log, guard } = (self.logging)(&self.identity);
        let newborn = ProcessContext {
            identity: self.identity,
            parent: self.port,
            link: self.link,
            parent_pid: self.parent,
            inherited: self.inherited,
            listeners: self.listeners.into_vec(),
            log,
        };
        let exit = set_up_and_run(leaf, newborn, status_port);
        drop(guard);
        exit
    }
}

fn set_up_and_run(
    leaf: Box<dyn ProcessInit>,
    newborn: ProcessContext,
    status_port: &SeqPacket,
) -> ProcessExit {
    match leaf.setup(newborn) {
        Ok(body) if say(status_port, &Message::Ready) => body(),
        // Nobody is there to be ready for.
        Ok(_) => ProcessExit::Failed,
        Err(error) => {
            say(status_port, &Message::failed(error_chain(&*error)));
            ProcessExit::NotStarted
        }
    }
}

/// Says something to the parent, from outside of any loop. Whether it was sent.
pub(crate) fn say(port: &SeqPacket, message: &Message) -> bool {
    let Ok(mut frames) = Encoder::new(std::process::id()).encode(StreamId::NONE, message) else {
        return false;
    };
    while let Some(frame) = frames.current() {
        match port.send(&frame.parts(&frame.header()), &[]) {
            Ok(()) => frames.advance(),
            Err(error) if error.kind() == ErrorKind::WouldBlock && has_room(port) => {}
            Err(_) => return false,
        }
    }
    true
}

fn has_room(port: &SeqPacket) -> bool {
    let timeout = PollTimeout::try_from(SEND_TIMEOUT).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(port.as_fd(), PollFlags::POLLOUT)], timeout).is_ok_and(|ready| ready > 0)
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Why a process could not even begin.
#[derive(Debug)]
enum ChildInitError {
    Close(io::Error),
    Signals(io::Error),
    Group(io::Error),
    Parent(io::Error),
    Port(io::Error),
    Thread(io::Error),
}

impl fmt::Display for ChildInitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close(error) => write!(f, "inherited descriptors cannot be closed: {error}"),
            Self::Signals(error) => write!(f, "signals cannot be reset: {error}"),
            Self::Group(error) => write!(f, "no process group of its own: {error}"),
            Self::Parent(error) => write!(f, "not bound to its parent's life: {error}"),
            Self::Port(error) => {
                write!(f, "no second descriptor for its port: {error}; look at the limit on open files")
            }
            Self::Thread(error) => {
                write!(f, "no thread for its body: {error}; look at the limit on processes")
            }
        }
    }
}
