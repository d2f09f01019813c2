//! Port actors: what processes say to each other, as calls and deliveries within one of them.
//!
//! A port is one end of a SEQPACKET socket pair. A [`Port`] reads it and makes one call for each message; any number
//! of [`PortHandle`]s, in any actor on any thread of the process, write to it.
//!
//! ```no_run
//! # use impresario_actor::{Strategy, Supervisor};
//! # use impresario_port::{PortEvent, PortHandle};
//! # use impresario_sys::SeqPacket;
//! # use impresario_wire::{Link, Message, Role, StreamId};
//! # async fn worker(socket: SeqPacket) -> Result<(), Box<dyn std::error::Error>> {
//! let parent = PortHandle::new(socket, Link::new(Role::Worker, Role::Prototype)?);
//! let port = parent.child_spec("parent", |event| match event {
//!     PortEvent::Message(incoming) => println!("{:?} on stream {}", incoming.message, incoming.stream),
//!     PortEvent::Closed(reason) => println!("the parent is gone: {reason}"),
//! });
//! let tree = Supervisor::new(Strategy::OneForOne).child(port).start().await?;
//! parent.send(StreamId::NONE, &Message::Ready, &[])?;
//! # Ok(())
//! # }
//! ```
//!
//! Three types to know:
//!
//! * [`Port`]: the actor; its restart loses no message that waits to be read or written.
//! * [`PortHandle`]: sends, with a bounded queue behind it, and closes.
//! * [`Incoming`]: one message with its stream, its descriptors and its sender.
//!
//! This crate deliberately knows no fork, no role's work, no HTTP, and of the bytes only what `impresario-wire` says.

mod error;
mod event;
mod handle;
mod port;
mod queue;
mod reader;
mod shared;

pub use error::SendError;
pub use event::{CloseReason, Incoming, PortEvent};
pub use handle::PortHandle;
pub use port::{Port, READ_BUDGET, RETRY_DELAY, WRITE_BUDGET};
pub use queue::{HIGH_BYTES, HIGH_MESSAGES, LOW_BYTES, LOW_MESSAGES};
