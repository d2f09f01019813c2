//! Reports of supervisors, as records of a structured log.

use impresario_supervision::{Report, ReportKind};
use slog::{BorrowedKV, KV, Level, Logger, Record, RecordLocation, RecordStatic, Serializer};

use crate::panic::catch_panic;

/// Logs a report with all its fields and those that the child set. A delayed restart is a second line of level info, as
/// in `restarting in 40 ms (attempt 3)`. `ready`: the supervisor's first children are started.
pub(crate) fn log(log: &Logger, report: &Report, of_child: &[(&'static str, String)], ready: bool) {
    let level = match report.kind {
        // The caller that starts the tree gets this error; one log line is enough.
        ReportKind::StartError if !ready => Level::Debug,
        ReportKind::GaveUp => Level::Critical,
        _ => Level::Error,
    };
    let of_report: Vec<_> = report.key_values().filter(|(key, _)| !OF_RESTART.contains(key)).collect();
    // A key of the report is not printed again.
    let is_new = |key: &str| of_report.iter().all(|(existing, _)| *existing != key);
    let of_child = of_child.iter().filter(|(key, _)| is_new(key));
    // The reason comes first, then what the child set: readers look for them.
    let (reason, rest): (Vec<_>, Vec<_>) = of_report.iter().partition(|(key, _)| *key == "reason");
    write(log, level, report.kind.message(), reason.into_iter().chain(of_child).chain(rest).collect());
    if let Some(restart) = report.delayed_restart {
        let fields: Vec<_> =
            report.key_values().filter(|(key, _)| *key == "child" || OF_RESTART.contains(key)).collect();
        write(log, Level::Info, &restart.to_string(), fields.iter().collect());
    }
}

/// The keys of a delayed restart, which is a line of its own.
const OF_RESTART: [&str; 2] = ["restarting_in", "attempt"];

/// Writes one record. A drain is user code: its panic must not end the supervisor.
fn write(log: &Logger, level: Level, message: &str, fields: Vec<&(&'static str, String)>) {
    const LOCATION: RecordLocation = RecordLocation {
        file: file!(),
        line: line!(),
        column: column!(),
        function: "",
        module: module_path!(),
    };
    // Without slog's macros, which can remove levels at compile time: the drain decides.
    let record = RecordStatic { location: &LOCATION, tag: "", level };
    let fields = Fields(fields);
    let _ = catch_panic(|| {
        log.log(&Record::new(&record, &format_args!("{message}"), BorrowedKV(&fields)));
    });
}

struct Fields<'a>(Vec<&'a (&'static str, String)>);

impl KV for Fields<'_> {
    fn serialize(&self, _: &Record<'_>, serializer: &mut dyn Serializer) -> slog::Result {
        self.0.iter().try_for_each(|(key, value)| serializer.emit_str(key, value))
    }
}
