//! Requests to a running supervisor.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use actix::{Context, Handler, Message};
use impresario_supervision::{ChildId, ChildInfo, Counts, ExitReason, Reply, Request, RequestError};
use tokio::sync::oneshot;

use crate::cell::Pid;
use crate::child::events::StartAck;
use crate::child::spec::{ChildSpec, Starter};
use crate::child::start_error::StartError;
use crate::context::ChildContext;
use crate::refs::child_ref::ChildRef;
use crate::refs::sys::SysError;
use crate::supervisor::Supervisor;
use crate::supervisor::actor::{RequestReply, SupervisorActor};
use crate::supervisor::error::SupervisorError;
use crate::supervisor::snapshot::{self, TreeNode};
use crate::supervisor::static_core::{PendingRequest, StaticCore};
use impresario_supervision::ChildRules;

/// Refers to a static supervisor through its restarts, and sends requests.
///
/// Requests are served in order, between restarts and never during one. They have no timeout, as in OTP: a
/// supervisor answers when the child that is starting or stopping is done.
#[derive(Clone)]
pub struct SupervisorRef(ChildRef<SupervisorActor<StaticCore>>);

impl SupervisorRef {
    /// A reference that resolves to no supervisor until a spec made from it is started.
    pub fn new() -> Self {
        Self(ChildRef::new())
    }

    /// A spec of a supervisor that this reference resolves to. Otherwise as [`ChildSpec::supervisor`].
    pub fn child_spec<F>(&self, id: impl Into<ChildId>, init: F) -> ChildSpec
    where
        F: Fn(&ChildContext) -> Result<Supervisor, StartError> + Send + Sync + 'static,
    {
        let id = id.into();
        self.0.supervisor_spec(id.clone(), move |env, ack| supervisor_actor(init(env)?, &id, env, ack))
    }

    /// The same with an async factory. Otherwise as [`ChildSpec::supervisor_async`].
    pub fn child_spec_async<F, M>(&self, id: impl Into<ChildId>, init: F) -> ChildSpec
    where
        F: Fn(ChildContext) -> M + Send + Sync + 'static,
        M: Future<Output = Result<Supervisor, StartError>> + 'static,
    {
        let id = id.into();
        self.0.supervisor_spec_async(id.clone(), move |env, ack| {
            let (id, made) = (id.clone(), init(env.clone()));
            async move { supervisor_actor(made.await?, &id, &env, ack) }
        })
    }

    /// The pid of the current incarnation.
    #[doc(alias = "whereis")]
    pub fn pid(&self) -> Option<Pid> {
        self.0.pid()
    }

    /// Stops it in order, its children in reverse, with this exit reason, and waits until it has exited (OTP:
    /// `gen_server:stop/3`). Its own supervisor decides what follows.
    ///
    /// # Errors
    ///
    /// When no supervisor is running.
    pub async fn stop(&self, reason: ExitReason) -> Result<ExitReason, SupervisorError> {
        let supervisor = self.pid().ok_or(SupervisorError::NotRunning)?;
        supervisor.cell().stop_with_reason(reason);
        Ok(supervisor.wait_exit().await)
    }

    /// Adds a child as the last one and starts it (OTP: `start_child/2`). `None` means that it is not needed
    /// now.
    ///
    /// # Errors
    ///
    /// When there is a child with this id, or the start fails; the spec is not kept then.
    pub async fn start_child(&self, child: ChildSpec) -> Result<Option<Pid>, SupervisorError> {
        let reply = self.request(Request::StartChild(child.rules), vec![child.starter]).await?;
        Ok(reply.pid)
    }

    /// Stops a child and keeps its spec, unless it is temporary (OTP: `terminate_child/2`).
    ///
    /// # Errors
    ///
    /// When there is no such child.
    pub async fn terminate_child(&self, child: impl Into<ChildId>) -> Result<(), SupervisorError> {
        self.request(Request::TerminateChild(child.into()), Vec::new()).await.map(drop)
    }

    /// Restarts a child that is down, or immediately one that waits for its backoff (OTP: `restart_child/2`).
    ///
    /// # Errors
    ///
    /// When there is no such child, it runs, or its start fails; the start is not retried.
    pub async fn restart_child(&self, child: impl Into<ChildId>) -> Result<Option<Pid>, SupervisorError> {
        Ok(self.request(Request::RestartChild(child.into()), Vec::new()).await?.pid)
    }

    /// Deletes the spec of a child that is down (OTP: `delete_child/2`).
    ///
    /// # Errors
    ///
    /// When there is no such child, or it runs.
    pub async fn delete_child(&self, child: impl Into<ChildId>) -> Result<(), SupervisorError> {
        self.request(Request::DeleteChild(child.into()), Vec::new()).await.map(drop)
    }

    /// The children, latest first (OTP: `which_children/1`).
    ///
    /// # Errors
    ///
    /// When no supervisor is running.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, SupervisorError> {
        match self.request(Request::WhichChildren, Vec::new()).await?.reply {
            Reply::Children(children) => Ok(children),
            _ => Ok(Vec::new()),
        }
    }

    /// Counts the children (OTP: `count_children/1`).
    ///
    /// # Errors
    ///
    /// When no supervisor is running.
    pub async fn count_children(&self) -> Result<Counts, SupervisorError> {
        match self.request(Request::CountChildren, Vec::new()).await?.reply {
            Reply::Counts(counts) => Ok(counts),
            _ => Ok(Counts::default()),
        }
    }

    /// The rules of a child, with all defaults (OTP: `get_childspec/2`).
    ///
    /// # Errors
    ///
    /// When there is no such child.
    #[doc(alias = "get_childspec")]
    pub async fn child_rules(&self, child: impl Into<ChildId>) -> Result<ChildRules, SupervisorError> {
        match self.request(Request::ChildSpec(child.into()), Vec::new()).await?.reply {
            Reply::Spec(rules) => Ok(rules),
            _ => Err(SupervisorError::Refused(RequestError::NotFound)),
        }
    }

    /// Replaces its flags and children by those of `with`, but keeps its logger (OTP: `code_change`).
    ///
    /// Nothing starts or stops, and counted restarts still count. A child with a known id keeps running and
    /// follows its new spec, its factory included, from its next restart. A new child is down until
    /// [`restart_child`](Self::restart_child) or a restart of its group. A child that is not in the new list
    /// stays and counts as started last: terminate and delete it. A restart of the supervisor itself calls its
    /// `init` again and forgets all of this.
    ///
    /// # Errors
    ///
    /// When the specs are invalid; nothing is changed then.
    #[doc(alias = "code_change")]
    pub async fn replace(&self, with: Supervisor) -> Result<(), SupervisorError> {
        let (flags, specs, starters) = with.into_parts();
        self.request(Request::ReplaceSpecs(flags, specs), starters).await.map(drop)
    }

    /// The pid of a child, if it runs. Answered even while the supervisor is suspended.
    ///
    /// # Errors
    ///
    /// When there is no such child, no supervisor is running, or it does not answer in time.
    pub async fn child_pid(&self, child: impl Into<ChildId>) -> Result<Option<Pid>, SupervisorError> {
        let supervisor = self.0.actor().ok_or(SupervisorError::NotRunning)?;
        let child = child.into();
        match supervisor.with_state(move |supervisor| supervisor.child(&child)).await {
            Ok(found) => found.ok_or(SupervisorError::Refused(RequestError::NotFound)),
            Err(SysError::Busy | SysError::Timeout(_)) => Err(SupervisorError::Busy),
            Err(_) => Err(SupervisorError::NotRunning),
        }
    }

    /// A snapshot of everything below this supervisor; see [`Tree::tree`](crate::Tree::tree).
    ///
    /// # Errors
    ///
    /// When no supervisor is running.
    pub async fn tree(&self) -> Result<TreeNode, SupervisorError> {
        Ok(snapshot::snapshot(&self.pid().ok_or(SupervisorError::NotRunning)?).await)
    }

    async fn request(
        &self,
        request: Request,
        starters: Vec<Arc<dyn Starter>>,
    ) -> Result<RequestReply, SupervisorError> {
        let (reply_to, reply) = oneshot::channel();
        // Through the queue of its child events, so that requests keep their order.
        self.0
            .cast(RequestMessage { request, pending: PendingRequest { reply: reply_to, starters } })
            .map_err(SupervisorError::from)?;
        match reply.await {
            Ok(RequestReply { reply: Reply::Error(error), .. }) => Err(SupervisorError::Refused(error)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(SupervisorError::NotRunning),
        }
    }
}

/// The actor of a supervisor. It acknowledges its start when all its children are ready.
fn supervisor_actor(
    supervisor: Supervisor,
    id: &ChildId,
    env: &ChildContext,
    ack: StartAck,
) -> Result<SupervisorActor<StaticCore>, StartError> {
    let env = env.supervisor(id, supervisor.log.clone());
    Ok(SupervisorActor::new(StaticCore::new(supervisor)?, env).with_start_ack(ack))
}

struct RequestMessage {
    request: Request,
    pending: PendingRequest,
}

impl Message for RequestMessage {
    type Result = ();
}

impl Handler<RequestMessage> for SupervisorActor<StaticCore> {
    type Result = ();

    fn handle(&mut self, RequestMessage { request, pending }: RequestMessage, ctx: &mut Context<Self>) {
        let now = self.now();
        self.core.request(now, request, pending);
        self.run_actions(ctx);
    }
}

impl Supervisor {
    /// A spec of this supervisor as a child of another: permanent, with no limit for its stop.
    pub fn child_spec(self, id: impl Into<ChildId>) -> ChildSpec {
        ChildSpec::supervisor(id, move |_| Ok(self.clone()))
    }
}

impl ChildSpec {
    /// A nested supervisor. The function is called for every incarnation (OTP: the callback `init`).
    pub fn supervisor<F>(id: impl Into<ChildId>, init: F) -> Self
    where
        F: Fn(&ChildContext) -> Result<Supervisor, StartError> + Send + Sync + 'static,
    {
        SupervisorRef::new().child_spec(id, init)
    }

    /// A nested supervisor with an async function, as with [`actor_async`](Self::actor_async).
    pub fn supervisor_async<F, M>(id: impl Into<ChildId>, init: F) -> Self
    where
        F: Fn(ChildContext) -> M + Send + Sync + 'static,
        M: Future<Output = Result<Supervisor, StartError>> + 'static,
    {
        SupervisorRef::new().child_spec_async(id, init)
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
