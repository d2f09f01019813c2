//! Waiting for a process by its descriptor.

use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use impresario_sys::{ExitStatus, ForkError, Pid, PidFd, Signal};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

fn spawn(script: &str) -> (Child, PidFd) {
    let child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
    let pidfd = PidFd::open(Pid::from_raw(child.id() as i32)).unwrap();
    (child, pidfd)
}

fn wait(pidfd: &PidFd) -> ExitStatus {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::from(10_000u16)), Ok(1), "the process does not end");
    pidfd.try_wait().unwrap().unwrap()
}

#[test]
fn a_process_that_runs_has_no_status() {
    let (mut child, pidfd) = spawn("read line; exit 7");
    assert_eq!(pidfd.try_wait().unwrap(), None);
    drop(child.stdin.take());
    assert_eq!(wait(&pidfd), ExitStatus::Code(7));
}

#[test]
fn a_status_comes_once() {
    let (_child, pidfd) = spawn("exit 0");
    assert_eq!(wait(&pidfd), ExitStatus::Code(0));
    assert_eq!(pidfd.try_wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    assert_eq!(pidfd.send_signal(Signal::SIGTERM).unwrap_err().raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn a_signal_is_sent_and_told() {
    let (_child, pidfd) = spawn("read line");
    pidfd.send_signal(Signal::SIGKILL).unwrap();
    assert_eq!(wait(&pidfd), ExitStatus::Signal { number: 9, core_dumped: false });
}

/// As far as a test may go towards a fork: the second thread is there whatever the harness does.
#[test]
fn fork_refuses_when_there_are_threads() {
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
