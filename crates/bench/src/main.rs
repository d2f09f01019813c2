//! Rows that measure us and a peer in the same run: `impresario-bench [ROW...] [--json]`.
//!
//! Both servers of a row run in child processes (this program again, with a hidden first argument) for as long as
//! the row does. The load generator, one thread in this process, turns to them alternately, round after round, so
//! that whatever the machine does meanwhile happens to both. Rows of actors have no load: each of their measurements
//! is such a process. A figure is the median of its rounds.
//!
//! `--help` says what the columns of the table are.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the output of this program is its purpose")]

mod actors;
mod command;
mod cpu;
mod echo;
mod error;
mod idle;
mod load;
mod memory;
mod payload;
mod peers;
mod report;
mod rows;
mod rules;
mod serve;
mod server;
mod tls;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use command::{ACT, SERVE, seconds};
use error::Error;

/// Measures us and a peer in the same run, and prints a line for each row.
///
/// The columns:
///
/// row         what is done; a row of actors whose name ends in that of a framework has it as the peer
/// ours, peer  the median of the rounds; the lower of the two in the middle
/// ratio       ours divided by the peer's: the more the better, but in bytes the less the better
/// unit        of ours and peer; a second is one of processor time where actors do the work
/// p50/p99 us  how long an operation took, as the client sees it, over all rounds
/// spread      how far the rounds are apart, as a share of the median: what the ratio is worth
/// cpu us      the processor time that the server, with all its processes, needs for an operation
///
/// The last three are for each side. A row without servers under load has the spread only.
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Options {
    /// Rows to measure; all when none is named.
    #[arg(value_name = "ROW")]
    rows: Vec<String>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// How many times each side is measured.
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// How many seconds one measurement takes; of processor time, where actors are measured.
    #[arg(long, default_value_t = 0.4, value_parser = seconds)]
    secs: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).take(4).collect();
    match arguments.as_slice() {
        [first, name, address] if first == SERVE => return serve(name, address),
        [first, work, framework, seconds] if first == ACT => return act(work, framework, seconds),
        _ => {}
    }
    match measure(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("impresario-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a child process does: it is one of the servers until it is killed.
fn serve(name: &str, address: &str) -> ExitCode {
    let parsed = address.parse::<SocketAddr>().map_err(|_| Error::Address(address.to_owned()));
    match parsed.and_then(|address| server::run(name, address)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("impresario-bench {SERVE} {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a child process does: it says the figure of one measurement.
fn act(work: &str, framework: &str, seconds: &str) -> ExitCode {
    match actors::run(work, framework, seconds) {
        Ok(figure) => {
            println!("{figure}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("impresario-bench {ACT} {work} {framework}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), Error> {
    let rows = rows::select(&options.rows)?;
    let time = Duration::from_secs_f64(options.secs);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut results = Vec::new();
    if !options.json {
        println!("{}", report::head());
    }
    for row in rows {
        let result = runtime.block_on(row.measure(options.rounds, time))?;
        if !options.json {
            println!("{}", report::line(row, &result));
        }
        results.push((row, result));
    }
    if options.json {
        println!("{}", report::json(&results));
    }
    Ok(())
}
