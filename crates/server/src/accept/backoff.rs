//! The reaction of an acceptor to a failed `accept(2)`: retry, pause, or stop.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use slog::Logger;

use crate::listen::listen_socket::ListenSocket;
use crate::tracker::ConnectionTracker;
use crate::tracker::limits::Policy;
use crate::tracker::metrics::Counter;

/// The most failed accepts in a row without a pause, when each error is about one connection only.
const RETRIES: usize = 64;
/// The most connections that are closed between two pauses while the process has no free descriptor.
const MAX_REJECTS: usize = 256;
/// The pause until descriptors or memory may be free again.
const PAUSE: Duration = Duration::from_millis(100);

/// The reaction to a failed accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AcceptErrorKind {
    /// The error is about one connection, which is closed. Accept the next one.
    Retry,
    /// Memory is exhausted. Pause for [`PAUSE`].
    Pause,
    /// Descriptors are exhausted. Pause, and use the reserve descriptor under [`Policy::Reject`].
    NoDescriptors,
    /// The error is about the listening socket. Stop.
    Stop,
}

fn classify(error: Errno) -> AcceptErrorKind {
    match error {
        // Errors of a connection that was closed in the queue, and pending network errors that Linux returns (accept(2)).
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
        | Errno::TIMEDOUT => AcceptErrorKind::Retry,
        Errno::NOBUFS | Errno::NOMEM => AcceptErrorKind::Pause,
        Errno::MFILE | Errno::NFILE => AcceptErrorKind::NoDescriptors,
        _ => AcceptErrorKind::Stop,
    }
}

/// A descriptor in reserve for the time when the process has no other. With it one connection at a time is accepted and
/// closed, so that clients get an error and do not wait in the queue.
#[derive(Debug)]
struct ReserveFd(Option<File>);

impl ReserveFd {
    fn new() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Closes at most `most` connections that wait in the queue. Returns how many.
    fn reject(&mut self, socket: &ListenSocket, most: usize) -> usize {
        let mut rejected = 0;
        while rejected < most && self.reject_one(socket) {
            rejected += 1;
            if self.0.is_none() {
                break;
            }
        }
        rejected
    }

    fn reject_one(&mut self, socket: &ListenSocket) -> bool {
        // Another thread may take the freed descriptor. Then accept(2) fails, and `renew` is tried again later.
        drop(self.0.take());
        let rejected = socket.accept().map(drop).is_ok();
        self.renew();
        rejected
    }

    /// Opens the reserve descriptor again if it is closed.
    fn renew(&mut self) {
        if self.0.is_none() {
            *self = Self::new();
        }
    }
}

/// The retries and pauses of one acceptor.
pub(super) struct AcceptBackoff {
    retries: usize,
    paused: bool,
    reserve: ReserveFd,
}

impl AcceptBackoff {
    pub(super) fn new() -> Self {
        Self { retries: 0, paused: false, reserve: ReserveFd::new() }
    }

    /// Resets the count of retries after a successful accept, and logs the end of a pause.
    pub(super) fn succeeded(&mut self, log: &Logger) {
        self.retries = 0;
        if std::mem::take(&mut self.paused) {
            self.reserve.renew();
            slog::info!(log, "accepting again");
        }
    }

    /// Waits until accept(2) may succeed again. Blocks nothing: the pause is a timer.
    ///
    /// # Errors
    ///
    /// `error`, when it is about the listening socket.
    pub(super) async fn wait(
        &mut self,
        error: io::Error,
        socket: &ListenSocket,
        tracker: &ConnectionTracker,
        log: &Logger,
    ) -> io::Result<()> {
        // An error without an errno is not one of accept(2).
        let kind = Errno::from_io_error(&error).map_or(AcceptErrorKind::Stop, classify);
        match kind {
            AcceptErrorKind::Stop => return Err(error),
            AcceptErrorKind::Retry if self.retries < RETRIES => {
                self.retries += 1;
                return Ok(());
            }
            AcceptErrorKind::Retry | AcceptErrorKind::Pause | AcceptErrorKind::NoDescriptors => {}
        }
        if !self.paused {
            slog::warn!(log, "cannot accept for now, trying again"; "reason" => %error);
        }
        (self.retries, self.paused) = (0, true);
        tracker.count(Counter::Pauses);
        if kind == AcceptErrorKind::NoDescriptors && tracker.policy() == Policy::Reject {
            let rejected = self.reserve.reject(socket, MAX_REJECTS);
            (0..rejected).for_each(|_| tracker.count(Counter::RejectedDescriptors));
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn errors_of_one_connection_are_retried() {
        for error in [Errno::CONNABORTED, Errno::PROTO, Errno::NETDOWN, Errno::TIMEDOUT] {
            assert_eq!(classify(error), AcceptErrorKind::Retry, "{error}");
        }
    }

    #[test]
    fn exhaustion_is_a_pause() {
        for (error, expected) in [
            (Errno::MFILE, AcceptErrorKind::NoDescriptors),
            (Errno::NFILE, AcceptErrorKind::NoDescriptors),
            (Errno::NOBUFS, AcceptErrorKind::Pause),
            (Errno::NOMEM, AcceptErrorKind::Pause),
        ] {
            assert_eq!(classify(error), expected, "{error}");
        }
    }

    #[test]
    fn errors_of_the_listening_socket_stop() {
        for error in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP] {
            assert_eq!(classify(error), AcceptErrorKind::Stop, "{error}");
        }
    }

    /// The wait after each of these errors in a row; `None` when the error stops the acceptor.
    fn waits(errors: impl IntoIterator<Item = Errno>, tracker: &ConnectionTracker) -> Vec<Option<Duration>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            tokio::time::pause();
            let socket = ListenSocket::bind("127.0.0.1:0").expect("a free port");
            let (log, mut backoff) = (Logger::root(slog::Discard, slog::o!()), AcceptBackoff::new());
            let mut waits = Vec::new();
            for error in errors {
                let began = Instant::now();
                let waited = backoff.wait(error.into(), &socket, tracker, &log).await;
                waits.push(waited.ok().map(|()| began.elapsed()));
            }
            waits
        })
    }

    /// Thousand Island's `transient accept(2)`.
    #[test]
    fn errors_of_connections_are_retried_up_to_a_limit() {
        let all =
            [Errno::INTR, Errno::CONNABORTED, Errno::PERM, Errno::PROTO, Errno::NETDOWN, Errno::TIMEDOUT];
        let tracker = ConnectionTracker::new();
        assert_eq!(waits(all, &tracker), [Some(Duration::ZERO); 6]);
        assert_eq!(tracker.metrics().pauses, 0);
        let waits = waits([Errno::CONNABORTED; 2 * RETRIES + 2], &tracker);
        let pauses: Vec<usize> = (0..waits.len()).filter(|number| waits[*number] >= Some(PAUSE)).collect();
        assert_eq!((pauses, tracker.metrics().pauses), (vec![RETRIES, 2 * RETRIES + 1], 2));
    }

    #[test]
    fn exhaustion_pauses_each_time_and_a_bad_socket_ends() {
        let tracker = ConnectionTracker::new();
        let waits = waits([Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::BADF], &tracker);
        let (last, pauses) = waits.split_last().expect("five");
        assert!(pauses.iter().all(|pause| *pause >= Some(PAUSE)), "{pauses:?}");
        assert_eq!((*last, tracker.metrics().pauses), (None, 4));
    }
}
