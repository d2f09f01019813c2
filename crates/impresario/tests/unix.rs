//! A tree of processes on a unix socket: workers know it by its own name, and main leaves no file behind.
//!
//! Without the usual harness, because main must be the only thread of its process: the test starts itself as main.

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

/// The argument that makes this program main, before its addresses.
const SERVE: &str = "serve";
/// The argument that has workers accept themselves.
const DIRECT: &str = "direct";

/// Tells whoever connects to which of our addresses that was.
async fn tell(mut socket: Socket) -> io::Result<()> {
    let local = socket.local_addr()?;
    socket.send(local.to_string()).await
}

fn be_main(addresses: &str, how: &str) -> ExitCode {
    let app = App::new("teller", || serve(tell));
    let main = match how {
        DIRECT => Main::new().app(addresses.split(' ').fold(app, App::listen)),
        _ => Main::new().app(app).router(Router::listen(addresses).to("teller")),
    };
    main.run()
}

/// A folder of its own, gone with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = env::temp_dir().join(format!("impresario-main-{}", std::process::id()));
        fs::create_dir(&path).expect("a folder that nobody else makes");
        Self(path)
    }

    fn files(&self) -> Vec<OsString> {
        fs::read_dir(&self.0).expect("it exists").map(|file| file.expect("it is there").file_name()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("it is ours");
    }
}

fn start(address: &str, how: &str) -> Program {
    let mut command = Command::new(env::current_exe().expect("a test knows its own path"));
    command.args([SERVE, address, how]);
    Program::spawn(command)
}

fn what_it_tells(path: &Path) -> String {
    let mut told = String::new();
    let mut client = UnixStream::connect(path).expect("it listens");
    client.read_to_string(&mut told).expect("text");
    told
}

fn it_is_known_by_its_name_and_leaves_no_file(how: &str) {
    let folder = Folder::new();
    let path = folder.0.join("s");
    let address = format!("unix:{}", path.display());
    let mut program = start(&address, how);
    program.wait_for_line("that says it is ready", |line| line.contains("ready") && line.contains(&address));
    assert_eq!(what_it_tells(&path), address, "{how}");

    // Whoever cannot have the address leaves it alone.
    let mut second = start(&address, how);
    assert!(!second.wait().success());
    assert_eq!(what_it_tells(&path), address, "{how}");

    program.signal(Signal::TERM);
    assert!(program.wait().success());
    assert_eq!(folder.files(), Vec::<OsString>::new(), "{how}");
}

fn one_that_cannot_begin_leaves_no_file() {
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
        [SERVE, addresses, how] => be_main(addresses, how),
        // The arguments of the usual harness mean nothing here.
        _ => {
            it_is_known_by_its_name_and_leaves_no_file(DIRECT);
            it_is_known_by_its_name_and_leaves_no_file("routed");
            one_that_cannot_begin_leaves_no_file();
            ExitCode::SUCCESS
        }
    }
}
