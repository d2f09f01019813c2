//! The logger of a root that was given none.

use slog::{Drain, Logger, o};
use slog_term::{FullFormat, PlainSyncDecorator};

/// A logger that writes plain lines to stderr, each at once.
pub fn terminal() -> Logger {
    let format = FullFormat::new(PlainSyncDecorator::new(std::io::stderr()));
    // A line that cannot be written (a closed stderr) is no reason to fall over.
    Logger::root(format.use_utc_timestamp().build().ignore_res(), o!("pid" => std::process::id()))
}
