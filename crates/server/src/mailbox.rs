//! Messages to a connection from other actors.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;

use crate::{Handler, Next, Socket};

/// A handler that takes messages of this type from other actors (OTP: `handle_info/2`).
///
/// They come between reads, in turn with what the peer sends, and do not count as a sign of life of the peer.
///
/// ```
/// # use std::io;
/// # use impresario_server::{Bytes, ConnectionRef, Handler, Mailbox, Next, Receive, Socket};
/// # use std::sync::{Arc, Mutex};
/// /// One member of a chat; the room is where all of them are.
/// struct Member(Arc<Mutex<Vec<ConnectionRef<Member>>>>);
///
/// impl Handler for Member {
///     fn init(&mut self, mailbox: &mut Mailbox<Self>) {
///         self.0.lock().expect("no panic").push(mailbox.open(100));
///     }
///
///     async fn data(&mut self, line: Bytes, _: &mut Socket) -> io::Result<Next> {
///         // Who is gone, or does not keep up, is no member any more.
///         self.0.lock().expect("no panic").retain(|member| member.tell(line.clone()).is_ok());
///         Ok(Next::Continue)
///     }
/// }
///
/// impl Receive<Bytes> for Member {
///     async fn receive(&mut self, line: Bytes, socket: &mut Socket) -> io::Result<Next> {
///         socket.send(line).await?;
///         Ok(Next::Continue)
///     }
/// }
/// ```
#[doc(alias = "handle_info")]
pub trait Receive<M>: Handler {
    /// A message came. As for [`Handler::data`], nothing is read while this runs.
    fn receive(&mut self, message: M, socket: &mut Socket) -> impl Future<Output = io::Result<Next>>;
}

/// Where the messages to one connection wait. There is none until it is [opened](Self::open).
pub struct Mailbox<H>(Option<Arc<Queue<H>>>);

/// The address of a connection, for messages that its handler [receives](Receive). Cheap to clone; goes anywhere.
pub struct ConnectionRef<H>(Arc<Queue<H>>);

struct Queue<H> {
    letters: Mutex<Letters<H>>,
    limit: usize,
    owner: AtomicWaker,
}

struct Letters<H> {
    waiting: VecDeque<Letter<H>>,
    closed: bool,
}

/// A message that knows how it is received.
pub(crate) type Letter<H> = Box<dyn Open<H> + Send>;

type Opened<'a> = Pin<Box<dyn Future<Output = io::Result<Next>> + 'a>>;

pub(crate) trait Open<H> {
    fn open<'a>(self: Box<Self>, handler: &'a mut H, socket: &'a mut Socket) -> Opened<'a>;
}

struct Content<M>(M);

impl<H: Receive<M>, M: Send + 'static> Open<H> for Content<M> {
    fn open<'a>(self: Box<Self>, handler: &'a mut H, socket: &'a mut Socket) -> Opened<'a> {
        Box::pin(handler.receive(self.0, socket))
    }
}

impl<H> Mailbox<H> {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// The address of the connection, for others to [tell](ConnectionRef::tell) it something. At most `limit` messages
    /// wait. Opened again, it is the same mailbox with the first limit.
    pub fn open(&mut self, limit: usize) -> ConnectionRef<H> {
        let queue = self.0.get_or_insert_with(|| {
            let letters = Letters { waiting: VecDeque::new(), closed: false };
            Arc::new(Queue { letters: Mutex::new(letters), limit, owner: AtomicWaker::new() })
        });
        ConnectionRef(Arc::clone(queue))
    }

    /// The next message; `Pending` for ever while it is not open.
    pub(crate) fn poll_letter(&self, cx: &Context<'_>) -> Poll<Letter<H>> {
        let Some(queue) = &self.0 else { return Poll::Pending };
        // Register first, look second: a message that comes in between wakes us again.
        queue.owner.register(cx.waker());
        queue.lock().waiting.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<H> ConnectionRef<H> {
    /// Sends a message to the handler. It arrives unless the connection ends before.
    ///
    /// # Errors
    ///
    /// Says why not, and gives the message back.
    pub fn cast<M>(&self, message: M) -> Result<(), TellError<M>>
    where
        H: Receive<M>,
        M: Send + 'static,
    {
        let mut letters = self.0.lock();
        if letters.closed {
            return Err(TellError::Closed(message));
        }
        if letters.waiting.len() >= self.0.limit {
            return Err(TellError::Full(message));
        }
        letters.waiting.push_back(Box::new(Content(message)));
        drop(letters);
        self.0.owner.wake();
        Ok(())
    }

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }
}

impl<H> Queue<H> {
    /// Messages are put in and taken out whole, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Letters<H>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H> Drop for Mailbox<H> {
    fn drop(&mut self) {
        let Some(queue) = &self.0 else { return };
        let waiting = {
            let mut letters = queue.lock();
            letters.closed = true;
            std::mem::take(&mut letters.waiting)
        };
        // Outside of the lock: what is in a message may itself tell something when it is dropped.
        drop(waiting);
    }
}

/// Why a message did not go to a connection.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TellError<M> {
    /// As many wait as may.
    #[error("the mailbox of the connection is full")]
    Full(M),
    /// The connection is over.
    #[error("the connection is over")]
    Closed(M),
}

impl<M> TellError<M> {
    /// The message.
    pub fn into_inner(self) -> M {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

impl<M> fmt::Debug for TellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full",
            Self::Closed(_) => "Closed",
        })
    }
}

impl<H> Clone for ConnectionRef<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H> fmt::Debug for ConnectionRef<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionRef<{}>", std::any::type_name::<H>())
    }
}

impl<H> fmt::Debug for Mailbox<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailbox").field(&self.0.is_some()).finish()
    }
}
