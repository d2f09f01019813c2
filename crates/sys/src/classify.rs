//! What a failed send or receive on a port's socket means for its driver.

use std::io::{self, ErrorKind};

/// Meaning of an error of [`SeqPacket::send`](crate::SeqPacket::send) or [`SeqPacket::recv`](crate::SeqPacket::recv).
///
/// A failed send has sent nothing, so the same frame may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// `EAGAIN`: wait until the socket is writable (send) or readable (receive).
    WouldBlock,
    /// `EINTR`: call again immediately. [`SeqPacket`](crate::SeqPacket) does so itself.
    Interrupted,
    /// `ENOBUFS`, `ENOMEM`, `ETOOMANYREFS`: the kernel lacks buffers, or too many descriptors are in flight.
    ///
    /// Passing on a send: try again after a delay, because no readiness event reports that they are free again. Fatal on
    /// a receive, because it is not known whether the message was taken from the socket.
    NoBuffers,
    /// `EPIPE`, `ECONNRESET`: the peer has closed its end. After a send, messages that the peer sent before can still be
    /// received. On a receive it is end of file.
    Closed,
    /// Any other error. The socket cannot be used any more.
    Fatal,
}

/// Classifies an error of a send or a receive.
pub fn classify(error: &io::Error) -> ErrorClass {
    match error.kind() {
        ErrorKind::WouldBlock => return ErrorClass::WouldBlock,
        ErrorKind::Interrupted => return ErrorClass::Interrupted,
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => return ErrorClass::Closed,
        _ => {}
    }
    match error.raw_os_error() {
        Some(libc::ENOBUFS | libc::ENOMEM | libc::ETOOMANYREFS) => ErrorClass::NoBuffers,
        _ => ErrorClass::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_has_its_class() {
        let table: [(ErrorClass, &[i32]); 5] = [
            (ErrorClass::WouldBlock, &[libc::EAGAIN, libc::EWOULDBLOCK]),
            (ErrorClass::Interrupted, &[libc::EINTR]),
            (ErrorClass::NoBuffers, &[libc::ENOBUFS, libc::ENOMEM, libc::ETOOMANYREFS]),
            (ErrorClass::Closed, &[libc::EPIPE, libc::ECONNRESET]),
            (
                ErrorClass::Fatal,
                &[
                    libc::EBADF,
                    libc::EFAULT,
                    libc::EINVAL,
                    libc::EIO,
                    libc::EMFILE,
                    libc::EMSGSIZE,
                    libc::ENFILE,
                    libc::ENOTCONN,
                    libc::ENOTSOCK,
                    libc::EPERM,
                ],
            ),
        ];
        for (class, errnos) in table {
            for errno in errnos {
                let error = io::Error::from_raw_os_error(*errno);
                assert_eq!(classify(&error), class, "{error}");
            }
        }
    }

    #[test]
    fn an_error_without_errno_is_classified_by_its_kind() {
        assert_eq!(classify(&ErrorKind::WouldBlock.into()), ErrorClass::WouldBlock);
        assert_eq!(classify(&ErrorKind::BrokenPipe.into()), ErrorClass::Closed);
        assert_eq!(classify(&io::Error::other("lost descriptors")), ErrorClass::Fatal);
    }
}
