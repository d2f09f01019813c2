//! Plays scenario files and prints their traces: `scenario [--world virtual|actors|actors-paused]
//! FILE.json...`.
#![allow(clippy::print_stderr, reason = "errors go to stderr")]

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use impresario_testkit::scenario::{ActorsWorld, Scenario, VirtualWorld, run};

/// Usage line.
const USAGE: &str = "usage: scenario [--world virtual|actors|actors-paused] FILE.json...";

/// Exit code of a usage error.
const USAGE_ERROR: u8 = 2;

/// Number of scenarios that run at a time.
const MAX_PARALLEL: usize = 8;

/// The world in which a scenario is played.
#[derive(Clone, Copy)]
enum WorldKind {
    /// Simulated processes on virtual time.
    Virtual,
    /// Real actors on real time.
    Actors,
    /// Real actors on tokio's paused clock, which advances when all tasks wait.
    Paused,
}

fn main() -> ExitCode {
    let printed = match options(std::env::args().skip(1)) {
        Ok(Some((world, files))) => print(&files, &play_all(world, &files)),
        Ok(None) => writeln!(io::stdout(), "{USAGE}").map(|()| ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("scenario: {error}\n{USAGE}");
            return ExitCode::from(USAGE_ERROR);
        }
    };
    printed.unwrap_or_else(|error| {
        // The reader of stdout has closed the pipe, as `head` does. That is no error.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return ExitCode::SUCCESS;
        }
        eprintln!("scenario: {error}");
        ExitCode::FAILURE
    })
}

fn print(files: &[String], traces: &[Result<Vec<String>, String>]) -> io::Result<ExitCode> {
    let (mut out, mut code) = (io::stdout().lock(), ExitCode::SUCCESS);
    for (file, trace) in files.iter().zip(traces) {
        if files.len() > 1 {
            writeln!(out, "== {}", Path::new(file).file_name().unwrap_or_default().to_string_lossy())?;
        }
        match trace {
            Ok(trace) => trace.iter().try_for_each(|line| writeln!(out, "{line}"))?,
            Err(error) => {
                eprintln!("scenario: {file}: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// Parses the arguments: the world and the files, or `None` for `--help`.
fn options(mut args: impl Iterator<Item = String>) -> Result<Option<(WorldKind, Vec<String>)>, String> {
    let (mut world, mut files) = (WorldKind::Virtual, Vec::new());
    while let Some(arg) = args.next() {
        if arg == "--help" || arg == "-h" {
            return Ok(None);
        }
        let value = match arg.strip_prefix("--world") {
            None if arg.starts_with("--") => return Err(format!("unknown option {arg:?}")),
            None => {
                files.push(arg);
                continue;
            }
            Some("") => args.next(),
            Some(rest) => rest.strip_prefix('=').map(str::to_owned),
        };
        world = match value.as_deref() {
            Some("virtual") => WorldKind::Virtual,
            Some("actors") => WorldKind::Actors,
            Some("actors-paused") => WorldKind::Paused,
            other => {
                return Err(format!(
                    "no world {:?}: write virtual, actors or actors-paused",
                    other.unwrap_or_default()
                ));
            }
        };
    }
    if files.is_empty() { Err("no files: name at least one".to_owned()) } else { Ok(Some((world, files))) }
}

/// Plays all files, [`MAX_PARALLEL`] at a time: on real time a scenario mostly waits.
fn play_all(world: WorldKind, files: &[String]) -> Vec<Result<Vec<String>, String>> {
    let (next, traces) = (AtomicUsize::new(0), files.iter().map(|_| Mutex::new(None)).collect::<Vec<_>>());
    thread::scope(|scope| {
        for _ in 0..MAX_PARALLEL.min(files.len()) {
            scope.spawn(|| {
                while let at = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(file) = files.get(at)
                    && let Ok(mut trace) = traces[at].lock()
                {
                    *trace = Some(play(world, file).map_err(|error| error.to_string()));
                }
            });
        }
    });
    let trace = |trace: Mutex<Option<_>>| trace.into_inner().ok().flatten();
    let lost = || Err("the thread that played it panicked".to_owned());
    traces.into_iter().map(|slot| trace(slot).unwrap_or_else(lost)).collect()
}

fn play(world: WorldKind, file: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let scenario = Scenario::parse(&std::fs::read_to_string(file)?)?;
    Ok(match world {
        WorldKind::Virtual => run(&scenario, VirtualWorld::new()),
        WorldKind::Actors => run(&scenario, ActorsWorld::new()),
        WorldKind::Paused => run(&scenario, ActorsWorld::paused()),
    })
}
