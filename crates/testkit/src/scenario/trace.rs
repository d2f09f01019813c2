//! Lines of a trace, and the comparison of traces.

use impresario_supervision::ExitReason;

use super::term::reason_text;

/// Which adjacent `stop` lines are sorted because OTP defines no order for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortStops {
    /// None.
    #[default]
    No,
    /// All.
    All,
    /// Those after a `kill` step, until the next step.
    AfterKill,
}

/// The line of an exit.
pub(super) fn stop_line(id: &str, attempt: u32, reason: &ExitReason) -> String {
    format!("stop {id} {attempt} {}", reason_text(reason))
}

/// Sorts runs of adjacent `stop` lines, never across `stop $sup`.
pub fn sort_stops(lines: Vec<String>, mode: SortStops) -> Vec<String> {
    let mut sorted = Vec::with_capacity(lines.len());
    let mut run: Vec<String> = Vec::new();
    let mut on = mode == SortStops::All;
    for line in lines {
        let ends_run = line.starts_with("stop $sup") || !line.starts_with("stop ") || !on;
        if !ends_run {
            run.push(line);
            continue;
        }
        run.sort();
        sorted.append(&mut run);
        if mode == SortStops::AfterKill && line.starts_with("> ") {
            on = line.starts_with("> kill");
        }
        sorted.push(line);
    }
    run.sort();
    sorted.append(&mut run);
    sorted
}

/// The first difference between two traces, as a text. `took` lines may differ by one slot.
pub fn difference(expected: &[String], found: &[String]) -> Option<String> {
    let longest = expected.len().max(found.len());
    (0..longest).find_map(|at| {
        let (expected, found) = (expected.get(at), found.get(at));
        let same = match (expected, found) {
            (Some(expected), Some(found)) => expected == found || about_as_long(expected, found),
            _ => false,
        };
        let text = |line: Option<&String>| line.map_or("nothing".to_owned(), |line| format!("{line:?}"));
        (!same).then(|| format!("line {}: expected {}, found {}", at + 1, text(expected), text(found)))
    })
}

fn about_as_long(expected: &str, found: &str) -> bool {
    match (slots(expected), slots(found)) {
        (Some(expected), Some(found)) => expected.abs_diff(found) <= 1,
        _ => false,
    }
}

fn slots(line: &str) -> Option<u64> {
    match line.strip_prefix("took ")? {
        "<100ms" => Some(0),
        slots => slots.strip_suffix("x100ms")?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split('|').map(str::to_owned).collect()
    }

    #[test]
    fn adjacent_stop_lines_are_sorted_by_mode() {
        let trace = "stop b 1|stop a 1|stop $sup 1|stop d 1|stop c 1|end";
        let sorted = "stop a 1|stop b 1|stop $sup 1|stop c 1|stop d 1|end";
        assert_eq!(sort_stops(lines(trace), SortStops::All), lines(sorted));
        assert_eq!(sort_stops(lines(trace), SortStops::No), lines(trace));
        let killed = "stop b 1|stop a 1|> kill x|stop b 2|stop a 2|> which|stop b 3|stop a 3";
        let sorted = "stop b 1|stop a 1|> kill x|stop a 2|stop b 2|> which|stop b 3|stop a 3";
        assert_eq!(sort_stops(lines(killed), SortStops::AfterKill), lines(sorted));
    }

    #[test]
    fn took_lines_may_differ_by_one_slot() {
        assert_eq!(difference(&lines("a|took 3x100ms"), &lines("a|took 4x100ms")), None);
        assert_eq!(difference(&lines("a|took <100ms"), &lines("a|took 1x100ms")), None);
        assert!(difference(&lines("a|took 3x100ms"), &lines("a|took 5x100ms")).is_some());
        let shorter = difference(&lines("a|b"), &lines("a")).expect("they differ");
        assert_eq!(shorter, "line 2: expected \"b\", found nothing");
    }
}
