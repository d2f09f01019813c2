//! Loggers for the processes of a tree: lines on stderr, each with the process's role and pid, from level info on.
//!
//! Main and prototypes write each line themselves, because they may have no second thread, and lose lines that
//! nobody reads; the others leave that to a logging thread, so that no actor waits for a slow terminal.

mod patient;

use std::io::{LineWriter, Write, stderr};
use std::panic::UnwindSafe;
use std::sync::Mutex;

use impresario_process::{ProcessIdentity, ProcessLogger};
use impresario_wire::Role;
use slog::{Drain, Level, Logger, Never, OwnedKVList, Record, SendSyncRefUnwindSafeDrain, o};
use slog_async::{Async, OverflowStrategy};
use slog_json::Json;
use slog_term::{FullFormat, PlainSyncDecorator};

use self::patient::Patient;

/// How many lines may wait for the logging thread. More, and the writers wait: there, a line is never lost.
pub const MAX_WAITING_LINES: usize = 8_192;

/// Lines below it are not written. Give [`Main::logger`](crate::Main::logger) a function of your own for more.
const LEVEL: Level = Level::Info;

/// The longest line that is written in one piece; longer ones of several processes may mix.
const MAX_LINE: usize = 64 * 1024;

/// Lines for people.
pub fn terminal(identity: &ProcessIdentity) -> ProcessLogger {
    let notice = |lost| format!("process {} lost {lost} lines of its log: {LOST}", std::process::id());
    let format = FullFormat::new(PlainSyncDecorator::new(output(identity, notice))).use_utc_timestamp();
    logging(identity, format.build())
}

/// Lines for machines: one JSON object each.
pub fn json(identity: &ProcessIdentity) -> ProcessLogger {
    // In one piece at the end of each line, so that processes do not write into each other's.
    let notice = |lost| {
        let pid = std::process::id();
        format!(r#"{{"msg":"lines of the log were lost: {LOST}","level":"WARN","pid":{pid},"lost":{lost}}}"#)
    };
    let lines = LineWriter::with_capacity(MAX_LINE, output(identity, notice));
    let json = Json::<LineWriter<Output>>::new(lines).set_newlines(true).add_default_keys().build();
    logging(identity, Mutex::new(json))
}

/// Why lines are lost.
const LOST: &str = "nobody read stderr";

type Output = Box<dyn Write + Send>;

/// Whether this process has a logging thread.
const fn has_thread(identity: &ProcessIdentity) -> bool {
    match identity.role {
        Role::Main | Role::Prototype => false,
        Role::Router | Role::Worker => true,
    }
}

/// Where the lines go. `notice` makes the line that says how many were lost.
fn output(identity: &ProcessIdentity, notice: fn(u64) -> String) -> Output {
    if has_thread(identity) { Box::new(stderr()) } else { Box::new(Patient::new(stderr(), notice)) }
}

fn logging<D>(identity: &ProcessIdentity, drain: D) -> ProcessLogger
where
    D: Drain<Ok = ()> + SendSyncRefUnwindSafeDrain<Ok = ()> + UnwindSafe + 'static,
{
    let keys = o!("pid" => std::process::id(), "role" => identity.to_string());
    let drain = Quiet(drain);
    if !has_thread(identity) {
        return ProcessLogger::from(Logger::root(drain, keys));
    }
    let (drain, guard) = Async::new(drain)
        .chan_size(MAX_WAITING_LINES)
        .overflow_strategy(OverflowStrategy::Block)
        .build_with_guard();
    ProcessLogger { log: Logger::root(drain.ignore_res(), keys), guard: Some(Box::new(guard)) }
}

/// A drain without the lower levels, and without errors, which nobody could do anything about: a stderr that is closed is no reason to fall over.
struct Quiet<D>(D);

impl<D: Drain<Ok = ()>> Drain for Quiet<D> {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        if record.level().is_at_least(LEVEL) {
            let _ = self.0.log(record, values);
        }
        Ok(())
    }
}
