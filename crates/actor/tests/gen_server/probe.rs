//! The test server: runs closures that tests send, and reports its callbacks on a channel.

use std::future::IntoFuture;

use impresario_actor::{
    Call, CallError, CallMessage, ChildSpec, ExitReason, GenServer, Info, ReplyTo, Restart, ServerActor,
    ServerContext, ServerRef, Strategy, Supervisor, Tree,
};
use slog::{Discard, Logger, o};
use tokio::sync::mpsc;

pub(crate) type Ctx<'a> = ServerContext<'a, Probe>;
pub(crate) type Do = Box<dyn FnOnce(&mut Probe, &mut Ctx<'_>) -> Result<(), ExitReason> + Send>;

/// Runs the closures of [`Tell`] and [`Ask::Run`] and reports `handle_info` and `terminate` to `observed`.
pub(crate) struct Probe {
    pub(crate) observed: mpsc::UnboundedSender<Observed>,
    pub(crate) kept: Vec<ReplyTo<u32>>,
    /// Run once, in `init`.
    pub(crate) init: Option<Do>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Observed {
    Step(u32),
    Info(Info),
    End(ExitReason),
}

pub(crate) enum Ask {
    Value(ReplyTo<u32>),
    Length(&'static str, ReplyTo<usize>),
    Keep(ReplyTo<u32>),
    Run(Do, ReplyTo<u32>),
}

pub(crate) struct Tell(pub(crate) Do);

impl Probe {
    pub(crate) fn observe(&self, observed: Observed) {
        let _ = self.observed.send(observed);
    }
}

impl GenServer for Probe {
    type Call = Ask;
    type Cast = Tell;

    fn init(&mut self, ctx: &mut Ctx<'_>) -> Result<(), ExitReason> {
        self.init.take().map_or(Ok(()), |init| init(self, ctx))
    }

    fn handle_call(&mut self, ask: Ask, ctx: &mut Ctx<'_>) -> Result<(), ExitReason> {
        match ask {
            Ask::Value(reply) => reply.send(7),
            Ask::Length(text, reply) => reply.send(text.len()),
            Ask::Keep(reply) => self.kept.push(reply),
            Ask::Run(what, reply) => {
                self.kept.push(reply);
                return what(self, ctx);
            }
        }
        Ok(())
    }

    fn handle_cast(&mut self, Tell(what): Tell, ctx: &mut Ctx<'_>) -> Result<(), ExitReason> {
        what(self, ctx)
    }

    fn handle_info(&mut self, info: Info, _: &mut Ctx<'_>) -> Result<(), ExitReason> {
        self.observe(Observed::Info(info));
        Ok(())
    }

    fn terminate(&mut self, reason: &ExitReason, _: &mut Ctx<'_>) {
        self.observe(Observed::End(reason.clone()));
    }
}

pub(crate) struct Server {
    pub(crate) name: ServerRef<Probe>,
    pub(crate) observed: mpsc::UnboundedReceiver<Observed>,
    pub(crate) tree: Tree,
}

impl Server {
    pub(crate) fn run_in_server(
        &self,
        what: impl FnOnce(&mut Probe, &mut Ctx<'_>) -> Result<(), ExitReason> + Send + 'static,
    ) {
        self.name.cast(Tell(Box::new(what))).expect("the mailbox has capacity");
    }

    pub(crate) async fn observe(&mut self) -> Observed {
        self.observed.recv().await.expect("the sender is open")
    }

    /// Spawns the call and returns when the server has handled it.
    pub(crate) async fn asks<T: Send + 'static>(
        &self,
        call: Call<ServerActor<Probe>, CallMessage<Ask, T>>,
    ) -> actix_rt::task::JoinHandle<Result<T, CallError>> {
        let call = actix_rt::spawn(call.into_future());
        self.settled().await;
        call
    }

    /// Returns when the server has handled all earlier messages.
    pub(crate) async fn settled(&self) {
        assert_eq!(self.name.call(Ask::Value).await, Ok(7));
    }
}

pub(crate) fn run(
    what: impl FnOnce(&mut Probe, &mut Ctx<'_>) -> Result<(), ExitReason> + Send + 'static,
) -> impl FnOnce(ReplyTo<u32>) -> Ask + Send {
    move |reply| Ask::Run(Box::new(what), reply)
}

pub(crate) fn quiet() -> Logger {
    Logger::root(Discard, o!())
}

pub(crate) fn error(text: &str) -> ExitReason {
    ExitReason::Error(text.to_owned())
}

/// A started tree with this one child.
pub(crate) async fn tree(child: ChildSpec) -> Tree {
    Supervisor::new(Strategy::OneForOne)
        .logger(quiet())
        .child(child)
        .start()
        .await
        .expect("the start succeeds")
}

pub(crate) async fn server_with(init: impl Fn() -> Option<Do> + Send + Sync + 'static) -> Server {
    let (name, (notifier, observed)) = (ServerRef::new(), mpsc::unbounded_channel());
    let spec = name
        .child_spec("server", move |_| {
            Ok(Probe { observed: notifier.clone(), kept: Vec::new(), init: init() })
        })
        .restart(Restart::Temporary);
    Server { name, observed, tree: tree(spec).await }
}

pub(crate) async fn server() -> Server {
    server_with(|| None).await
}
