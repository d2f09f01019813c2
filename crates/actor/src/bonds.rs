//! Who hears of the end of a life: those linked to it, and those that monitor it.

use std::collections::BTreeMap;
use std::sync::Arc;

use impresario_supervision::ExitReason;
use tokio::sync::oneshot;

use crate::downs::Downs;
use crate::life::Life;
use crate::{ExitSignal, Pid};

/// Is told how the life ended.
pub(crate) enum Watcher {
    /// Somebody who waits.
    Once(oneshot::Sender<ExitReason>),
    /// Another life, by this of its monitors.
    Downs(Arc<Downs>, u64),
}

/// Takes exit signals to the actor, as messages; those of links are never refused.
pub(crate) type Trap = Arc<dyn Fn(ExitSignal, bool) + Send + Sync>;

/// The links and monitors of one life, and whether it traps exits.
#[derive(Default)]
pub(crate) struct Bonds {
    links: BTreeMap<usize, Pid>,
    watchers: BTreeMap<u64, Watcher>,
    watched: u64,
    trap: Option<Trap>,
    /// Where it hears of the ends of those that it monitors itself.
    pub(crate) downs: Option<Arc<Downs>>,
}

impl Bonds {
    pub(crate) fn link(&mut self, to: &Pid) {
        self.links.insert(to.key(), to.clone());
    }

    /// Whether there was a link.
    pub(crate) fn unlink(&mut self, from: &Pid) -> bool {
        self.links.remove(&from.key()).is_some()
    }

    pub(crate) fn is_linked(&self, to: &Pid) -> bool {
        self.links.contains_key(&to.key())
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = &Pid> {
        self.links.values()
    }

    pub(crate) fn watch(&mut self, watcher: Watcher) -> u64 {
        self.watched += 1;
        self.watchers.insert(self.watched, watcher);
        self.watched
    }

    pub(crate) fn unwatch(&mut self, key: u64) {
        self.watchers.remove(&key);
    }

    pub(crate) fn trap(&mut self, trap: Option<Trap>) {
        self.trap = trap;
    }

    pub(crate) fn trapping(&self) -> Option<&Trap> {
        self.trap.as_ref()
    }

    /// The life is over: everybody hears of it, in the order in which they asked.
    pub(crate) fn dissolve(self, life: &Arc<Life>, reason: &ExitReason) {
        let pid = Pid::of(life);
        for watcher in self.watchers.into_values() {
            match watcher {
                // Who does not wait any more does not need it.
                Watcher::Once(waits) => drop(waits.send(reason.clone())),
                Watcher::Downs(downs, key) => downs.wait_exit(key, reason.clone()),
            }
        }
        for linked in self.links.into_values() {
            linked.life().linked_exit(&pid, reason);
        }
    }
}
