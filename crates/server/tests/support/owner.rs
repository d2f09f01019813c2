//! Actors that own connections, or refuse to.

use std::os::fd::OwnedFd;

use actix::{Actor, ActorContext, Context, Handler as Handle, Message, Recipient};
use impresario_server::{Accepted, Active, ActiveEvent, ActiveSocket, TransferError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Client;

/// Both ends of a new connection.
pub(crate) async fn pair() -> (Client, Accepted) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = Client::connect(listener.local_addr().expect("bound")).await;
    let (stream, peer) = listener.accept().expect("a connection");
    (client, Accepted::from_fd(OwnedFd::from(stream), peer).expect("an open socket"))
}

/// An actor that owns connections in active mode, and tells the test what is pushed to it.
pub(crate) struct Owner {
    socket: Option<ActiveSocket>,
    mode: Option<Active>,
    seen: UnboundedSender<String>,
}

/// Asks for the connection, to give it to another.
pub(crate) struct TransferTo(
    pub(crate) Recipient<Accepted>,
    pub(crate) UnboundedSender<Result<(), TransferError>>,
);
pub(crate) struct SetActive(pub(crate) Active);

impl Message for TransferTo {
    type Result = ();
}

impl Message for SetActive {
    type Result = ();
}

impl Actor for Owner {
    type Context = Context<Self>;
}

impl Owner {
    /// Takes connections in this mode; in the one that it comes with if there is none.
    pub(crate) fn start(mode: Option<Active>) -> (actix::Addr<Self>, UnboundedReceiver<String>) {
        let (seen, events) = unbounded_channel();
        (Self { socket: None, mode, seen }.start(), events)
    }

    fn say(&self, text: impl Into<String>) {
        self.seen.send(text.into()).expect("the test listens");
    }
}

impl Handle<Accepted> for Owner {
    type Result = ();

    fn handle(&mut self, accepted: Accepted, ctx: &mut Context<Self>) {
        let mode = self.mode.unwrap_or(accepted.active());
        let socket = accepted.claim().expect("an open socket");
        self.socket = Some(socket.activate(mode, ctx));
    }
}

impl Handle<ActiveEvent> for Owner {
    type Result = ();

    fn handle(&mut self, pushed: ActiveEvent, _: &mut Context<Self>) {
        self.say(match pushed {
            ActiveEvent::Data(data) => String::from_utf8(data.to_vec()).expect("text"),
            other => format!("{other:?}"),
        });
    }
}

impl Handle<SetActive> for Owner {
    type Result = ();

    fn handle(&mut self, SetActive(active): SetActive, _: &mut Context<Self>) {
        let socket = self.socket.as_ref().expect("it has one");
        socket.set_active(active);
        self.say(format!("{:?}", socket.active()));
    }
}

impl Handle<TransferTo> for Owner {
    type Result = ();

    fn handle(&mut self, TransferTo(to, told): TransferTo, _: &mut Context<Self>) {
        let accepted = self.socket.take().expect("it has one").release().expect("an open socket");
        actix_rt::spawn(async move {
            // The receiver may have been dropped.
            let _ = told.send(accepted.transfer_to(&to).await);
        });
    }
}

/// Claims nothing.
pub(crate) struct Refuser;

impl Actor for Refuser {
    type Context = Context<Self>;
}

impl Handle<Accepted> for Refuser {
    type Result = ();

    fn handle(&mut self, _: Accepted, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

pub(crate) async fn next(events: &mut UnboundedReceiver<String>) -> String {
    events.recv().await.expect("the owner is running")
}
