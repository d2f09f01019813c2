//! What cannot be started says why in one line, and is gone.

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

/// The lines of a report: a framework that says more than this about one error says nothing.
const FEW_LINES: usize = 60;
/// Processor time (in ticks of 10 ms) within which a tree has given up that cannot start.
const FEW_TICKS: u64 = 200;

/// Waits for the end of a program that cannot start; returns its exit code and what it said.
fn fails(mut program: Program) -> (i32, Vec<String>) {
    let code = program.wait().code().expect("it exits by itself");
    let lines: Vec<String> = program.lines().into_iter().filter(|line| !line.trim().is_empty()).collect();
    assert_ne!(code, 0, "a failed start is no success; it said:\n{}", lines.join("\n"));
    (code, lines)
}

/// Asserts that there is one line, and that it names all of these.
#[track_caller]
fn one_line_names(lines: &[String], names: &[&str]) {
    let [line] = lines else { panic!("not one line but:\n{}", lines.join("\n")) };
    for name in names {
        assert!(line.to_lowercase().contains(name), "{name:?} is not named in {line:?}");
    }
}

fn arguments(mode: Mode, more: &[&str]) -> Vec<String> {
    let direct = (mode == Mode::Direct).then_some("--direct");
    direct.into_iter().chain(more.iter().copied()).map(ToOwned::to_owned).collect()
}

fn an_address_in_use_is_reported(mode: Mode) {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let mut command = Command::new(example_path("http"));
    command.args(arguments(mode, &["--listen", &address]));
    let (_, lines) = fails(Program::spawn(command));
    one_line_names(&lines, &[&address, "in use"]);
}

#[test]
fn echo_reports_an_address_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let (_, lines) = fails(Program::start("echo", &["--listen", &address]));
    one_line_names(&lines, &[&address, "in use"]);
}

/// A command for an example that runs without privileges, also when the tests run as root, or `None` where any port
/// is free to all. It is started from a copy, since the build's own folder may be closed to others; the path is the
/// copy's.
fn unprivileged(example: &str, name: &str) -> Option<(Command, PathBuf)> {
    const NOBODY: u32 = 65_534;
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok()?;
    if first.trim().parse::<u16>().ok()? <= 80 {
        return None;
    }
    let copy = std::env::temp_dir().join(format!("impresario-{name}-{}", std::process::id()));
    // By a process of its own: what this one has open for writing, a test that forks just now keeps open, and then the
    // copy is busy.
    let copied = Command::new("cp").arg(example_path(example)).arg(&copy).status();
    assert!(copied.is_ok_and(|status| status.success()), "the temporary folder cannot be written");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut command = Command::new(&copy);
    if fs::metadata("/proc/self").expect("/proc is mounted").uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    Some((command, copy))
}

fn a_privileged_port_is_reported(mode: Mode) {
    let Some((mut command, copy)) = unprivileged("http", &format!("{mode:?}")) else { return };
    command.args(arguments(mode, &["--listen", "127.0.0.1:80"]));
    let (_, lines) = fails(Program::spawn(command));
    fs::remove_file(copy).ok();
    one_line_names(&lines, &["127.0.0.1:80", "permission denied"]);
}

#[test]
fn echo_reports_a_privileged_port() {
    let Some((mut command, copy)) = unprivileged("echo", "echo") else { return };
    command.args(["--listen", "127.0.0.1:80"]);
    let (_, lines) = fails(Program::spawn(command));
    fs::remove_file(copy).ok();
    one_line_names(&lines, &["127.0.0.1:80", "permission denied"]);
}

#[test]
fn an_address_of_another_machine_is_reported() {
    for example in ["echo", "http"] {
        let (_, lines) = fails(Program::start(example, &["--listen", "192.0.2.1:8080"]));
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
        let (_, lines) = fails(Program::start(example, arguments));
        let first = lines.first().unwrap_or_else(|| panic!("{example} {arguments:?} says nothing"));
        assert!(first.contains(name), "{example} {arguments:?} says {first:?}");
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
    assert!(program.exits_within(DEADLINE), "it goes on and on:\n{}", program.stderr());
    // Main is still a zombie here, and what its children used has been added to its own.
    let ticks = procfs::ticks(program.pid()).expect("it was not waited for");
    let (_, lines) = fails(program);
    let said = lines.join("\n");
    assert!(
        ticks <= FEW_TICKS,
        "{ticks} clock ticks of processor time to find out that it cannot start:\n{said}"
    );
    assert!(lines.len() <= FEW_LINES, "{} lines:\n{said}", lines.len());
    assert!(lines.last().is_some_and(|line| line.contains("--fail-start")), "main does not say why:\n{said}");
    let ready = |line: &String| line.contains("ready") && line.contains("127.0.0.1:");
    assert!(!lines.iter().any(ready), "it never was ready:\n{said}");
}
