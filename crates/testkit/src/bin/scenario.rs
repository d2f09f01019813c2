//! Plays scenario files and prints their traces: `scenario [--world virtual|actors] FILE.json...`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the trace is this program's output")]

use std::path::Path;
use std::process::ExitCode;

use impresario_testkit::scenario::{Scenario, VirtualWorld, run};

/// The program was called in a wrong way.
const USAGE: u8 = 2;

/// Where a scenario is played.
#[derive(Clone, Copy)]
enum Place {
    /// Simulated processes on virtual time.
    Virtual,
    /// Real actors on real time.
    Actors,
}

fn main() -> ExitCode {
    let (place, files) = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("scenario: {error}\nusage: scenario [--world virtual|actors] FILE.json...");
            return ExitCode::from(USAGE);
        }
    };
    let mut code = ExitCode::SUCCESS;
    for file in &files {
        if files.len() > 1 {
            println!("== {}", Path::new(file).file_name().unwrap_or_default().to_string_lossy());
        }
        match play(place, file) {
            Ok(trace) => trace.iter().for_each(|line| println!("{line}")),
            Err(error) => {
                eprintln!("scenario: {file}: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn options(mut args: impl Iterator<Item = String>) -> Result<(Place, Vec<String>), String> {
    let (mut place, mut files) = (Place::Virtual, Vec::new());
    while let Some(arg) = args.next() {
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
            other => return Err(format!("no world {:?}", other.unwrap_or_default())),
        };
    }
    if files.is_empty() { Err("no files".to_owned()) } else { Ok((place, files)) }
}

fn play(place: Place, file: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let scenario = Scenario::parse(&std::fs::read_to_string(file)?)?;
    match place {
        Place::Virtual => Ok(run(&scenario, VirtualWorld::new())),
        Place::Actors => Err("the world of real actors is not there yet; use --world virtual".into()),
    }
}
