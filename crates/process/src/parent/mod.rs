//! A process that has children: main, a prototype.
//!
//! [`state::ParentState`] holds everything; sibling files add its methods by concern:
//!
//! * `event_loop`: the loop, the actions of the rules, the phases of a shutdown, the exit.
//! * `events`: what each event source does (`on_*`): signals, ports, pidfds, timeouts.
//! * `actions`: start, stop, kill and remove a child; the reports of the rules.
//! * `messages`: sending on ports, and what a port error leads to.
//! * `fork`: the fork of a child.
//!
//! `phase`, `poller`, `port`, `child`, `children` and `orphans` are parts of the state. `role` is the trait
//! by which main and a prototype differ. This folder knows the types of `child_init/`; it may not know
//! `roles/`.

mod actions;
pub(crate) mod child;
mod children;
mod event_loop;
mod events;
mod fork;
mod messages;
mod orphans;
pub(crate) mod phase;
mod poller;
pub(crate) mod port;
pub(crate) mod role;
pub(crate) mod state;
