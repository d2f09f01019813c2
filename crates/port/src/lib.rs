//! Ports as actors: messages between processes arrive as calls of a handler.
//!
//! A port is one end of a SEQPACKET socket pair. A [`Port`] actor reads it and calls its handler once per message. Any
//! number of [`PortHandle`]s, on any thread of the process, send over it.
//!
//! ```no_run
//! # use impresario_actor::{Strategy, Supervisor};
//! # use impresario_port::{PortEvent, PortHandle};
//! # use impresario_sys::SeqPacket;
//! # use impresario_wire::{Message, PortPolicy, Role, StreamId};
//! # async fn worker(socket: SeqPacket) -> Result<(), Box<dyn std::error::Error>> {
//! let parent = PortHandle::new(socket, PortPolicy::new(Role::Worker, Role::Prototype)?);
//! let port = parent.child_spec("parent", |event| match event {
//!     PortEvent::Message(incoming) => println!("{:?} on stream {}", incoming.message, incoming.stream),
//!     PortEvent::Closed(reason) => println!("the port to the parent is closed: {reason}"),
//! });
//! let tree = Supervisor::new(Strategy::OneForOne).child(port).start().await?;
//! parent.send(StreamId::NONE, &Message::Ready, &[])?;
//! # Ok(())
//! # }
//! ```
//!
//! The main types:
//!
//! * [`Port`]: the actor. Its restart loses no message in the socket or in the queue.
//! * [`PortHandle`]: sends, with a bounded queue, and closes the port.
//! * [`Incoming`]: one received message with its stream, its descriptors and its sender.
//!
//! The classification of socket errors (`impresario_sys::classify`) and the queue (`impresario_wire::OutgoingQueue`) are
//! shared with the blocking port of main, see `docs/adr/0008`. This crate is the driver on actix and tokio.
//!
//! It has no fork, no HTTP, and no logic of a role. The encoding is `impresario-wire`'s.

mod error;
mod event;
mod handle;
mod limits;
mod port;
mod reader;
mod state;

pub use error::SendError;
pub use event::{CloseReason, Incoming, PortEvent};
pub use handle::PortHandle;
pub use limits::{
    HIGH_BYTES, HIGH_MESSAGES, LOW_BYTES, LOW_MESSAGES, READ_BUDGET, RETRY_DELAY, WRITE_BUDGET,
};
pub use port::Port;
