//! Everything the loop waits for, under one name each.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// How many events one turn of the loop takes; the rest comes with the next.
const EVENTS_PER_TURN: usize = 64;

/// Who has something for us. The order is the order in which a turn serves them: orders before news, and what a
/// child still said before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Signals,
    /// The port to the parent.
    Parent,
    /// The port to the child with this life.
    Port(u64),
    /// The end of the process with this life.
    Process(u64),
}

/// The low bits that tell the sources apart.
const TAG_BITS: u32 = 2;

impl Source {
    const fn data(self) -> u64 {
        match self {
            Self::Signals => 0,
            Self::Parent => 1,
            Self::Port(life) => (life << TAG_BITS) | 2,
            Self::Process(life) => (life << TAG_BITS) | 3,
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

#[derive(Debug)]
pub(crate) struct Poller {
    epoll: Epoll,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)? })
    }

    pub(crate) fn add(&self, fd: impl AsFd, source: Source) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, source.data()))?)
    }

    /// Whether to come back when there is room to write.
    pub(crate) fn set_write_interest(&self, fd: impl AsFd, source: Source, want: bool) -> io::Result<()> {
        let room = if want { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
        Ok(self.epoll.modify(fd, &mut EpollEvent::new(EpollFlags::EPOLLIN | room, source.data()))?)
    }

    /// To be called before the descriptor is closed: if anybody else holds the same file, epoll would go on
    /// telling of it.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        // It fails only for what is not there.
        let _ = self.epoll.delete(fd);
    }

    /// Waits until there is something, but no longer than this; in the order in which it is to be served.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> io::Result<Vec<Source>> {
        let mut events = [EpollEvent::empty(); EVENTS_PER_TURN];
        let count = match self.epoll.wait(&mut events, timeout(limit)) {
            Err(Errno::EINTR) => 0,
            result => result?,
        };
        let mut sources: Vec<Source> =
            events.iter().take(count).map(|event| Source::from_data(event.data())).collect();
        sources.sort_unstable();
        Ok(sources)
    }
}

/// In milliseconds, rounded up: one too early would come back at once and for nothing.
fn timeout(limit: Option<Duration>) -> EpollTimeout {
    let Some(limit) = limit else { return EpollTimeout::NONE };
    EpollTimeout::try_from(limit.as_micros().div_ceil(1_000)).unwrap_or(EpollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_survive_the_kernel() {
        for source in
            [Source::Signals, Source::Parent, Source::Port(1), Source::Process(u64::MAX >> TAG_BITS)]
        {
            assert_eq!(Source::from_data(source.data()), source);
        }
    }

    #[test]
    fn orders_come_before_news_and_last_words_before_the_end() {
        let mut sources =
            [Source::Process(1), Source::Port(9), Source::Parent, Source::Port(1), Source::Signals];
        sources.sort_unstable();
        assert_eq!(sources[0], Source::Signals);
        assert_eq!(sources[4], Source::Process(1));
    }

    #[test]
    fn time_is_rounded_up_and_never_too_long() {
        assert_eq!(timeout(None), EpollTimeout::NONE);
        assert_eq!(timeout(Some(Duration::ZERO)), EpollTimeout::ZERO);
        assert_eq!(timeout(Some(Duration::from_micros(1))), EpollTimeout::from(1u8));
        assert_eq!(timeout(Some(Duration::MAX)), EpollTimeout::MAX);
    }
}
