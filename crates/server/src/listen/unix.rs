//! Unix sockets that listen: nobody ever sees one that does not, and nothing is left behind.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::SystemTime;

use socket2::{Domain, SockAddr, Type};

/// How many names are tried for a socket that has no listener yet.
const MAX_NAMES: u32 = 16;

/// The file of a unix socket. Dropped, it is removed, if it is still the same file; but only by the process that made it,
/// so a copy in a process that was forked removes nothing.
///
/// It belongs to its [`ListenSocket`](crate::ListenSocket) until it is [taken](crate::ListenSocket::take_file).
#[derive(Debug)]
#[must_use = "the file is removed when this is dropped"]
pub struct SocketFile {
    path: PathBuf,
    identity: FileId,
    process: u32,
}

/// Which file it is: device, inode, and when it was made, where that is known; the inode of a file that is gone may be
/// given to another one.
type FileId = (u64, u64, Option<SystemTime>);

/// Why there is no unix socket.
#[derive(Debug)]
pub(crate) enum BindError {
    /// Somebody listens there.
    InUse,
    /// There is a file of another kind.
    NotASocket,
    /// The kernel refused.
    Io(io::Error),
}

impl From<io::Error> for BindError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Binds and listens under a name of its own, then moves it to `path`: whoever finds it there can connect.
pub(crate) fn bind(
    path: &Path,
    mode: Option<u32>,
    backlog: i32,
) -> Result<(socket2::Socket, SocketFile), BindError> {
    // Said here, because a file can be renamed to what is too long to connect to.
    SockAddr::unix(path)?;
    check_free(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    let file = bind_temporary(&socket, path)?;
    if let Some(mode) = mode {
        fs::set_permissions(&file.path, Permissions::from_mode(mode))?;
    }
    socket.listen(backlog)?;
    // Replaces what a dead process left. Two that start at the same time both succeed, and the later one has the name.
    fs::rename(&file.path, path)?;
    let mut file = file;
    file.path = path.to_owned();
    Ok((socket, file))
}

/// A stale socket is one that nobody accepts connections on.
fn check_free(path: &Path) -> Result<(), BindError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(file) if !file.file_type().is_socket() => Err(BindError::NotASocket),
        Ok(_) => match connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            // It went in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Also when its queue is full: somebody listens.
            Ok(()) | Err(_) => Err(BindError::InUse),
        },
    }
}

/// Without waiting: it would be for as long as somebody listens who does not accept.
fn connect(path: &Path) -> io::Result<()> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// Binds under a short name beside the path.
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
    /// Leaves the file where it is.
    pub(crate) fn keep(mut self) {
        self.process = 0;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = fs::symlink_metadata(&self.path).is_ok_and(|file| identity(&file) == self.identity);
        if same && self.process == process::id() {
            // Whoever removed it in between did it for us.
            let _ = fs::remove_file(&self.path);
        }
    }
}
