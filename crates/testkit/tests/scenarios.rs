//! Plays every scenario of `tests/scenarios` in the virtual world and with real actors, and compares its
//! trace with OTP's, line by line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use impresario_testkit::scenario::trace::difference;
use impresario_testkit::scenario::{ActorsWorld, Scenario, VirtualWorld, World, run};

/// Lower bound of the number of scenarios; an empty or missing folder must not pass.
const AT_LEAST: usize = 209;

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn parse(file: &Path) -> Scenario {
    Scenario::parse(&read(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The expected trace: OTP's, or the `.impresario` file, which starts with the reason for the difference.
fn expected(file: &Path) -> Vec<String> {
    let otp = lines(&read(&file.with_extension("trace")));
    let own = file.with_extension("impresario");
    if !own.exists() {
        return otp;
    }
    let own = lines(&read(&own));
    let (reason, own) = own.split_first().expect("a first line");
    assert!(reason.starts_with("# "), "{} has no reason in its first line: {reason:?}", file.display());
    assert!(difference(&otp, own).is_some(), "{} does not differ from OTP", file.display());
    own.to_vec()
}

fn compare<W: World>(world: impl Fn() -> W) {
    let files = scenarios();
    assert!(files.len() >= AT_LEAST, "{} scenarios", files.len());
    let failures: Vec<String> = files
        .iter()
        .filter_map(|file| {
            let found = run(&parse(file), world());
            let difference = difference(&expected(file), &found)?;
            Some(format!("{}: {difference}", file.display()))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), files.len(), failures.join("\n"));
}

#[test]
fn virtual_world_writes_the_expected_traces() {
    compare(VirtualWorld::new);
}

#[test]
fn real_actors_write_the_expected_traces() {
    compare(ActorsWorld::paused);
}

#[test]
fn playing_twice_gives_equal_traces() {
    for file in scenarios() {
        let scenario = parse(&file);
        let [first, second] = [(); 2].map(|()| run(&scenario, VirtualWorld::new()));
        assert_eq!(first, second, "{}", file.display());
    }
}

#[test]
fn an_impossible_step_is_the_last_line() {
    let text = r#"{"children": [{"id": "a"}], "steps": [["kill", "b"], ["kill", "a"], ["shutdown"]]}"#;
    let scenario = Scenario::parse(text).expect("its form is right");
    for trace in [run(&scenario, VirtualWorld::new()), run(&scenario, ActorsWorld::paused())] {
        assert_eq!(trace, ["start a 1", "start $sup 1", "> kill b", "RUNNER_CRASH no process b"]);
    }
}

#[test]
fn an_invalid_scenario_error_names_the_place() {
    for (text, place) in [
        ("[1]", "a scenario"),
        ("{", "not json"),
        (r#"{"steps": [["dance"]]}"#, "step"),
        (r#"{"steps": [["kill"]]}"#, "step"),
        (r#"{"children": [{"id": "a", "start": ["maybe"]}]}"#, "start"),
        (r#"{"children": [{"id": "a", "start": []}]}"#, "start"),
        (r#"{"children": 7}"#, "children"),
        (r#"{"steps": [["sleep", "long"]]}"#, "milliseconds"),
        (r#"{"sort_stops": "maybe"}"#, "sort_stops"),
        (r#"{"sup": {"init": "maybe"}}"#, "init"),
        (r#"{"childen": []}"#, r#"a scenario has no key "childen", only these: name, "#),
        (r#"{"sup": {"strateg": "one_for_all"}}"#, r#"sup has no key "strateg""#),
        (r#"{"children": [{"id": "a", "on_shutdwon": "record"}]}"#, r#"a child has no key "on_shutdwon""#),
        (r#"{"children": [{"id": "a", "on_shutdown": "recrod"}]}"#, "on_shutdown"),
        (r#"{"children": [{"id": "a", "on_shutdown": {}}]}"#, "on_shutdown"),
        (r#"{"children": [{"id": "a", "on_shutdown": {"ms": 1}}]}"#, r#"on_shutdown has no key "ms""#),
        (r#"{"children": [{"id": "a", "start": {"delay": 1}}]}"#, r#"a start has no key "delay""#),
        (r#"{"steps": [["start_child", {"id": "a", "strat": "ok"}]]}"#, r#"a child has no key "strat""#),
        (r#"{"steps": [["upgrade", {"children": [], "sub": {}}]]}"#, r#"upgrade has no key "sub""#),
    ] {
        let error = Scenario::parse(text).expect_err(text).to_string();
        assert!(error.contains(place), "{text}: {error}");
    }
}

#[test]
fn help_prints_usage_and_unknown_option_exits_2() {
    for (option, code, expected) in
        [("--help", 0, "usage: scenario"), ("-h", 0, "usage: scenario"), ("--hlep", 2, "")]
    {
        let program =
            Command::new(env!("CARGO_BIN_EXE_scenario")).arg(option).output().expect("the process runs");
        assert_eq!(program.status.code(), Some(code), "{option}");
        let text = String::from_utf8_lossy(&program.stdout);
        assert!(text.starts_with(expected) && text.is_empty() == expected.is_empty(), "{option}: {text}");
    }
}
