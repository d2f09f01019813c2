//! Reports of supervisors, as records of a structured log.

use impresario_supervision::{Report, ReportKind};
use slog::{BorrowedKV, KV, Level, Logger, Record, RecordLocation, RecordStatic, Serializer};

use crate::panic::catch_panic;

/// Logs a report with all its fields. `ready`: the supervisor's first children are started.
pub(crate) fn log(log: &Logger, report: &Report, ready: bool) {
    const LOCATION: RecordLocation = RecordLocation {
        file: file!(),
        line: line!(),
        column: column!(),
        function: "",
        module: module_path!(),
    };
    let level = match report.kind {
        // The caller that starts the tree gets this error; one log line is enough.
        ReportKind::StartError if !ready => Level::Debug,
        ReportKind::GaveUp => Level::Critical,
        _ => Level::Error,
    };
    let message = report.kind.message();
    // Without slog's macros, which can remove levels at compile time: the drain decides.
    let record = RecordStatic { location: &LOCATION, tag: "", level };
    // A drain is user code. Its panic must not end the supervisor.
    let _ = catch_panic(|| {
        log.log(&Record::new(&record, &format_args!("{message}"), BorrowedKV(&Fields(report))));
    });
}

struct Fields<'a>(&'a Report);

impl KV for Fields<'_> {
    fn serialize(&self, _: &Record<'_>, serializer: &mut dyn Serializer) -> slog::Result {
        // The reason comes first: readers look for it.
        let (reason, rest): (Vec<_>, Vec<_>) = self.0.key_values().partition(|(key, _)| *key == "reason");
        reason.iter().chain(&rest).try_for_each(|(key, value)| serializer.emit_str(key, value))
    }
}
