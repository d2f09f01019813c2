//! The name of a dynamic supervisor, and what it can be asked.

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

/// Names a [`DynamicSupervisor`], through all its lives, and asks it for things.
///
/// Instances are known by their [`Pid`]: each is one life, and a restart makes a new one.
pub struct DynamicRef<T: Send + 'static>(ChildRef<SupervisorActor<DynamicCore<T>>>);

impl<T: Send + 'static> DynamicRef<T> {
    /// A name that leads nowhere until the spec made from it is started.
    pub fn new() -> Self {
        Self(ChildRef::new())
    }

    /// The supervisor, as a child of another, that this name leads to: permanent, and waited for without end when it
    /// stops. Its instances are lost with it.
    pub fn child_spec(&self, id: impl Into<ChildId>, supervisor: DynamicSupervisor<T>) -> ChildSpec {
        let id = id.into();
        self.0
            .supervisor_spec(id.clone(), move |env, ack| supervisor_actor(supervisor.clone(), &id, env, ack))
    }

    /// The supervisor, made in time by a function that runs anew for every life. Otherwise as
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

    /// Which life it leads to.
    #[doc(alias = "whereis")]
    pub fn pid(&self) -> Option<Pid> {
        self.0.pid()
    }

    /// Starts an instance and does not wait. Whether it came to life is for its arguments to tell: if not, they are
    /// dropped.
    ///
    /// # Errors
    ///
    /// Gives the arguments back when the supervisor is not there, or more starts wait for it than its queue holds.
    pub fn start(&self, arguments: T) -> Result<(), T> {
        self.0.cast(StartInstance(arguments)).map_err(|refused| refused.into_message().0)
    }

    /// Starts an instance and waits until it is ready (OTP: `start_child/2`). `None` means that it is not needed now;
    /// nothing is kept of it then.
    ///
    /// # Errors
    ///
    /// When it does not start, which is not tried again; or, at once, when there are as many as there may be.
    pub async fn start_child(&self, arguments: T) -> Result<Option<Pid>, SupervisorError> {
        let reply = self
            .request(move |supervisor, reply_to| supervisor.start_instance(arguments, Some(reply_to)))
            .await?;
        check_reply(reply).map(|reply| reply.pid)
    }

    /// Stops an instance and forgets it, by the life that it has or, if it is about to be started again, had last (OTP:
    /// `terminate_child/2`). That it is gone already is no error.
    ///
    /// # Errors
    ///
    /// When it lives, but is no instance of this supervisor.
    pub async fn terminate_child(&self, pid: &Pid) -> Result<(), SupervisorError> {
        let pid = pid.clone();
        let reply =
            self.request(move |supervisor, reply_to| supervisor.terminate_instance(&pid, reply_to)).await?;
        check_reply(reply).map(drop)
    }

    /// Starts an instance that waits for its backoff at once; it is named by its last life.
    ///
    /// # Errors
    ///
    /// When there is no such instance, it runs, or it does not start; it is tried again then.
    pub async fn restart_child(&self, pid: &Pid) -> Result<Option<Pid>, SupervisorError> {
        let pid = pid.clone();
        let reply =
            self.request(move |supervisor, reply_to| supervisor.restart_instance(&pid, reply_to)).await?;
        check_reply(reply).map(|reply| reply.pid)
    }

    /// The instances, oldest first (OTP: `which_children/1`). One whose first start is under way is none yet.
    ///
    /// # Errors
    ///
    /// When the supervisor is not there.
    pub async fn which_children(&self) -> Result<Vec<Instance>, SupervisorError> {
        self.request(|supervisor, reply_to| send(reply_to, supervisor.instances())).await
    }

    /// How many instances there are (OTP: `count_children/1`); `specs` is 1.
    ///
    /// # Errors
    ///
    /// When the supervisor is not there.
    pub async fn count_children(&self) -> Result<Counts, SupervisorError> {
        self.request(|supervisor, reply_to| send(reply_to, supervisor.count_instances())).await
    }

    /// The rules for every instance, with all their defaults (OTP: `get_childspec/2`).
    ///
    /// # Errors
    ///
    /// When the supervisor is not there.
    pub async fn child_rules(&self) -> Result<ChildRules, SupervisorError> {
        self.request(|supervisor, reply_to| send(reply_to, supervisor.template())).await
    }

    /// Has it go on as this supervisor, but with its logger (OTP: `code_change`). The instances stay as they are and follow
    /// the new rules and the new factory from now on. Arguments that were not kept, because instances were temporary, do
    /// not come back: such an instance that is to be started again is forgotten instead, as one that is not needed.
    ///
    /// # Errors
    ///
    /// When the rules cannot be followed; nothing is changed then.
    #[doc(alias = "code_change")]
    pub async fn replace(&self, with: DynamicSupervisor<T>) -> Result<(), SupervisorError> {
        let replaced = self.request(|supervisor, reply_to| send(reply_to, supervisor.replace(with))).await?;
        replaced.map_err(|error| SupervisorError::Refused(RequestError::Spec(error)))
    }

    /// Has it stop in order and end for this reason, and waits for that; see
    /// [`SupervisorRef::stop`](crate::SupervisorRef::stop).
    ///
    /// # Errors
    ///
    /// When the supervisor is not there.
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
        // By the same queue as what happens to its instances, so that they are served in order.
        self.0
            .cast(RunRequest(Box::new(move |supervisor| request(supervisor, reply_to))))
            .map_err(SupervisorError::from)?;
        reply.await.map_err(|_| SupervisorError::NotRunning)
    }
}

/// The actor that plays a supervisor.
fn supervisor_actor<T: Send + 'static>(
    supervisor: DynamicSupervisor<T>,
    id: &ChildId,
    env: &ChildContext,
    ack: StartAck,
) -> Result<SupervisorActor<DynamicCore<T>>, StartError> {
    let env = env.supervisor(id, supervisor.log.clone());
    Ok(SupervisorActor::new(DynamicCore::new(supervisor, id)?, env).with_start_ack(ack))
}

/// Who does not wait any more does not need it.
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
    /// This supervisor as a child of another, under a name that leads nowhere else. Most want
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
