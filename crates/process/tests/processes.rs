//! Processes of a tree that are killed, asked to stop, or violate the protocol.
//!
//! Each test runs `examples/processes.rs` and reads the lines that its processes print on the stdout they
//! share.

mod driver;

use driver::Tree;
use impresario_sys::Signal;

const WORKERS: [&str; 2] = ["shop worker 0", "shop worker 1"];

#[test]
fn sigterm_stops_children_in_reverse_order() {
    let mut tree = Tree::ready(&[]);
    tree.signal_main(Signal::SIGTERM);
    tree.expect("quit router");
    tree.expect("quit shop worker");
    tree.expect("quit shop worker");
    tree.expect_exit(0);
}

#[test]
fn sigquit_and_sigint_drain() {
    for signal in [Signal::SIGQUIT, Signal::SIGINT] {
        let mut tree = Tree::ready(&[]);
        tree.signal_main(signal);
        tree.expect_exit(0);
    }
}

#[test]
fn signals_without_a_meaning_are_ignored() {
    let mut tree = Tree::ready(&[]);
    for signal in [Signal::SIGUSR2, Signal::SIGUSR1, Signal::SIGHUP] {
        tree.signal_main(signal);
        tree.expect(&format!("signal ignored, signal: {signal}"));
    }
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn a_killed_worker_is_replaced_and_routers_are_notified() {
    let mut tree = Tree::ready(&[]);
    let [first, other] = WORKERS.map(|name| tree.pid(name));
    tree.kill(first);
    // Different processes print these lines, so their order is not defined.
    tree.expect_all(&[
        format!("child terminated, child: shop worker 0, child_pid: {first}, reason: signal 9"),
        format!("router removes {first}"),
        "up shop worker 0 ".to_owned(),
        "router adds shop worker 0 ".to_owned(),
    ]);
    assert_ne!(tree.pid("shop worker 0"), first);
    assert_eq!(tree.pid("shop worker 1"), other);
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn a_killed_router_is_replaced_and_notified_of_all_workers() {
    let mut tree = Tree::ready(&[]);
    let pids = WORKERS.map(|name| tree.pid(name));
    tree.kill(tree.pid("router"));
    tree.expect_up("router", 2);
    let adds = WORKERS.iter().zip(pids).map(|(name, pid)| format!("router adds {name} {pid}"));
    tree.expect_all(&adds.collect::<Vec<_>>());
    assert_eq!(WORKERS.map(|name| tree.pid(name)), pids, "the workers keep running");
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn a_killed_prototype_and_its_workers_are_replaced() {
    let mut tree = Tree::ready(&[]);
    let pids = WORKERS.map(|name| tree.pid(name));
    tree.kill(tree.pid("shop prototype"));
    let removes = pids.iter().map(|pid| format!("router removes {pid}"));
    let adds = WORKERS.iter().map(|name| format!("router adds {name} "));
    let up = WORKERS.iter().map(|name| format!("up {name} "));
    let ready = ["child ready, child: shop prototype".to_owned()];
    tree.expect_all(&removes.chain(adds).chain(up).chain(ready).collect::<Vec<_>>());
    for (name, pid) in WORKERS.iter().zip(pids) {
        assert_ne!(tree.pid(name), pid);
        tree.expect_dead(pid);
    }
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn all_processes_exit_when_main_is_killed() {
    let mut tree = Tree::ready(&[]);
    tree.kill(tree.main());
    tree.expect_all_exited();
}

#[test]
fn stuck_processes_exit_when_main_is_killed() {
    let mut tree = Tree::ready(&["stuck"]);
    tree.signal_main(Signal::SIGTERM);
    tree.expect("quit shop worker");
    tree.expect("quit shop worker");
    tree.kill(tree.main());
    tree.expect_all_exited();
}

#[test]
fn stuck_processes_are_killed_at_the_timeout_and_named() {
    let mut tree = Tree::ready(&["stuck", "timeout=200"]);
    tree.signal_main(Signal::SIGTERM);
    let line = tree.expect("killed remaining processes, reason: shutdown timeout expired");
    for name in ["shop prototype", WORKERS[0], WORKERS[1]] {
        assert!(line.contains(&format!("{name} ({})", tree.pid(name))), "{line}");
    }
    tree.expect_exit(1);
}

#[test]
fn a_second_signal_kills_immediately() {
    let mut tree = Tree::ready(&["stuck", "timeout=1000000"]);
    tree.signal_main(Signal::SIGINT);
    tree.expect("quit shop worker");
    tree.signal_main(Signal::SIGTERM);
    tree.expect("killed remaining processes, reason: second signal");
    tree.expect_exit(1);
}

#[test]
fn sigterm_while_starting_ends_with_code_0() {
    let mut tree = Tree::start(&["block-in-setup"]);
    tree.expect("blocked in setup shop worker");
    tree.expect("blocked in setup shop worker");
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn a_failed_first_start_ends_the_tree_with_the_reason() {
    let mut tree = Tree::start(&["fail"]);
    tree.expect("child failed to start, child: shop prototype");
    let line = tree.expect("exiting, reason: ");
    assert!(line.contains("child shop failed to start: child shop worker"), "{line}");
    assert!(line.contains("failed to start: no database"), "{line}");
    tree.expect_exit(3);
}

#[test]
fn a_panic_in_setup_is_a_failed_start() {
    let mut tree = Tree::start(&["panic-in-setup"]);
    let line = tree.expect("exiting, reason: ");
    assert!(line.contains("panicked at ") && line.contains("processes.rs:"), "{line}");
    assert!(line.contains(": no database driver"), "{line}");
    tree.expect_exit(3);
}

#[test]
fn a_panic_in_listeners_is_a_failed_start() {
    let mut tree = Tree::start(&["panic-in-listeners"]);
    let line = tree.expect("exiting, reason: ");
    assert!(line.contains("failed to start: listeners() panicked at "), "{line}");
    assert!(line.contains("processes.rs:") && line.contains(": no list"), "{line}");
    tree.expect_exit(3);
}

#[test]
fn a_panic_in_prefork_is_a_failed_start() {
    let mut tree = Tree::start(&["panic-in-prefork"]);
    let line = tree.expect("exiting, reason: ");
    assert!(line.contains("failed to start: prefork() panicked at "), "{line}");
    assert!(line.contains("processes.rs:") && line.contains(": no free port"), "{line}");
    tree.expect_exit(3);
}

#[test]
fn a_panic_in_prefork_of_a_restart_keeps_the_prototype() {
    let mut tree = Tree::ready(&["panic-in-second-prefork"]);
    let (prototype, other) = (tree.pid("shop prototype"), tree.pid("shop worker 1"));
    tree.kill(tree.pid("shop worker 0"));
    let line = tree.expect("child failed to start, child: ");
    assert!(line.contains("prefork() panicked at ") && line.contains(": no free port"), "{line}");
    tree.expect_up("shop worker 0", 3);
    assert_eq!((tree.pid("shop prototype"), tree.pid("shop worker 1")), (prototype, other));
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn a_panic_in_the_logger_factory_is_a_failed_start() {
    let mut tree = Tree::start(&["panic-in-logging"]);
    let line = tree.expect("exiting, reason: ");
    assert!(line.contains("failed to start: logger factory panicked at "), "{line}");
    assert!(line.contains("processes.rs:") && line.contains(": no log file"), "{line}");
    tree.expect_exit(3);
}

#[test]
fn workers_beyond_the_limit_are_refused_before_the_first_fork() {
    let mut tree = Tree::start(&["workers=1025"]);
    tree.expect("1025 workers are configured (shop: 1025), but main keeps at most 1024");
    assert!(!tree.has_seen("up "), "a process was started");
    tree.expect_exit(1);
}

#[test]
fn a_panicked_worker_is_reported_and_replaced() {
    let mut tree = Tree::start(&["panic"]);
    tree.expect("child terminated, child: shop worker 0, child_pid: ");
    tree.expect_up("shop worker 0", 2);
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

#[test]
fn a_crash_loop_reaches_the_restart_limit() {
    let mut tree = Tree::start(&["crash"]);
    let line = tree.expect("restart limit reached, child: shop worker");
    assert!(line.contains("reason: exit code 1"), "{line}");
    let line = tree.expect("CRIT exiting, reason: ");
    assert!(line.contains("restart limit reached, last failure of child shop worker: exit code 1"), "{line}");
    // 1 if both workers became ready before the limit was reached, else 3: they start concurrently.
    let code = tree.exit_code();
    assert!(code == Some(1) || code == Some(3), "{code:?}");
}

#[test]
fn killed_prototypes_reach_the_restart_limit_of_main() {
    let mut tree = Tree::ready(&[]);
    for _ in 0..3 {
        tree.kill(tree.pid("shop prototype"));
        tree.expect_ready("shop prototype");
    }
    tree.kill(tree.pid("shop prototype"));
    tree.expect("restart limit reached, child: shop prototype");
    tree.expect("CRIT exiting, reason: restart limit reached, last failure of child shop: signal 9, code: 1");
    tree.expect_exit(1);
}

#[test]
fn a_fatal_exit_of_a_worker_ends_the_tree() {
    let mut tree = Tree::start(&["fatal"]);
    tree.expect("giving up: fatal exit of a child, child: shop worker");
    tree.expect("giving up: fatal exit of a child, child: shop prototype");
    tree.expect_exit(2);
}

#[test]
fn a_child_that_violates_the_port_protocol_is_replaced() {
    for (mode, why) in [
        ("garbage", "it sent a malformed frame: "),
        ("forbidden", "it violated the protocol of its port: a worker process may not send remove-port"),
        ("forged", "it violated the protocol of its port: process "),
    ] {
        let mut tree = Tree::start(&[mode]);
        let line = tree.expect("child killed, child: shop worker 0");
        assert!(line.contains(why), "{line}");
        tree.expect_up("shop worker 0", 2);
        tree.signal_main(Signal::SIGTERM);
        tree.expect_exit(0);
    }
}

#[test]
fn a_worker_holds_only_inherited_descriptors() {
    let mut tree = Tree::start(&["inspect", "listen=127.0.0.1:0"]);
    let lines = tree.expect_so_far("inspected shop worker", 2);
    for line in &lines {
        // 0, 1, 2; the port to the parent and its copy; the port to the router; the listener.
        assert!(line.contains(" fds=7 sockets=4 distinct=3 "), "{line}");
        assert_eq!(hex(line, "SigBlk="), 0, "{line}");
        // Only SIGPIPE (bit 12). Signals 32 and 33 are reserved by the C library, which rejects a change.
        assert_eq!(hex(line, "SigIgn=") & 0x7fff_ffff, 0x1000, "{line}");
    }
    assert_ne!(hex(&lines[0], "hash="), hex(&lines[1], "hash="), "each worker has its own hash keys");
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(0);
}

fn hex(line: &str, key: &str) -> u64 {
    let value = line.split(' ').find_map(|word| word.strip_prefix(key));
    u64::from_str_radix(value.unwrap(), 16).unwrap()
}

#[test]
fn listeners_close_at_the_drain_and_not_at_a_crash() {
    // The port was bound and closed here, so it is free unless another program takes it.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut tree = Tree::ready(&["stuck", "timeout=1000000", &format!("listen={address}")]);
    tree.kill(tree.pid("shop prototype"));
    std::net::TcpStream::connect(address).unwrap();
    tree.expect_ready("shop prototype");
    tree.signal_main(Signal::SIGTERM);
    tree.expect("quit shop worker");
    tree.expect("quit shop worker");
    assert!(std::net::TcpStream::connect(address).is_err());
    tree.signal_main(Signal::SIGTERM);
    tree.expect_exit(1);
}

#[test]
fn a_main_with_two_threads_fails_to_fork() {
    let mut tree = Tree::start(&["threads"]);
    let line = tree.expect("exiting, reason: ");
    assert!(line.contains("cannot fork: this process has 2 threads"), "{line}");
    tree.expect_exit(3);
}
