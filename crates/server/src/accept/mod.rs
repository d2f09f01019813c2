//! The accept loop: it waits for capacity, accepts, hands over, and retries when `accept(2)` fails.
//!
//! An [`Acceptor`](acceptor::Acceptor) is an actor on one listening socket. This folder follows the phase of the tracker.
//! It may not know the parts of a listener or the order of a drain.

pub(crate) mod acceptor;
mod backoff;
