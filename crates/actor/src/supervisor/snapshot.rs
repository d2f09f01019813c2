//! A snapshot of a running tree.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures::future::join_all;
use impresario_supervision::{ChildKind, ChildStage, ChildStatus, Strategy, Time};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::cell::Pid;

/// Time limit of a whole snapshot.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(1);

/// One child of a tree with everything below it (OTP: a node in `observer`). Its `Display` is the tree as text,
/// one line per child.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TreeNode {
    /// Its id.
    pub id: String,
    /// Worker or supervisor.
    pub kind: ChildKind,
    /// Its state.
    pub state: NodeState,
    /// Its pid, if it runs.
    pub pid: Option<Pid>,
    /// Number of its restarts, for any cause.
    pub restarts: u64,
    /// Number of its queued messages; see [`Pid::queued`].
    pub queued: usize,
    /// Time since its start.
    pub uptime: Option<Duration>,
    /// Its children; `None` if it is a worker or does not run.
    pub below: Option<Subtree>,
}

/// State of a child of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeState {
    /// Down, and not about to be restarted.
    Down,
    /// Starting: not ready yet.
    Starting,
    /// Ready.
    Running,
    /// Suspended: running, but handling no message until it is resumed.
    Suspended,
    /// Stopping: has a stop request and has not exited.
    Stopping,
    /// Exited, and about to be restarted.
    Restarting,
    /// Exited; restarted when its backoff has passed, after this time.
    Waiting(Duration),
}

/// The children of a supervisor of a tree.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Subtree {
    /// It did not answer in time: its arbiter is blocked, or it is still starting.
    NoAnswer,
    /// These children.
    #[non_exhaustive]
    Children {
        /// Its strategy; `None` if they are independent instances.
        strategy: Option<Strategy>,
        /// In start order.
        children: Vec<TreeNode>,
        /// Number of further children that are not listed.
        more: usize,
    },
}

/// The children of a supervisor, as it reports them.
pub(crate) struct SupervisorSnapshot {
    /// The id of the supervisor.
    pub(crate) id: String,
    /// `None` for a dynamic supervisor.
    pub(crate) strategy: Option<Strategy>,
    /// The time to which its deadlines relate.
    pub(crate) now: Time,
    /// The children that are listed, each with its process if it runs.
    pub(crate) children: Vec<(ChildStatus, Option<Pid>)>,
    /// Number of further children.
    pub(crate) more: usize,
}

/// The snapshot of a supervisor and everything below it.
pub(crate) async fn snapshot(root: &Pid) -> TreeNode {
    let (id, below) = subtree(root.clone(), Instant::now() + SNAPSHOT_TIMEOUT).await;
    if !root.is_alive() {
        return node("root".to_owned(), ChildKind::Supervisor, NodeState::Down, 0, None, None);
    }
    let state = if root.cell().is_suspended() { NodeState::Suspended } else { NodeState::Running };
    // A root is never restarted; the restarts of any other supervisor are known to its parent.
    let id = id.unwrap_or_else(|| "root".to_owned());
    node(id, ChildKind::Supervisor, state, 0, Some(root.clone()), Some(below))
}

fn node(
    id: String,
    kind: ChildKind,
    state: NodeState,
    restarts: u64,
    pid: Option<Pid>,
    below: Option<Subtree>,
) -> TreeNode {
    let uptime = pid.as_ref().map(Pid::uptime);
    let queued = pid.as_ref().map_or(0, |pid| pid.cell().queued());
    TreeNode { id, kind, state, pid, restarts, queued, uptime, below }
}

type SnapshotFuture = Pin<Box<dyn Future<Output = (Option<String>, Subtree)> + Send>>;

/// The id of a supervisor and the nodes below it. All supervisors are asked concurrently with one deadline, so one that
/// does not reply costs the others no time.
fn subtree(pid: Pid, deadline: Instant) -> SnapshotFuture {
    Box::pin(async move {
        let Some(snapshot) = supervisor_snapshot(&pid, deadline).await else {
            return (None, Subtree::NoAnswer);
        };
        let SupervisorSnapshot { id, strategy, now, children, more } = snapshot;
        let children =
            join_all(children.into_iter().map(|(child, pid)| child_node(child, pid, now, deadline)));
        (Some(id), Subtree::Children { strategy, children: children.await, more })
    })
}

async fn supervisor_snapshot(pid: &Pid, deadline: Instant) -> Option<SupervisorSnapshot> {
    let snapshot_fn = pid.cell().snapshot_fn()?;
    let (reply, snapshot) = oneshot::channel();
    if !pid.cell().push_system_message(snapshot_fn(Box::new(reply))) {
        return None;
    }
    timeout_at(deadline, snapshot).await.ok()?.ok()
}

async fn child_node(child: ChildStatus, pid: Option<Pid>, now: Time, deadline: Instant) -> TreeNode {
    let below = match &pid {
        Some(pid) if child.kind == ChildKind::Supervisor => Some(subtree(pid.clone(), deadline).await.1),
        _ => None,
    };
    let suspended = pid.as_ref().is_some_and(|pid| pid.cell().is_suspended());
    let state = match child.stage {
        ChildStage::Starting(_) => NodeState::Starting,
        ChildStage::Running(_) if suspended => NodeState::Suspended,
        ChildStage::Running(_) => NodeState::Running,
        ChildStage::Stopping(_) => NodeState::Stopping,
        ChildStage::Restarting => NodeState::Restarting,
        ChildStage::Waiting(until) => NodeState::Waiting(until.saturating_since(now)),
        _ => NodeState::Down,
    };
    node(child.id.to_string(), child.kind, state, child.restarts, pid, below)
}

impl TreeNode {
    /// The first child with this id at any depth, in display order.
    pub fn find(&self, id: &str) -> Option<&Self> {
        if self.id == id {
            return Some(self);
        }
        self.children().iter().find_map(|child| child.find(id))
    }

    /// The listed children, in start order.
    pub fn children(&self) -> &[Self] {
        match &self.below {
            Some(Subtree::Children { children, .. }) => children,
            _ => &[],
        }
    }

    fn write_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if let Some(pid) = &self.pid {
            write!(f, " {pid}")?;
        }
        match &self.below {
            Some(Subtree::Children { strategy: Some(strategy), .. }) => {
                write!(f, " {}", strategy_name(*strategy))?;
            }
            Some(Subtree::Children { strategy: None, .. }) => f.write_str(" dynamic")?,
            _ => {}
        }
        write!(f, " {}", self.state)?;
        if let Some(uptime) = self.uptime {
            write!(f, ", {} s", uptime.as_secs())?;
        }
        if self.restarts > 0 {
            write!(f, ", restarts {}", self.restarts)?;
        }
        if self.queued > 0 {
            write!(f, ", queued {}", self.queued)?;
        }
        writeln!(f)
    }

    fn write_subtree(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
        let (children, more) = match &self.below {
            None => return Ok(()),
            Some(Subtree::NoAnswer) => return writeln!(f, "{indent}└─ (no answer)"),
            Some(Subtree::Children { children, more, .. }) => (children, *more),
        };
        for (at, child) in children.iter().enumerate() {
            let last = at + 1 == children.len() && more == 0;
            write!(f, "{indent}{}", if last { "└─ " } else { "├─ " })?;
            child.write_line(f)?;
            child.write_subtree(f, &format!("{indent}{}", if last { "   " } else { "│  " }))?;
        }
        if more > 0 {
            writeln!(f, "{indent}└─ (and {more} more)")?;
        }
        Ok(())
    }
}

fn strategy_name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::OneForOne => "one_for_one",
        Strategy::OneForAll => "one_for_all",
        Strategy::RestForOne => "rest_for_one",
    }
}

impl fmt::Display for TreeNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_line(f)?;
        self.write_subtree(f, "")
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("down"),
            Self::Starting => f.write_str("starting"),
            Self::Running => f.write_str("running"),
            Self::Suspended => f.write_str("suspended"),
            Self::Stopping => f.write_str("stopping"),
            Self::Restarting => f.write_str("restarting"),
            Self::Waiting(time) => write!(f, "restarting in {} ms", time.as_millis()),
        }
    }
}
