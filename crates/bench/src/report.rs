//! Output of figures.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::rows::{Figures, Row, Side};

/// The head of the table.
pub(crate) fn head() -> String {
    format!(
        "{:<20}{:>12}{:>12}{:>8}  {:<15}{:>32}{:>32}",
        "row", "ours", "peer", "ratio", "unit", "ours: p50/p99 us, spread, cpu us", "peer: the same"
    )
}

/// The line of a row.
pub(crate) fn line(row: &Row, figures: &Figures) -> String {
    format!(
        "{:<20}{:>12.0}{:>12.0}{:>8.3}  {:<15}{:>32}{:>32}",
        row.name,
        figures.ours.rate(),
        figures.peer.rate(),
        figures.ratio(),
        row.unit,
        detail(&figures.ours),
        detail(&figures.peer)
    )
}

fn detail(side: &Side) -> String {
    // Rows of rules and actors have no latency.
    if side.cpu_micros() == 0.0 {
        return format!("{:.0}%", side.spread() * 100.0);
    }
    let micros = |share: f64| Duration::as_micros(&side.latency.quantile(share));
    let (p50, p99) = (micros(0.5), micros(0.99));
    format!("{p50}/{p99}, {:.0}%, {:.2}", side.spread() * 100.0, side.cpu_micros())
}

/// All rows as one JSON object.
pub(crate) fn json(results: &[(&Row, Figures)]) -> String {
    let round = |value: f64, digits: f64| (value * digits).round() / digits;
    let mut object = Map::new();
    for (row, figures) in results {
        let entry = json!({
            "ours": round(figures.ours.rate(), 10.0),
            "peer": round(figures.peer.rate(), 10.0),
            "ratio": round(figures.ratio(), 10_000.0),
            "unit": row.unit,
        });
        object.insert(row.name.to_owned(), entry);
    }
    Value::Object(object).to_string()
}
