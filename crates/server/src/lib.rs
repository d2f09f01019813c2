//! Listeners that hold, connections that are owned.
//!
//! A [`Listener`] is a tree of three: the supervisor of its connections, the acceptor, and the one that drains.
//! Connections stand first, so the death of the acceptor costs none of them; drain stands last, so it is told to
//! stop first, while everything it needs to say good-bye is still there. The listening socket is a value that the
//! listener holds, so a restart binds nothing anew.
//!
//! Three types to know:
//!
//! * [`Accepted`]: a connection nobody reads yet. It can go to another actor, thread or process.
//! * [`Socket`]: a connection owned by the actor that claimed it.
//! * [`Handler`]: what a server does with the bytes of one connection.
//!
//! A [`Transport`] puts limits of time and size, the PROXY protocol and (feature `tls`) TLS under any protocol.
//!
//! The parts of a listener also stand alone: [`Connections`] serves what comes from anywhere, an [`Acceptor`] brings
//! what it accepts to anybody, and both meet at a [`Gate`], which counts, limits and drains.
//!
//! This crate deliberately knows no processes, no ports and no HTTP.

mod accept_error;
mod accepted;
mod acceptor;
mod active;
mod address;
mod alarm;
mod balance;
mod connection;
mod connections;
mod drain;
mod endpoint;
mod gate;
#[cfg(test)]
mod gate_tests;
mod handler;
mod held;
mod inherited;
mod listen;
mod listener;
mod listener_ref;
#[cfg(test)]
mod listener_tests;
mod mailbox;
mod metrics;
mod outgoing;
mod parts;
mod patience;
mod peers;
mod permit;
mod phase;
mod policy;
mod protocol;
pub mod proxy;
mod rate;
mod registry;
mod socket;
mod spare;
mod stream;
mod strict;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod units;
mod unix;
mod waiting;
mod wakers;
mod window;

pub use accepted::{Accepted, TransferError};
pub use acceptor::Acceptor;
pub use active::{Active, ActiveEvent, ActiveSocket};
pub use address::Address;
pub use alarm::{Alarm, AlarmReport};
pub use bytes::Bytes;
pub use connections::{Connections, RejectError};
pub use endpoint::Endpoint;
pub use gate::ConnectionTracker;
pub use handler::{DisconnectReason, Handler, Next};
pub use inherited::{InheritError, Inherited, inherited};
pub use listen::{ListenError, ListenSocket};
pub use listener::Listener;
pub use listener_ref::{Drained, ListenerRef, Status, Suspend, SuspendError};
pub use mailbox::{ConnectionRef, Mailbox, Receive, TellError};
pub use metrics::{Ended, Metrics, Rejected};
pub use parts::ClaimOutcome;
pub use patience::{IdleTimeout, LazyTimer};
pub use permit::Permit;
pub use policy::Policy;
pub use protocol::{Protocol, Serve, serve};
pub use rate::Rate;
pub use registry::{ConnectionId, ConnectionStats};
pub use socket::{SendError, Socket};
#[cfg(feature = "tls")]
pub use tls::{Certificate, Tls, TlsBuilder, TlsError, TlsSession};
pub use transport::{ProxyProtocol, Transport, WithTransport};
pub use unix::{Credentials, SocketFile};
pub use waiting::Draining;
