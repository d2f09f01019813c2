//! A port that the peer does not read: the queue is bounded, and senders wait.

mod support;

use std::io::{Read, Write};
use std::os::fd::AsFd;

use futures::FutureExt;
use impresario_port::{HIGH_MESSAGES, LOW_MESSAGES, PortHandle, SendError};
use impresario_wire::{Message, Role, StreamId};
use support::{connection, message, pair, run, serve, soon};

/// Sends numbered messages until the port is full. Returns the number of messages taken.
fn fill(prototype: &PortHandle) -> u32 {
    for process in 0.. {
        match prototype.send(StreamId::NONE, &Message::RemovePort { process }, &[]) {
            Ok(()) => {}
            Err(SendError::Full) => return process,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!()
}

#[test]
fn a_full_port_is_ready_at_the_low_marks() {
    run(async {
        let (prototype, main) = pair(Role::Prototype, Role::Main);
        prototype.ready().await.unwrap();
        let taken = fill(&prototype);
        assert_eq!(prototype.queued(), HIGH_MESSAGES);
        assert!(taken > HIGH_MESSAGES as u32, "the socket holds some too");
        let mut ready = Box::pin(prototype.ready());
        assert!((&mut ready).now_or_never().is_none());

        // Only the sending side is served, and the socket is full.
        let _at_prototype = serve(&prototype);
        assert!((&mut ready).now_or_never().is_none());

        let mut at_main = serve(&main);
        soon(ready).await.unwrap();
        assert!(prototype.queued() <= LOW_MESSAGES);
        prototype.send(StreamId::NONE, &Message::RemovePort { process: taken }, &[]).unwrap();
        for process in 0..=taken {
            assert_eq!(message(&mut at_main).await.message, Message::RemovePort { process });
        }
        assert_eq!(prototype.queued(), 0);
    });
}

#[test]
fn a_queued_message_holds_duplicates_of_descriptors() {
    run(async {
        let (router, worker) = pair(Role::Router, Role::Worker);
        let mut pipes = Vec::new();
        loop {
            let (reader, writer) = std::io::pipe().unwrap();
            match router.send(StreamId::NONE, &connection(Vec::new()), &[writer.as_fd()]) {
                // The writer is dropped here. A queued message has a duplicate.
                Ok(()) => pipes.push(reader),
                Err(SendError::Full) => break,
                Err(error) => panic!("{error}"),
            }
        }
        let _at_router = serve(&router);
        let mut at_worker = serve(&worker);
        for (number, mut reader) in pipes.into_iter().enumerate() {
            let incoming = message(&mut at_worker).await;
            for fd in incoming.fds {
                std::fs::File::from(fd).write_all(number.to_string().as_bytes()).unwrap();
            }
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, number.to_string());
        }
    });
}

#[test]
fn close_ends_ready_and_drops_queued_descriptors() {
    run(async {
        let (router, worker) = pair(Role::Router, Role::Worker);
        let (mut reader, writer) = std::io::pipe().unwrap();
        while router.send(StreamId::NONE, &connection(Vec::new()), &[writer.as_fd()]).is_ok() {}
        drop(writer);
        let mut ready = Box::pin(router.ready());
        assert!((&mut ready).now_or_never().is_none());
        router.close();
        assert!(matches!(soon(ready).await, Err(SendError::Closed)));
        assert_eq!((router.queued(), router.is_closed()), (0, true));
        // The duplicates in the queue and in the socket are closed, so the pipe has no writer.
        drop(worker);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_close_by_the_peer_ends_ready() {
    run(async {
        let (prototype, main) = pair(Role::Prototype, Role::Main);
        fill(&prototype);
        let _at_prototype = serve(&prototype);
        let mut ready = Box::pin(prototype.ready());
        assert!((&mut ready).now_or_never().is_none());
        drop(main);
        assert!(matches!(soon(ready).await, Err(SendError::Closed)));
    });
}
