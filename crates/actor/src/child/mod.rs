//! A child spec, and one incarnation of the child: its factory, the task that runs the actor, its message loop and the
//! guard that reports its exit.
//!
//! Reports go to the parent through an `EventSender`. This folder does not know which kind of supervisor receives them,
//! and has no handle that survives a restart.

pub(crate) mod actor_task;
pub(crate) mod events;
pub(crate) mod exit_guard;
pub(crate) mod message_loop;
pub(crate) mod spawn;
pub(crate) mod spec;
pub(crate) mod start_error;
pub(crate) mod system_messages;
