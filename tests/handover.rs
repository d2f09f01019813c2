//! Connections on their way from the router to a worker while one of the two dies.

use impresario_testkit::{Connection, Http, Mode, Process, Signal, Site, procfs};

/// How many connections are under way; enough that each of two workers gets some.
const UNDER_WAY: usize = 20;

fn freeze(pid: u32) -> Process {
    let process = Process::open(pid).expect("it runs");
    process.freeze();
    process
}

/// Connects, and waits until the router has passed everything on and so many of the connections are not taken: it keeps
/// a copy of each until then.
fn not_taken(site: &Site, least: usize) -> Vec<Http> {
    let router = site.tree().router.expect("it has a router");
    let waiting = (0..UNDER_WAY).map(|_| site.ask()).collect();
    site.program.until("the router has handed them over", || {
        let held = procfs::connections(router, site.address.port())?;
        (held >= least && procfs::is_idle(router)?).then_some(())
    });
    waiting
}

fn all_are_answered(waiting: Vec<Http>) {
    for mut http in waiting {
        assert_eq!(http.receive().expect("a connection under way is served").status, 200);
    }
}

#[test]
fn connections_of_a_killed_frozen_worker_are_served() {
    let site = Site::start(Mode::Router, 2, &[]);
    let tree = site.tree();
    let frozen = tree.workers[0];
    freeze(frozen);
    let waiting = not_taken(&site, UNDER_WAY / 4);
    site.kill(frozen);
    all_are_answered(waiting);
    drop(site.connect_to_each(&site.tree_without(&[frozen]).workers));
}

#[test]
fn requests_survive_the_death_of_the_router() {
    let site = Site::start(Mode::Router, 1, &[]);
    let tree = site.tree();
    let router = tree.router.expect("it has a router");
    let worker = freeze(tree.workers[0]);
    let waiting = not_taken(&site, UNDER_WAY);
    // Main is frozen too, so that no new router can be what serves them.
    site.program.freeze();
    site.kill(router);
    worker.signal(Signal::CONT).expect("it can be thawed");
    all_are_answered(waiting);
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
    let waiting: Vec<Http> = (0..UNDER_WAY).map(|_| site.ask()).collect();
    for process in frozen {
        process.signal(Signal::CONT).expect("it can be thawed");
    }
    all_are_answered(waiting);
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
    let waiting: Vec<Http> = (0..UNDER_WAY).map(|_| site.ask()).collect();
    site.program.signal(Signal::CONT);
    all_are_answered(waiting);
    let after = site.tree_without(&tree.workers);
    assert_eq!((after.router, after.prototype), (tree.router, tree.prototype));
    drop(site.connect_to_each(&after.workers));
}

#[test]
fn deaths_not_yet_seen_by_the_router_lose_nothing() {
    let site = Site::start(Mode::Router, 4, &[]);
    let tree = site.tree();
    let frozen = [freeze(tree.prototype), freeze(tree.router.expect("it has a router"))];
    // The connects come first, so the router offers them to workers of whose death it will hear only then.
    let waiting: Vec<Http> = (0..UNDER_WAY).map(|_| site.ask()).collect();
    for worker in &tree.workers {
        site.kill(*worker);
    }
    for process in frozen {
        process.signal(Signal::CONT).expect("it can be thawed");
    }
    all_are_answered(waiting);
    drop(site.connect_to_each(&site.tree_without(&tree.workers).workers));
}

#[test]
fn death_of_a_worker_during_drain_ends_the_shutdown() {
    let mut site = Site::start(Mode::Router, 1, &["--shutdown-timeout", "60"]);
    let worker = site.tree().workers[0];
    freeze(worker);
    let waiting = not_taken(&site, UNDER_WAY);
    site.program.signal(Signal::TERM);
    site.program.until("new connections are refused", || Connection::open(site.address).err());
    site.kill(worker);
    // They may be served by a replacement or closed, but not kept until the time-out.
    let status = site.program.wait();
    assert_eq!(status.code(), Some(0), "main said:\n{}", site.program.stderr());
    drop(waiting);
}

#[test]
fn a_draining_worker_rejects_no_connection() {
    let site = Site::start(Mode::Router, 2, &[]);
    let tree = site.tree();
    let mut on_each = site.connect_to_each(&tree.workers);
    for http in &mut on_each {
        http.send_raw(b"GET /slow/2000 HTTP/1.1\r\nhost: here\r\n\r\n").expect("it is connected");
    }
    Process::open(tree.workers[0]).expect("it runs").signal(Signal::TERM).expect("it can be told");
    site.program
        .wait_for_line("a worker drains", |line| line.contains("draining") && line.contains("worker"));
    all_are_answered((0..UNDER_WAY).map(|_| site.ask()).collect());
    all_are_answered(on_each);
}

#[test]
fn quick_kills_lose_no_connection() {
    let site = Site::start(Mode::Router, 2, &[]);
    let mut dead = Vec::new();
    for shot in 0..9 {
        let tree = site.tree_without(&dead);
        let target = match shot % 3 {
            0 => tree.workers[0],
            1 => tree.router.expect("it has a router"),
            _ => tree.prototype,
        };
        // The children of a prototype die with it, and no later tree has them.
        dead.extend(if target == tree.prototype { tree.workers } else { Vec::new() });
        dead.push(target);
        site.kill(target);
    }
    let tree = site.tree_without(&dead);
    assert_eq!(site.ask().receive().expect("it serves").status, 200);
    drop(site.connect_to_each(&tree.workers));
}
