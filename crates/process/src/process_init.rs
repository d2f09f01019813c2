//! What a leaf of the process tree is, and what it is born with.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use impresario_sys::{Pid, SeqPacket};
use impresario_wire::{PortPolicy, Role};
use slog::Logger;

use crate::{ListenFd, ProcessExit, ProcessIdentity};

/// A kind of process that does work and has no children of ours: a router, a worker.
///
/// Its life has three steps: [`prefork`](Self::prefork) in the parent, [`setup`](Self::setup) in the child, and
/// then the [`Body`] that `setup` returned, until it returns in its turn. Each life of the child begins with a
/// fork of the parent, so it gets this value as it is in the parent then; what a child does to its own is never
/// seen by another.
///
/// It must not own descriptors: everything that is not named by `prefork` or `listeners` is closed in the child,
/// under the hands of whatever value holds it.
pub trait ProcessInit: Send {
    /// What kind of process it is; the table of [`Role`]s says who may say what to it.
    fn role(&self) -> Role;

    /// The names of the listeners it inherits.
    fn listeners(&self) -> Vec<String> {
        Vec::new()
    }

    /// In the parent, just before each fork: makes the descriptors of this life.
    ///
    /// # Errors
    ///
    /// The start has failed then; the parent's rules say what follows.
    fn prefork(&mut self, child: &ProcessIdentity) -> io::Result<Prefork> {
        let _ = child;
        Ok(Prefork::default())
    }

    /// In the child, on a thread that was just born: does everything that may fail. Returning `Ok` means ready,
    /// and the parent is told so before the body runs.
    ///
    /// # Errors
    ///
    /// The child tells its parent the reason and leaves with [`Exit::NotStarted`].
    fn setup(self: Box<Self>, newborn: ProcessContext) -> Result<ProcessStart, BoxError>;
}

/// What a leaf does once it is ready, until it leaves. It runs on the thread of [`Leaf::setup`].
pub type ProcessStart = Box<dyn FnOnce() -> ProcessExit>;

/// Any error, printed with what caused it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The descriptors made for one life of a leaf before it is born.
#[derive(Debug, Default)]
pub struct Prefork {
    /// What the child gets, in this order, as [`Newborn::inherited`].
    pub inherit: Vec<OwnedFd>,
    /// What goes up to main with the news that the child is ready: the router's end of a port to it.
    pub router_port: Option<OwnedFd>,
}

/// What a leaf is born with.
///
/// All descriptors but these and 0, 1, 2 are closed, every signal has its default (`SIGPIPE` is ignored), none is
/// blocked, and the kernel kills this process when its parent dies.
pub struct ProcessContext {
    /// Who it is.
    pub identity: ProcessIdentity,
    /// The port to the parent, non-blocking. It says quit; its end of file means that the parent is gone.
    ///
    /// Keep it open as long as the process lives: its end tells the parent that the process is over or broken.
    pub parent: SeqPacket,
    /// Who is at the other end of `parent` and what may come in there.
    pub link: PortPolicy,
    /// The parent's pid.
    pub parent_pid: Pid,
    /// What [`Prefork::keep`] listed.
    pub inherited: Vec<OwnedFd>,
    /// What [`Leaf::listeners`] named.
    pub listeners: Vec<ListenFd>,
    /// Its own logger.
    pub log: Logger,
}

impl fmt::Debug for ProcessContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Newborn")
            .field("identity", &self.identity)
            .field("parent_pid", &self.parent_pid)
            .field("inherited", &self.inherited)
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}

/// The whole story of an error in one line.
pub(crate) fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many errors print their cause themselves.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
