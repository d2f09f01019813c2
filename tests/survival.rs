//! Each process of the `http` example is killed in turn, and the others go on.

use std::io::ErrorKind;

use impresario_testkit::{
    Connection, Http, Mode, Process, Signal, Site, TREE_EXIT_TIMEOUT, all_exit, in_both_modes,
};

in_both_modes! {
    a_killed_worker_is_replaced,
    all_workers_killed_together_are_replaced,
    a_killed_prototype_is_replaced_with_its_workers,
    killing_main_ends_every_process,
    killing_main_ends_a_frozen_tree,
}

fn a_killed_worker_is_replaced(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let tree = site.tree();
    let mut connections = site.connect_to_each(&tree.workers);
    let (dead, living) = (tree.workers[0], tree.workers[1]);

    // A frozen prototype cannot replace the worker, so all responses until then come from the other worker.
    let prototype = Process::open(tree.prototype).expect("the process runs");
    prototype.freeze();
    site.kill(dead);
    assert!(connections[0].get("/").is_err(), "the connections of a dead worker end");
    assert_eq!(connections[1].pid().expect("those of other workers go on"), living);
    let mut waiting: Vec<Http> = (0..20).map(|_| site.ask()).collect();
    if mode == Mode::Router {
        for mut http in waiting.drain(..) {
            assert_eq!(
                http.receive().expect("new connections are served meanwhile").text().trim(),
                living.to_string()
            );
        }
    }
    prototype.signal(Signal::CONT).expect("SIGCONT can be sent");
    for mut http in waiting {
        assert_eq!(http.receive().expect("new connections wait at most for the replacement").status, 200);
    }

    let after = site.tree_without(&[dead]);
    assert!(after.workers.contains(&living), "the other worker is still the same");
    assert_eq!((after.main, after.router, after.prototype), (tree.main, tree.router, tree.prototype));
    drop(site.connect_to_each(&after.workers));
    assert_eq!(connections[1].pid().expect("and its connections still go on"), living);
}

fn all_workers_killed_together_are_replaced(mode: Mode) {
    let site = Site::start(mode, 3, &[]);
    let tree = site.tree();
    for worker in &tree.workers {
        site.kill(*worker);
    }
    assert_eq!(site.ask().receive().expect("a new connection waits for a replacement").status, 200);
    let after = site.tree_without(&tree.workers);
    assert_eq!((after.main, after.router, after.prototype), (tree.main, tree.router, tree.prototype));
    drop(site.connect_to_each(&after.workers));
}

#[test]
fn a_killed_router_is_replaced() {
    let site = Site::start(Mode::Router, 2, &[]);
    let tree = site.tree();
    let router = tree.router.expect("the tree has a router");
    let mut connections = site.connect_to_each(&tree.workers);

    // A frozen main cannot replace the router, so the gap lasts until SIGCONT.
    site.program.freeze();
    site.kill(router);
    let waiting: Vec<Http> = (0..20).map(|_| site.ask()).collect();
    for (pid, http) in tree.workers.iter().zip(&mut connections) {
        assert_eq!(http.pid().expect("connections that were handed over go on"), *pid);
    }
    site.program.signal(Signal::CONT);
    for mut http in waiting {
        assert_eq!(http.receive().expect("a connect in the gap is served").status, 200);
    }

    let after = site.tree_without(&[router]);
    assert_eq!((after.main, after.prototype, &after.workers), (tree.main, tree.prototype, &tree.workers));
    drop(site.connect_to_each(&after.workers));
    for (pid, http) in tree.workers.iter().zip(&mut connections) {
        assert_eq!(http.pid().expect("and they still go on"), *pid);
    }
}

#[test]
fn no_connect_is_refused_while_a_router_is_killed() {
    let site = Site::start(Mode::Router, 2, &[]);
    let router = site.tree().router.expect("the tree has a router");
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            for _ in 0..300 {
                match Connection::open(site.address) {
                    // A connection that the router has accepted but not handed over is closed with it.
                    Ok(connection) => drop(connection),
                    Err(error) => assert_ne!(error.kind(), ErrorKind::ConnectionRefused, "{error}"),
                }
            }
        });
        site.kill(router);
        asking.join().expect("no connect is refused");
    });
    let after = site.tree_without(&[router]);
    drop(site.connect_to_each(&after.workers));
}

#[test]
fn a_new_router_knows_the_present_workers() {
    let site = Site::start(Mode::Router, 2, &[]);
    let first = site.tree();
    site.kill(first.workers[0]);
    let second = site.tree_without(&first.workers[..1]);
    drop(site.connect_to_each(&second.workers));
    let router = second.router.expect("the tree has a router");
    site.kill(router);
    let third = site.tree_without(&[first.workers[0], router]);
    assert_eq!(third.workers, second.workers);
    drop(site.connect_to_each(&third.workers));

    site.kill(third.workers[1]);
    let fourth = site.tree_without(&[first.workers[0], router, third.workers[1]]);
    assert_eq!(fourth.router, third.router);
    drop(site.connect_to_each(&fourth.workers));
}

fn a_killed_prototype_is_replaced_with_its_workers(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let tree = site.tree();
    let workers: Vec<Process> =
        tree.workers.iter().map(|pid| Process::open(*pid).expect("the process runs")).collect();
    site.kill(tree.prototype);
    assert!(all_exit(&workers, TREE_EXIT_TIMEOUT).is_empty(), "the workers end with their prototype");

    assert_eq!(site.ask().receive().expect("a new connection waits for new workers").status, 200);
    let dead = [&tree.workers[..], &[tree.prototype]].concat();
    let after = site.tree_without(&dead);
    assert_eq!((after.main, after.router), (tree.main, tree.router));
    drop(site.connect_to_each(&after.workers));
}

fn killing_main_ends_every_process(mode: Mode) {
    let mut site = Site::start(mode, 2, &[]);
    let tree = site.tree();
    let others: Vec<Process> = tree.pids().into_iter().filter_map(Process::open).collect();
    let mut connections = site.connect_to_each(&tree.workers);
    site.kill(tree.main);
    assert_eq!(
        all_exit(&others, TREE_EXIT_TIMEOUT),
        [0; 0],
        "still there one second after main, of {tree:?}"
    );
    for http in &mut connections {
        assert!(http.until_closed().expect("its connections end").is_empty());
    }
    site.program.wait();
    assert!(Connection::open(site.address).is_err(), "connects are refused");
}

fn killing_main_ends_a_frozen_tree(mode: Mode) {
    let mut site = Site::start(mode, 2, &[]);
    let tree = site.tree();
    for pid in tree.pids() {
        Process::open(pid).expect("the process runs").freeze();
    }
    site.kill(tree.main);
    site.program.wait();
}
