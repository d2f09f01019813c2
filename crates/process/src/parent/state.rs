//! The state of a process that has children.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use impresario_supervision::{Event, ExitReason, Time};
use impresario_sys::{SeqPacket, Signal, SignalFd, reset_signals};
use impresario_wire::{MAX_FRAME, PortPolicy};
use slog::Logger;

use super::child::Child;
use super::children::Children;
use super::orphans;
use super::phase::PhaseMachine;
use super::poller::{Poller, Source};
use super::port::Port;
use super::role::ParentRole;
use crate::child_init::child_factory::ChildFactory;
use crate::identity::ProcessIdentity;
use crate::listen_fds::ListenFds;
use crate::rules::Rules;

/// The signals that the signalfd reads; SIGCHLD is added in a subreaper. All other signals are blocked.
const SIGNALS: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2];

/// A process that has children: its rules, its phase, its children, and what it forks and watches them with.
///
/// `run` is the loop. A child is addressed by its id: the number of its incarnation, which the rules never
/// use twice.
pub(crate) struct ParentState {
    pub(super) me: ProcessIdentity,
    /// What main and a prototype do differently.
    pub(super) role: Box<dyn ParentRole>,
    pub(super) rules: Rules,
    /// Events that the rules have not handled yet.
    pub(super) events: VecDeque<Event>,
    pub(super) phases: PhaseMachine,
    pub(super) children: Children,
    pub(super) factory: ChildFactory,
    pub(super) listen_fds: ListenFds,
    /// The port to the parent; `None` in main and after the parent has exited.
    pub(super) parent: Option<Port>,
    pub(super) log: Logger,
    pub(super) poller: Poller,
    pub(super) signals: SignalFd,
    /// Receive buffer for one frame.
    pub(super) buffer: Vec<u8>,
    /// Whether the kernel makes this process the parent of orphans: it is pid 1 or a child subreaper.
    pub(super) is_subreaper: bool,
    /// The exit reason of the rules; the loop ends when it is set.
    pub(super) outcome: Option<ExitReason>,
    /// A child exited with [`ProcessExit::Fatal`](crate::exit::ProcessExit::Fatal).
    pub(super) fatal: bool,
    /// Killed processes are not waited for any longer; the loop ends.
    pub(super) stop_waiting: bool,
    started_at: Instant,
}

impl ParentState {
    /// Takes over the signals of this process: resets all dispositions, blocks all signals, and reads
    /// [`SIGNALS`] from a signalfd.
    pub(crate) fn new(
        me: ProcessIdentity,
        role: Box<dyn ParentRole>,
        rules: Rules,
        phases: PhaseMachine,
        factory: ChildFactory,
        listen_fds: ListenFds,
        log: Logger,
    ) -> io::Result<Self> {
        // SIGCHLD may be inherited as ignored. The kernel would then reap each child itself, and its exit
        // status would be lost.
        reset_signals()?;
        let is_subreaper = orphans::is_subreaper();
        // Only orphans need SIGCHLD: the exit of a child is read from its pidfd.
        let sigchld = is_subreaper.then_some(Signal::SIGCHLD);
        let signals: Vec<Signal> = SIGNALS.into_iter().chain(sigchld).collect();
        let signals = SignalFd::new(&signals)?;
        let poller = Poller::new()?;
        poller.add(&signals, Source::Signals)?;
        Ok(Self {
            me,
            role,
            rules,
            events: VecDeque::new(),
            phases,
            children: Children::default(),
            factory,
            listen_fds,
            parent: None,
            log,
            poller,
            signals,
            buffer: vec![0; MAX_FRAME],
            is_subreaper,
            outcome: None,
            fatal: false,
            stop_waiting: false,
            started_at: Instant::now(),
        })
    }

    /// Watches the port to the parent. The error returns the socket, so that the caller can report the
    /// failure on it.
    pub(crate) fn set_parent(
        &mut self,
        socket: SeqPacket,
        policy: PortPolicy,
    ) -> Result<(), (SeqPacket, io::Error)> {
        if let Err(error) = self.poller.add(&socket, Source::Parent) {
            return Err((socket, error));
        }
        self.parent = Some(Port::new(socket, policy));
        Ok(())
    }

    pub(super) fn now(&self) -> Time {
        Time::from_start(self.started_at.elapsed())
    }

    /// Time until the next deadline: of the rules, the phase, a child, or the port to the parent. `None` means
    /// no deadline.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let children = self.children.iter().filter_map(Child::poll_timeout);
        let parent = self.parent.as_ref().and_then(Port::poll_timeout);
        let own = [self.rules.poll_timeout(), self.phases.poll_timeout(), parent].into_iter().flatten();
        let now = self.now();
        children.chain(own).min().map(|deadline| deadline.saturating_since(now))
    }
}
