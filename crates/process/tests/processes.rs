//! What happens to a tree of processes when its members are shot, are told to stop, or do not do what they should.
//!
//! Each test runs `examples/processes.rs` and reads what its processes say on the one stdout they share.

mod driver;

use driver::Tree;
use nix::sys::signal::Signal;

const WORKERS: [&str; 2] = ["shop worker 0", "shop worker 1"];

#[test]
fn terminate_drains_in_reverse_and_leaves_nothing() {
    let mut tree = Tree::ready(&[]);
    tree.signal_main(Signal::SIGTERM);
    tree.expect("told router");
    tree.expect("told shop worker");
    tree.expect("told shop worker");
    tree.expect_exit(0);
}

#[test]
fn quit_and_interrupt_drain_too() {
    for signal in [Signal::SIGQUIT, Signal::SIGINT] {
        let mut tree = Tree::ready(&[]);
        tree.signal_main(signal);
        tree.expect_exit(0);
    }
}

#[test]
fn signals_without_a_meaning_yet_do_no_harm() {
    let mut tree = Tree::ready(&[]);
    for signal in [Signal::SIGUSR2, Signal::SIGUSR1, Signal::SIGHUP] {
        tree.signal_main(signal);
        tree.expect(&format!("signal ignored, signal: {signal}"));
    }
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn a_killed_worker_is_replaced_and_the_router_knows() {
    let mut tree = Tree::ready(&[]);
    let [first, other] = WORKERS.map(|name| tree.pid(name));
    tree.kill(first);
    // Who says these first is the kernel's choice.
    tree.expect_all(&[
        format!("child ended, child: shop worker 0, child_pid: {first}, reason: signal 9"),
        format!("router forgets {first}"),
        "up shop worker 0 ".to_owned(),
        "router hears of shop worker 0 ".to_owned(),
    ]);
    assert_ne!(tree.pid("shop worker 0"), first);
    assert_eq!(tree.pid("shop worker 1"), other);
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn a_killed_router_is_replaced_and_hears_of_all_workers() {
    let mut tree = Tree::ready(&[]);
    let pids = WORKERS.map(|name| tree.pid(name));
    tree.kill(tree.pid("router"));
    tree.expect_up("router", 2);
    let hears = WORKERS.iter().zip(pids).map(|(name, pid)| format!("router hears of {name} {pid}"));
    tree.expect_all(&hears.collect::<Vec<_>>());
    assert_eq!(WORKERS.map(|name| tree.pid(name)), pids, "workers do not notice");
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn a_killed_prototype_takes_its_workers_along_and_comes_back_with_new_ones() {
    let mut tree = Tree::ready(&[]);
    let pids = WORKERS.map(|name| tree.pid(name));
    tree.kill(tree.pid("shop prototype"));
    let forgets = pids.iter().map(|pid| format!("router forgets {pid}"));
    let hears = WORKERS.iter().map(|name| format!("router hears of {name} "));
    let up = WORKERS.iter().map(|name| format!("up {name} "));
    let ready = ["child ready, child: shop prototype".to_owned()];
    tree.expect_all(&forgets.chain(hears).chain(up).chain(ready).collect::<Vec<_>>());
    for (name, pid) in WORKERS.iter().zip(pids) {
        assert_ne!(tree.pid(name), pid);
        tree.expect_dead(pid);
    }
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn nobody_outlives_main() {
    let mut tree = Tree::ready(&[]);
    tree.kill(tree.main());
    tree.expect_nobody();
}

#[test]
fn nobody_outlives_main_even_if_it_is_stuck() {
    let mut tree = Tree::ready(&["stuck"]);
    tree.signal_main(Signal::SIGTERM);
    tree.expect("told shop worker");
    tree.expect("told shop worker");
    tree.kill(tree.main());
    tree.expect_nobody();
}

#[test]
fn what_does_not_leave_in_time_is_killed_and_named() {
    let mut tree = Tree::ready(&["stuck", "timeout=200"]);
    tree.signal_main(Signal::SIGTERM);
    let line = tree.expect("killed what was left, reason: the shutdown time-out is over");
    for name in ["shop prototype", WORKERS[0], WORKERS[1]] {
        assert!(line.contains(&format!("{name} ({})", tree.pid(name))), "{line}");
    }
    tree.expect_exit(1);
}

#[test]
fn a_second_signal_kills_at_once() {
    let mut tree = Tree::ready(&["stuck", "timeout=1000000"]);
    tree.signal_main(Signal::SIGINT);
    tree.expect("told shop worker");
    tree.signal_main(Signal::SIGTERM);
    tree.expect("killed what was left, reason: second signal");
    tree.expect_exit(1);
}

#[test]
fn a_stop_while_starting_is_a_stop() {
    let mut tree = Tree::start(&["hang-in-setup"]);
    tree.expect("hangs shop worker");
    tree.expect("hangs shop worker");
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn a_worker_that_cannot_start_ends_it_with_the_reason() {
    let mut tree = Tree::start(&["fail"]);
    tree.expect("child did not start, child: shop prototype");
    let line = tree.expect("ended, reason: ");
    assert!(line.contains("child shop failed to start: child shop worker"), "{line}");
    assert!(line.contains("failed to start: no database"), "{line}");
    tree.expect_exit(3);
}

#[test]
fn a_panic_in_setup_is_a_failed_start() {
    let mut tree = Tree::start(&["panic-in-setup"]);
    let line = tree.expect("ended, reason: ");
    assert!(line.contains("panicked: no parachute"), "{line}");
    tree.expect_exit(3);
}

#[test]
fn a_panic_is_reported_with_its_message() {
    let mut tree = Tree::start(&["panic"]);
    tree.expect("child ended, child: shop worker 0, child_pid: ");
    tree.expect_up("shop worker 0", 2);
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn a_crash_loop_meets_the_restart_limit() {
    let mut tree = Tree::start(&["crash"]);
    let line = tree.expect("restart limit reached, child: shop worker");
    assert!(line.contains("reason: exit code 1"), "{line}");
    let line = tree.expect("CRIT ended, reason: ");
    assert!(line.contains("restart limit reached, last failure of child shop worker: exit code 1"), "{line}");
    // It depends on the race of one worker's crashes with the other's start whether the app was ever ready.
    let code = tree.exit_code();
    assert!(code == Some(1) || code == Some(3), "{code:?}");
}

#[test]
fn main_has_a_restart_limit_too() {
    let mut tree = Tree::ready(&[]);
    for _ in 0..3 {
        tree.kill(tree.pid("shop prototype"));
        tree.expect_ready("shop prototype");
    }
    tree.kill(tree.pid("shop prototype"));
    tree.expect("restart limit reached, child: shop prototype");
    tree.expect("CRIT ended, reason: restart limit reached, last failure of child shop: signal 9, code: 1");
    tree.expect_exit(1);
}

#[test]
fn a_fatal_exit_is_never_started_again() {
    let mut tree = Tree::start(&["fatal"]);
    tree.expect("giving up: a child must not be started again, child: shop worker");
    tree.expect("giving up: a child must not be started again, child: shop prototype");
    tree.expect_exit(2);
}

#[test]
fn a_child_that_breaks_the_rules_of_its_port_is_killed_and_replaced() {
    for (mode, why) in [
        ("garbage", "it sent a bad frame: "),
        ("forbidden", "it broke the rules of its port: a worker process may not send remove-port"),
        ("forged", "it broke the rules of its port: process "),
    ] {
        let mut tree = Tree::start(&[mode]);
        let line = tree.expect("killed a broken child, child: shop worker 0");
        assert!(line.contains(why), "{line}");
        tree.expect_up("shop worker 0", 2);
        tree.signal_main(Signal::SIGTERM);
        tree.expect_exit(0);
    }
}

#[test]
fn a_leaf_holds_what_it_inherits_and_nothing_else() {
    let mut tree = Tree::start(&["inspect", "listen=127.0.0.1:0"]);
    let lines = tree.expect_so_far("inspected shop worker", 2);
    for line in &lines {
        // 0, 1, 2; its port to the parent twice; its port to the router; the listener.
        assert!(line.contains(" fds=7 sockets=4 distinct=3 "), "{line}");
        assert_eq!(hex(line, "SigBlk="), 0, "{line}");
        // Only SIGPIPE. 32 and 33 belong to the C library, which lets nobody change them.
        assert_eq!(hex(line, "SigIgn=") & 0x7fff_ffff, 0x1000, "{line}");
    }
    assert_ne!(hex(&lines[0], "hash="), hex(&lines[1], "hash="), "workers share their hash keys");
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

fn hex(line: &str, key: &str) -> u64 {
    let value = line.split(' ').find_map(|word| word.strip_prefix(key));
    u64::from_str_radix(value.unwrap(), 16).unwrap()
}

#[test]
fn listeners_close_when_draining_begins_and_not_when_workers_die() {
    // Bound and dropped, so that it is probably free.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut tree = Tree::ready(&["stuck", "timeout=1000000", &format!("listen={address}")]);
    tree.kill(tree.pid("shop prototype"));
    std::net::TcpStream::connect(address).unwrap();
    tree.expect_ready("shop prototype");
    tree.signal_main(Signal::SIGTERM);
    tree.expect("told shop worker");
    tree.expect("told shop worker");
    assert!(std::net::TcpStream::connect(address).is_err());
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(1);
}

#[test]
fn a_process_with_threads_does_not_fork() {
    let mut tree = Tree::start(&["threads"]);
    let line = tree.expect("ended, reason: ");
    assert!(line.contains("cannot fork: this process has 2 threads"), "{line}");
    tree.expect_exit(3);
}
