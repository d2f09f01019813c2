//! Shutdown of the `http` example: drain, timeout, second signal.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use impresario_testkit::{
    Connection, Http, Mode, Process, Program, Signal, Site, example_path, in_both_modes,
};

in_both_modes! {
    sigterm_lets_running_requests_finish,
    sigint_lets_running_requests_finish,
    sigint_to_the_process_group_drains,
    idle_connections_do_not_delay_the_shutdown,
    a_silent_client_does_not_delay_the_shutdown,
    half_a_head_delays_a_shutdown_to_the_timeout,
    running_requests_are_killed_at_the_timeout,
    a_second_signal_kills_immediately,
    a_frozen_worker_is_killed_at_the_timeout,
    a_worker_killed_while_draining_is_not_replaced,
    a_signal_during_the_start_leaves_no_process,
}

/// Bound for events that need no wait. Generous, because other tests run at the same time.
const SOON: Duration = Duration::from_secs(5);

/// A connection with a running request for `/slow/<milliseconds>`.
fn slow_request(site: &Site, milliseconds: u32) -> Http {
    let mut slow = Http::open(site.address).expect("the program listens");
    let worker = slow.pid().expect("a response");
    slow.send("GET", &format!("/slow/{milliseconds}"), &[], b"").expect("the peer reads");
    // The same worker serves a later request, so it has received the slow one.
    drop(site.connect_to_each(&[worker]));
    slow
}

/// Waits until connects are refused.
fn until_refused(site: &Site) {
    site.program.until("new connections are refused", || {
        Connection::open(site.address).err().filter(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
}

fn drains_after(mut site: Site, signal: impl FnOnce(&Site)) {
    let start = Instant::now();
    let mut slow = slow_request(&site, 2_000);
    signal(&site);
    until_refused(&site);
    assert!(start.elapsed() < Duration::from_secs(2), "new connections are refused while requests still run");
    let answer = slow.receive().expect("a running request is finished");
    assert_eq!((answer.status, answer.text().as_str()), (200, "done\n"));
    assert_eq!(site.program.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(2) + SOON, "main exits with the last request");
}

fn sigterm_lets_running_requests_finish(mode: Mode) {
    drains_after(Site::start(mode, 2, &[]), |site| site.program.signal(Signal::TERM));
}

fn sigint_lets_running_requests_finish(mode: Mode) {
    drains_after(Site::start(mode, 2, &[]), |site| site.program.signal(Signal::INT));
}

fn sigint_to_the_process_group_drains(mode: Mode) {
    let mut command = Command::new(example_path("http"));
    command.args(["--listen", "127.0.0.1:0", "--workers", "2"]).process_group(0);
    if mode == Mode::Direct {
        command.arg("--direct");
    }
    drains_after(Site::of(Program::spawn(command), mode, 2), |site| {
        // A terminal signals the whole foreground process group.
        site.program.signal_group(Signal::INT);
    });
}

fn idle_connections_do_not_delay_the_shutdown(mode: Mode) {
    let mut site = Site::start(mode, 2, &[]);
    let mut idle = site.connect_to_each(&site.tree().workers);
    let start = Instant::now();
    site.program.signal(Signal::TERM);
    for http in &mut idle {
        assert!(http.until_closed().expect("an idle connection is closed").is_empty());
    }
    assert_eq!(site.program.wait().code(), Some(0));
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

fn a_silent_client_does_not_delay_the_shutdown(mode: Mode) {
    let mut site = Site::start(mode, 1, &[]);
    let mut silent = Connection::open(site.address).expect("the program listens");
    assert_eq!(site.get("/").expect("a response").status, 200);
    let start = Instant::now();
    site.program.signal(Signal::TERM);
    assert!(silent.until_closed().expect("a connection without a request is closed").is_empty());
    assert_eq!(site.program.wait().code(), Some(0));
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

fn half_a_head_delays_a_shutdown_to_the_timeout(mode: Mode) {
    let mut site = Site::start(mode, 1, &["--shutdown-timeout", "1"]);
    let mut half = Connection::open(site.address).expect("the program listens");
    half.send(b"GET / HTTP/1.1\r\nHo").expect("the peer reads");
    assert_eq!(site.get("/").expect("a response").status, 200);
    let start = Instant::now();
    site.program.signal(Signal::TERM);
    site.program.wait();
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

fn running_requests_are_killed_at_the_timeout(mode: Mode) {
    let mut site = Site::start(mode, 2, &["--shutdown-timeout", "1"]);
    let mut slow = slow_request(&site, 60_000);
    let start = Instant::now();
    site.program.signal(Signal::TERM);
    let status = site.program.wait();
    assert!(start.elapsed() >= Duration::from_secs(1), "it waited only {:?}", start.elapsed());
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
    assert_eq!(status.code(), Some(1), "exit code 1 reports a kill");
    assert!(slow.receive().is_err());
    let stderr = site.program.stderr();
    assert!(stderr.contains("kill"), "main logs a kill:\n{stderr}");
}

fn a_second_signal_kills_immediately(mode: Mode) {
    for second in [Signal::TERM, Signal::INT] {
        let mut site = Site::start(mode, 2, &["--shutdown-timeout", "60"]);
        let mut slow = slow_request(&site, 60_000);
        site.program.signal(Signal::TERM);
        until_refused(&site);
        let start = Instant::now();
        site.program.signal(second);
        let status = site.program.wait();
        assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
        assert_eq!(status.code(), Some(1), "exit code 1 reports a kill");
        assert!(slow.receive().is_err());
    }
}

fn a_frozen_worker_is_killed_at_the_timeout(mode: Mode) {
    let mut site = Site::start(mode, 2, &["--shutdown-timeout", "1"]);
    let frozen = Process::open(site.tree().workers[0]).expect("the process runs");
    frozen.freeze();
    let start = Instant::now();
    site.program.signal(Signal::TERM);
    assert_eq!(site.program.wait().code(), Some(1));
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

fn a_worker_killed_while_draining_is_not_replaced(mode: Mode) {
    let mut site = Site::start(mode, 1, &["--shutdown-timeout", "60"]);
    let worker = site.tree().workers[0];
    let slow = slow_request(&site, 60_000);
    site.program.signal(Signal::TERM);
    until_refused(&site);
    let start = Instant::now();
    site.kill(worker);
    site.program.wait();
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
    drop(slow);
}

fn a_signal_during_the_start_leaves_no_process(mode: Mode) {
    for lines in 0..5 {
        let mut arguments = vec!["--listen", "127.0.0.1:0", "--workers", "4"];
        if mode == Mode::Direct {
            arguments.push("--direct");
        }
        let mut program = Program::start("http", &arguments);
        // The signal comes after a growing number of log lines; after `ready` at the latest.
        let mut seen = 0;
        program.wait_for_line("at any time", |line| {
            seen += 1;
            seen > lines || line.contains("ready")
        });
        program.signal(Signal::TERM);
        program.wait();
    }
}
