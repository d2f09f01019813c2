//! A tree of supervisors that run the rules. Its workers do only what the ops say.

use std::time::Duration;

use impresario_supervision::{
    Action, AutoShutdown, ChildKey, ChildRules, DynamicSupervisor, Event, ExitReason, Flags, Incarnation,
    Request, RequestId, Restart, Strategy as Group, Supervisor, Time,
};

use crate::checker::{Checker, RunningChild};
use crate::op::{Answer, Op, RequestKind};
use crate::plan::{ChildPlan, Plan};
use crate::rules::Rules;

/// One supervisor of the tree, running or exited.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) rules: Rules,
    pub(crate) checker: Checker,
    plan: Plan,
    /// Its parent, and the incarnation that it is there; `None` for the root.
    parent: Option<(usize, Incarnation)>,
    /// Its incarnations that are supervisors, with their index in `Tree::nodes`.
    nested: Vec<(Incarnation, usize)>,
    /// It has exited, or was dropped with its parent.
    pub(crate) terminated: bool,
    /// Its actions, in order.
    pub(crate) log: Vec<(Time, Action)>,
}

impl Node {
    /// Whether an event may be passed: not to a supervisor that was dropped before it exited.
    fn accepts_events(&self) -> bool {
        !self.terminated || self.checker.exit.is_some()
    }
}

#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Time,
    next_request: u64,
    deadlines: usize,
}

/// The root, in `Tree::nodes`.
pub(crate) const TOP: usize = 0;

impl Tree {
    /// A tree at the beginning of its first start.
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut tree = Self { nodes: Vec::new(), now: Time::START, next_request: 0, deadlines: 0 };
        tree.begin(plan, None);
        tree
    }

    /// A tree after its first start.
    pub(crate) fn running(plan: &Plan) -> Self {
        let mut tree = Self::new(plan);
        tree.run_until_idle();
        tree
    }

    fn begin(&mut self, plan: &Plan, parent: Option<(usize, Incarnation)>) -> usize {
        let specs: Vec<ChildRules> = plan.children.iter().map(|child| child.spec.clone()).collect();
        let rules = if plan.dynamic {
            let template = specs[0].clone();
            Rules::Dynamic(
                DynamicSupervisor::new(plan.flags, template, Some(MAX_CHILDREN))
                    .expect("the plan is valid")
                    .seed(1),
            )
        } else {
            Rules::Static(Supervisor::new(plan.flags, specs).expect("the plan is valid").seed(1))
        };
        let id = self.nodes.len();
        let (plan, checker) = (plan.clone(), Checker::default());
        self.nodes.push(Node {
            rules,
            checker,
            plan,
            parent,
            nested: vec![],
            terminated: false,
            log: vec![],
        });
        self.handle(id, Event::Start);
        id
    }

    pub(crate) fn handle(&mut self, id: usize, event: Event) {
        let now = self.now;
        let node = &mut self.nodes[id];
        if node.accepts_events() {
            let is_timeout = event == Event::Timeout;
            node.rules.handle(now, event);
            self.execute_actions(id);
            let node = &self.nodes[id];
            if is_timeout && !node.terminated {
                node.checker.check_overdue(&node.rules, self.now);
            }
        }
    }

    fn execute_actions(&mut self, id: usize) {
        while let Some(action) = self.nodes[id].rules.poll_action() {
            let node = &mut self.nodes[id];
            node.checker.check(&node.rules, self.now, &action);
            node.log.push((self.now, action.clone()));
            match action {
                Action::Start(key, incarnation) => self.start(id, key, incarnation),
                Action::Stop(incarnation) => {
                    if let Some(nested) = self.nested(id, incarnation) {
                        self.handle(nested, Event::Shutdown(ExitReason::Shutdown));
                    }
                }
                Action::Kill(incarnation) => {
                    if let Some(nested) = self.nested(id, incarnation) {
                        self.drop_node(nested);
                        self.exit(id, incarnation, Event::Exited(incarnation, ExitReason::Killed));
                    }
                }
                Action::Ready => {
                    if let Some((parent, incarnation)) = self.nodes[id].parent {
                        self.nodes[parent].checker.started(incarnation);
                        self.handle(parent, Event::Started(incarnation));
                    }
                }
                Action::Exit(reason) => {
                    self.nodes[id].terminated = true;
                    if let Some((parent, incarnation)) = self.nodes[id].parent {
                        self.exit(parent, incarnation, Event::Exited(incarnation, reason));
                    }
                }
                Action::Added(..) | Action::Forget(_) | Action::Reply(..) | Action::Report(_) => {}
            }
        }
        let node = &self.nodes[id];
        if node.accepts_events() {
            node.checker.check_timer(&node.rules);
        }
    }

    fn start(&mut self, id: usize, key: ChildKey, incarnation: Incarnation) {
        let node = &self.nodes[id];
        let wanted = &node.rules.spec(key).expect("the started key is listed").id;
        let plan = node.plan.children.iter().find(|child| child.spec.id == *wanted);
        if let Some(ChildPlan { nested: Some(plan), .. }) = plan {
            let plan = plan.clone();
            // Inserted before it begins: it may be ready or exit immediately.
            let nested = self.nodes.len();
            self.nodes[id].nested.push((incarnation, nested));
            self.begin(&plan, Some((id, incarnation)));
        }
    }

    fn nested(&self, id: usize, incarnation: Incarnation) -> Option<usize> {
        self.nodes[id].nested.iter().find(|(known, _)| *known == incarnation).map(|(_, nested)| *nested)
    }

    /// Drops a supervisor with all supervisors under it, as a kill does.
    fn drop_node(&mut self, id: usize) {
        self.nodes[id].terminated = true;
        for (_, nested) in self.nodes[id].nested.clone() {
            self.drop_node(nested);
        }
    }

    /// Records an exit, and passes the event to the supervisor.
    fn exit(&mut self, id: usize, incarnation: Incarnation, event: Event) {
        if !self.nodes[id].terminated {
            self.nodes[id].checker.exited(incarnation);
            self.handle(id, event);
        }
    }

    /// The matching incarnations of all running supervisors, oldest first.
    fn incarnations(&self, fits: impl Fn(&RunningChild) -> bool) -> Vec<(usize, Incarnation)> {
        let of = |(id, node): (usize, &Node)| {
            let incarnations = node.checker.running.iter().filter(|(_, child)| fits(child));
            incarnations.map(|(incarnation, _)| (id, *incarnation)).collect::<Vec<_>>()
        };
        self.nodes.iter().enumerate().filter(|(_, node)| !node.terminated).flat_map(of).collect()
    }

    /// The matching workers. Nested supervisors are left out: their own rules answer.
    fn workers(&self, fits: impl Fn(&RunningChild) -> bool) -> Vec<(usize, Incarnation)> {
        let mut incarnations = self.incarnations(fits);
        incarnations.retain(|(id, incarnation)| self.nested(*id, *incarnation).is_none());
        incarnations
    }

    fn accepting(&self, at: usize) -> Option<usize> {
        let accepting: Vec<usize> =
            (0..self.nodes.len()).filter(|id| self.nodes[*id].accepts_events()).collect();
        pick(&accepting, at)
    }

    pub(crate) fn run(&mut self, ops: &[Op]) {
        ops.iter().for_each(|op| self.op(op));
    }

    pub(crate) fn op(&mut self, op: &Op) {
        match op {
            Op::Answer(at, answer) => {
                let starting = self.workers(|child| !child.ready);
                if let Some((id, incarnation)) = pick(&starting, *at) {
                    self.answer(id, incarnation, answer);
                }
            }
            Op::Crash(at, reason) => {
                let all = self.incarnations(|_| true);
                if let Some((id, incarnation)) = pick(&all, *at) {
                    if let Some(nested) = self.nested(id, incarnation) {
                        self.drop_node(nested);
                    }
                    self.exit(id, incarnation, Event::Exited(incarnation, reason.clone()));
                }
            }
            Op::Stopped(at, reason) => {
                let stopping = self.workers(|child| child.stop_requested.is_some() || child.killed);
                if let Some((id, incarnation)) = pick(&stopping, *at) {
                    self.exit(id, incarnation, Event::Exited(incarnation, reason.clone()));
                }
            }
            Op::Stale(at, incarnation, answer) => self.stale(*at, *incarnation, answer),
            Op::Request(at, kind, child) => {
                if let Some(id) = self.accepting(*at) {
                    self.request(id, *kind, *child);
                }
            }
            Op::Shutdown(at) => {
                if let Some(id) = self.accepting(*at) {
                    self.handle(id, Event::Shutdown(ExitReason::ShutdownWith("requested".into())));
                }
            }
            Op::Pass(time) => self.pass(*time),
            Op::Deadline => {
                self.deadline();
            }
        }
    }

    fn answer(&mut self, id: usize, incarnation: Incarnation, answer: &Answer) {
        match answer {
            Answer::Started => {
                self.nodes[id].checker.started(incarnation);
                self.handle(id, Event::Started(incarnation));
            }
            // A ready worker does not answer `Ignored`. One that was stopped before it was ready may.
            Answer::Ignored if self.nodes[id].checker.running[&incarnation].ready => {}
            Answer::Ignored => self.exit(id, incarnation, Event::Ignored(incarnation)),
            Answer::Failed(reason) => {
                self.exit(id, incarnation, Event::StartFailed(incarnation, reason.clone()));
            }
            Answer::Exited(reason) => self.exit(id, incarnation, Event::Exited(incarnation, reason.clone())),
        }
    }

    /// Asserts that a stale or repeated answer changes nothing in the rules.
    fn stale(&mut self, at: usize, incarnation: usize, answer: &Answer) {
        let Some(id) = self.accepting(at) else { return };
        let node = &mut self.nodes[id];
        // Only ids that the supervisor has assigned can be passed.
        let starts = node.log.iter().filter_map(|(_, action)| match action {
            Action::Start(_, incarnation) => Some(*incarnation),
            _ => None,
        });
        let incarnations: Vec<Incarnation> = starts.collect();
        let Some(incarnation) = pick(&incarnations, incarnation) else { return };
        let child = node.checker.running.get(&incarnation);
        let event = match answer {
            Answer::Started if child.is_none_or(|child| child.ready) => Event::Started(incarnation),
            // During a stop `Ignored` is an exit, so it is not stale then.
            Answer::Ignored
                if child
                    .is_none_or(|child| child.ready && child.stop_requested.is_none() && !child.killed) =>
            {
                Event::Ignored(incarnation)
            }
            Answer::Failed(reason) if child.is_none() => Event::StartFailed(incarnation, reason.clone()),
            Answer::Exited(reason) if child.is_none() => Event::Exited(incarnation, reason.clone()),
            _ => return,
        };
        let before = format!("{:?}", node.rules);
        node.rules.handle(self.now, event);
        assert_eq!(before, format!("{:?}", node.rules), "a stale answer changed the rules");
    }

    fn request(&mut self, id: usize, kind: RequestKind, child: usize) {
        self.next_request += 1;
        let by = RequestId(self.next_request);
        let now = self.now;
        let node = &mut self.nodes[id];
        node.checker.requested(by);
        match &mut node.rules {
            Rules::Static(rules) => rules.request(now, by, static_request(&node.plan, kind, child)),
            Rules::Dynamic(rules) => {
                let keys: Vec<ChildKey> = rules.which_children().iter().map(|child| child.key).collect();
                match (kind, pick(&keys, child)) {
                    (RequestKind::Terminate | RequestKind::Delete, Some(key)) => {
                        rules.terminate_child(now, by, key);
                    }
                    (RequestKind::Restart, Some(key)) => rules.restart_child(now, by, key),
                    (RequestKind::Replace, _) => {
                        let spec = respec(&node.plan.flags, &node.plan.children[0].spec, child);
                        rules
                            .replace(node.plan.flags, spec, Some(MAX_CHILDREN))
                            .expect("the new spec is valid");
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
        self.execute_actions(id);
    }

    fn next_deadline(&self) -> Option<(Time, usize)> {
        let deadlines = self.nodes.iter().enumerate().filter(|(_, node)| !node.terminated);
        deadlines.filter_map(|(id, node)| Some((node.rules.poll_timeout()?, id))).min()
    }

    /// Time passes until the next deadline in the tree; `false` if there is none.
    pub(crate) fn deadline(&mut self) -> bool {
        let Some((time, id)) = self.next_deadline() else { return false };
        self.deadlines += 1;
        assert!(self.deadlines < MAX_STEPS, "more than {MAX_STEPS} deadlines");
        self.now = self.now.max(time);
        self.handle(id, Event::Timeout);
        true
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.next_deadline().is_some_and(|(time, _)| time <= until) {
            self.deadline();
        }
        self.now = until;
    }

    /// Answers everything immediately, starts with success, until no deadline and no action is open.
    pub(crate) fn run_until_idle(&mut self) {
        for _ in 0..MAX_STEPS {
            let awaited =
                self.workers(|child| !child.ready || child.stop_requested.is_some() || child.killed);
            if let Some((id, incarnation)) = awaited.first().copied() {
                let child = &self.nodes[id].checker.running[&incarnation];
                let reason = if child.killed { ExitReason::Killed } else { ExitReason::Shutdown };
                if child.stop_requested.is_some() || child.killed {
                    self.exit(id, incarnation, Event::Exited(incarnation, reason));
                } else {
                    self.answer(id, incarnation, &Answer::Started);
                }
            } else if !self.deadline() {
                return self.check_at_rest();
            }
        }
        panic!("not idle after {MAX_STEPS} steps");
    }

    fn check_at_rest(&mut self) {
        let now = self.now;
        for node in self.nodes.iter_mut().filter(|node| !node.terminated) {
            let states = node.rules.states(now);
            node.checker.check_at_rest(&states);
        }
    }
}

/// The `max_children` of dynamic supervisors.
pub(crate) const MAX_CHILDREN: usize = 5;

/// More than the number of deadlines and answers that any of these trees can have left.
const MAX_STEPS: usize = 10_000;

fn static_request(plan: &Plan, kind: RequestKind, child: usize) -> Request {
    let known = &plan.children[child % plan.children.len()].spec;
    let id = known.id.clone();
    match kind {
        // An existing id for even numbers, a new one for odd numbers.
        RequestKind::Start if child.is_multiple_of(2) => Request::StartChild(known.clone()),
        RequestKind::Start => {
            Request::StartChild(ChildRules { id: format!("n{}", child % 3).into(), ..known.clone() })
        }
        RequestKind::Terminate => Request::TerminateChild(id),
        RequestKind::Restart => Request::RestartChild(id),
        RequestKind::Delete => Request::DeleteChild(id),
        RequestKind::Which => Request::WhichChildren,
        RequestKind::Count => Request::CountChildren,
        RequestKind::Spec => Request::ChildSpec(id),
        RequestKind::Replace => {
            let strategies = [Group::OneForOne, Group::OneForAll, Group::RestForOne];
            let flags = Flags { strategy: strategies[child % 3], ..plan.flags };
            let specs = plan.children.iter().enumerate();
            let specs = specs.map(|(at, known)| respec(&flags, &known.spec, child + at)).cycle();
            Request::ReplaceSpecs(flags, specs.skip(child % 5).take(plan.children.len()).collect())
        }
    }
}

/// The spec with another restart type; `significant` stays only where the flags allow it.
fn respec(flags: &Flags, spec: &ChildRules, choice: usize) -> ChildRules {
    let restart = [Restart::Permanent, Restart::Transient, Restart::Temporary][choice % 3];
    let may = restart != Restart::Permanent && flags.auto_shutdown != AutoShutdown::Never;
    ChildRules { restart, significant: spec.significant && may, ..spec.clone() }
}

pub(crate) fn pick<T: Copy>(list: &[T], at: usize) -> Option<T> {
    if list.is_empty() { None } else { Some(list[at % list.len()]) }
}
