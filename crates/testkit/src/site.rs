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

/// How connections come to the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A router accepts them and hands them over.
    Router,
    /// The workers accept them (`--direct`).
    Direct,
}

/// Who is who, by pid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The root of the tree.
    pub main: u32,
    /// The process that accepts and hands over, in [`Mode::Router`].
    pub router: Option<u32>,
    /// The parent of the workers.
    pub prototype: u32,
    /// The processes that answer, in ascending order.
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

    /// The tree that these processes make, if they make a whole one: main, whose children are one prototype with so
    /// many children and, with a router, one process without any.
    fn of(main: u32, processes: &[(u32, u32)], mode: Mode, workers: usize) -> Option<Self> {
        let children =
            |of: u32| processes.iter().filter(move |(_, parent)| *parent == of).map(|(pid, _)| *pid);
        let prototype = children(main).find(|child| children(*child).next().is_some())?;
        let mut others = children(main).filter(|child| *child != prototype);
        let tree = Self { main, router: others.next(), prototype, workers: children(prototype).collect() };
        let whole = tree.workers.len() == workers
            && tree.router.is_some() == (mode == Mode::Router)
            && tree.pids().len() == processes.len();
        whole.then_some(tree)
    }
}

/// The `http` example while it runs.
#[derive(Debug)]
pub struct Site {
    /// Its processes and what they say.
    pub program: Program,
    /// Where it listens.
    pub address: SocketAddr,
    mode: Mode,
    workers: usize,
}

impl Site {
    /// Starts it on a free port and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not become ready.
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

    /// Waits until a program that the caller has started is ready.
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    #[track_caller]
    #[must_use]
    pub fn of(program: Program, mode: Mode, workers: usize) -> Self {
        let address = program.address_after("ready");
        Self { program, address, mode, workers }
    }

    /// Waits until the tree is whole.
    ///
    /// # Panics
    ///
    /// When it does not become whole before the deadline.
    #[track_caller]
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.tree_without(&[])
    }

    /// Waits until the tree is whole and has none of these processes.
    ///
    /// # Panics
    ///
    /// When it does not become so before the deadline.
    #[track_caller]
    #[must_use]
    pub fn tree_without(&self, dead: &[u32]) -> Tree {
        self.program.until(&format!("the tree is whole and without {dead:?}"), || {
            let pids = self.program.processes().into_iter();
            let processes: Option<Vec<_>> = pids.map(|pid| Some((pid, procfs::parent(pid)?))).collect();
            let tree = Tree::of(self.program.pid(), &processes?, self.mode, self.workers)?;
            tree.pids().iter().all(|pid| !dead.contains(pid)).then_some(tree)
        })
    }

    /// Kills a process of the tree by SIGKILL and waits until it is gone.
    ///
    /// # Panics
    ///
    /// When it does not exist or does not go.
    #[track_caller]
    pub fn kill(&self, pid: u32) {
        let process = Process::open(pid).unwrap_or_else(|| panic!("there is no process {pid}"));
        process.signal(Signal::KILL).unwrap_or_else(|error| panic!("cannot kill {pid}: {error}"));
        assert!(process.exits_within(DEADLINE), "{pid} survives SIGKILL");
    }

    /// Asks on a connection of its own.
    ///
    /// # Errors
    ///
    /// As [`Http::get_once`].
    pub fn get(&self, path: &str) -> io::Result<Response> {
        Http::get_once(self.address, path)
    }

    /// Connects and asks for `/pid` without a wait for the answer.
    ///
    /// # Panics
    ///
    /// When the connection is refused.
    #[track_caller]
    #[must_use]
    pub fn ask(&self) -> Http {
        let mut http = Http::open(self.address).unwrap_or_else(|error| panic!("a connect failed: {error}"));
        http.send("GET", "/pid", &[], b"")
            .unwrap_or_else(|error| panic!("a request could not be sent: {error}"));
        http
    }

    /// An open connection to each worker, which has answered on it, in the order of [`Tree::workers`].
    ///
    /// # Panics
    ///
    /// When a worker gets no connection before the deadline.
    #[track_caller]
    #[must_use]
    pub fn connect_to_each(&self, workers: &[u32]) -> Vec<Http> {
        let end = Instant::now() + DEADLINE;
        let mut found: Vec<Option<Http>> = workers.iter().map(|_| None).collect();
        // The others stay open until all are found, so that the one with the least connections has its turn.
        let mut others = Vec::new();
        while found.iter().any(Option::is_none) {
            assert!(Instant::now() < end, "of {workers:?} only some get connections: {found:?}");
            let mut http =
                Http::open(self.address).unwrap_or_else(|error| panic!("a connect failed: {error}"));
            let pid = http.pid().unwrap_or_else(|error| panic!("no answer on a new connection: {error}"));
            match workers.iter().position(|worker| *worker == pid).and_then(|index| found.get_mut(index)) {
                Some(place @ None) => *place = Some(http),
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
    fn a_tree_is_recognised_only_when_it_is_whole() {
        let whole = [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)];
        let tree = Tree::of(1, &whole, Mode::Router, 2).expect("it is whole");
        assert_eq!(tree, Tree { main: 1, router: Some(3), prototype: 2, workers: vec![4, 5] });
        assert_eq!(tree.pids(), [1, 2, 3, 4, 5]);
        assert_eq!(Tree::of(1, &whole, Mode::Direct, 2), None, "a router too many");
        assert_eq!(Tree::of(1, &whole, Mode::Router, 3), None, "a worker too few");
        assert_eq!(Tree::of(1, &[(1, 0), (2, 1), (3, 1)], Mode::Router, 0), None, "no prototype to be seen");
        assert_eq!(Tree::of(1, &[(1, 0), (2, 1), (3, 2), (9, 3)], Mode::Direct, 1), None, "one too many");

        let direct = Tree::of(1, &[(1, 0), (2, 1), (3, 2)], Mode::Direct, 1).expect("it is whole");
        assert_eq!((direct.router, direct.workers), (None, vec![3]));
    }
}
