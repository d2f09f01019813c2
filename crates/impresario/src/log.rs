//! Loggers for the processes of a tree: lines on stderr, each with the process's role and pid, from level info on.
//!
//! Main and prototypes write each line themselves, because they may have no second thread; the others leave that to
//! a logging thread, so that no actor waits for a slow terminal.

use std::io::{LineWriter, Stderr, stderr};
use std::panic::UnwindSafe;
use std::sync::Mutex;

use impresario_process::{Identity, Logging};
use impresario_wire::Role;
use slog::{Drain, Level, Logger, Never, OwnedKVList, Record, SendSyncRefUnwindSafeDrain, o};
use slog_async::{Async, OverflowStrategy};
use slog_json::Json;
use slog_term::{FullFormat, PlainSyncDecorator};

/// How many lines may wait for the logging thread. More, and the writers wait: a line is never lost.
pub const MAX_WAITING_LINES: usize = 8_192;

/// Lines below it are not written. Give [`Main::logger`](crate::Main::logger) a function of your own for more.
const LEVEL: Level = Level::Info;

/// The longest line that is written in one piece; longer ones of several processes may mix.
const MAX_LINE: usize = 64 * 1024;

/// Lines for people.
pub fn terminal(identity: &Identity) -> Logging {
    let format = FullFormat::new(PlainSyncDecorator::new(stderr())).use_utc_timestamp();
    logging(identity, format.build())
}

/// Lines for machines: one JSON object each.
pub fn json(identity: &Identity) -> Logging {
    // In one piece at the end of each line, so that processes do not write into each other's.
    let lines = LineWriter::with_capacity(MAX_LINE, stderr());
    let json = Json::<LineWriter<Stderr>>::new(lines).set_newlines(true).add_default_keys().build();
    logging(identity, Mutex::new(json))
}

fn logging<D>(identity: &Identity, drain: D) -> Logging
where
    D: Drain<Ok = ()> + SendSyncRefUnwindSafeDrain<Ok = ()> + UnwindSafe + 'static,
{
    let keys = o!("pid" => std::process::id(), "role" => identity.to_string());
    let drain = Quiet(drain);
    match identity.role {
        Role::Main | Role::Prototype => Logging::from(Logger::root(drain, keys)),
        Role::Router | Role::Worker => {
            let (drain, guard) = Async::new(drain)
                .chan_size(MAX_WAITING_LINES)
                .overflow_strategy(OverflowStrategy::Block)
                .build_with_guard();
            Logging { log: Logger::root(drain.ignore_res(), keys), guard: Some(Box::new(guard)) }
        }
    }
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
