//! What a running supervisor can be asked.

use std::fmt;
use std::sync::Arc;

use actix::{Context, Handler, Message};
use impresario_supervision as rules;
use impresario_supervision::{ChildId, ChildInfo, Counts, Incarnation, Reply, Request, RequestError};
use tokio::sync::oneshot;

use crate::driver::Driver;
use crate::notify::Notify;
use crate::spec::{ChildSpec, Starter, spawn};
use crate::static_plan::{Asked, Static};
use crate::tree::{self, TreeNode};
use crate::{ChildRef, Env, Pid, StartError, Supervisor};

/// Names a static supervisor, through all its lives, and asks it for things.
///
/// Requests are served in order, between restarts and never during one. They have no time-out, as in OTP: a supervisor
/// answers as soon as the child that is starting or stopping has done so.
#[derive(Clone)]
pub struct SupervisorRef(ChildRef<Driver<Static>>);

/// Why a supervisor did not do what it was asked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AdminError {
    /// The supervisor is not there (OTP: `noproc`).
    NotRunning,
    /// It refused, or it could not.
    Refused(RequestError),
}

impl SupervisorRef {
    /// A name that leads nowhere until a spec made from it is started.
    pub fn new() -> Self {
        Self(ChildRef::new())
    }

    /// A supervisor that this name leads to. Otherwise as [`ChildSpec::supervisor`].
    pub fn child_spec<F>(&self, id: impl Into<ChildId>, init: F) -> ChildSpec
    where
        F: Fn(&Env) -> Result<Supervisor, StartError> + Send + Sync + 'static,
    {
        let id = id.into();
        let rules = rules::ChildSpec::supervisor(id.clone());
        ChildSpec { rules, starter: Arc::new(SupervisorStarter { init, id, name: self.0.clone() }) }
    }

    /// Adds a child as the last one and starts it (OTP: `start_child/2`). `None` means that it is not needed now.
    ///
    /// # Errors
    ///
    /// When there is such a child already, or it does not start; nothing is kept of it then.
    pub async fn start_child(&self, child: ChildSpec) -> Result<Option<Incarnation>, AdminError> {
        started(&self.ask(Request::StartChild(child.rules), Some(child.starter)).await?)
    }

    /// Stops a child and keeps its spec, unless it is temporary (OTP: `terminate_child/2`).
    ///
    /// # Errors
    ///
    /// When there is no such child.
    pub async fn terminate_child(&self, child: impl Into<ChildId>) -> Result<(), AdminError> {
        self.ask(Request::TerminateChild(child.into()), None).await.map(drop)
    }

    /// Starts a child that is down, or at once one that waits for its backoff (OTP: `restart_child/2`).
    ///
    /// # Errors
    ///
    /// When there is no such child, it runs, or it does not start; it is not tried again then.
    pub async fn restart_child(&self, child: impl Into<ChildId>) -> Result<Option<Incarnation>, AdminError> {
        started(&self.ask(Request::RestartChild(child.into()), None).await?)
    }

    /// Drops the spec of a child that is down (OTP: `delete_child/2`).
    ///
    /// # Errors
    ///
    /// When there is no such child, or it runs.
    pub async fn delete_child(&self, child: impl Into<ChildId>) -> Result<(), AdminError> {
        self.ask(Request::DeleteChild(child.into()), None).await.map(drop)
    }

    /// The children, latest first (OTP: `which_children/1`).
    ///
    /// # Errors
    ///
    /// When the supervisor is not there.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, AdminError> {
        match self.ask(Request::WhichChildren, None).await? {
            Reply::Children(children) => Ok(children),
            _ => Ok(Vec::new()),
        }
    }

    /// How many children there are (OTP: `count_children/1`).
    ///
    /// # Errors
    ///
    /// When the supervisor is not there.
    pub async fn count_children(&self) -> Result<Counts, AdminError> {
        match self.ask(Request::CountChildren, None).await? {
            Reply::Counts(counts) => Ok(counts),
            _ => Ok(Counts::default()),
        }
    }

    /// Which life a child has now, if it has one. Answered even while the supervisor is suspended.
    ///
    /// # Errors
    ///
    /// When there is no such child, or the supervisor is not there or has no time.
    pub async fn child_pid(&self, child: impl Into<ChildId>) -> Result<Option<Pid>, AdminError> {
        let supervisor = self.0.actor().ok_or(AdminError::NotRunning)?;
        let child = child.into();
        match supervisor.with_state(move |driver| driver.child(&child)).await {
            Ok(found) => found.ok_or(AdminError::Refused(RequestError::NotFound)),
            Err(_) => Err(AdminError::NotRunning),
        }
    }

    /// Which life the supervisor has now, if it has one.
    pub fn pid(&self) -> Option<Pid> {
        self.0.pid()
    }

    /// Everything under this supervisor, as it is now; see [`Tree::tree`](crate::Tree::tree).
    ///
    /// # Errors
    ///
    /// When the supervisor is not there.
    pub async fn tree(&self) -> Result<TreeNode, AdminError> {
        Ok(tree::of(&self.pid().ok_or(AdminError::NotRunning)?).await)
    }

    async fn ask(&self, request: Request, starter: Option<Arc<dyn Starter>>) -> Result<Reply, AdminError> {
        let supervisor = self.0.addr().ok_or(AdminError::NotRunning)?;
        let (answer, reply) = oneshot::channel();
        supervisor.do_send(Ask { request, asked: Asked { answer, starter } });
        match reply.await {
            Ok(Reply::Error(error)) => Err(AdminError::Refused(error)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(AdminError::NotRunning),
        }
    }
}

fn started(reply: &Reply) -> Result<Option<Incarnation>, AdminError> {
    match reply {
        Reply::Started(_, life) => Ok(Some(*life)),
        _ => Ok(None),
    }
}

struct Ask {
    request: Request,
    asked: Asked,
}

impl Message for Ask {
    type Result = ();
}

impl Handler<Ask> for Driver<Static> {
    type Result = ();

    fn handle(&mut self, Ask { request, asked }: Ask, ctx: &mut Context<Self>) {
        let now = self.now();
        self.plan.ask(now, request, asked);
        self.play(ctx);
    }
}

/// Starts supervisors. They say themselves when they are ready: after all their children.
struct SupervisorStarter<F> {
    init: F,
    id: ChildId,
    name: ChildRef<Driver<Static>>,
}

impl<F> Starter for SupervisorStarter<F>
where
    F: Fn(&Env) -> Result<Supervisor, StartError> + Send + Sync,
{
    fn start(&self, env: Env, notify: Notify) {
        let ack = notify.ack();
        let factory = |env: &Env| {
            let supervisor = (self.init)(env)?;
            let env = env.supervisor(&self.id, supervisor.log.clone());
            Ok(Driver::new(Static::new(supervisor)?, env).acknowledge_by(ack))
        };
        spawn(&env, notify, false, factory, |life| self.name.publish(life));
    }
}

impl Default for SupervisorRef {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SupervisorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SupervisorRef")
    }
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning => f.write_str("the supervisor is not running"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AdminError {}
