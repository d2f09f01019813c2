//! Descriptors that systemd, or another parent, passes to a program (`sd_listen_fds`).

use std::env;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// The first passed descriptor; 0, 1 and 2 are the standard ones.
const FIRST: RawFd = 3;
/// Maximum number of descriptors that are accepted: `SCM_MAX_FD`, the kernel's limit for one message.
const MAX: usize = 253;
/// Name of a descriptor without one in `LISTEN_FDNAMES`; the same as systemd's.
const UNKNOWN_NAME: &str = "unknown";

/// Why inherited descriptors were not taken over.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenFdsError {
    /// A variable has an invalid value.
    #[error("{variable}={value} is not a number from 0 to {MAX}; let systemd set it")]
    Variable {
        /// Name of the variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// A descriptor is not open.
    #[error("LISTEN_FDS speaks of descriptor {descriptor}, which is not open; pass it, or unset LISTEN_FDS")]
    NotOpen {
        /// The descriptor.
        descriptor: RawFd,
    },
    /// A descriptor was taken before, by this function or by another library.
    #[error("descriptor {descriptor} was taken before; take inherited descriptors once, first of all")]
    Taken {
        /// The descriptor.
        descriptor: RawFd,
    },
}

/// Takes over the descriptors that this process inherited by systemd's protocol, with their names.
///
/// `LISTEN_FDS` is their number, counted from descriptor 3. `LISTEN_PID` is the process they are for. `LISTEN_FDNAMES` has
/// their names, separated by colons; a missing name is `unknown`.
///
/// Returns an empty list when the variables are not set, or when `LISTEN_PID` is another process.
///
/// Sets `FD_CLOEXEC` on each descriptor. The flag also marks it as taken, so a second call is an error.
///
/// # Errors
///
/// [`ListenFdsError`] when a variable is invalid, or when a descriptor is not open or was taken before. No descriptor is
/// taken then.
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

/// Names of the descriptors that are passed to process `own_pid`, in order.
fn names(
    own_pid: u32,
    pid: Option<&str>,
    count: Option<&str>,
    names: Option<&str>,
) -> Result<Vec<String>, ListenFdsError> {
    let (Some(pid), Some(count)) = (pid, count) else { return Ok(Vec::new()) };
    let wrong = |variable, value: &str| ListenFdsError::Variable { variable, value: value.to_owned() };
    if pid.parse::<u32>().map_err(|_| wrong("LISTEN_PID", pid))? != own_pid {
        return Ok(Vec::new());
    }
    let number = count.parse::<usize>().ok().filter(|count| *count <= MAX);
    let number = number.ok_or_else(|| wrong("LISTEN_FDS", count))?;
    let given = names.unwrap_or_default().split(':').filter(|name| !name.is_empty());
    Ok(given.chain(std::iter::repeat(UNKNOWN_NAME)).take(number).map(str::to_owned).collect())
}

/// Checks that the descriptor is open and not taken. A taken one has `FD_CLOEXEC`.
fn check(descriptor: RawFd) -> Result<(), ListenFdsError> {
    match fcntl_getfd(borrow(descriptor)) {
        Ok(flags) if flags.contains(FdFlags::CLOEXEC) => Err(ListenFdsError::Taken { descriptor }),
        Ok(_) => Ok(()),
        Err(_) => Err(ListenFdsError::NotOpen { descriptor }),
    }
}

/// Marks the descriptor as taken and returns it.
fn take(descriptor: RawFd) -> OwnedFd {
    // `check` found it open. If it is closed since, its first use fails with EBADF.
    let _ = fcntl_setfd(borrow(descriptor), FdFlags::CLOEXEC);
    // SAFETY: by LISTEN_PID and LISTEN_FDS the descriptor was passed to this process. std and this crate set FD_CLOEXEC on
    // all that they open; `check` found the flag missing, so no other value in this process owns it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

fn borrow(descriptor: RawFd) -> BorrowedFd<'static> {
    // SAFETY: used for one `fcntl` that reads or sets a flag. It fails with EBADF when the descriptor is not open.
    unsafe { BorrowedFd::borrow_raw(descriptor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_descriptors_without_variables_for_this_process() {
        assert_eq!(names(7, None, Some("1"), None), Ok(vec![]));
        assert_eq!(names(7, Some("7"), None, None), Ok(vec![]));
        assert_eq!(names(7, Some("8"), Some("1"), None), Ok(vec![]));
        assert_eq!(names(7, Some("7"), Some("0"), None), Ok(vec![]));
    }

    #[test]
    fn missing_names_are_unknown_and_extra_names_ignored() {
        let three = names(7, Some("7"), Some("3"), Some("web:admin")).expect("good variables");
        assert_eq!(three, ["web", "admin", UNKNOWN_NAME]);
        assert_eq!(names(7, Some("7"), Some("1"), Some("a:b")).expect("good variables"), ["a"]);
    }

    #[test]
    fn an_invalid_variable_is_an_error_with_its_value() {
        let line = |pid, count| names(7, Some(pid), Some(count), None).expect_err("nonsense").to_string();
        assert!(line("x", "1").starts_with("LISTEN_PID=x is not"));
        for count in ["-1", "254", "many", ""] {
            assert!(
                line("7", count).starts_with(&format!("LISTEN_FDS={count} is not a number from 0 to 253"))
            );
        }
    }

    #[test]
    fn a_closed_or_cloexec_descriptor_is_not_available() {
        use std::os::fd::AsRawFd;
        let closed = std::fs::File::open("/dev/null").expect("it exists").as_raw_fd();
        // Closed with the file. If another test has reused the number, it has FD_CLOEXEC.
        assert!(check(closed).is_err());
        assert_eq!(check(1_000_000), Err(ListenFdsError::NotOpen { descriptor: 1_000_000 }));
        let open = std::fs::File::open("/dev/null").expect("it exists");
        assert_eq!(check(open.as_raw_fd()), Err(ListenFdsError::Taken { descriptor: open.as_raw_fd() }));
    }
}
