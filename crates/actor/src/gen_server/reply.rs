//! Calls to a server, and the return path of their replies.

use std::fmt;

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Context, Handler, Message};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::gen_server::background::BackgroundTasks;
use crate::gen_server::{GenServer, ServerActor};

/// Where the reply to one call goes. Can be kept, or moved to another task (OTP: `From`).
///
/// Dropped without a reply, it fails the call with [`CallError::NoReply`](crate::CallError::NoReply). If the
/// server exits first, the call fails with the exit reason, wherever this value is.
#[doc(alias = "From")]
#[must_use = "the caller waits for an answer"]
pub struct ReplyTo<T>(oneshot::Sender<T>);

impl<T> ReplyTo<T> {
    /// The server keeps the receiver of a later reply among these.
    pub(crate) fn new(background: BackgroundTasks) -> (Self, PendingReply<T>) {
        let (sender, answer) = oneshot::channel();
        (Self(sender), PendingReply { answer, background })
    }

    /// Sends the reply. It is dropped if the caller has dropped its future (OTP: `gen_server:reply/2`).
    #[doc(alias = "reply")]
    pub fn send(self, answer: T) {
        // An error means that the caller dropped its future. Nothing is left to do.
        let _ = self.0.send(answer);
    }

    /// Whether the caller still waits. If not, the work for the reply can be skipped.
    pub fn has_caller(&self) -> bool {
        !self.0.is_closed()
    }
}

impl<T> fmt::Debug for ReplyTo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyTo<{}>", std::any::type_name::<T>())
    }
}

/// A call on its way to a server, without the [`ReplyTo`] that completes it; see
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

/// The future reply of a server. It is a future of the server's own actor, so the call fails when the server
/// exits, even if the [`ReplyTo`] was moved elsewhere.
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
