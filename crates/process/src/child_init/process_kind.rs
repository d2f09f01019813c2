//! What is forked for a child, and how often it was.

use std::collections::BTreeMap;
use std::io;

use impresario_supervision::ChildKey;
use impresario_wire::Role;

use crate::identity::LoggerFactory;
use crate::{PoolSpec, Prefork, ProcessIdentity, ProcessInit};

/// What a child is.
pub(crate) enum ProcessKind {
    Leaf(Box<dyn ProcessInit>),
    /// A process that runs our loop again, over a pool of leaves.
    Prototype {
        pool: PoolSpec,
        leaf: Box<dyn ProcessInit>,
    },
}

impl ProcessKind {
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Leaf(leaf) => leaf.role(),
            Self::Prototype { .. } => Role::Prototype,
        }
    }

    /// What it inherits for itself or for those below it.
    pub(crate) fn listeners(&self) -> Vec<String> {
        match self {
            Self::Leaf(leaf) | Self::Prototype { leaf, .. } => leaf.listeners(),
        }
    }

    fn prefork(&mut self, child: &ProcessIdentity) -> io::Result<Prefork> {
        match self {
            Self::Leaf(leaf) => leaf.prefork(child),
            Self::Prototype { .. } => Ok(Prefork::default()),
        }
    }
}

/// The plans of one process's children, and which life each of them is in.
pub(crate) struct ChildFactory {
    /// Each with the name of those it starts.
    plans: Vec<(String, ProcessKind)>,
    generations: BTreeMap<ChildKey, u32>,
    pub(crate) logging: LoggerFactory,
}

impl ChildFactory {
    pub(crate) fn new(plans: Vec<(String, ProcessKind)>, logging: LoggerFactory) -> Self {
        Self { plans, generations: BTreeMap::new(), logging }
    }

    /// Who is to be born now, with the descriptors made for it.
    pub(crate) fn prefork(
        &mut self,
        key: ChildKey,
        place: (usize, u32),
    ) -> io::Result<(ProcessIdentity, Prefork)> {
        let (index, slot) = place;
        let Some((name, plan)) = self.plans.get_mut(index) else {
            return Err(io::Error::other("there is no plan for this child"));
        };
        let incarnation = self.generations.entry(key).or_default();
        *incarnation = incarnation.wrapping_add(1);
        let identity =
            ProcessIdentity { role: plan.role(), name: name.clone(), slot, incarnation: *incarnation };
        let prefork = plan.prefork(&identity)?;
        Ok((identity, prefork))
    }

    /// Takes a plan out: in the child, whose copy of the others is of no use.
    pub(crate) fn take(&mut self, place: (usize, u32)) -> ProcessKind {
        self.plans.swap_remove(place.0).1
    }

    pub(crate) fn forget(&mut self, key: ChildKey) {
        self.generations.remove(&key);
    }
}
