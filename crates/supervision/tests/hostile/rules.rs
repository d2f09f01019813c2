//! Both kinds of supervisor behind one type.

use impresario_supervision::{
    Action, ChildKey, ChildRules, ChildState, DynamicSupervisor, Event, Request, RequestId, Supervisor, Time,
};

#[derive(Clone, Debug)]
pub(crate) enum Rules {
    Static(Supervisor),
    Dynamic(DynamicSupervisor),
}

impl Rules {
    pub(crate) fn handle(&mut self, now: Time, event: Event) {
        match self {
            Self::Static(rules) => rules.handle(now, event),
            Self::Dynamic(rules) => rules.handle(now, event),
        }
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::Static(rules) => rules.poll_action(),
            Self::Dynamic(rules) => rules.poll_action(),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        match self {
            Self::Static(rules) => rules.poll_timeout(),
            Self::Dynamic(rules) => rules.poll_timeout(),
        }
    }

    pub(crate) fn spec(&self, key: ChildKey) -> Option<&ChildRules> {
        match self {
            Self::Static(rules) => rules.spec(key),
            Self::Dynamic(rules) => Some(rules.template()),
        }
    }

    /// The position of an entry in the start order; 0 for every instance.
    pub(crate) fn position(&self, key: ChildKey) -> usize {
        match self {
            Self::Static(rules) => rules.keys().position(|known| known == key).expect("the key is listed"),
            Self::Dynamic(_) => 0,
        }
    }

    pub(crate) fn is_dynamic(&self) -> bool {
        matches!(self, Self::Dynamic(_))
    }

    /// The states of the children, oldest first. The supervisor must have no transition under way.
    pub(crate) fn states(&mut self, now: Time) -> Vec<ChildState> {
        match self {
            Self::Dynamic(rules) => rules.which_children().into_iter().map(|child| child.state).collect(),
            Self::Static(rules) => {
                rules.request(now, RequestId(u64::MAX), Request::WhichChildren);
                match rules.poll_action() {
                    Some(Action::Reply(_, impresario_supervision::Reply::Children(children))) => {
                        children.into_iter().rev().map(|child| child.state).collect()
                    }
                    other => panic!("a transition is under way: {other:?}"),
                }
            }
        }
    }
}
