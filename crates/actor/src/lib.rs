//! Stage 1: actix actors under real supervision.
//!
//! actix gives fast, typed actors; its own supervisor never restarts one that panicked, cannot kill one, and knows
//! no exit reason. Here every actor runs inside a task of ours that catches the unwind around each poll, reads a
//! control word before it, and reports the end of each life exactly once. On that stand OTP's supervisors, played by
//! the rules of `impresario-supervision`.
//!
//! Three types to know:
//!
//! * [`Supervisor`]: a tree of children, run as a program's root or as a child of another.
//! * [`ChildSpec`]: any `actix::Actor<Context = Context<A>>`, with the rules for its lives.
//! * [`DynamicRef`]: a supervisor of any number of short-lived actors of one kind.
//!
//! This crate deliberately knows no sockets, no processes and no HTTP.

#[cfg(panic = "abort")]
compile_error!(
    "impresario supervises actors by catching their panics, so it cannot work with panic = \"abort\": \
     remove that line from the profile in Cargo.toml"
);

mod child_ref;
mod control;
mod driver;
mod dynamic;
mod env;
mod lives;
mod log;
mod notify;
mod panic;
mod requests;
mod root;
mod run;
mod spec;
mod static_plan;
mod supervisor;
mod task;

pub use child_ref::ChildRef;
pub use dynamic::DynamicRef;
pub use env::Env;
pub use impresario_supervision::{
    AutoShutdown, Backoff, ChildId, ChildInfo, ChildKind, ChildState, Counts, ExitReason, Incarnation,
    Intensity, RequestError, Restart, Shutdown, SpecError, Strategy,
};
pub use log::terminal as terminal_logger;
pub use panic::catch;
pub use requests::{AdminError, SupervisorRef};
pub use root::Tree;
pub use spec::{ChildSpec, StartError};
pub use supervisor::Supervisor;
