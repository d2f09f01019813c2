//! Unix sockets that listen. Their file appears only when they listen, and is removed when they close.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::SystemTime;

use socket2::{Domain, SockAddr, Type};

/// Number of temporary names that are tried.
const MAX_NAMES: u32 = 16;

/// The file of a unix socket. Its destructor removes it if it is still the same file, and only in the process
/// that made it: a copy in a forked process removes nothing.
///
/// It belongs to its [`ListenSocket`](crate::ListenSocket) until it is [taken](crate::ListenSocket::take_file).
#[derive(Debug)]
#[must_use = "the file is removed when this is dropped"]
pub struct SocketFile {
    path: PathBuf,
    identity: FileId,
    process: u32,
}

/// Identity of the file: device, inode, and its creation time where the filesystem has one, because an inode
/// can be reused.
type FileId = (u64, u64, Option<SystemTime>);

/// Why a unix socket cannot listen.
#[derive(Debug)]
pub(crate) enum BindError {
    /// A process listens there.
    InUse,
    /// The file is of another kind.
    NotASocket,
    /// The kernel refused.
    Io(io::Error),
}

impl From<io::Error> for BindError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Binds and listens under a temporary name, then renames it to `path`: a client that finds the file can
/// connect.
pub(crate) fn bind(
    path: &Path,
    mode: Option<u32>,
    backlog: i32,
) -> Result<(socket2::Socket, SocketFile), BindError> {
    // Checked here, because a file can be renamed to a path that is too long to connect to.
    SockAddr::unix(path)?;
    check_free(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    let file = bind_temporary(&socket, path)?;
    if let Some(mode) = mode {
        fs::set_permissions(&file.path, Permissions::from_mode(mode))?;
    }
    socket.listen(backlog)?;
    // Replaces the file of a dead process. Of two that start at the same time, both succeed, and the later one
    // has the name.
    fs::rename(&file.path, path)?;
    let mut file = file;
    file.path = path.to_owned();
    Ok((socket, file))
}

/// A file without a process that listens on it.
fn check_free(path: &Path) -> Result<(), BindError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(file) if !file.file_type().is_socket() => Err(BindError::NotASocket),
        Ok(_) => match connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            // It was removed in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Also with a full queue: a process listens.
            Ok(()) | Err(_) => Err(BindError::InUse),
        },
    }
}

/// Non-blocking: a blocking connect would wait for a listener that does not accept.
fn connect(path: &Path) -> io::Result<()> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// Binds under a short temporary name beside the path.
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
    /// Keeps the file.
    pub(crate) fn keep(mut self) {
        self.process = 0;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = fs::symlink_metadata(&self.path).is_ok_and(|file| identity(&file) == self.identity);
        if same && self.process == process::id() {
            // Another process has removed it in between.
            let _ = fs::remove_file(&self.path);
        }
    }
}
