//! No process of a tree keeps a descriptor of a connection that has ended.

use std::collections::BTreeMap;

use impresario_testkit::{Connection, Http, Mode, Program, Site, in_both_modes, procfs};

in_both_modes! {
    two_hundred_connections_leak_no_descriptor,
    hostile_connections_leak_no_descriptor,
    a_replaced_worker_leaks_no_descriptor,
}

/// How many descriptors each of these processes has open.
fn counts(pids: &[u32]) -> BTreeMap<u32, usize> {
    pids.iter().map(|pid| (*pid, procfs::descriptors(*pid).unwrap_or_default())).collect()
}

/// Waits until none of the processes has more descriptors than it had.
#[track_caller]
fn until_as_before(program: &Program, before: &BTreeMap<u32, usize>) {
    let pids: Vec<u32> = before.keys().copied().collect();
    program.until(&format!("the descriptors are as before: {before:?}"), || {
        counts(&pids)
            .iter()
            .all(|(pid, count)| before.get(pid).is_some_and(|limit| count <= limit))
            .then_some(())
    });
}

/// So many connections, half of them at the same time and half one after the other, one request on each.
fn serve(site: &Site, connections: usize) {
    let mut open: Vec<Http> = (0..connections / 2).map(|_| site.ask()).collect();
    for http in &mut open {
        assert_eq!(http.receive().expect("an answer").status, 200);
    }
    drop(open);
    for _ in 0..connections / 2 {
        assert_eq!(site.get("/").expect("an answer").status, 200);
    }
}

/// What its processes have open once each has served something: whatever is made at first use has been made then.
fn warm(site: &Site) -> BTreeMap<u32, usize> {
    let tree = site.tree();
    let cold = counts(&tree.pids());
    serve(site, 20);
    drop(site.connect_to_each(&tree.workers));
    let slack: BTreeMap<u32, usize> = cold.into_iter().map(|(pid, count)| (pid, count + 2)).collect();
    until_as_before(&site.program, &slack);
    counts(&tree.pids())
}

fn two_hundred_connections_leak_no_descriptor(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let before = warm(&site);
    serve(&site, 200);
    until_as_before(&site.program, &before);
}

fn hostile_connections_leak_no_descriptor(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let before = warm(&site);
    let silent: Vec<Connection> =
        (0..200).map(|_| Connection::open(site.address).expect("it listens")).collect();
    for (number, mut client) in silent.into_iter().enumerate() {
        match number % 4 {
            0 => drop(client),
            1 => client.reset().expect("it is open"),
            2 => client.send(b"garbage\r\n\r\n").expect("it reads"),
            _ => {
                client.send(b"GET / HTTP/1.1\r\nHost: te").expect("it reads");
                client.reset().expect("it is open");
            }
        }
    }
    until_as_before(&site.program, &before);
}

fn a_replaced_worker_leaks_no_descriptor(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let before = warm(&site);
    let mut tree = site.tree();
    let most = tree.workers.iter().filter_map(|pid| before.get(pid)).max().copied().expect("two workers");
    let mut dead = Vec::new();
    // Few enough not to reach the restart limit.
    for _ in 0..3 {
        dead.push(tree.workers[0]);
        site.kill(tree.workers[0]);
        tree = site.tree_without(&dead);
        drop(site.connect_to_each(&tree.workers));
    }
    let limits =
        tree.pids().into_iter().map(|pid| (pid, before.get(&pid).copied().unwrap_or(most))).collect();
    until_as_before(&site.program, &limits);
}

#[test]
fn two_hundred_echoes_leak_no_descriptor() {
    let program = Program::start("echo", &["--listen", "127.0.0.1:0"]);
    let address = program.address_after("listening");
    let serve = |count: usize| {
        let mut open: Vec<Connection> =
            (0..count).map(|_| Connection::open(address).expect("it listens")).collect();
        for connection in &mut open {
            connection.send(b"hello").expect("it reads");
            assert_eq!(connection.receive(5).expect("it answers"), b"hello");
        }
        for (number, connection) in open.into_iter().enumerate() {
            if number % 2 == 0 {
                connection.reset().expect("it is open");
            }
        }
    };
    let cold = counts(&[program.pid()]);
    serve(20);
    let slack = cold.into_iter().map(|(pid, count)| (pid, count + 2)).collect();
    until_as_before(&program, &slack);
    let before = counts(&[program.pid()]);
    serve(200);
    until_as_before(&program, &before);
}
