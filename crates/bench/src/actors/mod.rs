//! Actors, ours and others', doing the same work on one thread. Each measurement is a process of its own, so that no
//! allocator, panic hook or leftover of one side is met by another.

mod actix;
mod adder;
mod kameo;
mod ours;
mod ractor;
mod tokio;
mod work;
mod xtra;

use std::process::{Command, Stdio};
use std::time::Duration;

use ::tokio::runtime::Builder;
use ::tokio::task::JoinError;
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::error::Error;
use crate::{ACT, io};

/// What actors are made to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Messages to one actor that nobody waits for; the producer yields after each burst.
    Tell,
    /// Messages to one actor that are answered, one at a time.
    Ask,
    /// Starting an actor, stopping it, seeing its end; one at a time.
    SpawnStop,
    /// A panic, and the replacement running; one at a time.
    Restart,
    /// What an actor that does nothing takes.
    IdleMemory,
    /// Stopping many actors at once, until all have ended.
    Shutdown,
}

/// Whose actors they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framework {
    /// Actors under a supervisor of ours.
    Ours,
    /// Plain actix, without supervision.
    Actix,
    Ractor,
    /// The same, linked to a supervisor.
    RactorLinked,
    Kameo,
    Xtra,
    /// A task of bare tokio with a channel.
    Tokio,
}

/// How often work of a fixed size is done at most: its figures hardly differ, and each takes long.
const MAX_ROUNDS: u16 = 5;

impl Work {
    const ALL: [Self; 6] =
        [Self::Tell, Self::Ask, Self::SpawnStop, Self::Restart, Self::IdleMemory, Self::Shutdown];

    fn name(self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::Ask => "ask",
            Self::SpawnStop => "spawn-stop",
            Self::Restart => "restart",
            Self::IdleMemory => "idle-memory",
            Self::Shutdown => "shutdown",
        }
    }

    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Tell => "messages/s",
            Self::Ask => "round trips/s",
            Self::SpawnStop => "lives/s",
            Self::Restart => "restarts/s",
            Self::IdleMemory => "bytes/actor",
            Self::Shutdown => "ends/s",
        }
    }

    /// How often it is measured when this many times are asked for.
    pub(crate) fn rounds(self, asked: u16) -> u16 {
        match self {
            Self::IdleMemory | Self::Shutdown => asked.min(MAX_ROUNDS),
            _ => asked,
        }
    }
}

impl Framework {
    const ALL: [Self; 7] =
        [Self::Ours, Self::Actix, Self::Ractor, Self::RactorLinked, Self::Kameo, Self::Xtra, Self::Tokio];

    fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Actix => "actix",
            Self::Ractor => "ractor",
            Self::RactorLinked => "ractor-linked",
            Self::Kameo => "kameo",
            Self::Xtra => "xtra",
            Self::Tokio => "tokio",
        }
    }
}

/// Has a child process do the work for this long, or as often as the work wants it; its figure.
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
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Does the work; what a child process does.
pub(crate) fn run(work: &str, framework: &str, seconds: &str) -> Result<f64, Error> {
    // Whoever wants the figure and is killed takes the work along.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)?;
    let unknown = |name: &str| Error::Argument(name.to_owned());
    let time = crate::seconds(seconds).map_err(|_| unknown(seconds))?;
    let time = Duration::from_secs_f64(time);
    let work = Work::ALL.into_iter().find(|one| one.name() == work).ok_or_else(|| unknown(work))?;
    let framework =
        Framework::ALL.into_iter().find(|one| one.name() == framework).ok_or_else(|| unknown(framework))?;
    if work == Work::Restart {
        // These panics are wanted. Printing them would be most of the time, and only some frameworks do.
        std::panic::set_hook(Box::new(|_| ()));
    }
    run_on_runtime(work, framework, time)
}

/// Does the work in a task: what waits for actors is one of theirs, not the thread that drives the runtime, which
/// has to wake itself by a system call.
fn run_on_runtime(work: Work, framework: Framework, time: Duration) -> Result<f64, Error> {
    let ended = match framework {
        Framework::Ours => system(work::run::<ours::Ours>(work, time)),
        Framework::Actix => system(work::run::<actix::Actix>(work, time)),
        Framework::Ractor => runtime(work::run::<ractor::Ractor>(work, time)),
        Framework::RactorLinked => runtime(work::run::<ractor::RactorLinked>(work, time)),
        Framework::Kameo => runtime(work::run::<kameo::Kameo>(work, time)),
        Framework::Xtra => runtime(work::run::<xtra::Xtra>(work, time)),
        Framework::Tokio => runtime(work::run::<tokio::Tokio>(work, time)),
    };
    ended.unwrap_or_else(|error| Err(Error::Io(error.into())))
}

/// Runs a task under actix.
fn system<T: 'static>(work: impl Future<Output = T> + 'static) -> Result<T, JoinError> {
    actix_rt::System::new().block_on(async { actix_rt::spawn(work).await })
}

/// Runs a task under tokio.
fn runtime<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, JoinError> {
    // Only a system without descriptors or memory refuses this, and it has just given us a process.
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(async { ::tokio::spawn(work).await })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_does_all_the_work() {
        let time = Duration::from_millis(1);
        for framework in Framework::ALL {
            for work in [Work::Tell, Work::Ask, Work::SpawnStop] {
                let figure = run_on_runtime(work, framework, time);
                assert!(figure.is_ok_and(|figure| figure > 0.0), "{work:?} by {framework:?}");
            }
        }
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        assert!(matches!(run("nothing", "ours", "1"), Err(Error::Argument(name)) if name == "nothing"));
        assert!(matches!(run("tell", "nobody", "1"), Err(Error::Argument(name)) if name == "nobody"));
        assert!(matches!(run("tell", "ours", "long"), Err(Error::Argument(name)) if name == "long"));
    }
}
