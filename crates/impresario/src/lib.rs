//! Supervision trees of Erlang/OTP on actix, extended to operating system processes.
//!
//! A server is a tree that is written in code. There are three kinds:
//!
//! 1. One process: [`Supervisor`] and [`Listener`].
//! 2. Worker processes that accept: [`Main`] and [`App::listen`].
//! 3. Worker processes behind a router process: [`Main`] and [`Router`].
//!
//! A [`Handler`] runs unchanged in all of them.
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
//! This crate connects the other crates. It has no rules of supervision, and no encoding of frames.

mod actor_tree;
mod address;
mod app;
mod limits;
pub mod log;
mod main_process;
mod pool;
pub mod prelude;
mod router;
mod worker;

pub use app::App;
pub use impresario_actor as actor;
pub use impresario_actor::{ChildSpec, Supervisor};
pub use impresario_http as http;
pub use impresario_process::{BoxError, ProcessIdentity, ProcessLogger, Role};
pub use impresario_server as server;
pub use impresario_server::{Handler, Listener};
pub use main_process::{MAX_RESTARTS, Main, MainError};
pub use pool::{Pool, RESTART_PERIOD, RESTARTS_PER_WORKER, START_TIMEOUT};
pub use router::Router;
pub use worker::Worker;
