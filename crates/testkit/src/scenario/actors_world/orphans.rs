//! What becomes of processes whose supervisor is dead.
//!
//! A supervisor of ours that is killed takes its actors with it at once. In OTP its children get an exit signal: who
//! traps it ends in its own time, and a supervisor stops its children first. So they are played on without actors. What
//! is left out: such a supervisor restarts nobody any more, while OTP's does until it reads the signal.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use impresario_actor::{ExitReason, Restart, Shutdown};
use tokio::time::{Instant, timeout_at};

use super::clock::{pass, pass_until};
use super::host::Word;
use super::stage::{Body, Name, Process, Stage, UnderWay};
use crate::scenario::term::reason_text;
use crate::scenario::world::ProcessId;

impl Stage {
    /// A supervisor that had started is over.
    pub(super) fn supervisor_ended(self: &Arc<Self>, process: ProcessId, reason: &ExitReason) {
        {
            let mut cast = self.cast();
            cast.notice_deaths();
            if !cast.is_alive(process) {
                return;
            }
            if *reason == ExitReason::Killed && cast.is_abandoned(process) {
                // Whoever abandoned it plays it on.
                cast.processes[process.0].orphan = true;
            }
            if cast.processes[process.0].orphan {
                return;
            }
        }
        self.die(process, reason);
        self.abandon_children_of(process, reason);
        self.refuse_letters(process, reason);
    }

    pub(super) fn abandon_children_of(self: &Arc<Self>, process: ProcessId, reason: &ExitReason) {
        let mut abandoned = self.living_children(process);
        {
            let mut cast = self.cast();
            abandoned.iter().for_each(|child| cast.processes[child.0].orphan = true);
            abandoned.retain(|child| {
                let child = &cast.processes[child.0];
                child.linked || matches!(child.body, Body::Worker { dying: Some(_), .. })
            });
            // Who does not trap exits is dead before others have read of it.
            abandoned.sort_by_key(|child| {
                !matches!(cast.processes[child.0].body, Body::Worker { traps: None, .. })
            });
        }
        abandoned.into_iter().for_each(|child| self.exit_signal(child, reason));
    }

    fn living_children(&self, process: ProcessId) -> Vec<ProcessId> {
        let cast = self.cast();
        let all = (0..cast.processes.len()).map(ProcessId);
        all.filter(|child| cast.processes[child.0].parent == Some(process) && cast.is_alive(*child)).collect()
    }

    /// An exit signal reaches a process that nobody plays.
    pub(super) fn exit_signal(self: &Arc<Self>, process: ProcessId, reason: &ExitReason) {
        let mut cast = self.cast();
        if !cast.is_alive(process) {
            return;
        }
        let (end, reason) = match &mut cast.processes[process.0].body {
            Body::Worker { dying: Some((until, own)), .. } => (Some(*until), own.clone()),
            Body::Worker { traps: None, .. } if *reason == ExitReason::Normal => return,
            Body::Worker { traps: None, .. } => (None, reason.clone()),
            Body::Worker { traps: Some(traps), dying, .. } => match traps.end(reason) {
                None => return,
                Some((None, reason)) => (None, reason),
                Some((Some(delay), reason)) => {
                    let until = Instant::now() + delay;
                    *dying = Some((until, reason.clone()));
                    (Some(until), reason)
                }
            },
            Body::Supervisor(_) => {
                drop(cast);
                let mut end = Box::pin(self.clone().terminate_orphan(process, reason.clone()));
                // What needs no time it does now.
                if end.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                    actix_rt::spawn(end);
                }
                return;
            }
        };
        drop(cast);
        let stage = self.clone();
        match end {
            None => stage.die(process, &reason),
            Some(until) => drop(actix_rt::spawn(async move {
                pass_until(until).await;
                stage.die(process, &reason);
            })),
        }
    }

    /// A supervisor that nobody plays stops its children, and ends.
    async fn terminate_orphan(self: Arc<Self>, process: ProcessId, reason: ExitReason) {
        let (specs, dynamic, under_way, reason) = {
            let mut cast = self.cast();
            let Some(known) = cast.supervisor(process) else { return };
            let dynamic = matches!(known.name, Name::Dynamic(_));
            // It goes on with what it was told before.
            let reason = known.told.map_or(reason, |_| ExitReason::Shutdown);
            (known.checked.specs.clone(), dynamic, known.under_way.take(), reason)
        };
        // It reads nothing while a start function runs in it.
        if let Some(start) = under_way.filter(|start| !dynamic && start.until > Instant::now()) {
            self.finish(process, start).await;
        }
        let mut children = self.living_children(process);
        for child in &children {
            self.cast().processes[child.0].orphan = true;
        }
        let place = |child: &ProcessId| {
            let cast = self.cast();
            let id = &cast.processes[child.0].id;
            if dynamic { Some(0) } else { specs.iter().position(|spec| spec.id.as_str() == id) }
        };
        children.sort_by_key(|child| place(child).map_or(usize::MAX, |at| at));
        let spec_of = |child: &ProcessId| place(child).and_then(|at| specs.get(at));
        if dynamic {
            children
                .iter()
                .for_each(|child| self.tell_orphan(*child, spec_of(child).map(|spec| spec.shutdown)));
        }
        for child in children.iter().rev() {
            let Some(spec) = spec_of(child) else { continue };
            if !dynamic {
                self.tell_orphan(*child, Some(spec.shutdown));
            }
            let ended = self.await_end(*child, spec.shutdown).await;
            let expected = match spec.shutdown {
                Shutdown::Kill => ended == ExitReason::Killed,
                _ => ended == ExitReason::Shutdown,
            } || (spec.restart != Restart::Permanent && ended.is_clean());
            if !expected {
                self.write(format!("report shutdown_error {} {}", spec.id, reason_text(&ended)));
            }
        }
        // Others have their turn before it is over.
        tokio::task::yield_now().await;
        self.die(process, &reason);
    }

    /// A start function returns in a supervisor that nobody plays.
    async fn finish(self: &Arc<Self>, parent: ProcessId, start: UnderWay) {
        pass_until(start.until).await;
        if !self.cast().is_alive(parent) {
            return;
        }
        let UnderWay { id, number, attempt, traps, pid, .. } = start;
        if let Some((line, failed)) = attempt.failure(&id, number) {
            self.write(line);
            if let Some(reason) = failed {
                self.write(format!("report start_error {id} {}", reason_text(&reason)));
            }
            return;
        }
        let process = self.cast().born(Process {
            id,
            attempt: number,
            parent: Some(parent),
            pid,
            body: Body::Worker { traps, host: None, dying: None, told: None },
            linked: true,
            orphan: true,
            announced: false,
            extra: false,
            exit: None,
        });
        self.announce(process);
        if let Some(after) = attempt.exit_after {
            actix_rt::spawn(self.clone().exits_after(process, after, attempt.reason.to_reason()));
        }
    }

    /// A worker exits by itself when this time is over, whoever plays it then.
    pub(super) async fn exits_after(
        self: Arc<Self>,
        process: ProcessId,
        after: Duration,
        reason: ExitReason,
    ) {
        pass(after).await;
        if !self.cast().is_alive(process) {
            return;
        }
        let host = match &self.cast().processes[process.0] {
            Process { orphan: false, body: Body::Worker { host, .. }, .. } => host.clone(),
            _ => None,
        };
        match host {
            Some(host) => host.do_send(Word::ExitSelf(reason)),
            None => self.orphan_exits(process, &reason),
        }
    }

    fn traps(&self, process: ProcessId) -> bool {
        !matches!(self.cast().processes[process.0].body, Body::Worker { traps: None, .. })
    }

    fn tell_orphan(self: &Arc<Self>, child: ProcessId, shutdown: Option<Shutdown>) {
        match shutdown {
            Some(Shutdown::Kill) => self.kill_orphan(child),
            // Who traps it does not come to its turn before it is killed.
            Some(Shutdown::Timeout(Duration::ZERO)) if self.traps(child) => self.kill_orphan(child),
            _ => self.exit_signal(child, &ExitReason::Shutdown),
        }
    }

    /// A worker that nobody plays exits by itself.
    pub(super) fn orphan_exits(self: &Arc<Self>, process: ProcessId, reason: &ExitReason) {
        let dying = matches!(self.cast().processes[process.0].body, Body::Worker { dying: Some(_), .. });
        if !dying {
            self.die(process, reason);
        }
    }

    /// Kills a process that nobody plays.
    pub(super) fn kill_orphan(self: &Arc<Self>, process: ProcessId) {
        self.die(process, &ExitReason::Killed);
        self.abandon_children_of(process, &ExitReason::Killed);
    }

    async fn await_end(self: &Arc<Self>, child: ProcessId, shutdown: Shutdown) -> ExitReason {
        let ended = self.until(|cast| !cast.is_alive(child));
        match shutdown {
            Shutdown::Timeout(time) => {
                let told = self.cast().told(child).unwrap_or_else(Instant::now);
                if timeout_at(told + time, ended).await.is_err() {
                    self.kill_orphan(child);
                }
            }
            Shutdown::Kill | Shutdown::Infinity => ended.await,
        }
        self.cast().processes[child.0].exit.clone().unwrap_or(ExitReason::Killed)
    }

    /// Waits until something holds.
    pub(super) async fn until(&self, holds: impl Fn(&super::stage::Cast) -> bool) {
        loop {
            let moved = self.moved.notified();
            let mut moved = std::pin::pin!(moved);
            moved.as_mut().enable();
            if holds(&self.cast()) {
                return;
            }
            moved.await;
        }
    }
}
