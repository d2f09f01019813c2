//! The accept loop: waiting for capacity, accepting, handing over, and what to do when `accept(2)` fails.
//!
//! An [`Acceptor`](acceptor::Acceptor) is an actor on one listening socket. This folder may not know what a listener
//! consists of, or how a drain is ordered: it follows the phase of the tracker.

pub(crate) mod acceptor;
mod backoff;
