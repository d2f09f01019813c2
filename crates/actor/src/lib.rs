//! Stage 1: actix actors under OTP supervision.
//!
//! actix provides fast, typed actors. Its own supervisor does not restart an actor that panicked, cannot kill
//! one, and has no exit reasons. This crate runs every actor in a task of its own. The task catches panics
//! around each poll, reads the control flags before each poll, and reports the exit of each incarnation exactly
//! once. Supervisors on top of it execute the rules of `impresario-supervision`.
//!
//! The main types:
//!
//! * [`Supervisor`]: a tree of children, run as the root of a program or as a child of another supervisor.
//! * [`ChildSpec`]: any `actix::Actor<Context = Context<A>>`, with its restart rules.
//! * [`DynamicSupervisor`]: a supervisor of any number of actors of one kind, started on request.
//! * [`GenServer`]: an actor with typed calls and casts; [`ServerRef`] refers to it.
//!
//! It has no sockets, no processes and no HTTP.

#[cfg(test)]
#[path = "wake_tests.rs"]
mod wake_tests;

#[cfg(panic = "abort")]
compile_error!(
    "impresario supervises actors by catching their panics, so it cannot work with panic = \"abort\": \
     remove that line from the profile in Cargo.toml"
);

mod cell;
mod child;
mod context;
mod gen_server;
mod logger;
mod panic;
mod refs;
mod registry;
mod supervisor;
mod sync;
mod tree;

pub use cell::ExitSignal;
pub use cell::Pid;
pub use cell::actor_ref::ActorRef;
pub use cell::actor_ref::CastError;
pub use cell::{TraceEvent, TraceKind, TraceSink};
pub use child::spec::ChildSpec;
pub use child::start_error::StartError;
pub use context::ChildContext;
pub use context::destination::Destination;
pub use context::group_monitor::GroupMonitor;
pub use context::monitor::{Down, Monitor};
pub use context::task_handle::TaskHandle;
pub use context::timer::Timer;
pub use gen_server::ServerContext;
pub use gen_server::reply::{CallMessage, PendingReply, ReplyTo};
pub use gen_server::server_ref::ServerRef;
pub use gen_server::{GenServer, Info, ServerActor};
pub use impresario_supervision::{
    AutoShutdown, Backoff, ChildId, ChildInfo, ChildKind, ChildRules, ChildState, Counts, ExitReason,
    Incarnation, Intensity, RequestError, Restart, Shutdown, SpecError, Strategy,
};
pub use logger::terminal as terminal_logger;
pub use panic::catch_panic;
pub use refs::call::{Call, CallError};
pub use refs::child_ref::ChildRef;
pub use refs::sys::SysError;
pub use registry::Registry;
pub use registry::groups::{GroupChange, GroupEvent};
pub use registry::names::NameError;
pub use supervisor::Supervisor;
pub use supervisor::dynamic::DynamicSupervisor;
pub use supervisor::dynamic::Instance;
pub use supervisor::dynamic::dynamic_ref::DynamicRef;
pub use supervisor::error::SupervisorError;
pub use supervisor::snapshot::{NodeState, Subtree, TreeNode};
pub use supervisor::supervisor_ref::SupervisorRef;
pub use tree::Tree;
pub use tree::watchdog::{Stall, Watchdog};
