//! Connections in transfer from the router to a worker while one of the two is killed.

use impresario_testkit::{Connection, Http, Mode, Process, Signal, Site, procfs};

/// Number of connections in transfer; enough for two workers to get some.
const IN_TRANSFER: usize = 20;

fn freeze(pid: u32) -> Process {
    let process = Process::open(pid).expect("the process runs");
    process.freeze();
    process
}

/// Connects, and waits until the router has sent all connections to workers and at least `least` are not
/// taken. The router keeps a descriptor of each until it is taken.
fn connect_until_not_taken(site: &Site, least: usize) -> Vec<Http> {
    let router = site.tree().router.expect("the tree has a router");
    let waiting = (0..IN_TRANSFER).map(|_| site.ask()).collect();
    site.program.until("the router has handed them over", || {
        let held = procfs::connections(router, site.address.port())?;
        (held >= least && procfs::is_idle(router)?).then_some(())
    });
    waiting
}

fn assert_all_served(waiting: Vec<Http>) {
    for mut http in waiting {
        assert_eq!(http.receive().expect("a connection in transfer is served").status, 200);
    }
}

#[test]
fn connections_of_a_killed_frozen_worker_are_served() {
    let site = Site::start(Mode::Router, 2, &[]);
    let tree = site.tree();
    let frozen = tree.workers[0];
    freeze(frozen);
    let waiting = connect_until_not_taken(&site, IN_TRANSFER / 4);
    site.kill(frozen);
    assert_all_served(waiting);
    drop(site.connect_to_each(&site.tree_without(&[frozen]).workers));
}

#[test]
fn requests_survive_the_death_of_the_router() {
    let site = Site::start(Mode::Router, 1, &[]);
    let tree = site.tree();
    let router = tree.router.expect("the tree has a router");
    let worker = freeze(tree.workers[0]);
    let waiting = connect_until_not_taken(&site, IN_TRANSFER);
    // Main is frozen too, so that no new router serves them.
    site.program.freeze();
    site.kill(router);
    worker.signal(Signal::CONT).expect("SIGCONT can be sent");
    assert_all_served(waiting);
    site.program.signal(Signal::CONT);
    let after = site.tree_without(&[router]);
    assert_eq!(after.workers, tree.workers);
    drop(site.connect_to_each(&after.workers));
}

#[test]
fn requests_to_frozen_workers_are_served_after_sigcont() {
    let site = Site::start(Mode::Router, 2, &[]);
    let tree = site.tree();
    let frozen: Vec<Process> = tree.workers.iter().map(|pid| freeze(*pid)).collect();
    let waiting: Vec<Http> = (0..IN_TRANSFER).map(|_| site.ask()).collect();
    for process in frozen {
        process.signal(Signal::CONT).expect("SIGCONT can be sent");
    }
    assert_all_served(waiting);
    assert_eq!(site.tree(), tree);
}

#[test]
fn workers_started_behind_a_frozen_main_get_requests() {
    let site = Site::start(Mode::Router, 2, &[]);
    let tree = site.tree();
    site.program.freeze();
    for worker in &tree.workers {
        site.kill(*worker);
    }
    let waiting: Vec<Http> = (0..IN_TRANSFER).map(|_| site.ask()).collect();
    site.program.signal(Signal::CONT);
    assert_all_served(waiting);
    let after = site.tree_without(&tree.workers);
    assert_eq!((after.router, after.prototype), (tree.router, tree.prototype));
    drop(site.connect_to_each(&after.workers));
}

#[test]
fn deaths_not_yet_seen_by_the_router_lose_nothing() {
    let site = Site::start(Mode::Router, 4, &[]);
    let tree = site.tree();
    let frozen = [freeze(tree.prototype), freeze(tree.router.expect("the tree has a router"))];
    // The connects come first, so the router offers them to workers that are already killed.
    let waiting: Vec<Http> = (0..IN_TRANSFER).map(|_| site.ask()).collect();
    for worker in &tree.workers {
        site.kill(*worker);
    }
    for process in frozen {
        process.signal(Signal::CONT).expect("SIGCONT can be sent");
    }
    assert_all_served(waiting);
    drop(site.connect_to_each(&site.tree_without(&tree.workers).workers));
}

#[test]
fn death_of_a_worker_during_drain_ends_the_shutdown() {
    let mut site = Site::start(Mode::Router, 1, &["--shutdown-timeout", "60"]);
    let worker = site.tree().workers[0];
    freeze(worker);
    let waiting = connect_until_not_taken(&site, IN_TRANSFER);
    site.program.signal(Signal::TERM);
    site.program.until("new connections are refused", || Connection::open(site.address).err());
    site.kill(worker);
    // A replacement may serve them, or they are closed, but they do not delay the shutdown to its timeout.
    let status = site.program.wait();
    assert_eq!(status.code(), Some(0), "stderr of main:\n{}", site.program.stderr());
    drop(waiting);
}

#[test]
fn a_draining_worker_rejects_no_connection() {
    let site = Site::start(Mode::Router, 2, &[]);
    let tree = site.tree();
    let mut on_each = site.connect_to_each(&tree.workers);
    for http in &mut on_each {
        http.send_raw(b"GET /slow/2000 HTTP/1.1\r\nhost: here\r\n\r\n").expect("the connection is open");
    }
    Process::open(tree.workers[0])
        .expect("the process runs")
        .signal(Signal::TERM)
        .expect("SIGTERM can be sent");
    site.program
        .wait_for_line("a worker drains", |line| line.contains("draining") && line.contains("worker"));
    assert_all_served((0..IN_TRANSFER).map(|_| site.ask()).collect());
    assert_all_served(on_each);
}

#[test]
fn quick_kills_lose_no_connection() {
    let site = Site::start(Mode::Router, 2, &[]);
    let mut dead = Vec::new();
    for kill in 0..9 {
        let tree = site.tree_without(&dead);
        let target = match kill % 3 {
            0 => tree.workers[0],
            1 => tree.router.expect("the tree has a router"),
            _ => tree.prototype,
        };
        // The children of a prototype exit with it, so no later tree has them.
        dead.extend(if target == tree.prototype { tree.workers } else { Vec::new() });
        dead.push(target);
        site.kill(target);
    }
    let tree = site.tree_without(&dead);
    assert_eq!(site.ask().receive().expect("the request is served").status, 200);
    drop(site.connect_to_each(&tree.workers));
}
