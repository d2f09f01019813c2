//! Transfers: no byte is read twice or lost, and only the owner reads.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use actix::{Actor, ActorContext, Context, Handler as Handle, Message};
use impresario_server::{
    Accepted, Active, Bytes, Connections, DisconnectReason, Handler, Next, Socket, TransferError, serve,
};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::owner::{Owner, Refuser, next, pair};
use crate::support::{Echo, Running, run, until};

#[test]
fn pending_pieces_reach_the_new_owner_in_order() {
    run(async {
        let (mut client, accepted) = pair().await;
        let mut socket = accepted.claim().expect("an open socket");
        client.send("23").await;
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "23");
        socket.unread("3");
        socket.unread("12");
        client.send("4").await;
        until(|| socket.has_pending()).await;
        let accepted = socket.release().expect("an open socket");
        assert!(socket.is_released());
        let (owner, mut seen) = Owner::start(Some(Active::Always));
        accepted.transfer_to(&owner.recipient()).await.expect("it is claimed");
        client.send("5").await;
        let mut all = String::new();
        while all.len() < 5 {
            all += &next(&mut seen).await;
        }
        assert_eq!(all, "12345");
    });
}

#[test]
fn what_the_old_owner_has_left_is_no_connection() {
    run(async {
        let (mut client, accepted) = pair().await;
        let mut socket = accepted.claim().expect("an open socket");
        let accepted = socket.release().expect("an open socket");
        client.send("secret").await;
        let refused = |error: io::Error| assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        refused(socket.recv().await.expect_err("it is given away"));
        refused(socket.send("x").await.expect_err("it is given away"));
        refused(socket.try_send("x").expect_err("it is given away").into());
        refused(socket.release().expect_err("it is given away"));
        assert!(!socket.has_pending());
        // Its end is not that of the connection.
        drop(socket);
        let mut socket = accepted.claim().expect("an open socket");
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "secret");
        socket.send("answer").await.expect("still connected");
        client.expect("answer").await;
    });
}

fn returned(error: TransferError) -> Accepted {
    error.into_accepted().expect("the connection comes back")
}

#[test]
fn a_dead_or_refusing_owner_returns_the_connection() {
    run(async {
        let (mut client, accepted) = pair().await;
        let dead = Refuser.start();
        let (_other, unwanted) = pair().await;
        dead.send(unwanted).await.expect("it runs until then");
        until(|| !dead.connected()).await;
        let error =
            accepted.with_read_ahead("1").transfer_to(&dead.recipient()).await.expect_err("it is dead");
        assert!(matches!(error, TransferError::Gone(_)), "{error:?}");
        client.send("2").await;

        let error = returned(error).transfer_to(&Refuser.start().recipient()).await.expect_err("it refuses");
        assert!(matches!(error, TransferError::Refused(_)), "{error:?}");

        let refuses = |accepted| Err(accepted);
        let error = returned(error).transfer(refuses).await.expect_err("it refuses");
        assert!(matches!(error, TransferError::Refused(_)), "{error:?}");

        // The giver is the owner again, and nothing is lost.
        let mut socket = returned(error).claim().expect("an open socket");
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "1");
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "2");
        socket.send("3").await.expect("still connected");
        client.expect("3").await;
    });
}

#[test]
fn a_returned_connection_without_a_waiter_closes() {
    run(async {
        let (client, accepted) = pair().await;
        let (keep, kept) = tokio::sync::oneshot::channel();
        let mut given = Box::pin(accepted.transfer(|accepted| keep.send(accepted)));
        assert!(futures::poll!(&mut given).is_pending());
        drop(given);
        drop(kept.await.expect("it was handed over"));
        client.closed().await;
    });
}

#[test]
fn passing_a_connection_on_counts_as_claimed() {
    run(async {
        let (mut client, accepted) = pair().await;
        let (middle, mut in_the_middle) = unbounded_channel::<Accepted>();
        let (end, mut at_the_end) = unbounded_channel::<Accepted>();
        let first = accepted.transfer(|accepted| middle.send(accepted).map_err(|error| error.0));
        let second = async {
            let accepted = in_the_middle.recv().await.expect("it is given");
            accepted.transfer(|accepted| end.send(accepted).map_err(|error| error.0)).await
        };
        let third = async {
            let mut socket = at_the_end.recv().await.expect("it is given").claim().expect("an open socket");
            socket.send("hello").await.expect("still connected");
            client.expect("hello").await;
        };
        let (first, second, ()) = tokio::join!(first, second, third);
        assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    });
}

#[test]
fn the_end_of_the_new_owner_is_that_of_the_connection() {
    run(async {
        let (client, accepted) = pair().await;
        let (owner, _seen) = Owner::start(Some(Active::Always));
        accepted.transfer_to(&owner.clone().recipient()).await.expect("it is claimed");
        struct Stop;
        impl Message for Stop {
            type Result = ();
        }
        impl Handle<Stop> for Owner {
            type Result = ();
            fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
                ctx.stop();
            }
        }
        owner.do_send(Stop);
        client.closed().await;
    });
}

/// Gives its connection to others at the word `go`, with what came after it.
struct Giver(Connections<fn() -> Echo>, Arc<Mutex<Vec<String>>>);

impl Handler for Giver {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        let Some(rest) = data.strip_prefix(b"go\n") else { return Ok(Next::Continue) };
        socket.unread(data.slice_ref(rest));
        let given =
            socket.release()?.transfer(|accepted| self.0.start(accepted).map_err(|no| no.into_accepted()));
        if let Err(error) = given.await {
            *socket = error.into_accepted().ok_or(io::ErrorKind::NotConnected)?.claim()?;
            socket.send("no owner\n").await?;
        }
        Ok(Next::Continue)
    }

    async fn closed(&mut self, why: &DisconnectReason) {
        self.1.lock().expect("no panic").push(format!("{why:?}"));
    }
}

#[test]
fn a_handler_transfers_to_other_connections() {
    run(async {
        let others = Connections::new((|| Echo) as fn() -> Echo);
        let reasons = Arc::new(Mutex::new(Vec::new()));
        let (to, told) = (others.clone(), Arc::clone(&reasons));
        let connections = Connections::new(move || Giver(to.clone(), Arc::clone(&told)));
        let tree = Running::start([connections.child_spec("givers"), connections.drain_spec("drain", None)]);
        let tree = tree.await.expect("it starts");

        // While the others are not there yet it comes back.
        let (mut client, accepted) = pair().await;
        connections.start(accepted).expect("there is room");
        client.send("go\n").await;
        client.expect("no owner\n").await;
        // What was not handed on is read again, and is no word that it knows.
        let other_tree =
            Running::start([others.child_spec("takers"), others.drain_spec("drain", None)]).await;
        let other_tree = other_tree.expect("it starts");
        client.send("go\nhello\n").await;
        client.expect("hello\n").await;
        client.echo("more\n").await;
        assert_eq!(*reasons.lock().expect("no panic"), ["Transferred"]);
        // Each counts its own.
        assert_eq!((connections.tracker().active(), others.tracker().active()), (0, 1));
        assert_eq!(connections.tracker().metrics().ended.completed, 1);
        // And it is the new ones that ask it to leave.
        tree.stop().await;
        client.echo("still here\n").await;
        let ((), rest) = tokio::join!(other_tree.stop(), client.rest());
        assert_eq!(rest, b"bye\n");
    });
}

#[test]
fn it_goes_to_another_arbiter_and_back_with_its_limits() {
    run(async {
        let (mut client, accepted) = pair().await;
        let mut socket = accepted.claim().expect("an open socket");
        socket.set_read_timeout(std::time::Duration::from_secs(20));
        client.send("1").await;
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "1");
        // A wait that was given up leaves nothing behind.
        assert!(futures::poll!(Box::pin(socket.recv())).is_pending());
        let accepted = socket.release().expect("an open socket");
        let other = std::thread::spawn(move || {
            run(async move {
                let mut socket = accepted.claim().expect("an open socket");
                socket.send("there").await.expect("still connected");
                let data = socket.recv().await.expect("bytes").expect("more");
                socket.unread(data);
                socket.release().expect("an open socket")
            })
        });
        client.expect("there").await;
        client.send("2").await;
        let mut socket = other.join().expect("no panic").claim().expect("an open socket");
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "2");
        tokio::time::pause();
        assert_eq!(socket.recv().await.expect_err("silence").kind(), io::ErrorKind::TimedOut);
    });
}

#[test]
fn it_goes_as_a_descriptor_with_what_was_read() {
    run(async {
        let (mut client, accepted) = pair().await;
        let peer: SocketAddr = accepted.peer_addr().as_ip().expect("TCP");
        let mut socket = accepted.claim().expect("an open socket");
        client.send("first").await;
        let data = socket.recv().await.expect("bytes").expect("more");
        socket.unread(data);
        let accepted = socket.release().expect("an open socket");
        // What another process would get.
        let descriptor = accepted.descriptor().expect("a plain socket").try_clone_to_owned();
        let read = accepted.read_ahead().clone();
        let there = Accepted::from_fd(descriptor.expect("a free descriptor"), peer).expect("a socket");
        assert!(accepted.into_permit().is_none());
        let mut socket = there.with_read_ahead(read).claim().expect("an open socket");
        client.send("second").await;
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "first");
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "second");
    });
}

#[test]
fn a_unix_socket_is_owned_the_same_way() {
    run(async {
        let (mut ours, theirs) = tokio::net::UnixStream::pair().expect("free descriptors");
        let theirs = theirs.into_std().expect("an open socket");
        let accepted = Accepted::from_fd(theirs.into(), impresario_server::Address::unnamed());
        let mut socket = accepted.expect("a unix socket").claim().expect("an open socket");
        let write = tokio::io::AsyncWriteExt::write_all(&mut ours, b"hello");
        write.await.expect("an open socket");
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "hello");
        assert_eq!(socket.local_addr().expect("known").to_string(), "unix:unnamed");
        let accepted = socket.release().expect("an open socket");
        assert!(accepted.descriptor().is_some());
        accepted.claim().expect("an open socket").close().await;
        let mut rest = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut ours, &mut rest);
        assert_eq!(read.await.expect("an orderly end"), 0);
    });
}

#[test]
fn a_wait_for_bytes_can_be_bounded() {
    run(async {
        let (mut client, accepted) = pair().await;
        let mut socket = accepted.claim().expect("an open socket");
        tokio::time::pause();
        let timeout = std::time::Duration::from_secs(10);
        let error = socket.recv_timeout(timeout).await.expect_err("silence");
        assert_eq!((error.kind(), error.to_string().contains("10s")), (io::ErrorKind::TimedOut, true));
        tokio::time::resume();
        client.send("late").await;
        assert_eq!(socket.recv_timeout(timeout).await.expect("bytes").expect("more"), "late");
    });
}

#[test]
fn a_serve_loop_transfers_its_connection() {
    run(async {
        let others = Connections::new(|| Echo);
        let to = others.clone();
        let connections = Connections::new(serve(move |mut socket: Socket| {
            let to = to.clone();
            async move {
                let first = socket.recv().await?.unwrap_or_default();
                socket.unread(first);
                to.start(socket.release()?).map_err(|refusal| io::Error::other(refusal.to_string()))
            }
        }));
        let children = [
            others.child_spec("takers"),
            others.drain_spec("takers drain", None),
            connections.child_spec("givers"),
            connections.drain_spec("drain", None),
        ];
        let tree = Running::start(children).await.expect("it starts");
        let (mut client, accepted) = pair().await;
        connections.start(accepted).expect("there is room");
        client.echo("hello\n").await;
        tree.stop().await;
    });
}
