//! The stderr of a program, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The lines so far. A thread reads them until the last process with the write end of the pipe has exited.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    pub(crate) fn follow(source: impl Read + Send + 'static) -> Self {
        let log = Self::default();
        let writer = log.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                writer.update(|state| state.lines.push(text));
                line.clear();
            }
            writer.update(|state| state.ended = true);
        });
        log
    }

    /// A copy of all lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.state().lines.clone()
    }

    /// Returns the first `Some` that `find` returns for a line, starting at line number `from`. Returns
    /// `None` after `limit`, or when the last process with the write end has exited.
    pub(crate) fn wait_for<T>(
        &self,
        from: usize,
        limit: Duration,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        let end = Instant::now() + limit;
        let mut state = self.state();
        let mut seen = from;
        loop {
            if let Some(found) = state.lines.iter().skip(seen).find_map(|line| find(line)) {
                return Some(found);
            }
            seen = seen.max(state.lines.len());
            let left = end.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Returns whether the last process with the write end has exited. Blocks for at most `limit`.
    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        let waiting = self.0.changed.wait_timeout_while(self.state(), limit, |state| !state.ended);
        waiting.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Lines are only pushed, so the state is whole even if a test panicked while it held the lock.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Write, pipe};

    use super::*;
    use crate::limits::DEADLINE;

    #[test]
    fn lines_arrive_and_closing_the_pipe_is_seen() {
        let (reader, mut writer) = pipe().expect("a pipe");
        let log = Log::follow(reader);
        assert!(!log.ends_within(Duration::ZERO));
        writer.write_all(b"one\ntwo \xff\nthr").expect("the reader is running");
        let two = log.wait_for(0, DEADLINE, |line| line.starts_with("two").then(|| line.to_owned()));
        assert_eq!(two.as_deref(), Some("two \u{fffd}"));
        assert_eq!(log.wait_for(1, Duration::ZERO, |line| (line == "one").then_some(())), None);

        drop(writer);
        assert!(log.ends_within(DEADLINE));
        assert_eq!(log.lines(), ["one", "two \u{fffd}", "thr"]);
        assert_eq!(log.wait_for(0, DEADLINE, |line| (line == "four").then_some(())), None);
    }
}
