//! A tree of processes that says on stdout what happens in it: a router, and an app of two workers.
//!
//! `tests/tree.rs` drives it. Everybody's stdout is the same pipe, so its end of file means that nobody is left.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use impresario_process::{
    BoxError, Main, PoolSpec, Prefork, ProcessContext, ProcessExit, ProcessIdentity, ProcessInit,
    ProcessLogger, ProcessStart, Role,
};
use impresario_supervision::{ChildRules, Flags};
use impresario_sys::SeqPacket;
use impresario_wire::{Decoder, Encoder, Message, PARTIAL_TIMEOUT, StreamId};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use slog::{Drain, Logger, o};

/// What the workers do; see [`Worker::setup`] and [`work`].
#[derive(Clone, Default)]
struct Options {
    mode: String,
    timeout: Duration,
    listen: Option<SocketAddr>,
    threads: bool,
}

fn options() -> Options {
    let mut options = Options { timeout: Duration::from_secs(10), ..Options::default() };
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("timeout", ms)) => options.timeout = Duration::from_millis(ms.parse().unwrap_or(0)),
            Some(("listen", address)) => options.listen = address.parse().ok(),
            _ if argument == "threads" => options.threads = true,
            _ => options.mode = argument,
        }
    }
    options
}

fn main() -> ExitCode {
    let options = options();
    if options.threads {
        std::thread::spawn(std::thread::park);
    }
    let pool =
        PoolSpec { size: 2, worker: ChildRules::worker("shop worker").patient(), flags: Flags::default() };
    let mut main = Main::new(logging).shutdown_timeout(options.timeout).on_ready(|_| say("tree is ready"));
    if let Some(address) = options.listen {
        match TcpListener::bind(address) {
            Ok(listener) => main = main.listener("web", listener),
            Err(error) => {
                say(&error.to_string());
                return ExitCode::FAILURE;
            }
        }
    }
    let shop = main.prototype(ChildRules::supervisor("shop"), pool, Worker(options));
    match shop.process(ChildRules::worker("router").patient(), Router).run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

trait Patient {
    /// Has no deadline of its own when it stops: main's counts.
    fn patient(self) -> Self;
}

impl Patient for ChildRules {
    fn patient(self) -> Self {
        Self { shutdown: impresario_supervision::Shutdown::Infinity, ..self }
    }
}

fn logging(_who: &ProcessIdentity) -> ProcessLogger {
    let decorator = slog_term::PlainSyncDecorator::new(io::stdout());
    let drain = slog_term::FullFormat::new(decorator).use_original_order().build().fuse();
    Logger::root(drain, o!()).into()
}

fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

struct Worker(Options);

impl ProcessInit for Worker {
    fn role(&self) -> Role {
        Role::Worker
    }

    fn listeners(&self) -> Vec<String> {
        self.0.listen.iter().map(|_| "web".to_owned()).collect()
    }

    fn prefork(&mut self, _child: &ProcessIdentity) -> io::Result<Prefork> {
        let (worker, router) = SeqPacket::pair()?;
        Ok(Prefork { inherit: vec![worker.into()], router_port: Some(router.into()) })
    }

    fn setup(self: Box<Self>, newborn: ProcessContext) -> Result<ProcessStart, BoxError> {
        let who = newborn.identity.clone();
        match self.0.mode.as_str() {
            "fail" => return Err("no database".into()),
            "panic-in-setup" => panic!("no parachute"),
            "hang-in-setup" => {
                say(&format!("hangs {who} {}", std::process::id()));
                wait(&newborn.parent);
                std::thread::park();
            }
            _ => {}
        }
        let mode = self.0.mode;
        Ok(Box::new(move || {
            say(&format!("up {who} {} life {}", std::process::id(), who.incarnation));
            work(&mode, newborn)
        }))
    }
}

fn work(mode: &str, newborn: ProcessContext) -> ProcessExit {
    let first = newborn.identity.incarnation == 1 && newborn.identity.slot == 0;
    match mode {
        "crash" => return ProcessExit::Failed,
        "fatal" => return ProcessExit::Fatal,
        "panic" if first => panic!("fell off"),
        "garbage" if first => send(&newborn.parent, b"what is this"),
        "forbidden" if first => {
            let process = std::process::id();
            send_message(&newborn.parent, process, &Message::RemovePort { process });
        }
        "forged" if first => send_message(&newborn.parent, 1, &Message::Ready),
        "inspect" => say(&inspect(&newborn)),
        _ => {}
    }
    let ProcessContext { parent, listeners, identity, .. } = newborn;
    let mut decoder = Decoder::new(PARTIAL_TIMEOUT);
    while let Some(message) = receive(&parent, &mut decoder) {
        if message == Message::Quit {
            drop(listeners);
            say(&format!("told {identity} {}", std::process::id()));
            if mode == "stuck" {
                std::thread::park();
            }
            return ProcessExit::Done;
        }
    }
    ProcessExit::Failed
}

/// What a process is born with, as the kernel has it.
fn inspect(newborn: &ProcessContext) -> String {
    let mut line = format!("inspected {}", newborn.identity);
    let open = |entry: io::Result<std::fs::DirEntry>| {
        let target = std::fs::read_link(entry.ok()?.path()).ok()?;
        Some(target.to_string_lossy().into_owned())
    };
    // The directory that is read here is open, too.
    let fds = std::fs::read_dir("/proc/self/fd").into_iter().flatten().filter_map(open);
    let mut kinds: Vec<String> = fds.filter(|target| !target.starts_with("/proc/")).collect();
    kinds.sort();
    let sockets = kinds.iter().filter(|kind| kind.starts_with("socket:")).collect::<Vec<_>>();
    let _ = write!(line, " fds={} sockets={}", kinds.len(), sockets.len());
    let _ = write!(line, " distinct={}", sockets.iter().collect::<BTreeSet<_>>().len());
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    for key in ["SigBlk", "SigIgn"] {
        let value = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or(":?");
        let _ = write!(line, " {key}={}", value.trim_start_matches(':').trim());
    }
    let _ = write!(line, " hash={:x}", RandomState::new().hash_one(0));
    line
}

struct Router;

impl ProcessInit for Router {
    fn role(&self) -> Role {
        Role::Router
    }

    fn setup(self: Box<Self>, newborn: ProcessContext) -> Result<ProcessStart, BoxError> {
        Ok(Box::new(move || {
            say(&format!("up router {} life {}", std::process::id(), newborn.identity.incarnation));
            let mut decoder = Decoder::new(PARTIAL_TIMEOUT);
            while let Some(message) = receive(&newborn.parent, &mut decoder) {
                match message {
                    Message::NewPort { process, app, slot } => {
                        say(&format!("router hears of {app} worker {slot} {process}"));
                    }
                    Message::RemovePort { process } => say(&format!("router forgets {process}")),
                    Message::Quit => {
                        say("told router");
                        return ProcessExit::Done;
                    }
                    _ => {}
                }
            }
            ProcessExit::Failed
        }))
    }
}

/// The next message, or none when the other end is closed.
fn receive(port: &SeqPacket, decoder: &mut Decoder<OwnedFd>) -> Option<Message> {
    let mut buffer = [0; 1024];
    loop {
        wait(port);
        let received = port.recv(&mut buffer).ok().filter(|received| !received.is_eof())?;
        let datagram = buffer.get(..received.len)?;
        if let Some(whole) = decoder.handle(Duration::ZERO, datagram, received.fds).ok()? {
            return Some(whole.message);
        }
    }
}

fn wait(port: &SeqPacket) {
    let _ = poll(&mut [PollFd::new(port.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
}

fn send(port: &SeqPacket, bytes: &[u8]) {
    let _ = port.send(&[IoSlice::new(bytes)], &[]);
}

fn send_message(port: &SeqPacket, source: u32, message: &Message) {
    if let Ok(frames) = Encoder::new(source).encode(StreamId::NONE, message)
        && let Some(frame) = frames.current()
    {
        send(port, &frame.to_vec());
    }
}
