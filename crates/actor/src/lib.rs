//! Stage 1: actix actors under real supervision.
//!
//! actix gives fast, typed actors; its own supervisor never restarts one that panicked, cannot kill one, and knows
//! no exit reason. Here every actor runs inside a task of ours that catches the unwind around each poll, reads a
//! control word before it, and reports the end of each life exactly once. On that stand OTP's supervisors, played by
//! the rules of `impresario-supervision`.
//!
//! Four types to know:
//!
//! * [`Supervisor`]: a tree of children, run as a program's root or as a child of another.
//! * [`ChildSpec`]: any `actix::Actor<Context = Context<A>>`, with the rules for its lives.
//! * [`DynamicSupervisor`]: a supervisor of any number of actors of one kind, started on request.
//! * [`GenServer`]: an actor that is asked and told things, with a type for each; [`ServerRef`] reaches it.
//!
//! This crate deliberately knows no sockets, no processes and no HTTP.

#[cfg(panic = "abort")]
compile_error!(
    "impresario supervises actors by catching their panics, so it cannot work with panic = \"abort\": \
     remove that line from the profile in Cargo.toml"
);

mod actor_ref;
mod beside;
mod birth;
mod bonds;
mod call;
mod census;
mod child_ref;
mod destination;
mod door;
mod downs;
mod driver;
mod dynamic;
mod dynamic_plan;
mod dynamic_ref;
mod env;
mod errand;
mod gen_server;
mod group_monitor;
mod groups;
mod life;
mod lives;
mod log;
mod mail;
mod monitor;
mod names;
mod notify;
mod panic;
mod pid;
mod registered;
mod reply;
mod report;
mod requests;
mod root;
mod run;
mod server_context;
mod server_ref;
mod signal;
mod spec;
mod static_plan;
mod supervisor;
mod sync;
mod sys;
mod system;
mod task;
mod timer;
mod trace;
mod tree;
mod turns;
mod watchdog;
mod word;
mod work;

pub use actor_ref::ActorRef;
pub use call::{Call, CallError, CastError};
pub use child_ref::ChildRef;
pub use destination::Destination;
pub use dynamic::DynamicSupervisor;
pub use dynamic_ref::{DynamicRef, Instance};
pub use env::ChildContext;
pub use gen_server::{GenServer, Info, ServerActor};
pub use group_monitor::{GroupChange, GroupEvent, GroupMonitor};
pub use impresario_supervision::{
    AutoShutdown, Backoff, ChildId, ChildInfo, ChildKind, ChildRules, ChildState, Counts, ExitReason,
    Incarnation, Intensity, RequestError, Restart, Shutdown, SpecError, Strategy,
};
pub use log::terminal as terminal_logger;
pub use monitor::{Down, Monitor};
pub use names::NameError;
pub use panic::catch_panic;
pub use pid::Pid;
pub use reply::{CallMessage, PendingReply, ReplyTo};
pub use requests::{SupervisorError, SupervisorRef};
pub use root::Tree;
pub use server_context::ServerContext;
pub use server_ref::ServerRef;
pub use signal::ExitSignal;
pub use spec::{ChildSpec, StartError};
pub use supervisor::Supervisor;
pub use sys::SysError;
pub use system::Registry;
pub use timer::Timer;
pub use trace::{TraceEvent, TraceKind, TraceSink};
pub use tree::{NodeState, Subtree, TreeNode};
pub use watchdog::{Stall, Watchdog};
pub use work::TaskHandle;
