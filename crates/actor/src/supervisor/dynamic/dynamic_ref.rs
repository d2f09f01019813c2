//! A reference to a dynamic supervisor, for requests.

use std::fmt;
use std::future::Future;

use impresario_supervision::{ChildId, Counts, ExitReason, Reply, RequestError};
use tokio::sync::oneshot;

use crate::cell::Pid;
use crate::child::events::StartAck;
use crate::child::spec::ChildSpec;
use crate::child::start_error::StartError;
use crate::context::ChildContext;
use crate::refs::child_ref::ChildRef;
use crate::supervisor::actor::{RequestReply, SupervisorActor};
use crate::supervisor::dynamic::core::{DynamicCore, RunRequest, StartInstance};
use crate::supervisor::dynamic::{DynamicSupervisor, Instance};
use crate::supervisor::error::SupervisorError;
use impresario_supervision::ChildRules;

/// Refers to a [`DynamicSupervisor`] through its restarts, and sends requests.
///
/// An instance is identified by its [`Pid`]: one incarnation; a restart gets a new one.
pub struct DynamicRef<T: Send + 'static>(ChildRef<SupervisorActor<DynamicCore<T>>>);

impl<T: Send + 'static> DynamicRef<T> {
    /// A reference that resolves to no supervisor until a spec made from it is started.
    pub fn new() -> Self {
        Self(ChildRef::new())
    }

    /// A spec of the supervisor as a child of another: permanent, with no limit for its stop. Its instances are
    /// lost when it restarts.
    pub fn child_spec(&self, id: impl Into<ChildId>, supervisor: DynamicSupervisor<T>) -> ChildSpec {
        let id = id.into();
        self.0
            .supervisor_spec(id.clone(), move |env, ack| supervisor_actor(supervisor.clone(), &id, env, ack))
    }

    /// The same with an async factory that is called for every incarnation. Otherwise as
    /// [`child_spec`](Self::child_spec).
    pub fn child_spec_async<F, M>(&self, id: impl Into<ChildId>, init: F) -> ChildSpec
    where
        F: Fn(ChildContext) -> M + Send + Sync + 'static,
        M: Future<Output = Result<DynamicSupervisor<T>, StartError>> + 'static,
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

    /// Starts an instance and does not wait. A failed start drops the arguments.
    ///
    /// # Errors
    ///
    /// Returns the arguments when no supervisor is running or its queue is full.
    pub fn start(&self, arguments: T) -> Result<(), T> {
        self.0.cast(StartInstance(arguments)).map_err(|refused| refused.into_message().0)
    }

    /// Starts an instance and waits until it is ready (OTP: `start_child/2`). `None` means that the factory
    /// returned `Ignore`; the supervisor keeps no record then.
    ///
    /// # Errors
    ///
    /// When the start fails, which is not retried; or immediately, at `max_children`.
    pub async fn start_child(&self, arguments: T) -> Result<Option<Pid>, SupervisorError> {
        let reply = self
            .request(move |supervisor, reply_to| supervisor.start_instance(arguments, Some(reply_to)))
            .await?;
        check_reply(reply).map(|reply| reply.pid)
    }

    /// Stops an instance and forgets it (OTP: `terminate_child/2`). It is identified by its pid or, if it waits
    /// for a restart, by its last pid. An instance that has exited already is not an error.
    ///
    /// # Errors
    ///
    /// When the pid runs, but is not an instance of this supervisor.
    pub async fn terminate_child(&self, pid: &Pid) -> Result<(), SupervisorError> {
        let pid = pid.clone();
        let reply =
            self.request(move |supervisor, reply_to| supervisor.terminate_instance(&pid, reply_to)).await?;
        check_reply(reply).map(drop)
    }

    /// Restarts an instance that waits for its backoff immediately; it is identified by its last pid.
    ///
    /// # Errors
    ///
    /// When there is no such instance, it runs, or its start fails; then it is retried.
    pub async fn restart_child(&self, pid: &Pid) -> Result<Option<Pid>, SupervisorError> {
        let pid = pid.clone();
        let reply =
            self.request(move |supervisor, reply_to| supervisor.restart_instance(&pid, reply_to)).await?;
        check_reply(reply).map(|reply| reply.pid)
    }

    /// The instances, oldest first (OTP: `which_children/1`), without those in their first start.
    ///
    /// # Errors
    ///
    /// When no supervisor is running.
    pub async fn which_children(&self) -> Result<Vec<Instance>, SupervisorError> {
        self.request(|supervisor, reply_to| send(reply_to, supervisor.instances())).await
    }

    /// Counts the instances (OTP: `count_children/1`); `specs` is 1.
    ///
    /// # Errors
    ///
    /// When no supervisor is running.
    pub async fn count_children(&self) -> Result<Counts, SupervisorError> {
        self.request(|supervisor, reply_to| send(reply_to, supervisor.count_instances())).await
    }

    /// The rules of every instance, with all defaults (OTP: `get_childspec/2`).
    ///
    /// # Errors
    ///
    /// When no supervisor is running.
    pub async fn child_rules(&self) -> Result<ChildRules, SupervisorError> {
        self.request(|supervisor, reply_to| send(reply_to, supervisor.template())).await
    }

    /// Replaces its rules and its factory by those of `with`, but keeps its logger (OTP: `code_change`).
    /// Instances keep running and follow the new ones from now on. Arguments that were not kept, because
    /// instances were temporary, stay lost: such an instance is forgotten instead of restarted.
    ///
    /// # Errors
    ///
    /// When the rules are invalid; nothing is changed then.
    #[doc(alias = "code_change")]
    pub async fn replace(&self, with: DynamicSupervisor<T>) -> Result<(), SupervisorError> {
        let replaced = self.request(|supervisor, reply_to| send(reply_to, supervisor.replace(with))).await?;
        replaced.map_err(|error| SupervisorError::Refused(RequestError::Spec(error)))
    }

    /// Stops it in order, with this exit reason, and waits until it has exited; see
    /// [`SupervisorRef::stop`](crate::SupervisorRef::stop).
    ///
    /// # Errors
    ///
    /// When no supervisor is running.
    pub async fn stop(&self, reason: ExitReason) -> Result<ExitReason, SupervisorError> {
        let supervisor = self.pid().ok_or(SupervisorError::NotRunning)?;
        supervisor.cell().stop_with_reason(reason);
        Ok(supervisor.wait_exit().await)
    }

    async fn request<R: Send + 'static>(
        &self,
        request: impl FnOnce(&mut SupervisorActor<DynamicCore<T>>, oneshot::Sender<R>) + Send + 'static,
    ) -> Result<R, SupervisorError> {
        let (reply_to, reply) = oneshot::channel();
        // Through the queue of its child events, so that requests keep their order.
        self.0
            .cast(RunRequest(Box::new(move |supervisor| request(supervisor, reply_to))))
            .map_err(SupervisorError::from)?;
        reply.await.map_err(|_| SupervisorError::NotRunning)
    }
}

/// The actor of a dynamic supervisor.
fn supervisor_actor<T: Send + 'static>(
    supervisor: DynamicSupervisor<T>,
    id: &ChildId,
    env: &ChildContext,
    ack: StartAck,
) -> Result<SupervisorActor<DynamicCore<T>>, StartError> {
    let env = env.supervisor(id, supervisor.log.clone());
    Ok(SupervisorActor::new(DynamicCore::new(supervisor, id)?, env).with_start_ack(ack))
}

/// An error means that the caller dropped its future. Nothing is left to do.
fn send<R>(reply_to: oneshot::Sender<R>, reply: R) {
    let _ = reply_to.send(reply);
}

fn check_reply(reply: RequestReply) -> Result<RequestReply, SupervisorError> {
    match reply.reply {
        Reply::Error(error) => Err(SupervisorError::Refused(error)),
        _ => Ok(reply),
    }
}

impl<T: Send + 'static> DynamicSupervisor<T> {
    /// A spec of this supervisor as a child of another, without a reference to it. Most programs want
    /// [`DynamicRef::child_spec`].
    pub fn child_spec(self, id: impl Into<ChildId>) -> ChildSpec {
        DynamicRef::new().child_spec(id, self)
    }
}

impl<T: Send + 'static> Default for DynamicRef<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + 'static> Clone for DynamicRef<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> fmt::Debug for DynamicRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicRef<{}>", std::any::type_name::<T>())
    }
}
