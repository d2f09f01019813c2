//! Exit status and signals by pidfd.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use impresario_sys::{ExitStatus, ForkError, Pid, PidFd, Signal, wait_readable};

/// Longest wait for the exit of a process.
const TIMEOUT: Duration = Duration::from_secs(10);

fn spawn(script: &str) -> (Child, PidFd) {
    let child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
    let pidfd = PidFd::open(Pid::from_raw(child.id() as i32)).unwrap();
    (child, pidfd)
}

fn wait(pidfd: &PidFd) -> ExitStatus {
    assert!(wait_readable(pidfd, Some(TIMEOUT)).unwrap(), "the process does not exit");
    pidfd.try_wait().unwrap().unwrap()
}

#[test]
fn a_running_process_has_no_status() {
    let (mut child, pidfd) = spawn("read line; exit 7");
    assert_eq!(pidfd.try_wait().unwrap(), None);
    drop(child.stdin.take());
    assert_eq!(wait(&pidfd), ExitStatus::Code(7));
}

#[test]
fn a_status_is_returned_once() {
    let (_child, pidfd) = spawn("exit 0");
    assert_eq!(wait(&pidfd), ExitStatus::Code(0));
    assert_eq!(pidfd.try_wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    assert_eq!(pidfd.send_signal(Signal::SIGTERM).unwrap_err().raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn a_killed_process_has_the_signal_as_status() {
    let (_child, pidfd) = spawn("read line");
    pidfd.send_signal(Signal::SIGKILL).unwrap();
    assert_eq!(wait(&pidfd), ExitStatus::Signal { number: 9, core_dumped: false });
}

/// Starts a thread of its own, so that there are two whatever the test harness does.
#[test]
fn fork_with_two_threads_is_refused() {
    let (keep, end) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || end.recv().is_ok());
    match impresario_sys::fork() {
        Err(error @ ForkError::Threads { count }) => {
            assert!(count > 1);
            assert!(error.to_string().starts_with(&format!("cannot fork: this process has {count} threads")));
        }
        other => panic!("{other:?}"),
    }
    drop(keep);
    thread.join().unwrap();
}
