//! A descriptor kept for the moment when there is none.

use std::fs::File;

use crate::ListenSocket;

/// A descriptor kept for the moment when there is none: with it one connection at a time is accepted and closed, so
/// that whoever connects is told, instead of waiting for nothing.
#[derive(Debug)]
pub(crate) struct Spare(Option<File>);

impl Spare {
    pub(crate) fn new() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Closes connections that wait, at most so many; how many it were.
    pub(crate) fn refuse(&mut self, socket: &ListenSocket, most: usize) -> usize {
        let mut refused = 0;
        while refused < most && self.refuse_one(socket) {
            refused += 1;
            if self.0.is_none() {
                break;
            }
        }
        refused
    }

    fn refuse_one(&mut self, socket: &ListenSocket) -> bool {
        // Another thread may take what is given up here; then there is nothing to be done until it gives it back.
        drop(self.0.take());
        let refused = socket.accept().map(drop).is_ok();
        self.renew();
        refused
    }

    /// Takes one again if it has none.
    pub(crate) fn renew(&mut self) {
        if self.0.is_none() {
            *self = Self::new();
        }
    }
}
