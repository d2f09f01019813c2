//! The processes of the `http` example when nothing happens: who they are, and what they cost and say.

use std::time::Duration;

use impresario_testkit::{Mode, Signal, Site, in_both_modes, procfs};

in_both_modes! {
    those_that_fork_have_no_threads,
    an_idle_tree_uses_no_processor,
    every_line_of_json_has_role_and_pid,
    every_line_for_a_terminal_has_role_and_pid,
}

/// How long an idle tree is watched, and how many clock ticks (of 10 ms) all its processes may use together.
const WATCH: Duration = Duration::from_secs(1);
const IDLE_TICKS: u64 = 10;

fn those_that_fork_have_no_threads(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let tree = site.tree();
    assert_eq!(site.get("/").expect("an answer").status, 200);
    assert_eq!(procfs::threads(tree.main), Some(1), "main");
    assert_eq!(procfs::threads(tree.prototype), Some(1), "the prototype");
}

fn an_idle_tree_uses_no_processor(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let pids = site.tree().pids();
    let silent = site.connect_to_each(&site.tree().workers);
    let used = || -> u64 { pids.iter().filter_map(|pid| procfs::ticks(*pid)).sum() };
    let before = used();
    assert!(!site.program.exits_within(WATCH), "it goes on");
    let ticks = used() - before;
    assert!(ticks <= IDLE_TICKS, "an idle tree used {ticks} clock ticks in {WATCH:?}");
    drop(silent);
}

/// Everything main and the others say from the start to the end, one worker's death included.
fn said(mode: Mode, format: &str) -> Vec<String> {
    let mut site = Site::start(mode, 2, &["--log", format]);
    let tree = site.tree();
    let dead = *tree.workers.first().expect("two workers");
    site.shoot(dead);
    let after = site.tree_without(&[dead]);
    drop(site.connect_to_each(&after.workers));
    site.program.signal(Signal::TERM);
    assert_eq!(site.program.wait().code(), Some(0));
    let lines = site.program.lines();
    assert!(!lines.is_empty());
    lines
}

fn every_line_of_json_has_role_and_pid(mode: Mode) {
    for line in said(mode, "json") {
        let value: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
        assert!(value.get("role").is_some_and(serde_json::Value::is_string), "no role in {line}");
        assert!(value.get("pid").is_some_and(serde_json::Value::is_u64), "no pid in {line}");
    }
}

fn every_line_for_a_terminal_has_role_and_pid(mode: Mode) {
    for line in said(mode, "terminal") {
        for key in ["role: ", "pid: "] {
            assert!(line.contains(key), "no {key:?} in {line:?}");
        }
    }
}
