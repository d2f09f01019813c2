//! Sending one frame on the socket of a port. A trait, so that unit tests can inject errors of the kernel.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use impresario_sys::SeqPacket;
use impresario_wire::Frame;

/// The sending side of a socket that carries frames.
pub(crate) trait FrameSocket: AsFd {
    /// Sends one frame with duplicates of `fds`. Does not block. A failed call has sent nothing.
    fn send_frame(&self, frame: &Frame<'_>, fds: &[BorrowedFd<'_>]) -> io::Result<()>;
}

impl FrameSocket for SeqPacket {
    fn send_frame(&self, frame: &Frame<'_>, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send(&frame.parts(&frame.header()), fds)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use rustix::io::Errno;

    use super::*;

    /// The errors that pass on a send although the socket is not full.
    pub(crate) const NO_BUFFERS: [Errno; 3] = [Errno::NOBUFS, Errno::NOMEM, Errno::TOOMANYREFS];

    /// A socket of which the next sends fail.
    pub(crate) struct FailingSocket {
        socket: SeqPacket,
        errors: RefCell<VecDeque<Errno>>,
        calls: Cell<usize>,
    }

    impl FailingSocket {
        pub(crate) fn new(socket: SeqPacket) -> Self {
            Self { socket, errors: RefCell::default(), calls: Cell::new(0) }
        }

        /// Makes the next sends fail with `errors`, one each.
        pub(crate) fn fail(&self, errors: impl IntoIterator<Item = Errno>) {
            self.errors.borrow_mut().extend(errors);
        }

        /// Number of sends so far, failed ones included.
        pub(crate) fn calls(&self) -> usize {
            self.calls.get()
        }
    }

    impl FrameSocket for FailingSocket {
        fn send_frame(&self, frame: &Frame<'_>, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
            self.calls.set(self.calls.get() + 1);
            match self.errors.borrow_mut().pop_front() {
                Some(error) => Err(error.into()),
                None => self.socket.send_frame(frame, fds),
            }
        }
    }

    impl AsFd for FailingSocket {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.socket.as_fd()
        }
    }
}
