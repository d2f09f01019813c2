//! The test actor: runs closures that tests send, and reports the signals and events it receives on a channel.

use actix::{Actor, Context, Handler, Message};
use impresario_actor::{
    ChildContext, ChildRef, ChildSpec, Down, ExitReason, ExitSignal, GroupEvent, Pid, Restart, Strategy,
    Supervisor, Tree,
};
use slog::{Discard, Logger, o};
use tokio::sync::mpsc;

pub(crate) struct Process {
    pub(crate) env: ChildContext,
    pub(crate) observed: mpsc::UnboundedSender<Observed>,
    /// Called on `Down`; its two numbers are reported instead of the `Down`.
    pub(crate) on_down: Option<Box<dyn Fn() -> (usize, usize) + Send>>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Observed {
    Down(Pid, ExitReason),
    Exit(Option<Pid>, ExitReason),
    Group(GroupEvent),
    Counted(usize, usize),
}

impl Actor for Process {
    type Context = Context<Self>;
}

type Do = dyn FnOnce(&mut Process, &mut Context<Process>) + Send;

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Run(pub(crate) Box<Do>);

impl Handler<Run> for Process {
    type Result = ();

    fn handle(&mut self, Run(what): Run, ctx: &mut Context<Self>) {
        what(self, ctx);
    }
}

impl Handler<Down> for Process {
    type Result = ();

    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        let counted = self.on_down.as_ref().map(|count| count());
        let observed = match counted {
            Some((first, second)) => Observed::Counted(first, second),
            None => Observed::Down(down.pid, down.reason),
        };
        let _ = self.observed.send(observed);
    }
}

impl Handler<ExitSignal> for Process {
    type Result = ();

    fn handle(&mut self, exit: ExitSignal, _: &mut Context<Self>) {
        let _ = self.observed.send(Observed::Exit(exit.from, exit.reason));
    }
}

impl Handler<GroupEvent> for Process {
    type Result = ();

    fn handle(&mut self, event: GroupEvent, _: &mut Context<Self>) {
        let _ = self.observed.send(Observed::Group(event));
    }
}

pub(crate) struct Child {
    pub(crate) name: ChildRef<Process>,
    pub(crate) observed: mpsc::UnboundedReceiver<Observed>,
}

impl Child {
    pub(crate) async fn run(&self, what: impl FnOnce(&mut Process, &mut Context<Process>) + Send + 'static) {
        self.name.call(Run(Box::new(what))).await.expect("the actor is running");
    }

    pub(crate) fn pid(&self) -> Pid {
        self.name.pid().expect("the actor is running")
    }

    pub(crate) async fn observe(&mut self) -> Observed {
        self.observed.recv().await.expect("the sender is open")
    }
}

pub(crate) fn quiet() -> Logger {
    Logger::root(Discard, o!())
}

/// A temporary child: it is not restarted.
pub(crate) fn child(id: &str) -> (Child, ChildSpec) {
    let name = ChildRef::new();
    let (notifier, observed) = mpsc::unbounded_channel();
    let spec = name
        .child_spec(id, move |env| {
            Ok(Process { env: env.clone(), observed: notifier.clone(), on_down: None })
        })
        .restart(Restart::Temporary);
    (Child { name, observed }, spec)
}

/// A started tree with these children.
pub(crate) async fn start(children: impl IntoIterator<Item = ChildSpec>) -> Tree {
    let tree = Supervisor::new(Strategy::OneForOne).logger(quiet());
    children.into_iter().fold(tree, Supervisor::child).start().await.expect("the start succeeds")
}

pub(crate) async fn pair() -> (Tree, Child, Child) {
    let ((a, a_spec), (b, b_spec)) = (child("a"), child("b"));
    (start([a_spec, b_spec]).await, a, b)
}

pub(crate) fn error(text: &str) -> ExitReason {
    ExitReason::Error(text.to_owned())
}
