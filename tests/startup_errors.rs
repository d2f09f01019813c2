//! Start errors: the program prints one line with the cause and exits.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use impresario_testkit::{DEADLINE, Mode, Program, example_path, in_both_modes, procfs};

in_both_modes! {
    an_address_in_use_is_reported,
    a_privileged_port_is_reported,
    a_worker_that_cannot_start_ends_main_quickly,
}

/// Bound of the log lines of a failed start.
const MAX_LINES: usize = 60;
/// Bound of the processor time of a failed start, in ticks of 10 ms.
const MAX_TICKS: u64 = 200;

/// Waits for the exit of a program that cannot start. Returns its exit code and its lines.
fn run_failing(mut program: Program) -> (i32, Vec<String>) {
    let code = program.wait().code().expect("main exits by itself");
    let lines: Vec<String> = program.lines().into_iter().filter(|line| !line.trim().is_empty()).collect();
    assert_ne!(code, 0, "a failed start exits with 0; stderr:\n{}", lines.join("\n"));
    (code, lines)
}

/// Asserts that there is one line and that it contains all of these texts.
#[track_caller]
fn one_line_names(lines: &[String], names: &[&str]) {
    let [line] = lines else { panic!("more or less than one line:\n{}", lines.join("\n")) };
    for name in names {
        assert!(line.to_lowercase().contains(name), "{name:?} is missing in {line:?}");
    }
}

fn arguments(mode: Mode, more: &[&str]) -> Vec<String> {
    let direct = (mode == Mode::Direct).then_some("--direct");
    direct.into_iter().chain(more.iter().copied()).map(ToOwned::to_owned).collect()
}

fn an_address_in_use_is_reported(mode: Mode) {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("the socket is bound").to_string();
    let mut command = Command::new(example_path("http"));
    command.args(arguments(mode, &["--listen", &address]));
    let (_, lines) = run_failing(Program::spawn(command));
    one_line_names(&lines, &[&address, "in use"]);
}

#[test]
fn echo_reports_an_address_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("the socket is bound").to_string();
    let (_, lines) = run_failing(Program::start("echo", &["--listen", &address]));
    one_line_names(&lines, &[&address, "in use"]);
}

/// A command that runs an example without privileges, even if the tests run as root, and the path of its
/// copy. The copy is needed because the build folder may be unreadable for others. Returns `None` if every
/// user may bind port 80.
fn unprivileged(example: &str, name: &str) -> Option<(Command, PathBuf)> {
    const NOBODY_UID: u32 = 65_534;
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok()?;
    if first.trim().parse::<u16>().ok()? <= 80 {
        return None;
    }
    let copy = std::env::temp_dir().join(format!("impresario-{name}-{}", std::process::id()));
    // `cp` writes the copy. If this process wrote it, a concurrent fork would inherit the descriptor, and
    // `exec` would fail with ETXTBSY.
    let copied = Command::new("cp").arg(example_path(example)).arg(&copy).status();
    assert!(copied.is_ok_and(|status| status.success()), "the temporary folder cannot be written");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("the child can be waited for");
    let mut command = Command::new(&copy);
    if fs::metadata("/proc/self").expect("/proc is mounted").uid() == 0 {
        command.uid(NOBODY_UID).gid(NOBODY_UID);
    }
    Some((command, copy))
}

fn a_privileged_port_is_reported(mode: Mode) {
    let Some((mut command, copy)) = unprivileged("http", &format!("{mode:?}")) else { return };
    command.args(arguments(mode, &["--listen", "127.0.0.1:80"]));
    let (_, lines) = run_failing(Program::spawn(command));
    fs::remove_file(copy).ok();
    one_line_names(&lines, &["127.0.0.1:80", "permission denied"]);
}

#[test]
fn echo_reports_a_privileged_port() {
    let Some((mut command, copy)) = unprivileged("echo", "echo") else { return };
    command.args(["--listen", "127.0.0.1:80"]);
    let (_, lines) = run_failing(Program::spawn(command));
    fs::remove_file(copy).ok();
    one_line_names(&lines, &["127.0.0.1:80", "permission denied"]);
}

#[test]
fn an_address_of_another_machine_is_reported() {
    for example in ["echo", "http"] {
        let (_, lines) = run_failing(Program::start(example, &["--listen", "192.0.2.1:8080"]));
        one_line_names(&lines, &["192.0.2.1:8080"]);
    }
}

#[test]
fn an_invalid_option_is_reported() {
    let cases: [(&str, &[&str], &str); 11] = [
        ("echo", &["--listen", "nonsense"], "nonsense"),
        ("echo", &["--loud"], "--loud"),
        ("echo", &["--max-connections", "0"], "max-connections"),
        ("echo", &["--arbiters", "100000", "--listen", "127.0.0.1:0"], "100000 arbiters are too many"),
        ("http", &["--listen", "127.0.0.1:99999"], "127.0.0.1:99999"),
        ("http", &["--workers", "two"], "two"),
        ("http", &["--workers", "0"], "workers"),
        ("http", &["--max-connections", "0"], "max-connections"),
        ("http", &["--shutdown-timeout", "-1"], "-1"),
        ("http", &["--log", "xml"], "xml"),
        ("http", &["extra"], "extra"),
    ];
    for (example, arguments, name) in cases {
        let (_, lines) = run_failing(Program::start(example, arguments));
        let first = lines.first().unwrap_or_else(|| panic!("{example} {arguments:?} prints nothing"));
        assert!(first.contains(name), "{example} {arguments:?} prints {first:?}");
        assert!(
            !lines.iter().any(|line| line.contains("panicked")),
            "{example} {arguments:?} panics: {lines:?}"
        );
    }
}

fn a_worker_that_cannot_start_ends_main_quickly(mode: Mode) {
    let mut command = Command::new(example_path("http"));
    command.args(arguments(mode, &["--listen", "127.0.0.1:0", "--workers", "2", "--fail-start"]));
    let program = Program::spawn(command);
    assert!(program.exits_within(DEADLINE), "main does not exit:\n{}", program.stderr());
    // Main is a zombie here. Its counters include those of its children.
    let ticks = procfs::ticks(program.pid()).expect("it was not waited for");
    let (_, lines) = run_failing(program);
    let stderr = lines.join("\n");
    assert!(ticks <= MAX_TICKS, "{ticks} clock ticks of processor time for a failed start:\n{stderr}");
    assert!(lines.len() <= MAX_LINES, "{} lines:\n{stderr}", lines.len());
    assert!(
        lines.last().is_some_and(|line| line.contains("--fail-start")),
        "no cause in the last line:\n{stderr}"
    );
    let ready = |line: &String| line.contains("ready") && line.contains("127.0.0.1:");
    assert!(!lines.iter().any(ready), "a ready line:\n{stderr}");
}
