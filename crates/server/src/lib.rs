//! Listeners, acceptors, and connections that are owned by actors.
//!
//! A [`Listener`] is a supervisor with three children: the supervisor of its connections, the acceptor, and the
//! drain. Connections stand first, so the death of the acceptor closes none of them. The drain stands last, so
//! it stops first, while all it needs is still running. The listening socket is a value that the listener
//! holds, so a restart binds no address again.
//!
//! The types of a connection:
//!
//! * [`Accepted`]: a connection that is not being read. It can move to another actor, thread or process.
//! * [`Socket`]: a connection of the actor that claimed it.
//! * [`Handler`]: user code for the bytes of one connection.
//!
//! A [`Transport`] adds timeouts, size limits, the PROXY protocol and (feature `tls`) TLS to any protocol.
//!
//! The parts of a listener can be used alone: [`Connections`] serves connections of any source, an [`Acceptor`]
//! sends what it accepts to any destination, and both share a [`ConnectionTracker`], which counts, limits and
//! drains.
//!
//! It has no processes, no ports and no HTTP.

mod accept;
mod address;
mod connections;
mod listen;
mod listener;
mod protocol;
pub mod proxy;
mod socket;
#[cfg(feature = "tls")]
mod tls;
mod tracker;

pub use accept::acceptor::Acceptor;
pub use address::Address;
pub use bytes::Bytes;
pub use connections::Connections;
pub use connections::reject::RejectError;
pub use impresario_actor::CastError;
pub use listen::endpoint::Endpoint;
pub use listen::inherited::{InheritError, Inherited, inherited};
pub use listen::listen_socket::{ListenError, ListenSocket};
pub use listen::unix::SocketFile;
pub use listener::Listener;
pub use listener::listener_ref::{Drained, ListenerRef, Status, Suspend, SuspendError};
pub use protocol::handler::{DisconnectReason, Handler};
pub use protocol::mailbox::{ConnectionRef, Mailbox};
pub use protocol::next::Next;
pub use protocol::receive::Receive;
pub use protocol::transport::{ProxyProtocol, Transport, WithTransport};
pub use protocol::{Protocol, Serve, serve};
pub use socket::accepted::{Accepted, TransferError};
pub use socket::active::{ActiveEvent, ActiveSocket};
pub use socket::active_mode::Active;
pub use socket::credentials::Credentials;
pub use socket::idle_timeout::{IdleTimeout, LazyTimer};
pub use socket::inner::ClaimOutcome;
#[cfg(feature = "tls")]
pub use socket::starttls::TlsSession;
pub use socket::{SendError, Socket};
#[cfg(feature = "tls")]
pub use tls::certificate::{Certificate, TlsError};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsBuilder};
pub use tracker::ConnectionTracker;
pub use tracker::alarm::{Alarm, AlarmReport};
pub use tracker::connection_table::{ConnectionId, ConnectionStats};
pub use tracker::draining::Draining;
pub use tracker::limits::Policy;
pub use tracker::metrics::{Ended, Metrics, Rejected};
pub use tracker::permit::Permit;
pub use tracker::rate::Rate;
