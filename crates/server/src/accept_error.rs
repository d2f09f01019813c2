//! What an error of `accept(2)` means for the acceptor.

use rustix::io::Errno;

/// What to do after a failed accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It was about that one connection, which is gone.
    Retry,
    /// Something is used up; wait until some of it is given back.
    Pause,
    /// Descriptors are; as above, and one that is kept for this can be used meanwhile.
    NoDescriptors,
    /// It was about the listening socket.
    Stop,
}

pub(crate) fn class(error: Errno) -> Class {
    match error {
        // Errors of a connection that ended in the queue, and network errors that Linux passes on (accept(2)).
        Errno::INTR
        | Errno::CONNABORTED
        | Errno::PERM
        | Errno::PROTO
        | Errno::NOPROTOOPT
        | Errno::NETDOWN
        | Errno::NETUNREACH
        | Errno::HOSTDOWN
        | Errno::HOSTUNREACH
        | Errno::NONET
        | Errno::TIMEDOUT => Class::Retry,
        Errno::NOBUFS | Errno::NOMEM => Class::Pause,
        Errno::MFILE | Errno::NFILE => Class::NoDescriptors,
        _ => Class::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_one_connection_are_retried() {
        for error in [Errno::CONNABORTED, Errno::PROTO, Errno::NETDOWN, Errno::TIMEDOUT] {
            assert_eq!(class(error), Class::Retry, "{error}");
        }
    }

    #[test]
    fn what_is_used_up_is_waited_for() {
        for (error, expected) in [
            (Errno::MFILE, Class::NoDescriptors),
            (Errno::NFILE, Class::NoDescriptors),
            (Errno::NOBUFS, Class::Pause),
            (Errno::NOMEM, Class::Pause),
        ] {
            assert_eq!(class(error), expected, "{error}");
        }
    }

    #[test]
    fn a_broken_listening_socket_is_given_up() {
        for error in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP] {
            assert_eq!(class(error), Class::Stop, "{error}");
        }
    }
}
