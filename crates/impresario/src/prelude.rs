//! Imports that most servers need.

pub use std::io;
pub use std::process::ExitCode;

pub use impresario_actor::{
    Backoff, ChildContext, ChildRef, ChildSpec, DynamicRef, DynamicSupervisor, ExitReason, GenServer,
    Intensity, ReplyTo, Restart, ServerContext, ServerRef, Shutdown, StartError, Strategy, Supervisor,
};
pub use impresario_http as http;
pub use impresario_server::{Accepted, Bytes, Handler, Listener, Next, Socket};

pub use crate::app::App;
pub use crate::log;
pub use crate::main_process::Main;
pub use crate::pool::Pool;
pub use crate::router::Router;
