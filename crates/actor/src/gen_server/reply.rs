//! Questions to a server, and the way back of their answers.

use std::fmt;

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Context, Handler, Message};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::gen_server::background::BackgroundTasks;
use crate::gen_server::{GenServer, ServerActor};

/// Where the answer to one question goes; to be kept, or given to whoever will know it (OTP: `From`).
///
/// Dropped without an answer it tells the caller so, as [`CallError::NoReply`](crate::CallError::NoReply). If the server
/// ends before, the caller hears of that instead, wherever this is then.
#[doc(alias = "From")]
#[must_use = "the caller waits for an answer"]
pub struct ReplyTo<T>(oneshot::Sender<T>);

impl<T> ReplyTo<T> {
    /// The answer, if it is not given at once, is waited for among these.
    pub(crate) fn new(background: BackgroundTasks) -> (Self, PendingReply<T>) {
        let (sender, answer) = oneshot::channel();
        (Self(sender), PendingReply { answer, background })
    }

    /// Answers. If nobody waits any more, the answer is dropped (OTP: `gen_server:reply/2`).
    #[doc(alias = "reply")]
    pub fn send(self, answer: T) {
        // The caller may have given up, which is its right.
        let _ = self.0.send(answer);
    }

    /// Whether somebody still waits. Work for nobody can be left undone.
    pub fn has_caller(&self) -> bool {
        !self.0.is_closed()
    }
}

impl<T> fmt::Debug for ReplyTo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyTo<{}>", std::any::type_name::<T>())
    }
}

/// A question on its way to a server, without the [`ReplyTo`] that makes it complete; see
/// [`ServerRef::call`](crate::ServerRef::call).
pub struct CallMessage<C, T>(Box<dyn FnOnce(ReplyTo<T>) -> C + Send>);

impl<C, T> CallMessage<C, T> {
    pub(crate) fn new(make: impl FnOnce(ReplyTo<T>) -> C + Send + 'static) -> Self {
        Self(Box::new(make))
    }

    pub(crate) fn with(self, reply: ReplyTo<T>) -> C {
        (self.0)(reply)
    }
}

impl<C, T: 'static> Message for CallMessage<C, T> {
    type Result = T;
}

impl<C, T> fmt::Debug for CallMessage<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallMessage<{}, {}>", std::any::type_name::<C>(), std::any::type_name::<T>())
    }
}

/// What a server will answer. It goes through the server's own life, so the caller hears when that ends, even if the
/// [`ReplyTo`] is somewhere else.
pub struct PendingReply<T> {
    answer: oneshot::Receiver<T>,
    background: BackgroundTasks,
}

impl<S: GenServer, T: Send + 'static> MessageResponse<ServerActor<S>, CallMessage<S::Call, T>>
    for PendingReply<T>
{
    fn handle(self, ctx: &mut Context<ServerActor<S>>, caller: Option<OneshotSender<T>>) {
        let (Self { mut answer, background }, Some(mut caller)) = (self, caller) else { return };
        match answer.try_recv() {
            Ok(now) => drop(caller.send(now)),
            Err(TryRecvError::Closed) => {}
            Err(TryRecvError::Empty) => {
                let later = async move {
                    tokio::select! {
                        answer = answer => drop(answer.map(|answer| caller.send(answer))),
                        () = caller.closed() => {}
                    }
                };
                background.run(later, ctx);
            }
        }
    }
}

impl<S: GenServer, T: Send + 'static> Handler<CallMessage<S::Call, T>> for ServerActor<S> {
    type Result = PendingReply<T>;

    fn handle(&mut self, message: CallMessage<S::Call, T>, ctx: &mut Context<Self>) -> PendingReply<T> {
        let (reply_to, pending) = ReplyTo::new(self.background.clone());
        self.run(ctx, |server, ctx| server.handle_call(message.with(reply_to), ctx));
        pending
    }
}

impl<T> fmt::Debug for PendingReply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingReply<{}>", std::any::type_name::<T>())
    }
}
