//! Drives built programs as a user would: starts them, talks to them, shoots them, and sees that nothing is left.
//!
//! Four types to know:
//!
//! * [`Program`]: an example that runs as a child process, with everything it forked.
//! * [`Site`]: the `http` example and its tree: main, router, prototype, workers.
//! * [`Connection`] and [`Http`]: blocking clients whose every wait has an end.
//!
//! Nothing here waits for time to pass: a wait is for an exit (a pidfd), a line on stderr or bytes on a socket, and
//! each has a [`DEADLINE`]. What goes wrong is a panic with a text, because the callers are tests.
//!
//! Beside that, [`scenario`] plays recorded scenarios, with simulated processes and with real actors.
//!
//! This crate deliberately knows nothing of the workspace but the rules of supervision and the actors that play them: of
//! a program it sees processes, sockets and `/proc`.

mod body;
mod client;
mod http;
mod limits;
mod log;
mod process;
pub mod procfs;
mod program;
pub mod scenario;
mod site;

pub use body::{Body, Pattern};
pub use client::Connection;
pub use http::{Http, Response};
pub use limits::{DEADLINE, TICK, TREE_EXIT_TIMEOUT};
pub use process::{Process, all_exit};
pub use program::{Program, example_path};
pub use rustix::process::Signal;
pub use site::{Mode, Site, Tree};

/// Makes tests of functions that take a [`Mode`]: one with a router, one with workers that accept.
#[macro_export]
macro_rules! in_both_modes {
    ($($test:ident),+ $(,)?) => {
        mod router {
            $(#[test] fn $test() { super::$test($crate::Mode::Router); })+
        }
        mod direct {
            $(#[test] fn $test() { super::$test($crate::Mode::Direct); })+
        }
    };
}
