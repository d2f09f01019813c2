//! Servers that do not go down: the supervision tree of Erlang/OTP on actix, carried on to operating system processes.
//!
//! A server is a tree, written in code. Climb only as far as you need:
//!
//! 1. A tree in one process: [`Supervisor`] and [`Listener`].
//! 2. Workers that accept: [`Main`] and [`App::listen`].
//! 3. A router in front of the workers of apps: [`Router`].
//!
//! A [`Handler`] written for the first runs unchanged on the others.
//!
//! ```no_run
//! use impresario::prelude::*;
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
//!         socket.send(data).await?;
//!         Ok(Next::Continue)
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     let echo = Listener::tcp("127.0.0.1:7007", || Echo).max_connections(10_000);
//!
//!     Supervisor::new(Strategy::OneForOne)
//!         .child(echo.child_spec("echo"))
//!         .run()
//! }
//! ```
//!
//! Three types to know: [`Supervisor`], [`Listener`], [`Main`]. This crate puts the others together, and deliberately
//! knows nothing that they do not: no rule of supervision, no byte of a frame.

mod address;
mod app;
mod body;
mod limits;
pub mod log;
mod main_process;
pub mod prelude;
mod router;
mod worker;

pub use app::{App, Pool, RESTART_PERIOD, RESTARTS_PER_WORKER, START_TIMEOUT, Worker};
pub use impresario_actor as actor;
pub use impresario_actor::{ChildSpec, Supervisor};
pub use impresario_http as http;
pub use impresario_process::{BoxError, ProcessIdentity, ProcessLogger, Role};
pub use impresario_server as server;
pub use impresario_server::{Handler, Listener};
pub use main_process::{MAX_RESTARTS, Main, MainError};
pub use router::Router;
