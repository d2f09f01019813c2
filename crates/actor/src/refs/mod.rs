//! Handles to actors: [`ChildRef`](child_ref::ChildRef), which follows restarts; calls; and the operations of OTP's `sys`.
//!
//! They reach an actor through its cell and its mailbox. They do not know what the actor is: a server, a supervisor, or
//! code of the user.

pub(crate) mod call;
pub(crate) mod child_ref;
pub(crate) mod sys;
