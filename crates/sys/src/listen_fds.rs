//! Descriptors that a process was started with.

use std::env;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// The first descriptor that is passed; 0, 1 and 2 are the standard ones.
const FIRST: RawFd = 3;
/// The most that may be passed: as many as a sender can put into one message, and more than anybody uses.
const MAX: usize = 253;
/// The name of one that has none (systemd's word).
const NAMELESS: &str = "unknown";

/// Why descriptors were not taken over.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenFdsError {
    /// A variable is not what it should be.
    #[error("{variable}={value} is not a number from 0 to {MAX}; let systemd set it")]
    Variable {
        /// Which.
        variable: &'static str,
        /// What it is.
        value: String,
    },
    /// There is no such descriptor.
    #[error("LISTEN_FDS speaks of descriptor {descriptor}, which is not open; pass it, or unset LISTEN_FDS")]
    NotOpen {
        /// Its number.
        descriptor: RawFd,
    },
    /// It belongs to somebody already.
    #[error("descriptor {descriptor} was taken before; take inherited descriptors once, first of all")]
    Taken {
        /// Its number.
        descriptor: RawFd,
    },
}

/// Takes over the descriptors that this process was started with, with their names, by systemd's protocol: `LISTEN_FDS`
/// is how many there are from 3 on, `LISTEN_PID` whom they are for, `LISTEN_FDNAMES` what they are called, with colons.
///
/// None when the variables are not set or mean another process. From here on they are closed on exec, and so is known
/// that they are taken: a second call is an error, since a descriptor has one owner.
///
/// # Errors
///
/// When the variables speak of what is not there. None is taken then.
#[doc(alias = "sd_listen_fds")]
pub fn listen_fds() -> Result<Vec<(String, OwnedFd)>, ListenFdsError> {
    let variable = |name| env::var(name).ok();
    let names = names(
        std::process::id(),
        variable("LISTEN_PID").as_deref(),
        variable("LISTEN_FDS").as_deref(),
        variable("LISTEN_FDNAMES").as_deref(),
    )?;
    let numbered = || (FIRST..).zip(&names);
    numbered().try_for_each(|(descriptor, _)| check(descriptor))?;
    Ok(numbered().map(|(descriptor, name)| (name.clone(), take(descriptor))).collect())
}

/// What the descriptors are called that this process was given, in order.
fn names(
    me: u32,
    pid: Option<&str>,
    count: Option<&str>,
    names: Option<&str>,
) -> Result<Vec<String>, ListenFdsError> {
    let (Some(pid), Some(count)) = (pid, count) else { return Ok(Vec::new()) };
    let wrong = |variable, value: &str| ListenFdsError::Variable { variable, value: value.to_owned() };
    if pid.parse::<u32>().map_err(|_| wrong("LISTEN_PID", pid))? != me {
        return Ok(Vec::new());
    }
    let number = count.parse::<usize>().ok().filter(|count| *count <= MAX);
    let number = number.ok_or_else(|| wrong("LISTEN_FDS", count))?;
    let given = names.unwrap_or_default().split(':').filter(|name| !name.is_empty());
    Ok(given.chain(std::iter::repeat(NAMELESS)).take(number).map(str::to_owned).collect())
}

/// Whether nobody has taken it.
fn check(descriptor: RawFd) -> Result<(), ListenFdsError> {
    match fcntl(borrow(descriptor), FcntlArg::F_GETFD).map(FdFlag::from_bits_truncate) {
        Ok(flags) if flags.contains(FdFlag::FD_CLOEXEC) => Err(ListenFdsError::Taken { descriptor }),
        Ok(_) => Ok(()),
        Err(_) => Err(ListenFdsError::NotOpen { descriptor }),
    }
}

/// Marks it as taken and owns it.
fn take(descriptor: RawFd) -> OwnedFd {
    // It was open a moment ago; if somebody has closed it since, whoever uses it is told.
    let _ = fcntl(borrow(descriptor), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    // SAFETY: the process was started with this descriptor for its own use, as the environment says, and everything
    // that std or we open is closed on exec, so the mark that was missing shows that nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

fn borrow(descriptor: RawFd) -> BorrowedFd<'static> {
    // SAFETY: used for one `fcntl` that only looks at or sets a flag, and says so itself when there is no such
    // descriptor.
    unsafe { BorrowedFd::borrow_raw(descriptor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_for_this_process_is_left_alone() {
        assert_eq!(names(7, None, Some("1"), None), Ok(vec![]));
        assert_eq!(names(7, Some("7"), None, None), Ok(vec![]));
        assert_eq!(names(7, Some("8"), Some("1"), None), Ok(vec![]));
        assert_eq!(names(7, Some("7"), Some("0"), None), Ok(vec![]));
    }

    #[test]
    fn each_has_a_name() {
        let three = names(7, Some("7"), Some("3"), Some("web:admin")).expect("good variables");
        assert_eq!(three, ["web", "admin", NAMELESS]);
        assert_eq!(names(7, Some("7"), Some("1"), Some("a:b")).expect("good variables"), ["a"]);
    }

    #[test]
    fn nonsense_is_named() {
        let line = |pid, count| names(7, Some(pid), Some(count), None).expect_err("nonsense").to_string();
        assert!(line("x", "1").starts_with("LISTEN_PID=x is not"));
        for count in ["-1", "254", "many", ""] {
            assert!(
                line("7", count).starts_with(&format!("LISTEN_FDS={count} is not a number from 0 to 253"))
            );
        }
    }

    #[test]
    fn what_is_not_open_or_closed_on_exec_cannot_be_taken() {
        use std::os::fd::AsRawFd;
        let ours = std::fs::File::open("/dev/null").expect("it exists").as_raw_fd();
        // Not ours any more: it was closed with the file; or if another test has it now, it is closed on exec.
        assert!(check(ours).is_err());
        assert_eq!(check(1_000_000), Err(ListenFdsError::NotOpen { descriptor: 1_000_000 }));
        let open = std::fs::File::open("/dev/null").expect("it exists");
        assert_eq!(check(open.as_raw_fd()), Err(ListenFdsError::Taken { descriptor: open.as_raw_fd() }));
    }
}
