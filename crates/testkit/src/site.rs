//! The `http` example and its tree of processes.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use rustix::process::Signal;

use crate::http::{Http, Response};
use crate::limits::DEADLINE;
use crate::process::Process;
use crate::procfs;
use crate::program::Program;

/// How connections reach the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A router accepts them and hands them to workers.
    Router,
    /// The workers accept them (option `--direct`).
    Direct,
}

/// The pids of the tree by role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Root of the tree.
    pub main: u32,
    /// The process that accepts and hands connections to workers; only in [`Mode::Router`].
    pub router: Option<u32>,
    /// Parent of the workers.
    pub prototype: u32,
    /// The processes that serve requests, in ascending order.
    pub workers: Vec<u32>,
}

impl Tree {
    /// All pids.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.main, self.prototype];
        pids.extend(self.router);
        pids.extend(&self.workers);
        pids
    }

    /// The tree of these (pid, parent) pairs if it is complete: main with one prototype that has `workers`
    /// children and, in router mode, one more child without children.
    fn of(main: u32, processes: &[(u32, u32)], mode: Mode, workers: usize) -> Option<Self> {
        let children =
            |of: u32| processes.iter().filter(move |(_, parent)| *parent == of).map(|(pid, _)| *pid);
        let prototype = children(main).find(|child| children(*child).next().is_some())?;
        let mut others = children(main).filter(|child| *child != prototype);
        let tree = Self { main, router: others.next(), prototype, workers: children(prototype).collect() };
        let complete = tree.workers.len() == workers
            && tree.router.is_some() == (mode == Mode::Router)
            && tree.pids().len() == processes.len();
        complete.then_some(tree)
    }
}

/// The running `http` example.
#[derive(Debug)]
pub struct Site {
    /// Its processes and its stderr.
    pub program: Program,
    /// Listening address.
    pub address: SocketAddr,
    mode: Mode,
    workers: usize,
}

impl Site {
    /// Starts the example on a free port and waits for its `ready` line.
    ///
    /// # Panics
    ///
    /// As [`Program::address_after`].
    #[track_caller]
    #[must_use]
    pub fn start(mode: Mode, workers: usize, more: &[&str]) -> Self {
        let count = workers.to_string();
        let mut arguments = vec!["--listen", "127.0.0.1:0", "--workers", &count];
        if mode == Mode::Direct {
            arguments.push("--direct");
        }
        arguments.extend(more);
        Self::of(Program::start("http", &arguments), mode, workers)
    }

    /// Waits for the `ready` line of a program that the caller has started.
    ///
    /// # Panics
    ///
    /// As [`Program::address_after`].
    #[track_caller]
    #[must_use]
    pub fn of(program: Program, mode: Mode, workers: usize) -> Self {
        let address = program.address_after("ready");
        Self { program, address, mode, workers }
    }

    /// Waits until the tree is complete.
    ///
    /// # Panics
    ///
    /// If it is not complete within [`DEADLINE`].
    #[track_caller]
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.tree_without(&[])
    }

    /// Waits until the tree is complete and contains none of the pids in `dead`.
    ///
    /// # Panics
    ///
    /// If it does not become so within [`DEADLINE`].
    #[track_caller]
    #[must_use]
    pub fn tree_without(&self, dead: &[u32]) -> Tree {
        self.program.until(&format!("the tree is complete and without {dead:?}"), || {
            let pids = self.program.processes().into_iter();
            let processes: Option<Vec<_>> = pids.map(|pid| Some((pid, procfs::parent(pid)?))).collect();
            let tree = Tree::of(self.program.pid(), &processes?, self.mode, self.workers)?;
            tree.pids().iter().all(|pid| !dead.contains(pid)).then_some(tree)
        })
    }

    /// Sends `SIGKILL` to a process of the tree and waits for its exit.
    ///
    /// # Panics
    ///
    /// If there is no such process or it does not exit within [`DEADLINE`].
    #[track_caller]
    pub fn kill(&self, pid: u32) {
        let process = Process::open(pid).unwrap_or_else(|| panic!("there is no process {pid}"));
        process.signal(Signal::KILL).unwrap_or_else(|error| panic!("cannot kill {pid}: {error}"));
        assert!(process.exits_within(DEADLINE), "{pid} does not exit after SIGKILL");
    }

    /// Sends a GET request on a new connection.
    ///
    /// # Errors
    ///
    /// As [`Http::get_once`].
    pub fn get(&self, path: &str) -> io::Result<Response> {
        Http::get_once(self.address, path)
    }

    /// Connects and requests `/pid`. Does not wait for the response.
    ///
    /// # Panics
    ///
    /// If the connection is refused.
    #[track_caller]
    #[must_use]
    pub fn ask(&self) -> Http {
        let mut http = Http::open(self.address).unwrap_or_else(|error| panic!("the connect failed: {error}"));
        http.send("GET", "/pid", &[], b"")
            .unwrap_or_else(|error| panic!("the request could not be sent: {error}"));
        http
    }

    /// One open connection to each worker, in the order of [`Tree::workers`]. Each has served one request.
    ///
    /// # Panics
    ///
    /// If a worker gets no connection within [`DEADLINE`].
    #[track_caller]
    #[must_use]
    pub fn connect_to_each(&self, workers: &[u32]) -> Vec<Http> {
        let end = Instant::now() + DEADLINE;
        let mut found: Vec<Option<Http>> = workers.iter().map(|_| None).collect();
        // Other connections stay open until all are found: the router prefers the worker with the fewest
        // connections.
        let mut others = Vec::new();
        while found.iter().any(Option::is_none) {
            assert!(Instant::now() < end, "not all of {workers:?} get a connection: {found:?}");
            let mut http =
                Http::open(self.address).unwrap_or_else(|error| panic!("the connect failed: {error}"));
            let pid = http.pid().unwrap_or_else(|error| panic!("no response on a new connection: {error}"));
            match workers.iter().position(|worker| *worker == pid).and_then(|index| found.get_mut(index)) {
                Some(slot @ None) => *slot = Some(http),
                _ => others.push(http),
            }
        }
        found.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_tree_is_recognised() {
        let complete = [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)];
        let tree = Tree::of(1, &complete, Mode::Router, 2).expect("the tree is complete");
        assert_eq!(tree, Tree { main: 1, router: Some(3), prototype: 2, workers: vec![4, 5] });
        assert_eq!(tree.pids(), [1, 2, 3, 4, 5]);
        assert_eq!(Tree::of(1, &complete, Mode::Direct, 2), None, "a router too many");
        assert_eq!(Tree::of(1, &complete, Mode::Router, 3), None, "a worker too few");
        assert_eq!(Tree::of(1, &[(1, 0), (2, 1), (3, 1)], Mode::Router, 0), None, "no prototype to be seen");
        assert_eq!(Tree::of(1, &[(1, 0), (2, 1), (3, 2), (9, 3)], Mode::Direct, 1), None, "one too many");

        let direct = Tree::of(1, &[(1, 0), (2, 1), (3, 2)], Mode::Direct, 1).expect("the tree is complete");
        assert_eq!((direct.router, direct.workers), (None, vec![3]));
    }
}
