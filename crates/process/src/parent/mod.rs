//! A process that has children: main, a prototype.

pub(crate) mod child;
pub(crate) mod event_loop;
pub(crate) mod orphans;
pub(crate) mod phase;
pub(crate) mod poller;
pub(crate) mod port;
pub(crate) mod state;
