//! No process of a tree keeps a descriptor of a closed connection.

use std::collections::BTreeMap;

use impresario_testkit::{Connection, Http, Mode, Program, Site, in_both_modes, procfs};

in_both_modes! {
    two_hundred_connections_leak_no_descriptor,
    hostile_connections_leak_no_descriptor,
    a_replaced_worker_leaks_no_descriptor,
}

/// Number of open descriptors of each process.
fn counts(pids: &[u32]) -> BTreeMap<u32, usize> {
    pids.iter().map(|pid| (*pid, procfs::descriptors(*pid).unwrap_or_default())).collect()
}

/// Waits until no process has more descriptors than before.
#[track_caller]
fn wait_until_as_before(program: &Program, before: &BTreeMap<u32, usize>) {
    let pids: Vec<u32> = before.keys().copied().collect();
    program.until(&format!("the descriptors are as before: {before:?}"), || {
        counts(&pids)
            .iter()
            .all(|(pid, count)| before.get(pid).is_some_and(|limit| count <= limit))
            .then_some(())
    });
}

/// Sends one request on each of `connections` connections, half of them in parallel and half in sequence.
fn serve(site: &Site, connections: usize) {
    let mut open: Vec<Http> = (0..connections / 2).map(|_| site.ask()).collect();
    for http in &mut open {
        assert_eq!(http.receive().expect("a response").status, 200);
    }
    drop(open);
    for _ in 0..connections / 2 {
        assert_eq!(site.get("/").expect("a response").status, 200);
    }
}

/// Descriptor counts after each process has served a request, so that everything made on first use exists.
fn counts_after_first_use(site: &Site) -> BTreeMap<u32, usize> {
    let tree = site.tree();
    let cold = counts(&tree.pids());
    serve(site, 20);
    drop(site.connect_to_each(&tree.workers));
    let slack: BTreeMap<u32, usize> = cold.into_iter().map(|(pid, count)| (pid, count + 2)).collect();
    wait_until_as_before(&site.program, &slack);
    counts(&tree.pids())
}

fn two_hundred_connections_leak_no_descriptor(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let before = counts_after_first_use(&site);
    serve(&site, 200);
    wait_until_as_before(&site.program, &before);
}

fn hostile_connections_leak_no_descriptor(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let before = counts_after_first_use(&site);
    let silent: Vec<Connection> =
        (0..200).map(|_| Connection::open(site.address).expect("the program listens")).collect();
    for (number, mut client) in silent.into_iter().enumerate() {
        match number % 4 {
            0 => drop(client),
            1 => client.reset().expect("the connection is open"),
            2 => client.send(b"garbage\r\n\r\n").expect("the peer reads"),
            _ => {
                client.send(b"GET / HTTP/1.1\r\nHost: te").expect("the peer reads");
                client.reset().expect("the connection is open");
            }
        }
    }
    wait_until_as_before(&site.program, &before);
}

fn a_replaced_worker_leaks_no_descriptor(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let before = counts_after_first_use(&site);
    let mut tree = site.tree();
    let most = tree.workers.iter().filter_map(|pid| before.get(pid)).max().copied().expect("two workers");
    let mut dead = Vec::new();
    // Three restarts are below the restart limit.
    for _ in 0..3 {
        dead.push(tree.workers[0]);
        site.kill(tree.workers[0]);
        tree = site.tree_without(&dead);
        drop(site.connect_to_each(&tree.workers));
    }
    let limits =
        tree.pids().into_iter().map(|pid| (pid, before.get(&pid).copied().unwrap_or(most))).collect();
    wait_until_as_before(&site.program, &limits);
}

#[test]
fn two_hundred_echoes_leak_no_descriptor() {
    let program = Program::start("echo", &["--listen", "127.0.0.1:0"]);
    let address = program.address_after("listening");
    let serve = |count: usize| {
        let mut open: Vec<Connection> =
            (0..count).map(|_| Connection::open(address).expect("the program listens")).collect();
        for connection in &mut open {
            connection.send(b"hello").expect("the peer reads");
            assert_eq!(connection.receive(5).expect("the peer answers"), b"hello");
        }
        for (number, connection) in open.into_iter().enumerate() {
            if number % 2 == 0 {
                connection.reset().expect("the connection is open");
            }
        }
    };
    let cold = counts(&[program.pid()]);
    serve(20);
    let slack = cold.into_iter().map(|(pid, count)| (pid, count + 2)).collect();
    wait_until_as_before(&program, &slack);
    let before = counts(&[program.pid()]);
    serve(200);
    wait_until_as_before(&program, &before);
}
