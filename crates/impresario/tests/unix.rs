//! A tree of processes on a unix socket: workers get its address, and main removes its file.
//!
//! Without the standard test harness, because main must be the only thread of its process: the test starts itself as main.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use impresario::{App, Main, Router};
use impresario_server::{Socket, serve};
use impresario_testkit::{Program, Signal};

/// The first argument that makes this program main. The addresses follow.
const SERVE: &str = "serve";
/// The argument for workers that accept.
const DIRECT: &str = "direct";
/// The argument for workers behind a router.
const ROUTED: &str = "routed";

/// Sends the local address of the connection.
async fn send_local_addr(mut socket: Socket) -> io::Result<()> {
    let local = socket.local_addr()?;
    socket.send(local.to_string()).await
}

fn run_main(addresses: &str, mode: &str) -> ExitCode {
    let app = App::new("addresses", || serve(send_local_addr));
    let main = match mode {
        DIRECT => Main::new().app(addresses.split(' ').fold(app, App::listen)),
        _ => Main::new().app(app).router(Router::listen(addresses).to("addresses")),
    };
    main.run()
}

/// A temporary folder, removed by drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = env::temp_dir().join(format!("impresario-main-{}", std::process::id()));
        fs::create_dir(&path).expect("the folder is new");
        Self(path)
    }

    fn files(&self) -> Vec<OsString> {
        fs::read_dir(&self.0)
            .expect("the folder exists")
            .map(|file| file.expect("the file exists").file_name())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("the folder can be removed");
    }
}

fn start(address: &str, mode: &str) -> Program {
    let mut command = Command::new(env::current_exe().expect("the path of the test"));
    command.args([SERVE, address, mode]);
    Program::spawn(command)
}

fn received_address(path: &Path) -> String {
    let mut address = String::new();
    let mut client = UnixStream::connect(path).expect("main listens");
    client.read_to_string(&mut address).expect("the address is UTF-8");
    address
}

fn workers_get_the_address_and_main_removes_the_file(mode: &str) {
    let folder = Folder::new();
    let path = folder.0.join("s");
    let address = format!("unix:{}", path.display());
    let mut program = start(&address, mode);
    program.wait_for_line("with ready and the address", |line| {
        line.contains("ready") && line.contains(&address)
    });
    assert_eq!(received_address(&path), address, "{mode}");

    // A second main cannot bind the address, and leaves the file.
    let mut second = start(&address, mode);
    assert!(!second.wait().success());
    assert_eq!(received_address(&path), address, "{mode}");

    program.signal(Signal::TERM);
    assert!(program.wait().success());
    assert_eq!(folder.files(), Vec::<OsString>::new(), "{mode}");
}

fn main_that_cannot_start_leaves_no_file() {
    let folder = Folder::new();
    let good = format!("unix:{}", folder.0.join("s").display());
    let bad = format!("unix:{}", folder.0.join("nowhere/s").display());
    let mut program = start(&format!("{good} {bad}"), DIRECT);
    assert!(!program.wait().success());
    assert_eq!(folder.files(), Vec::<OsString>::new(), "{}", program.stderr());
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [SERVE, addresses, mode] => run_main(addresses, mode),
        // The arguments of the standard harness are ignored.
        _ => {
            workers_get_the_address_and_main_removes_the_file(DIRECT);
            workers_get_the_address_and_main_removes_the_file(ROUTED);
            main_that_cannot_start_leaves_no_file();
            ExitCode::SUCCESS
        }
    }
}
