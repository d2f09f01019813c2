//! The rules of OTP supervision as pure state machines: events in, actions out.
//!
//! The rules are the same for actors and for operating system processes: which child is restarted, in what order,
//! when the supervisor gives up, how long a stop may take. They are written once, here. Two drivers execute them:
//! `impresario-actor` on actix, `impresario-process` with fork and wait.
//!
//! * [`Supervisor`]: a list of children, started in order and stopped in reverse.
//! * [`DynamicSupervisor`]: any number of instances of one template, stopped in parallel.
//! * [`ChildRules`]: restart type, shutdown, backoff and time-outs of one child.
//! * [`pool::WorkerPool`]: the size of a pool of workers by load. It has no driver yet.
//!
//! Each of them is driven in the same way:
//!
//! 1. Call `handle(now, event)`.
//! 2. Execute each action that `poll_action()` returns, until it returns `None`.
//! 3. Set a timer to `poll_timeout()`. When it fires before another event, pass [`Event::Timeout`].
//!
//! The files of the root hold data that rules and drivers exchange. Folders: `policy` (what a user configures),
//! `supervisor`, `dynamic`, `pool`. The last three do not import each other. `policy` imports only `id`, `reason` and
//! `time` of the root.
//!
//! The crate depends on std only: no clock, no I/O, no runtime, no actors, no processes. Every input carries its
//! own [`Time`].

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
pub use policy::backoff::{Backoff, DelayedRestart};
pub use policy::intensity::Intensity;
pub use policy::spec::{AutoShutdown, ChildKind, ChildRules, Flags, Restart, Shutdown, Strategy};
pub use policy::spec_error::SpecError;
pub use reason::ExitReason;
pub use report::{Report, ReportKind};
pub use request::{ChildInfo, ChildState, Counts, Reply, Request, RequestError, RequestId};
pub use status::{ChildStage, ChildStatus};
pub use supervisor::Supervisor;
pub use time::Time;
