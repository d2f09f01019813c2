//! The default logger of a root.

use slog::{Drain, Level, LevelFilter, Logger, o};
use slog_term::{FullFormat, PlainSyncDecorator};

/// A logger that writes plain lines to stderr, unbuffered, from level info on.
pub fn terminal() -> Logger {
    let format = FullFormat::new(PlainSyncDecorator::new(std::io::stderr())).use_utc_timestamp();
    // A line that cannot be written (a closed stderr) must not end the program.
    let drain = LevelFilter::new(format.build(), Level::Info).ignore_res();
    Logger::root(drain, o!("pid" => std::process::id()))
}
