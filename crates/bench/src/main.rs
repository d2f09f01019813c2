//! Compares Impresario with peers in the same run: `impresario-bench [ROW...] [--json]`.
//!
//! Both servers of a row run as child processes: this program with a hidden first argument. The load
//! generator is one thread of this process. It measures the two sides alternately, so that disturbances of
//! the machine affect both. Rows of actors have no load generator: each measurement is a child process. A
//! figure is the median of all rounds.
//!
//! `--help` explains the columns of the table.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table goes to stdout, errors to stderr")]

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

/// Measures Impresario and a peer in the same run and prints a line for each row.
///
/// Columns:
///
/// `row`           what is measured; in rows of actors, a framework at the end of the name is the peer
/// `ours`, `peer`  Impresario and the peer: median of the rounds, the lower of the two in the middle
/// `ratio`         `ours` divided by `peer`; more is better, in rows of bytes less is better
/// `unit`          unit of `ours` and `peer`; for actors, seconds are processor time
/// `p50/p99 us`    latency of an operation at the client over all rounds, in microseconds
/// `spread`        difference of the highest and the lowest round, as a share of the median
/// `cpu us`        processor time of all processes of the server per operation, in microseconds
///
/// The last three exist for each side. Rows without a server under load have only the spread.
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Options {
    /// Rows to measure [default: all]
    #[arg(value_name = "ROW")]
    rows: Vec<String>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Number of measurements of each side.
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Seconds of one measurement; processor time for actors, else real time.
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

/// Child process: runs a server until it is killed.
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

/// Child process: runs one measurement of actors and prints the figure.
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
