//! The rules of OTP supervision as a pure state machine: events in, actions out.
//!
//! What a supervisor decides (who restarts, in what order, when to give up, how long to wait for a stop) is the
//! same whether a child is an actor or an operating system process. So the decisions are written once, here,
//! and two thin drivers play them: `impresario-actor` on actix, `impresario-process` on fork and wait.
//!
//! Three types to know:
//!
//! * [`Supervisor`]: a list of children in start order, stopped in reverse.
//! * [`DynamicSupervisor`]: any number of children of one kind, stopped in parallel.
//! * [`ChildRules`]: what is to be done about one child.
//!
//! Both supervisors speak the same grammar: call `handle(now, event)`, then drain `poll_action()` until `None`,
//! then ask `poll_timeout()` when to come back with [`Event::Timeout`] if nothing else happens first.
//!
//! This crate deliberately knows no clock, no I/O, no runtime, no actor and no process: only std.

mod dynamic;
mod event;
mod id;
mod id_map;
mod policy;
pub mod pool;
mod reason;
mod report;
mod request;
mod status;
mod supervisor;
mod time;

pub use dynamic::DynamicSupervisor;
pub use event::{Action, Event};
pub use id::{ChildId, ChildKey, Incarnation};
pub use id_map::{IdHasher, IdMap};
pub use policy::backoff::Backoff;
pub use policy::intensity::Intensity;
pub use policy::spec::{AutoShutdown, ChildKind, ChildRules, Flags, Restart, Shutdown, Strategy};
pub use policy::spec_error::SpecError;
pub use reason::ExitReason;
pub use report::{Report, ReportKind};
pub use request::{ChildInfo, ChildState, Counts, Reply, Request, RequestError, RequestId};
pub use status::{ChildStage, ChildStatus};
pub use supervisor::Supervisor;
pub use time::Time;
