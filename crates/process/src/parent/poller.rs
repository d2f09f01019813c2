//! The epoll instance of a parent process, and the names of its event sources.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

/// The most events that one `epoll_wait` returns. The next one returns the others.
const MAX_EVENTS: usize = 64;

/// An event source. The order of the variants is the order in which the loop serves the events of one wait:
/// requests to stop come first, and the last messages of a child come before its exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Signals,
    /// The port to the parent.
    Parent,
    /// The port to the child with this id.
    Port(u64),
    /// The pidfd of the child with this id.
    Process(u64),
}

/// Width of the tag in the low bits of `epoll_data`; the id of the child fills the other bits.
const TAG_BITS: u32 = 2;

impl Source {
    const fn data(self) -> u64 {
        match self {
            Self::Signals => 0,
            Self::Parent => 1,
            Self::Port(id) => (id << TAG_BITS) | 2,
            Self::Process(id) => (id << TAG_BITS) | 3,
        }
    }

    const fn from_data(data: u64) -> Self {
        match data & 3 {
            0 => Self::Signals,
            1 => Self::Parent,
            2 => Self::Port(data >> TAG_BITS),
            _ => Self::Process(data >> TAG_BITS),
        }
    }
}

/// An epoll instance, level-triggered.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    pub(crate) fn add(&self, fd: impl AsFd, source: Source) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, event_data(source), epoll::EventFlags::IN)?)
    }

    /// Adds EPOLLOUT to the events of a descriptor, or removes it. EPOLLIN stays.
    pub(crate) fn set_write_interest(&self, fd: impl AsFd, source: Source, on: bool) -> io::Result<()> {
        let writable = if on { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() };
        Ok(epoll::modify(&self.epoll, fd, event_data(source), epoll::EventFlags::IN | writable)?)
    }

    /// Call it before the descriptor is closed. If another process holds a copy of the descriptor, a close
    /// alone does not remove it from epoll, which would report events under an id that no longer exists.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        // The only possible error is that the descriptor was not added.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits for events, at most `limit`, in milliseconds rounded up; `None` waits without a limit. Returns
    /// the sources in the order in which they are to be served.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> io::Result<Vec<Source>> {
        let mut events = [MaybeUninit::uninit(); MAX_EVENTS];
        let events = match epoll::wait(&self.epoll, &mut events, limit.map(timeout).as_ref()) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => &mut [],
            Err(error) => return Err(error.into()),
        };
        let mut sources: Vec<Source> =
            events.iter().map(|event| Source::from_data(event.data.u64())).collect();
        sources.sort_unstable();
        Ok(sources)
    }
}

fn event_data(source: Source) -> epoll::EventData {
    epoll::EventData::new_u64(source.data())
}

/// Longest wait: what fits into the `int` of milliseconds that `epoll_wait` takes, some 24 days. The loop then waits again.
const MAX_WAIT: Duration = Duration::from_millis(i32::MAX as u64);

/// `limit` in whole milliseconds, rounded up: a wait that ends before the deadline would find nothing to do and
/// spin.
fn timeout(limit: Duration) -> Timespec {
    let limit = limit.min(MAX_WAIT);
    let millis = limit.as_micros().div_ceil(1_000).min(MAX_WAIT.as_millis());
    Timespec { tv_sec: (millis / 1_000) as i64, tv_nsec: (millis % 1_000) as i64 * 1_000_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_survives_conversion_to_epoll_data() {
        for source in
            [Source::Signals, Source::Parent, Source::Port(1), Source::Process(u64::MAX >> TAG_BITS)]
        {
            assert_eq!(Source::from_data(source.data()), source);
        }
    }

    #[test]
    fn signals_sort_first_and_exits_last() {
        let mut sources =
            [Source::Process(1), Source::Port(9), Source::Parent, Source::Port(1), Source::Signals];
        sources.sort_unstable();
        assert_eq!(sources[0], Source::Signals);
        assert_eq!(sources[4], Source::Process(1));
    }

    #[test]
    fn timeouts_are_rounded_up_and_capped() {
        let millis = |limit| timeout(limit).tv_sec * 1_000 + timeout(limit).tv_nsec / 1_000_000;
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_micros(1)), 1);
        assert_eq!(millis(Duration::from_micros(1_000_001)), 1_001);
        assert_eq!(millis(Duration::MAX), i64::from(i32::MAX));
    }
}
