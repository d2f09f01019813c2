//! A tree of supervisors, each an instance of the rules. Its workers do only what the ops say.

use std::time::Duration;

use impresario_supervision::{
    Action, AutoShutdown, ChildKey, ChildRules, DynamicSupervisor, Event, ExitReason, Flags, Incarnation,
    Request, RequestId, Restart, Strategy as Group, Supervisor, Time,
};

use crate::checker::{Alive, Checker};
use crate::op::{How, Op, Wish};
use crate::plan::{ChildPlan, Plan};
use crate::rules::Rules;

/// A supervisor of the tree, running or exited.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) rules: Rules,
    pub(crate) checker: Checker,
    plan: Plan,
    /// Its own incarnation under its parent.
    birth: Option<(usize, Incarnation)>,
    /// Its incarnations that are supervisors.
    nested: Vec<(Incarnation, usize)>,
    /// It has exited, or was dropped with its owner.
    pub(crate) gone: bool,
    /// Its actions, in order.
    pub(crate) log: Vec<(Time, Action)>,
}

impl Node {
    /// An exited supervisor can still get events; a dropped one does not exist.
    fn hears(&self) -> bool {
        !self.gone || self.checker.exit.is_some()
    }
}

#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Time,
    next_request: u64,
    deadlines: usize,
}

/// The top supervisor.
pub(crate) const TOP: usize = 0;

impl Tree {
    /// A tree before its start.
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut tree = Self { nodes: Vec::new(), now: Time::START, next_request: 0, deadlines: 0 };
        tree.begin(plan, None);
        tree
    }

    /// A running tree: its first start succeeded.
    pub(crate) fn running(plan: &Plan) -> Self {
        let mut tree = Self::new(plan);
        tree.calm_down();
        tree
    }

    fn begin(&mut self, plan: &Plan, birth: Option<(usize, Incarnation)>) -> usize {
        let specs: Vec<ChildRules> = plan.children.iter().map(|child| child.spec.clone()).collect();
        let rules = if plan.dynamic {
            let template = specs[0].clone();
            Rules::Dynamic(
                DynamicSupervisor::new(plan.flags, template, Some(MAX_CHILDREN)).expect("good").seed(1),
            )
        } else {
            Rules::Static(Supervisor::new(plan.flags, specs).expect("good").seed(1))
        };
        let id = self.nodes.len();
        let (plan, checker) = (plan.clone(), Checker::default());
        self.nodes.push(Node { rules, checker, plan, birth, nested: vec![], gone: false, log: vec![] });
        self.tell(id, Event::Start);
        id
    }

    pub(crate) fn tell(&mut self, id: usize, event: Event) {
        let now = self.now;
        let node = &mut self.nodes[id];
        if node.hears() {
            let is_timeout = event == Event::Timeout;
            node.rules.handle(now, event);
            self.play(id);
            let node = &self.nodes[id];
            if is_timeout && !node.gone {
                node.checker.check_overdue(&node.rules, self.now);
            }
        }
    }

    fn play(&mut self, id: usize) {
        while let Some(action) = self.nodes[id].rules.poll_action() {
            let node = &mut self.nodes[id];
            node.checker.check(&node.rules, self.now, &action);
            node.log.push((self.now, action.clone()));
            match action {
                Action::Start(key, life) => self.start(id, key, life),
                Action::Stop(life) => {
                    if let Some(nested) = self.nested(id, life) {
                        self.tell(nested, Event::Shutdown(ExitReason::Shutdown));
                    }
                }
                Action::Kill(life) => {
                    if let Some(nested) = self.nested(id, life) {
                        self.drop_node(nested);
                        self.end(id, life, Event::Exited(life, ExitReason::Killed));
                    }
                }
                Action::Ready => {
                    if let Some((parent, life)) = self.nodes[id].birth {
                        self.nodes[parent].checker.started(life);
                        self.tell(parent, Event::Started(life));
                    }
                }
                Action::Exit(reason) => {
                    self.nodes[id].gone = true;
                    if let Some((parent, life)) = self.nodes[id].birth {
                        self.end(parent, life, Event::Exited(life, reason));
                    }
                }
                Action::Added(..) | Action::Forget(_) | Action::Reply(..) | Action::Report(_) => {}
            }
        }
        let node = &self.nodes[id];
        if node.hears() {
            node.checker.check_timer(&node.rules);
        }
    }

    fn start(&mut self, id: usize, key: ChildKey, life: Incarnation) {
        let node = &self.nodes[id];
        let wanted = &node.rules.spec(key).expect("what starts is there").id;
        let plan = node.plan.children.iter().find(|child| child.spec.id == *wanted);
        if let Some(ChildPlan { nested: Some(plan), .. }) = plan {
            let plan = plan.clone();
            // It is registered before it starts: it may be ready, or exit, immediately.
            let nested = self.nodes.len();
            self.nodes[id].nested.push((life, nested));
            self.begin(&plan, Some((id, life)));
        }
    }

    fn nested(&self, id: usize, life: Incarnation) -> Option<usize> {
        self.nodes[id].nested.iter().find(|(known, _)| *known == life).map(|(_, nested)| *nested)
    }

    /// An owner that exits ends the incarnations that it owns.
    fn drop_node(&mut self, id: usize) {
        self.nodes[id].gone = true;
        for (_, nested) in self.nodes[id].nested.clone() {
            self.drop_node(nested);
        }
    }

    /// An incarnation exits; its supervisor gets the event.
    fn end(&mut self, id: usize, life: Incarnation, event: Event) {
        if !self.nodes[id].gone {
            self.nodes[id].checker.ended(life);
            self.tell(id, event);
        }
    }

    /// The incarnations that match, oldest first, of all running supervisors.
    fn lives(&self, fits: impl Fn(&Alive) -> bool) -> Vec<(usize, Incarnation)> {
        let of = |(id, node): (usize, &Node)| {
            let lives = node.checker.alive.iter().filter(|(_, alive)| fits(alive));
            lives.map(|(life, _)| (id, *life)).collect::<Vec<_>>()
        };
        self.nodes.iter().enumerate().filter(|(_, node)| !node.gone).flat_map(of).collect()
    }

    /// The same for workers only: the answers of a supervisor follow from its rules.
    fn workers(&self, fits: impl Fn(&Alive) -> bool) -> Vec<(usize, Incarnation)> {
        let mut lives = self.lives(fits);
        lives.retain(|(id, life)| self.nested(*id, *life).is_none());
        lives
    }

    fn hearing(&self, at: usize) -> Option<usize> {
        let hearing: Vec<usize> = (0..self.nodes.len()).filter(|id| self.nodes[*id].hears()).collect();
        pick(&hearing, at)
    }

    pub(crate) fn run(&mut self, ops: &[Op]) {
        ops.iter().for_each(|op| self.op(op));
    }

    pub(crate) fn op(&mut self, op: &Op) {
        match op {
            Op::Answer(at, how) => {
                let starting = self.workers(|alive| !alive.ready);
                if let Some((id, life)) = pick(&starting, *at) {
                    self.answer(id, life, how);
                }
            }
            Op::Crash(at, reason) => {
                let all = self.lives(|_| true);
                if let Some((id, life)) = pick(&all, *at) {
                    if let Some(nested) = self.nested(id, life) {
                        self.drop_node(nested);
                    }
                    self.end(id, life, Event::Exited(life, reason.clone()));
                }
            }
            Op::Obey(at, reason) => {
                let told = self.workers(|alive| alive.told.is_some() || alive.killed);
                if let Some((id, life)) = pick(&told, *at) {
                    self.end(id, life, Event::Exited(life, reason.clone()));
                }
            }
            Op::Stale(at, life, how) => self.stale(*at, *life, how),
            Op::Ask(at, wish, child) => {
                if let Some(id) = self.hearing(*at) {
                    self.ask(id, *wish, *child);
                }
            }
            Op::Shutdown(at) => {
                if let Some(id) = self.hearing(*at) {
                    self.tell(id, Event::Shutdown(ExitReason::ShutdownWith("asked".into())));
                }
            }
            Op::Pass(time) => self.pass(*time),
            Op::Deadline => {
                self.deadline();
            }
        }
    }

    fn answer(&mut self, id: usize, life: Incarnation, how: &How) {
        match how {
            How::Started => {
                self.nodes[id].checker.started(life);
                self.tell(id, Event::Started(life));
            }
            // A ready child cannot answer `ignore` any more. A child with a stop request still can.
            How::Ignored if self.nodes[id].checker.alive[&life].ready => {}
            How::Ignored => self.end(id, life, Event::Ignored(life)),
            How::Failed(reason) => self.end(id, life, Event::StartFailed(life, reason.clone())),
            How::Exited(reason) => self.end(id, life, Event::Exited(life, reason.clone())),
        }
    }

    /// An answer about an exited incarnation changes nothing, and neither does a repeated answer.
    fn stale(&mut self, at: usize, life: usize, how: &How) {
        let Some(id) = self.hearing(at) else { return };
        let node = &mut self.nodes[id];
        // An incarnation number can only come from an earlier start.
        let starts = node.log.iter().filter_map(|(_, action)| match action {
            Action::Start(_, life) => Some(*life),
            _ => None,
        });
        let lives: Vec<Incarnation> = starts.collect();
        let Some(life) = pick(&lives, life) else { return };
        let alive = node.checker.alive.get(&life);
        let event = match how {
            How::Started if alive.is_none_or(|alive| alive.ready) => Event::Started(life),
            // During a stop, every answer that no incarnation runs is accepted, whatever its source.
            How::Ignored
                if alive.is_none_or(|alive| alive.ready && alive.told.is_none() && !alive.killed) =>
            {
                Event::Ignored(life)
            }
            How::Failed(reason) if alive.is_none() => Event::StartFailed(life, reason.clone()),
            How::Exited(reason) if alive.is_none() => Event::Exited(life, reason.clone()),
            _ => return,
        };
        let before = format!("{:?}", node.rules);
        node.rules.handle(self.now, event);
        assert_eq!(before, format!("{:?}", node.rules), "a stale answer changed something");
    }

    fn ask(&mut self, id: usize, wish: Wish, child: usize) {
        self.next_request += 1;
        let by = RequestId(self.next_request);
        let now = self.now;
        let node = &mut self.nodes[id];
        node.checker.asked(by);
        match &mut node.rules {
            Rules::Static(rules) => rules.request(now, by, static_request(&node.plan, wish, child)),
            Rules::Dynamic(rules) => {
                let keys: Vec<ChildKey> = rules.which_children().iter().map(|child| child.key).collect();
                match (wish, pick(&keys, child)) {
                    (Wish::Terminate | Wish::Delete, Some(key)) => rules.terminate_child(now, by, key),
                    (Wish::Restart, Some(key)) => rules.restart_child(now, by, key),
                    (Wish::Replace, _) => {
                        let spec = respec(&node.plan.flags, &node.plan.children[0].spec, child);
                        rules.replace(node.plan.flags, spec, Some(MAX_CHILDREN)).expect("it is as good");
                        node.checker.refused(by);
                    }
                    _ => {
                        if rules.start_child(now, by).is_err() {
                            node.checker.refused(by);
                        }
                    }
                }
            }
        }
        self.play(id);
    }

    fn next_deadline(&self) -> Option<(Time, usize)> {
        let deadlines = self.nodes.iter().enumerate().filter(|(_, node)| !node.gone);
        deadlines.filter_map(|(id, node)| Some((node.rules.poll_timeout()?, id))).min()
    }

    /// Advances to the next deadline of the tree; returns whether there is one.
    pub(crate) fn deadline(&mut self) -> bool {
        let Some((time, id)) = self.next_deadline() else { return false };
        self.deadlines += 1;
        assert!(self.deadlines < CALM, "its deadlines never end");
        self.now = self.now.max(time);
        self.tell(id, Event::Timeout);
        true
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.next_deadline().is_some_and(|(time, _)| time <= until) {
            self.deadline();
        }
        self.now = until;
    }

    /// From here on every child obeys immediately: starts succeed and stops end. Returns when no work is left.
    pub(crate) fn calm_down(&mut self) {
        for _ in 0..CALM {
            let awaited = self.workers(|alive| !alive.ready || alive.told.is_some() || alive.killed);
            if let Some((id, life)) = awaited.first().copied() {
                let alive = &self.nodes[id].checker.alive[&life];
                let reason = if alive.killed { ExitReason::Killed } else { ExitReason::Shutdown };
                if alive.told.is_some() || alive.killed {
                    self.end(id, life, Event::Exited(life, reason));
                } else {
                    self.answer(id, life, &How::Started);
                }
            } else if !self.deadline() {
                return self.check_at_rest();
            }
        }
        panic!("it does not come to rest");
    }

    fn check_at_rest(&mut self) {
        let now = self.now;
        for node in self.nodes.iter_mut().filter(|node| !node.gone) {
            let states = node.rules.states(now);
            node.checker.check_at_rest(&states);
        }
    }
}

/// Maximum number of instances of a dynamic supervisor.
pub(crate) const MAX_CHILDREN: usize = 5;

/// Above the number of deadlines and answers that any of these trees can have left.
const CALM: usize = 10_000;

fn static_request(plan: &Plan, wish: Wish, child: usize) -> Request {
    let known = &plan.children[child % plan.children.len()].spec;
    let id = known.id.clone();
    match wish {
        // Sometimes an existing child, sometimes a new one.
        Wish::Start if child.is_multiple_of(2) => Request::StartChild(known.clone()),
        Wish::Start => {
            Request::StartChild(ChildRules { id: format!("n{}", child % 3).into(), ..known.clone() })
        }
        Wish::Terminate => Request::TerminateChild(id),
        Wish::Restart => Request::RestartChild(id),
        Wish::Delete => Request::DeleteChild(id),
        Wish::Which => Request::WhichChildren,
        Wish::Count => Request::CountChildren,
        Wish::Spec => Request::ChildSpec(id),
        Wish::Replace => {
            let strategies = [Group::OneForOne, Group::OneForAll, Group::RestForOne];
            let flags = Flags { strategy: strategies[child % 3], ..plan.flags };
            let specs = plan.children.iter().enumerate();
            let specs = specs.map(|(at, known)| respec(&flags, &known.spec, child + at)).cycle();
            Request::ReplaceSpecs(flags, specs.skip(child % 5).take(plan.children.len()).collect())
        }
    }
}

/// The same spec with another restart type, and so with another value of significant.
fn respec(flags: &Flags, spec: &ChildRules, choice: usize) -> ChildRules {
    let restart = [Restart::Permanent, Restart::Transient, Restart::Temporary][choice % 3];
    let may = restart != Restart::Permanent && flags.auto_shutdown != AutoShutdown::Never;
    ChildRules { restart, significant: spec.significant && may, ..spec.clone() }
}

pub(crate) fn pick<T: Copy>(list: &[T], at: usize) -> Option<T> {
    if list.is_empty() { None } else { Some(list[at % list.len()]) }
}
