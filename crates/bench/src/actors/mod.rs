//! Actors of Impresario and of other frameworks that do the same work on one thread.
//!
//! Each measurement is a process of its own, so sides do not share an allocator, a panic hook or leftovers.
//! `kind.rs` and `workload.rs` define the work; each other file is one framework. This folder knows no rows
//! and no servers.

mod actix;
mod adder;
mod kameo;
pub(crate) mod kind;
mod ours;
mod ractor;
mod tokio;
mod workload;
mod xtra;

use std::process::{Command, Stdio};
use std::time::Duration;

use ::tokio::runtime::Builder;
use ::tokio::task::JoinError;
use rustix::process::{Signal, set_parent_process_death_signal};

use self::kind::{Framework, Work};
use crate::command::{self, ACT};
use crate::error::Error;

/// Runs the work in a child process, for this time or as often as the work requires. Returns the figure.
pub(crate) fn measure(work: Work, framework: Framework, time: Duration) -> Result<f64, Error> {
    let output = Command::new(std::env::current_exe()?)
        .args([ACT, work.name(), framework.name(), &time.as_secs_f64().to_string()])
        .stdin(Stdio::null())
        .output()?;
    let figure = String::from_utf8_lossy(&output.stdout).trim().parse().ok().filter(|figure| *figure > 0.0);
    figure.filter(|_| output.status.success()).ok_or_else(|| Error::Work {
        work: work.name(),
        framework: framework.name(),
        status: output.status,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs the work. Called in the child process.
pub(crate) fn run(work: &str, framework: &str, seconds: &str) -> Result<f64, Error> {
    // The work dies with the process that waits for its figure.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(std::io::Error::from)?;
    let unknown = |name: &str| Error::Argument(name.to_owned());
    let time = command::seconds(seconds).map_err(|_| unknown(seconds))?;
    let time = Duration::from_secs_f64(time);
    let work = Work::ALL.into_iter().find(|one| one.name() == work).ok_or_else(|| unknown(work))?;
    let framework =
        Framework::ALL.into_iter().find(|one| one.name() == framework).ok_or_else(|| unknown(framework))?;
    if work == Work::Restart {
        // The panics are part of the work. Printing would dominate the time, and only some frameworks print.
        std::panic::set_hook(Box::new(|_| ()));
    }
    run_on_runtime(work, framework, time)
}

/// Runs the work in a task. The task that waits for actors must not be the thread of the runtime, which is
/// woken by a system call.
fn run_on_runtime(work: Work, framework: Framework, time: Duration) -> Result<f64, Error> {
    let ended = match framework {
        Framework::Ours => system(workload::run::<ours::Ours>(work, time)),
        Framework::Actix => system(workload::run::<actix::Actix>(work, time)),
        Framework::Ractor => runtime(workload::run::<ractor::Ractor>(work, time)),
        Framework::RactorLinked => runtime(workload::run::<ractor::RactorLinked>(work, time)),
        Framework::Kameo => runtime(workload::run::<kameo::Kameo>(work, time)),
        Framework::Xtra => runtime(workload::run::<xtra::Xtra>(work, time)),
        Framework::Tokio => runtime(workload::run::<tokio::Tokio>(work, time)),
    };
    ended.unwrap_or_else(|error| Err(Error::Io(error.into())))
}

/// Runs a task on actix.
fn system<T: 'static>(work: impl Future<Output = T> + 'static) -> Result<T, JoinError> {
    actix_rt::System::new().block_on(async { actix_rt::spawn(work).await })
}

/// Runs a task on tokio.
fn runtime<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, JoinError> {
    // This fails only without free descriptors or memory.
    let runtime = Builder::new_current_thread().enable_all().build().expect("the runtime can be built");
    runtime.block_on(async { ::tokio::spawn(work).await })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_framework_has_a_figure_for_each_work() {
        let time = Duration::from_millis(1);
        for framework in Framework::ALL {
            for work in [Work::Tell, Work::Ask, Work::SpawnStop] {
                let figure = run_on_runtime(work, framework, time);
                assert!(figure.is_ok_and(|figure| figure > 0.0), "{work:?} by {framework:?}");
            }
        }
    }

    #[test]
    fn unknown_work_framework_or_time_is_an_error() {
        assert!(matches!(run("nothing", "ours", "1"), Err(Error::Argument(name)) if name == "nothing"));
        assert!(matches!(run("tell", "unknown", "1"), Err(Error::Argument(name)) if name == "unknown"));
        assert!(matches!(run("tell", "ours", "long"), Err(Error::Argument(name)) if name == "long"));
    }
}
