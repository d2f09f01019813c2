//! The actors of a random tree and the requests to its supervisors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Running, WrapFuture};
use impresario_actor::{
    ChildContext, ChildSpec, DynamicRef, DynamicSupervisor, ExitReason, Pid, StartError, Strategy,
    Supervisor, SupervisorRef,
};
use slog::{Discard, Logger, o};
use tokio::time::timeout;

use crate::plan::{Body, Node, Start, Stop, Temper};
use crate::record::{Mark, Record};

/// State that all actors of a tree share.
#[derive(Clone, Default)]
pub(crate) struct Stage {
    pub(crate) record: Record,
    handles: Arc<Mutex<Vec<Handle>>>,
    instances: Arc<AtomicUsize>,
}

/// A reference to a supervisor; for a static one also the ids of its children.
#[derive(Clone)]
pub(crate) enum Handle {
    Static(SupervisorRef, Vec<String>),
    Dynamic(DynamicRef<usize>),
}

/// Action of an actor's message handler.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    Panic,
    Stop,
    Fail,
    /// Waits for ever and handles nothing else.
    Hang,
}

/// A request to a supervisor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    Start,
    Terminate,
    Restart,
    Delete,
    Which,
    Count,
}

pub(crate) struct Member {
    env: ChildContext,
    stops: Stop,
    /// The last field, so it is dropped last: its drop records the exit.
    mark: Mark,
}

impl Actor for Member {
    type Context = Context<Self>;

    fn stopping(&mut self, ctx: &mut Context<Self>) -> Running {
        self.mark.stop_requested();
        match self.stops {
            Stop::Obey => Running::Stop,
            Stop::Refuse => Running::Continue,
            Stop::After(time) => {
                self.stops = Stop::Refuse;
                ctx.run_later(time, |_, ctx| ctx.terminate());
                Running::Continue
            }
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Do(pub(crate) Deed);

impl Handler<Do> for Member {
    type Result = ();

    fn handle(&mut self, Do(deed): Do, ctx: &mut Context<Self>) {
        match deed {
            Deed::Panic => panic!("panic requested by the plan"),
            // `stop()` would call `stopping()`, which may refuse.
            Deed::Stop => ctx.terminate(),
            Deed::Fail => {
                self.env.set_exit_reason(ExitReason::Error("failed".to_owned()));
                ctx.terminate();
            }
            Deed::Hang => ctx.wait(std::future::pending().into_actor(self)),
        }
    }
}

impl Stage {
    /// A number for an instance, unique in this stage.
    pub(crate) fn new_number(&self) -> usize {
        self.instances.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn handles(&self) -> Vec<Handle> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Handle>> {
        self.handles.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// All actors have exited after 16 yields. A killed supervisor does not wait for its children.
    pub(crate) async fn check_all_gone(&self) {
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
        self.record.check_all_gone();
    }

    pub(crate) fn tree(&self, root: &Node) -> Supervisor {
        let Body::Static(group, intensity, children) = &root.body else {
            unreachable!("the root is a static supervisor")
        };
        let tree = Supervisor::new(*group).intensity(*intensity).logger(Logger::root(Discard, o!()));
        self.with_children(tree, &[], children)
    }

    fn with_children(&self, supervisor: Supervisor, path: &[usize], children: &[Node]) -> Supervisor {
        let children = children.iter().enumerate();
        children.fold(supervisor, |supervisor, (at, child)| {
            supervisor.child(self.child(&[path, &[at]].concat(), at.to_string(), child))
        })
    }

    fn child(&self, path: &[usize], id: String, node: &Node) -> ChildSpec {
        let (stage, path) = (self.clone(), path.to_vec());
        match &node.body {
            Body::Worker(temper) => {
                let (temper, shutdown, attempts) = (temper.clone(), node.shutdown, AtomicUsize::new(0));
                ChildSpec::actor_async(id, move |env| {
                    let attempt = attempts.fetch_add(1, Ordering::Relaxed);
                    member(stage.record.begin(&path, env.pid(), shutdown), env, temper.clone(), attempt)
                })
                .shutdown(node.shutdown)
            }
            Body::Static(group, intensity, children) => {
                let (group, intensity, children) = (*group, *intensity, children.clone());
                let name = SupervisorRef::new();
                let ids = (0..=children.len()).map(|at| at.to_string()).collect();
                self.lock().push(Handle::Static(name.clone(), ids));
                name.child_spec(id, move |_| {
                    let nested = Supervisor::new(group).intensity(intensity);
                    Ok(stage.with_children(nested, &path, &children))
                })
            }
            Body::Dynamic(intensity, temper) => {
                let (name, temper, shutdown) = (DynamicRef::new(), temper.clone(), node.shutdown);
                self.lock().push(Handle::Dynamic(name.clone()));
                let supervisor = DynamicSupervisor::new_async(move |env: ChildContext, number: usize| {
                    let number = [path.as_slice(), &[number]].concat();
                    let attempt = stage.new_number();
                    member(stage.record.begin(&number, env.pid(), shutdown), env, temper.clone(), attempt)
                });
                let supervisor = supervisor.restart(node.restart).shutdown(shutdown).intensity(*intensity);
                return name.child_spec(id, supervisor.max_children(8));
            }
        }
        .restart(node.restart)
    }
}

/// Waits for `time` on the paused clock, which advances it.
pub(crate) async fn pass(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

async fn member(mark: Mark, env: ChildContext, temper: Temper, attempt: usize) -> Result<Member, StartError> {
    match temper.starts[attempt.min(temper.starts.len() - 1)] {
        Start::Ok => {}
        Start::After(time) => pass(time).await,
        Start::Fail(time) => {
            pass(time).await;
            return Err("planned failure".into());
        }
        Start::Panic => panic!("planned failure"),
        Start::Ignore => return Err(StartError::Ignore),
    }
    Ok(Member { env, stops: temper.stops, mark })
}

impl Handle {
    /// Sends the request and ignores the reply. A new instance gets `number`.
    pub(crate) async fn ask(self, wish: Wish, child: usize, pid: Option<Pid>, number: usize) {
        match self {
            Self::Static(name, ids) => {
                let id = ids.get(child % ids.len().max(1)).cloned().unwrap_or_default();
                match wish {
                    Wish::Start => drop(name.start_child(nested(id)).await),
                    Wish::Terminate => drop(name.terminate_child(id).await),
                    Wish::Restart => drop(name.restart_child(id).await),
                    Wish::Delete => drop(name.delete_child(id).await),
                    Wish::Which => drop(name.which_children().await),
                    Wish::Count => drop(name.count_children().await),
                }
            }
            Self::Dynamic(name) => match (wish, pid) {
                (Wish::Start | Wish::Delete, _) => {
                    drop(name.start_child(number).await);
                }
                (Wish::Terminate, Some(pid)) => drop(name.terminate_child(&pid).await),
                (Wish::Restart, Some(pid)) => drop(name.restart_child(&pid).await),
                (Wish::Count, _) => drop(name.count_children().await),
                _ => drop(name.which_children().await),
            },
        }
    }
}

/// A supervisor without children.
fn nested(id: String) -> ChildSpec {
    Supervisor::new(Strategy::OneForOne).child_spec(id)
}
