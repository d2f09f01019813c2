//! Loggers for the processes of a tree: lines on stderr, each with role and pid of the process, from level info on.
//!
//! Main and prototypes write each line themselves, because a process with a second thread cannot fork. They drop lines that
//! stderr does not accept within 100 ms. Routers and workers have a logging thread, so no actor waits for stderr.
//! This module may not know apps, routers or workers.

mod json_line;
mod lossy_writer;

use std::io::{Write, stderr};
use std::panic::UnwindSafe;
use std::sync::Mutex;

use impresario_process::{ProcessIdentity, ProcessLogger};
use impresario_wire::Role;
use slog::{Drain, Level, LevelFilter, Logger, SendSyncRefUnwindSafeDrain, o};
use slog_async::{Async, OverflowStrategy};
use slog_json::Json;
use slog_term::{FullFormat, PlainSyncDecorator};

use self::json_line::WholeLines;
use self::lossy_writer::{LineFormat, LossyWriter};

/// Lines that may wait for the logging thread. At the bound, the logging actor blocks; no line is dropped.
pub const MAX_WAITING_LINES: usize = 8_192;

/// The lowest level that is written. For another one, give [`Main::logger`](crate::Main::logger) a function of your own.
const LEVEL: Level = Level::Info;

/// A logger of plain text lines.
pub fn terminal(identity: &ProcessIdentity) -> ProcessLogger {
    let output = output(identity, &TERMINAL);
    let format = FullFormat::new(PlainSyncDecorator::new(output)).use_utc_timestamp();
    logger(identity, format.build())
}

/// A logger of JSON lines: one object each.
///
/// A line of main or a prototype has at most 4,096 bytes. In a longer line the longest values are cut, and end in
/// `...[cut]`.
pub fn json(identity: &ProcessIdentity) -> ProcessLogger {
    // Whole lines, because slog-json writes each token separately, and processes share stderr.
    let lines = WholeLines::new(output(identity, &JSON));
    let json = Json::<WholeLines<Output>>::new(lines).set_newlines(true).add_default_keys().build();
    logger(identity, Mutex::new(json))
}

const TERMINAL: LineFormat = LineFormat {
    cut: lossy_writer::cut,
    lost_message: |lost| format!("process {} has dropped {lost} log lines: {LOST}", std::process::id()),
};

const JSON: LineFormat = LineFormat {
    cut: json_line::cut,
    lost_message: |lost| {
        let pid = std::process::id();
        format!(r#"{{"msg":"log lines were dropped: {LOST}","level":"WARN","pid":{pid},"lost":{lost}}}"#)
    },
};

/// Why lines are dropped.
const LOST: &str = "stderr was not writable";

type Output = Box<dyn Write + Send>;

/// Whether this process has a logging thread.
const fn has_thread(identity: &ProcessIdentity) -> bool {
    match identity.role {
        Role::Main | Role::Prototype => false,
        Role::Router | Role::Worker => true,
    }
}

/// The writer of complete lines.
fn output(identity: &ProcessIdentity, format: &'static LineFormat) -> Output {
    if has_thread(identity) { Box::new(stderr()) } else { Box::new(LossyWriter::new(stderr(), format)) }
}

fn logger<D>(identity: &ProcessIdentity, drain: D) -> ProcessLogger
where
    D: Drain<Ok = ()> + SendSyncRefUnwindSafeDrain<Ok = ()> + UnwindSafe + 'static,
    D::Err: std::fmt::Debug,
{
    let keys = o!("pid" => std::process::id(), "role" => identity.to_string());
    // Errors are ignored: a closed stderr must not end the process.
    let drain = LevelFilter::new(drain, LEVEL).ignore_res();
    if !has_thread(identity) {
        return ProcessLogger::from(Logger::root(drain, keys));
    }
    let (drain, guard) = Async::new(drain)
        .chan_size(MAX_WAITING_LINES)
        .overflow_strategy(OverflowStrategy::Block)
        .build_with_guard();
    ProcessLogger { log: Logger::root(drain.ignore_res(), keys), guard: Some(Box::new(guard)) }
}
