//! Binding a unix socket: its file appears when it listens, and is removed when it is closed.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::SystemTime;

use socket2::{Domain, SockAddr, Type};

/// The most temporary names that are tried for the file of a new socket.
const MAX_NAMES: u32 = 16;

/// The file of a unix socket. Its drop removes the file, if it is still the same one. A copy in a forked process removes
/// nothing: only the process that bound the socket does.
///
/// Its [`ListenSocket`](crate::ListenSocket) owns it until [`take_file`](crate::ListenSocket::take_file).
#[derive(Debug)]
#[must_use = "the file is removed when this is dropped"]
pub struct SocketFile {
    path: PathBuf,
    identity: FileId,
    process: u32,
}

/// The identity of a file: device, inode, and time of creation where the file system has it. The inode alone may be used
/// again after the file is removed.
type FileId = (u64, u64, Option<SystemTime>);

/// Why a unix socket cannot be bound.
#[derive(Debug)]
pub(crate) enum BindError {
    /// A process listens on the path.
    InUse,
    /// The path is a file of another kind.
    NotASocket,
    /// An error of the kernel.
    Io(io::Error),
}

impl From<io::Error> for BindError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Binds and listens under a temporary name, then renames the file to `path`. So a client that finds the file can
/// connect.
pub(crate) fn bind(
    path: &Path,
    mode: Option<u32>,
    backlog: i32,
) -> Result<(socket2::Socket, SocketFile), BindError> {
    // Checked here: rename(2) allows a path that is too long for connect(2).
    SockAddr::unix(path)?;
    check_free(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    let file = bind_temporary(&socket, path)?;
    if let Some(mode) = mode {
        fs::set_permissions(&file.path, Permissions::from_mode(mode))?;
    }
    socket.listen(backlog)?;
    // Replaces a stale file. Of two processes that start at the same time both succeed, and the later one has the path.
    fs::rename(&file.path, path)?;
    let mut file = file;
    file.path = path.to_owned();
    Ok((socket, file))
}

/// Checks that `path` does not exist or is a stale socket: one that refuses connections.
fn check_free(path: &Path) -> Result<(), BindError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(file) if !file.file_type().is_socket() => Err(BindError::NotASocket),
        Ok(_) => match connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            // Removed since the call of `symlink_metadata`.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // A full queue is an error too, and means that a process listens.
            Ok(()) | Err(_) => Err(BindError::InUse),
        },
    }
}

/// Connects without blocking: a blocking connect(2) waits while the queue of a listener that does not accept is full.
fn connect(path: &Path) -> io::Result<()> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// Binds under a short temporary name in the folder of `path`.
fn bind_temporary(socket: &socket2::Socket, path: &Path) -> Result<SocketFile, BindError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    for number in 0..MAX_NAMES {
        let aside = folder.join(format!(".{}.{number}", process::id()));
        match socket.bind(&SockAddr::unix(&aside)?) {
            Ok(()) => {
                let identity = identity(&fs::symlink_metadata(&aside)?);
                return Ok(SocketFile { path: aside, identity, process: process::id() });
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(BindError::InUse)
}

fn identity(file: &Metadata) -> FileId {
    (file.dev(), file.ino(), file.created().ok())
}

impl SocketFile {
    /// Drops this value without removing the file.
    pub(crate) fn keep(mut self) {
        self.process = 0;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = fs::symlink_metadata(&self.path).is_ok_and(|file| identity(&file) == self.identity);
        if same && self.process == process::id() {
            // An error means that another process has removed it since the check.
            let _ = fs::remove_file(&self.path);
        }
    }
}
