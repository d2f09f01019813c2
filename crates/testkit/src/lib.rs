//! Test support: runs built example programs as child processes and talks to them over their sockets.
//!
//! * [`Program`]: an example that runs as a child process, with all processes that it forks.
//! * [`Site`]: the `http` example and its tree: main, router, prototype, workers.
//! * [`Connection`] and [`Http`]: blocking clients with a timeout on every operation.
//! * [`scenario`]: plays recorded supervision scenarios, with simulated processes and with real actors.
//!
//! No function sleeps. A wait ends with an exit (pidfd), a line on stderr or bytes on a socket, and after
//! [`DEADLINE`] at the latest. A failed wait is a panic with a text, because the callers are tests.
//!
//! Of the workspace this crate knows the supervision rules and the actors. A program is known by its
//! processes, its sockets and `/proc`.

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

/// Makes two tests of each function that takes a [`Mode`]: one with a router, one with workers that accept.
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
