//! How the `http` example ends: in order, at its time-out, at a second signal.

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

/// How soon something must have happened that needs no waiting; generous, since other tests run at the same time.
const SOON: Duration = Duration::from_secs(5);

/// A connection on which a worker is working on `/slow/<milliseconds>`.
fn slow_request(site: &Site, milliseconds: u32) -> Http {
    let mut slow = Http::open(site.address).expect("it listens");
    let worker = slow.pid().expect("an answer");
    slow.send("GET", &format!("/slow/{milliseconds}"), &[], b"").expect("it reads");
    // The same worker answers somebody who came later, so it has seen the request by now.
    drop(site.connect_to_each(&[worker]));
    slow
}

/// Waits until nobody listens any more.
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
    assert!(start.elapsed() < Duration::from_secs(2) + SOON, "it ends when the last request does");
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
        // A terminal signals all of the foreground group, not main alone.
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
    let mut silent = Connection::open(site.address).expect("it listens");
    assert_eq!(site.get("/").expect("an answer").status, 200);
    let start = Instant::now();
    site.program.signal(Signal::TERM);
    assert!(silent.until_closed().expect("a connection without a request is closed").is_empty());
    assert_eq!(site.program.wait().code(), Some(0));
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

fn half_a_head_delays_a_shutdown_to_the_timeout(mode: Mode) {
    let mut site = Site::start(mode, 1, &["--shutdown-timeout", "1"]);
    let mut half = Connection::open(site.address).expect("it listens");
    half.send(b"GET / HTTP/1.1\r\nHo").expect("it reads");
    assert_eq!(site.get("/").expect("an answer").status, 200);
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
    assert_eq!(status.code(), Some(1), "the exit says that something had to be killed");
    assert!(slow.receive().is_err());
    let said = site.program.stderr();
    assert!(said.contains("kill"), "main says that it killed what was left:\n{said}");
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
        assert_eq!(status.code(), Some(1), "the exit says that something had to be killed");
        assert!(slow.receive().is_err());
    }
}

fn a_frozen_worker_is_killed_at_the_timeout(mode: Mode) {
    let mut site = Site::start(mode, 2, &["--shutdown-timeout", "1"]);
    let frozen = Process::open(site.tree().workers[0]).expect("it runs");
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
        // Each time somewhat later, as told by what it has said; when it says less than that, it has long started.
        let mut seen = 0;
        program.wait_for_line("however early", |line| {
            seen += 1;
            seen > lines || line.contains("ready")
        });
        program.signal(Signal::TERM);
        program.wait();
    }
}
