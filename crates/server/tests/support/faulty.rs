//! A stream that fails on request.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the next read or write comes to.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// These bytes come; or so many are taken at most.
    Bytes(Vec<u8>),
    Take(usize),
    /// Not now, but soon: the task is woken.
    Later,
    /// Not before the test says so.
    Never,
    Error(io::ErrorKind),
}

#[derive(Default)]
struct Script {
    reads: VecDeque<Step>,
    writes: VecDeque<Step>,
    written: Vec<u8>,
    shut_down: bool,
    dropped: bool,
    waiting: Vec<Waker>,
}

/// One end; the test has the other.
pub(crate) struct Faulty(Arc<Mutex<Script>>);

/// The test's end.
#[derive(Clone)]
pub(crate) struct Remote(Arc<Mutex<Script>>);

/// Reads the steps in order, and then the end. Writes as the steps say, and then all.
pub(crate) fn faulty(
    reads: impl IntoIterator<Item = Step>,
    writes: impl IntoIterator<Item = Step>,
) -> (Faulty, Remote) {
    let script = Script {
        reads: reads.into_iter().collect(),
        writes: writes.into_iter().collect(),
        ..Script::default()
    };
    let script = Arc::new(Mutex::new(script));
    (Faulty(Arc::clone(&script)), Remote(script))
}

impl Remote {
    pub(crate) fn written(&self) -> Vec<u8> {
        self.0.lock().expect("no panic").written.clone()
    }

    /// Whether a task waits for the test.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.0.lock().expect("no panic").waiting.is_empty()
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.0.lock().expect("no panic").shut_down
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.0.lock().expect("no panic").dropped
    }

    /// Replaces the next results and wakes the waiting task.
    pub(crate) fn go_on(
        &self,
        reads: impl IntoIterator<Item = Step>,
        writes: impl IntoIterator<Item = Step>,
    ) {
        let mut script = self.0.lock().expect("no panic");
        script.reads = reads.into_iter().collect();
        script.writes = writes.into_iter().collect();
        script.waiting.drain(..).for_each(Waker::wake);
    }
}

impl Script {
    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<io::Result<T>> {
        self.waiting.push(cx.waker().clone());
        Poll::Pending
    }
}

fn later<T>(cx: &Context<'_>) -> Poll<io::Result<T>> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

impl AsyncRead for Faulty {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut script = self.0.lock().expect("no panic");
        match script.reads.pop_front() {
            None => Poll::Ready(Ok(())),
            Some(Step::Bytes(mut bytes)) => {
                let rest = bytes.split_off(bytes.len().min(buffer.remaining()));
                buffer.put_slice(&bytes);
                if !rest.is_empty() {
                    script.reads.push_front(Step::Bytes(rest));
                }
                Poll::Ready(Ok(()))
            }
            Some(Step::Error(kind)) => Poll::Ready(Err(kind.into())),
            Some(Step::Later | Step::Take(_)) => later(cx),
            Some(Step::Never) => {
                script.reads.push_front(Step::Never);
                script.wait(cx)
            }
        }
    }
}

impl AsyncWrite for Faulty {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let mut script = self.0.lock().expect("no panic");
        let most = match script.writes.pop_front() {
            None | Some(Step::Bytes(_)) => data.len(),
            Some(Step::Take(most)) => data.len().min(most),
            Some(Step::Error(kind)) => return Poll::Ready(Err(kind.into())),
            Some(Step::Later) => return later(cx),
            Some(Step::Never) => {
                script.writes.push_front(Step::Never);
                return script.wait(cx);
            }
        };
        script.written.extend_from_slice(&data[..most]);
        Poll::Ready(Ok(most))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().expect("no panic").shut_down = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.0.lock().expect("no panic").dropped = true;
    }
}
