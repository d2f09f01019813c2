//! Plays scenario files and prints their traces: `scenario [--world virtual|actors|actors-paused] FILE.json...`.
#![allow(clippy::print_stderr, reason = "errors are told on stderr")]

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use impresario_testkit::scenario::{ActorsWorld, Scenario, VirtualWorld, run};

/// How it is called.
const USAGE: &str = "usage: scenario [--world virtual|actors|actors-paused] FILE.json...";

/// The exit code when it was called in another way.
const CALLED_WRONGLY: u8 = 2;

/// So many scenarios are played at a time.
const AT_A_TIME: usize = 8;

/// Where a scenario is played.
#[derive(Clone, Copy)]
enum Place {
    /// Simulated processes on virtual time.
    Virtual,
    /// Real actors on real time.
    Actors,
    /// Real actors on a clock that stands still unless there is nothing else to do.
    Paused,
}

fn main() -> ExitCode {
    let printed = match options(std::env::args().skip(1)) {
        Ok(Some((place, files))) => print(&files, &play_all(place, &files)),
        Ok(None) => writeln!(io::stdout(), "{USAGE}").map(|()| ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("scenario: {error}\n{USAGE}");
            return ExitCode::from(CALLED_WRONGLY);
        }
    };
    printed.unwrap_or_else(|error| {
        // Whoever read the traces may have read enough.
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

/// Where to play what; nothing if it is asked how it is called.
fn options(mut args: impl Iterator<Item = String>) -> Result<Option<(Place, Vec<String>)>, String> {
    let (mut place, mut files) = (Place::Virtual, Vec::new());
    while let Some(arg) = args.next() {
        if arg == "--help" || arg == "-h" {
            return Ok(None);
        }
        let world = match arg.strip_prefix("--world") {
            None if arg.starts_with("--") => return Err(format!("unknown option {arg}")),
            None => {
                files.push(arg);
                continue;
            }
            Some("") => args.next(),
            Some(value) => value.strip_prefix('=').map(str::to_owned),
        };
        place = match world.as_deref() {
            Some("virtual") => Place::Virtual,
            Some("actors") => Place::Actors,
            Some("actors-paused") => Place::Paused,
            other => return Err(format!("no world {:?}", other.unwrap_or_default())),
        };
    }
    if files.is_empty() { Err("no files".to_owned()) } else { Ok(Some((place, files))) }
}

/// Plays all files, several at a time: on real time most of it is waiting.
fn play_all(place: Place, files: &[String]) -> Vec<Result<Vec<String>, String>> {
    let (next, traces) = (AtomicUsize::new(0), files.iter().map(|_| Mutex::new(None)).collect::<Vec<_>>());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(files.len()) {
            scope.spawn(|| {
                while let at = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(file) = files.get(at)
                    && let Ok(mut trace) = traces[at].lock()
                {
                    *trace = Some(play(place, file).map_err(|error| error.to_string()));
                }
            });
        }
    });
    let trace = |trace: Mutex<Option<_>>| trace.into_inner().ok().flatten();
    let lost = || Err("it was not played to its end".to_owned());
    traces.into_iter().map(|slot| trace(slot).unwrap_or_else(lost)).collect()
}

fn play(place: Place, file: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let scenario = Scenario::parse(&std::fs::read_to_string(file)?)?;
    Ok(match place {
        Place::Virtual => run(&scenario, VirtualWorld::new()),
        Place::Actors => run(&scenario, ActorsWorld::new()),
        Place::Paused => run(&scenario, ActorsWorld::paused()),
    })
}
