//! A tree of processes that prints its events on stdout: a router, and an app of two workers.
//!
//! `tests/processes.rs` drives it. All processes share one stdout, so its end of file means that all have
//! exited.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

use impresario_process::{
    BoxError, Main, PoolSpec, Prefork, ProcessContext, ProcessExit, ProcessIdentity, ProcessInit,
    ProcessLogger, ProcessStart, Role,
};
use impresario_supervision::{ChildRules, Flags};
use impresario_sys::{SeqPacket, wait_readable};
use impresario_wire::{Decoder, Encoder, Message, PARTIAL_TIMEOUT, StreamId};
use slog::{Drain, Logger, o};

/// The command line.
#[derive(Clone, Default)]
struct Options {
    /// What the workers do: see [`Worker::setup`] and [`work`].
    mode: String,
    /// `timeout=MS`: the shutdown timeout of main.
    timeout: Duration,
    /// `listen=ADDRESS`: a listener that the workers inherit.
    listen: Option<SocketAddr>,
    /// `threads`: main starts a second thread, so that every fork is refused.
    threads: bool,
    /// `workers=N`: the size of the pool, 2 by default.
    workers: u32,
    /// The pid of main.
    main: u32,
}

fn options() -> Options {
    let main = std::process::id();
    let mut options = Options { timeout: Duration::from_secs(10), workers: 2, main, ..Options::default() };
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("timeout", ms)) => options.timeout = Duration::from_millis(ms.parse().unwrap_or(0)),
            Some(("workers", count)) => options.workers = count.parse().unwrap_or(0),
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
    let pool = PoolSpec {
        size: options.workers,
        worker: ChildRules::worker("shop worker").without_deadline(),
        flags: Flags::default(),
    };
    let mode = options.mode.clone();
    let logging = move |identity: &ProcessIdentity| logging(&mode, identity);
    let mut main = Main::new(logging).shutdown_timeout(options.timeout).on_ready(|_| print("tree is ready"));
    if let Some(address) = options.listen {
        match TcpListener::bind(address) {
            Ok(listener) => main = main.listener("web", listener),
            Err(error) => {
                print(&error.to_string());
                return ExitCode::FAILURE;
            }
        }
    }
    let shop = main.prototype(ChildRules::supervisor("shop"), pool, Worker(options));
    match shop.process(ChildRules::worker("router").without_deadline(), Router).run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            print(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

trait WithoutDeadline {
    /// Removes the shutdown timeout of the child; that of main bounds it.
    fn without_deadline(self) -> Self;
}

impl WithoutDeadline for ChildRules {
    fn without_deadline(self) -> Self {
        Self { shutdown: impresario_supervision::Shutdown::Infinity, ..self }
    }
}

fn logging(mode: &str, identity: &ProcessIdentity) -> ProcessLogger {
    if mode == "panic-in-logging" && identity.role == Role::Prototype {
        panic!("no log file");
    }
    let decorator = slog_term::PlainSyncDecorator::new(io::stdout());
    let drain = slog_term::FullFormat::new(decorator).use_original_order().build().fuse();
    Logger::root(drain, o!()).into()
}

fn print(line: &str) {
    // A panic here would end a process because the reader of the pipe has exited.
    let _ = writeln!(io::stdout(), "{line}");
}

struct Worker(Options);

impl ProcessInit for Worker {
    fn role(&self) -> Role {
        Role::Worker
    }

    fn listeners(&self) -> Vec<String> {
        if self.0.mode == "panic-in-listeners" && std::process::id() != self.0.main {
            panic!("no list");
        }
        self.0.listen.iter().map(|_| "web".to_owned()).collect()
    }

    fn prefork(&mut self, child: &ProcessIdentity) -> io::Result<Prefork> {
        match self.0.mode.as_str() {
            "panic-in-prefork" => panic!("no free port"),
            "panic-in-second-prefork" if child.incarnation == 2 => panic!("no free port"),
            _ => {}
        }
        let (worker, router) = SeqPacket::pair()?;
        Ok(Prefork { inherit: vec![worker.into()], router_port: Some(router.into()) })
    }

    fn setup(self: Box<Self>, context: ProcessContext) -> Result<ProcessStart, BoxError> {
        let identity = context.identity.clone();
        match self.0.mode.as_str() {
            "fail" => return Err("no database".into()),
            "panic-in-setup" => panic!("no database driver"),
            "block-in-setup" => {
                print(&format!("blocked in setup {identity} {}", std::process::id()));
                wait(&context.parent);
                std::thread::park();
            }
            _ => {}
        }
        let mode = self.0.mode;
        Ok(Box::new(move || {
            print(&format!("up {identity} {} incarnation {}", std::process::id(), identity.incarnation));
            work(&mode, context)
        }))
    }
}

fn work(mode: &str, context: ProcessContext) -> ProcessExit {
    let first = context.identity.incarnation == 1 && context.identity.slot == 0;
    match mode {
        "crash" => return ProcessExit::Failed,
        "fatal" => return ProcessExit::Fatal,
        "panic" if first => panic!("division by zero"),
        "garbage" if first => send(&context.parent, b"not a frame"),
        "forbidden" if first => {
            let process = std::process::id();
            send_message(&context.parent, process, &Message::RemovePort { process });
        }
        "forged" if first => send_message(&context.parent, 1, &Message::Ready),
        "inspect" => print(&inspect(&context)),
        _ => {}
    }
    let ProcessContext { parent, listeners, identity, .. } = context;
    let mut decoder = Decoder::new(PARTIAL_TIMEOUT);
    while let Some(message) = receive(&parent, &mut decoder) {
        if message == Message::Quit {
            drop(listeners);
            print(&format!("quit {identity} {}", std::process::id()));
            if mode == "stuck" {
                std::thread::park();
            }
            return ProcessExit::Done;
        }
    }
    ProcessExit::Failed
}

/// The descriptors and signals of this process, as the kernel reports them.
fn inspect(context: &ProcessContext) -> String {
    let mut line = format!("inspected {}", context.identity);
    let open = |entry: io::Result<std::fs::DirEntry>| {
        let target = std::fs::read_link(entry.ok()?.path()).ok()?;
        Some(target.to_string_lossy().into_owned())
    };
    // The descriptor of the directory itself is left out.
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

    fn setup(self: Box<Self>, context: ProcessContext) -> Result<ProcessStart, BoxError> {
        Ok(Box::new(move || {
            print(&format!("up router {} incarnation {}", std::process::id(), context.identity.incarnation));
            let mut decoder = Decoder::new(PARTIAL_TIMEOUT);
            while let Some(message) = receive(&context.parent, &mut decoder) {
                match message {
                    Message::NewPort { process, app, slot } => {
                        print(&format!("router adds {app} worker {slot} {process}"));
                    }
                    Message::RemovePort { process } => print(&format!("router removes {process}")),
                    Message::Quit => {
                        print("quit router");
                        return ProcessExit::Done;
                    }
                    _ => {}
                }
            }
            ProcessExit::Failed
        }))
    }
}

/// The next message. `None` at end of file, or if a frame is malformed.
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

/// Blocks until the port is readable.
fn wait(port: &SeqPacket) {
    let _ = wait_readable(port, None);
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
