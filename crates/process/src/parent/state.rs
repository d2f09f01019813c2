//! What a process with children has: its rules, its phase, its children, and what it needs to fork and watch them.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use impresario_supervision::{ChildKey, Event, ExitReason, Incarnation, Report, ReportKind, Time};
use impresario_sys::{Fork, ForkError, Pid, SeqPacket, Signal, SignalFd, fork, reset_signals};
use impresario_wire::{MAX_FRAME, Message, PortPolicy, PortPolicyError, Role};
use slog::Logger;

use crate::child_init::ChildInit;
use crate::child_init::process_kind::ChildFactory;
use crate::listen_fds::ListenFds;
use crate::parent::child::{Child, Children};
use crate::parent::orphans;
use crate::parent::phase::{KILL_WAIT, Phase, PhaseMachine};
use crate::parent::poller::{Poller, Source};
use crate::parent::port::{Port, PortError};
use crate::roles::worker_table::wait_for;
use crate::rules::Rules;
use crate::{Prefork, ProcessIdentity};

/// The signals that are read; all others are blocked.
const SIGNALS: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2];

/// How long a child may live after it has closed its port. A process closes its port when it ends, and a large one
/// takes a while from there to its very end.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct ParentState {
    pub(crate) me: ProcessIdentity,
    pub(crate) rules: Rules,
    pub(crate) phases: PhaseMachine,
    pub(crate) children: Children,
    pub(crate) factory: ChildFactory,
    pub(crate) listeners: ListenFds,
    /// The port to the parent; none in main.
    pub(crate) parent: Option<Port>,
    pub(crate) log: Logger,
    pub(crate) poller: Poller,
    pub(crate) signals: SignalFd,
    /// What the rules are to be told next.
    pub(crate) events: VecDeque<Event>,
    /// Room for one frame.
    pub(crate) buffer: Vec<u8>,
    /// Whether the kernel gives it the children of the dead.
    is_subreaper: bool,
    begin: Instant,
}

/// Why a child could not even be forked.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("prefork: {0}")]
    Prefork(#[source] io::Error),
    #[error("no port for it: {0}")]
    Port(#[source] io::Error),
    #[error(transparent)]
    Link(#[from] PortPolicyError),
    #[error(transparent)]
    Fork(#[from] ForkError),
    #[error("it cannot be watched: {0}")]
    Watch(#[source] io::Error),
}

impl ParentState {
    /// Takes over this process's signals.
    pub(crate) fn new(
        me: ProcessIdentity,
        rules: Rules,
        phases: PhaseMachine,
        factory: ChildFactory,
        listeners: ListenFds,
        log: Logger,
    ) -> io::Result<Self> {
        // A parent may have left SIGCHLD ignored, and then no child's end could be waited for.
        reset_signals()?;
        let is_subreaper = orphans::is_subreaper();
        // The ends of own children are read from their pidfds.
        let adoption = is_subreaper.then_some(Signal::SIGCHLD);
        let signals: Vec<Signal> = SIGNALS.into_iter().chain(adoption).collect();
        let signals = SignalFd::new(&signals)?;
        let poller = Poller::new()?;
        poller.add(&signals, Source::Signals)?;
        Ok(Self {
            me,
            rules,
            phases,
            children: Children::default(),
            factory,
            listeners,
            parent: None,
            log,
            poller,
            signals,
            events: VecDeque::new(),
            buffer: vec![0; MAX_FRAME],
            is_subreaper,
            begin: Instant::now(),
        })
    }

    pub(crate) fn now(&self) -> Time {
        Time::from_start(self.begin.elapsed())
    }

    /// How long nothing will happen if nobody says anything.
    pub(crate) fn limit(&self) -> Option<Duration> {
        // The parent's port has none: nothing that a parent may say is longer than a frame.
        let ports = self.children.iter().filter_map(|child| child.port.as_ref());
        let deadlines = ports.filter_map(Port::poll_timeout);
        let ends = self.children.iter().filter_map(|child| child.end_by);
        let own = self.rules.poll_timeout().into_iter().chain(self.phases.poll_timeout());
        let now = self.now();
        deadlines.chain(ends).chain(own).min().map(|deadline| deadline.saturating_since(now))
    }

    /// Forks a child, unless this process is on its way out.
    pub(crate) fn start(&mut self, key: ChildKey, life: Incarnation) {
        let failed = if self.phases.may_start() {
            self.fork(key, life).err().map(|error| ExitReason::Error(error.to_string()))
        } else {
            Some(ExitReason::Shutdown)
        };
        self.events.extend(failed.map(|reason| Event::StartFailed(life, reason)));
    }

    fn fork(&mut self, key: ChildKey, life: Incarnation) -> Result<(), StartError> {
        let place = self.rules.place(key);
        let (identity, Prefork { inherit, router_port }) =
            self.factory.prefork(key, place).map_err(StartError::Prefork)?;
        let link = PortPolicy::new(self.me.role, identity.role)?;
        let childs_link = PortPolicy::new(identity.role, self.me.role)?;
        let (ours, theirs) = SeqPacket::pair().map_err(StartError::Port)?;
        // What is buffered now would be in the child's buffer, too.
        let _ = io::stdout().flush();
        let parent = Pid::this();
        match fork()? {
            Fork::Child => {
                let plan = self.factory.take(place);
                let listeners = self.listeners.take(&plan.listeners());
                ChildInit {
                    identity,
                    plan,
                    port: theirs,
                    link: childs_link.with_peer_pid(parent.as_raw().unsigned_abs()),
                    parent,
                    inherited: inherit,
                    listeners,
                    logging: self.factory.logging.clone(),
                    new_process_group: self.me.role == Role::Main,
                }
                .live()
            }
            Fork::Parent(born) => {
                let port = Port::new(ours, link.with_peer_pid(born.pid.as_raw().unsigned_abs()));
                let mut child = Child::new(life, identity, born, port);
                child.router_port = router_port;
                self.watch(&child).map_err(|error| {
                    kill_and_reap(&mut child);
                    StartError::Watch(error)
                })?;
                slog::debug!(self.log, "child started"; "child" => %child.identity, "child_pid" => child.pid.as_raw());
                self.children.insert(child);
                Ok(())
            }
        }
    }

    fn watch(&self, child: &Child) -> io::Result<()> {
        let life = child.life.number();
        self.poller.add(&*child.pidfd, Source::Process(life))?;
        child.port.iter().try_for_each(|port| self.poller.add(port, Source::Port(life)))
    }

    /// Asks a child to leave. One that is not ready has nothing to finish and may not hear the word, so it is
    /// also terminated; a prototype always hears it.
    pub(crate) fn stop(&mut self, life: u64) {
        let killing = self.phases.phase() == Phase::Killing;
        let Some(child) = self.children.get_mut(life) else { return };
        if killing {
            child.kill();
        } else if child.mark_quit_sent() {
            let hears = child.ready || child.identity.role == Role::Prototype;
            let sent = child.port.as_mut().is_some_and(|port| port.send(&Message::Quit, Vec::new()).is_ok());
            if !sent || !hears {
                child.terminate();
            }
            self.update_child_interest(life);
        }
    }

    pub(crate) fn kill(&mut self, life: u64) {
        if let Some(child) = self.children.get_mut(life) {
            child.kill();
        }
    }

    /// Says something to a child. One that cannot be talked to is of no use.
    pub(crate) fn say(&mut self, life: u64, message: &Message, fds: Vec<Rc<dyn AsFd>>) {
        let Some(port) = self.children.get_mut(life).and_then(|child| child.port.as_mut()) else { return };
        match port.send(message, fds) {
            Ok(()) => self.update_child_interest(life),
            Err(error) => self.port_failed(life, &error),
        }
    }

    /// Says something to the parent. False when it cannot be talked to.
    pub(crate) fn send_to_parent(&mut self, message: &Message, fds: Vec<Rc<dyn AsFd>>) -> bool {
        let Some(port) = &mut self.parent else { return false };
        if let Err(error) = port.send(message, fds) {
            slog::error!(self.log, "the parent cannot be talked to"; "reason" => %error);
            return false;
        }
        self.update_parent_interest()
    }

    /// Asks to come back when the parent's port has room, if something waits for that. False when it cannot be.
    pub(crate) fn update_parent_interest(&mut self) -> bool {
        let Some(port) = &mut self.parent else { return false };
        let asked =
            port.write_interest().map(|want| self.poller.set_write_interest(&*port, Source::Parent, want));
        asked.is_none_or(|asked| asked.is_ok())
    }

    /// Asks to come back when a child's port has room, if something waits for that.
    pub(crate) fn update_child_interest(&mut self, life: u64) {
        let Some(port) = self.children.get_mut(life).and_then(|child| child.port.as_mut()) else { return };
        if let Some(want) = port.write_interest()
            && let Err(error) = self.poller.set_write_interest(&*port, Source::Port(life), want)
        {
            self.kill_broken(life, format!("its port cannot be watched: {error}"));
        }
    }

    /// A child whose port ended first is probably ending; its pidfd will say how.
    pub(crate) fn port_failed(&mut self, life: u64, error: &PortError) {
        match error {
            PortError::Io(error) if is_disconnected(error) => self.port_ended(life),
            error => self.kill_broken(life, error.to_string()),
        }
    }

    pub(crate) fn port_ended(&mut self, life: u64) {
        self.close_port(life);
        let end_by = self.now() + EXIT_TIMEOUT;
        if let Some(child) = self.children.get_mut(life) {
            child.end_by = Some(end_by);
        }
    }

    fn close_port(&mut self, life: u64) {
        if let Some(port) = self.children.get_mut(life).and_then(|child| child.port.take()) {
            self.poller.remove(&port);
        }
    }

    /// Kills a child that is broken: it does not do what a child of ours does.
    pub(crate) fn kill_broken(&mut self, life: u64, why: String) {
        self.close_port(life);
        if let Some(child) = self.children.get_mut(life) {
            child.end_by = None;
            let name = child.identity.to_string();
            slog::error!(self.log, "killed a broken child"; "child" => name, "child_pid" => child.pid.as_raw(), "reason" => &why);
            child.kill_broken(why);
        }
    }

    /// Takes a child that has ended out of everything.
    pub(crate) fn remove_exited(&mut self, life: u64) -> Option<Child> {
        let child = self.children.remove_exited(life)?;
        self.poller.remove(&*child.pidfd);
        if let Some(port) = &child.port {
            self.poller.remove(port);
        }
        Some(child)
    }

    /// Waits for ended processes that were given to this one, if any are.
    pub(crate) fn reap_orphans(&self) {
        if self.is_subreaper {
            orphans::reap(|pid| self.children.iter().any(|child| child.pid == pid));
        }
    }

    /// Children that have had their time: those that did not finish a message, and those that did not end.
    pub(crate) fn expired_children(&mut self) -> Vec<(u64, String)> {
        let now = self.now();
        let expired_children = |child: &mut Child| {
            if child.end_by.is_some_and(|end_by| end_by <= now) {
                return Some("it closed its port and lives on".to_owned());
            }
            child.port.as_mut()?.timeout(now).err().map(|error| error.to_string())
        };
        self.children
            .iter_mut()
            .filter_map(|child| expired_children(child).map(|why| (child.life.number(), why)))
            .collect()
    }

    /// Logs what the rules have to say.
    pub(crate) fn report(&self, report: &Report) {
        let (name, pid) = report.incarnation.and_then(|life| self.children.name(life)).unzip();
        let child = name.unwrap_or_else(|| report.child.to_string());
        let pid = pid.map(Pid::as_raw);
        let reason = report.reason.to_string();
        match report.kind {
            ReportKind::StartError => {
                slog::error!(self.log, "child did not start"; "child" => child, "child_pid" => pid, "reason" => reason);
            }
            ReportKind::ChildTerminated => {
                slog::error!(self.log, "child ended"; "child" => child, "child_pid" => pid, "reason" => reason);
            }
            ReportKind::ShutdownError => {
                slog::warn!(self.log, "child did not stop as told"; "child" => child, "child_pid" => pid, "reason" => reason);
            }
            ReportKind::GaveUp => {
                slog::crit!(self.log, "restart limit reached"; "child" => child, "child_pid" => pid, "reason" => reason);
            }
            kind => slog::debug!(self.log, "{}", kind.name(); "child" => child, "child_pid" => pid),
        }
    }
}

/// Whether the other end is closed, as who writes hears it; reset if it had not read everything.
fn is_disconnected(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Ends a child that nobody would hear of again.
fn kill_and_reap(child: &mut Child) {
    child.kill();
    wait_for(&child.pidfd, KILL_WAIT);
    let _ = child.pidfd.try_wait();
}
