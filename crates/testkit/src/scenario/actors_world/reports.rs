//! Reports of supervisors, read from the log.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use impresario_supervision::ReportKind;
use slog::{Drain, KV, Key, Never, OwnedKVList, Record, Serializer};

use super::types::Shared;

/// Id of the supervisor above the top one. It is not part of the scenario.
pub(super) const ROOT: &str = "root";

const KINDS: [ReportKind; 4] =
    [ReportKind::StartError, ReportKind::ChildTerminated, ReportKind::ShutdownError, ReportKind::GaveUp];

pub(super) struct Reports(pub(super) Arc<Shared>);

impl Drain for Reports {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, tree: &OwnedKVList) -> Result<(), Never> {
        let mut fields = Fields::default();
        // `Fields` accepts every value.
        let _ = tree.serialize(record, &mut fields);
        let _ = record.kv().serialize(record, &mut fields);
        let message = record.msg().to_string();
        let Some(kind) = KINDS.iter().find(|kind| kind.message() == message) else { return Ok(()) };
        if fields.get("supervisor") == Some(ROOT) {
            return Ok(());
        }
        let (child, reason) =
            (fields.get("child").unwrap_or_default(), fields.get("reason").unwrap_or_default());
        // A report without an incarnation is about all instances that exited with this reason.
        let instances = match fields.get("incarnation") {
            Some(_) => String::new(),
            None => format!("*{}", fields.get("instances").unwrap_or("1")),
        };
        self.0.record_exits();
        let term = match kind {
            ReportKind::GaveUp => "reached_max_restart_intensity".to_owned(),
            _ => self.0.lock().trace_text(reason),
        };
        self.0.write(format!("report {} {child}{instances} {term}", kind.name()));
        self.0.deliver_answers();
        Ok(())
    }
}

#[derive(Default)]
struct Fields(HashMap<String, String>);

impl Fields {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

impl Serializer for Fields {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.0.insert(key.to_string(), value.to_string());
        Ok(())
    }
}
