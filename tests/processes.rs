//! The processes of an idle `http` example: threads, processor time and log lines.

use std::time::Duration;

use impresario_testkit::{Mode, Signal, Site, in_both_modes, procfs};

in_both_modes! {
    main_and_prototype_have_one_thread,
    an_idle_tree_uses_no_processor_time,
    every_json_log_line_has_role_and_pid,
    every_terminal_log_line_has_role_and_pid,
}

/// Time for which an idle tree is observed, and its bound of clock ticks (10 ms each) for all processes
/// together.
const WATCH: Duration = Duration::from_secs(1);
const IDLE_TICKS: u64 = 10;

fn main_and_prototype_have_one_thread(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let tree = site.tree();
    assert_eq!(site.get("/").expect("a response").status, 200);
    assert_eq!(procfs::threads(tree.main), Some(1), "main");
    assert_eq!(procfs::threads(tree.prototype), Some(1), "the prototype");
}

fn an_idle_tree_uses_no_processor_time(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let pids = site.tree().pids();
    let silent = site.connect_to_each(&site.tree().workers);
    let used = || -> u64 { pids.iter().filter_map(|pid| procfs::ticks(*pid)).sum() };
    let before = used();
    assert!(!site.program.exits_within(WATCH), "the tree runs on");
    let ticks = used() - before;
    assert!(ticks <= IDLE_TICKS, "an idle tree used {ticks} clock ticks in {WATCH:?}");
    drop(silent);
}

/// All log lines from start to exit, with the death of one worker, and the pids of all processes.
fn stderr(mode: Mode, format: &str) -> (Vec<String>, Vec<u32>) {
    let mut site = Site::start(mode, 2, &["--log", format]);
    let tree = site.tree();
    let dead = *tree.workers.first().expect("two workers");
    site.kill(dead);
    let after = site.tree_without(&[dead]);
    drop(site.connect_to_each(&after.workers));
    site.program.signal(Signal::TERM);
    assert_eq!(site.program.wait().code(), Some(0));
    let lines = site.program.lines();
    assert!(!lines.is_empty());
    (lines, [tree.pids(), after.pids()].concat())
}

fn every_json_log_line_has_role_and_pid(mode: Mode) {
    let (lines, pids) = stderr(mode, "json");
    for line in lines {
        let value: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
        assert!(value.get("role").is_some_and(serde_json::Value::is_string), "no role in {line}");
        let pid = value
            .get("pid")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_else(|| panic!("no pid in {line}"));
        assert!(pids.iter().any(|known| u64::from(*known) == pid), "an unknown pid in {line}");
        for key in value.as_object().into_iter().flat_map(serde_json::Map::keys) {
            assert_eq!(line.matches(&format!("\"{key}\":")).count(), 1, "{key:?} occurs twice in {line}");
        }
    }
}

fn every_terminal_log_line_has_role_and_pid(mode: Mode) {
    let (lines, pids) = stderr(mode, "terminal");
    for line in lines {
        let after =
            |key: &str| line.rsplit_once(key).map(|(_, rest)| rest.split(',').next().unwrap_or_default());
        assert!(after(", role: ").is_some_and(|role| !role.is_empty()), "no role in {line:?}");
        let pid: Option<u32> = after(", pid: ").and_then(|text| text.trim().parse().ok());
        assert!(pid.is_some_and(|pid| pids.contains(&pid)), "no pid of the tree in {line:?}");
    }
}
