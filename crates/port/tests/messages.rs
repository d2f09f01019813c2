//! Messages and descriptors between two ports.

mod support;

use std::io::{Read, Write};
use std::os::fd::AsFd;

use impresario_actor::{ExitReason, Strategy, Supervisor};
use impresario_port::{CloseReason, PortEvent, SendError};
use impresario_wire::{MAX_BODY, Message, MessageKind, Role, StreamId};
use support::{closed, connection, log, message, pair, run, serve, serve_with, soon};

#[test]
fn a_connection_is_answered_by_taken_and_released() {
    run(async {
        let (router, worker) = pair(Role::Router, Role::Worker);
        let mut at_router = serve(&router);
        let answers = worker.clone();
        let (_worker, _) = serve_with(&worker, move |event| {
            if let PortEvent::Message(incoming) = event {
                answers.send(incoming.stream, &Message::Taken, &[]).unwrap();
                answers.send(incoming.stream, &Message::Released, &[]).unwrap();
            }
        });
        let (_reader, writer) = std::io::pipe().unwrap();
        for sequence in 1..=1000 {
            let stream = StreamId::new(3, sequence);
            router.send(stream, &connection(Vec::new()), &[writer.as_fd()]).unwrap();
            let taken = message(&mut at_router).await;
            assert_eq!(
                (taken.stream, taken.message, taken.sender),
                (stream, Message::Taken, std::process::id())
            );
            let released = message(&mut at_router).await;
            assert_eq!((released.stream, released.message), (stream, Message::Released));
        }
    });
}

#[test]
fn a_received_descriptor_is_the_only_one_left() {
    run(async {
        let (router, worker) = pair(Role::Router, Role::Worker);
        let mut at_worker = serve(&worker);
        let (mut reader, writer) = std::io::pipe().unwrap();
        router.send(StreamId::new(1, 1), &connection(b"PROXY".to_vec()), &[writer.as_fd()]).unwrap();
        drop(writer);
        let incoming = message(&mut at_worker).await;
        assert_eq!(incoming.message, connection(b"PROXY".to_vec()));
        let [fd] = <[_; 1]>::try_from(incoming.fds).unwrap();
        std::fs::File::from(fd).write_all(b"over there").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "over there", "then end of file, because no other copy of the writer is open");
    });
}

#[test]
fn a_message_of_five_frames_is_one_call() {
    run(async {
        let (router, worker) = pair(Role::Router, Role::Worker);
        let mut at_worker = serve(&worker);
        let long = connection((0..5 * MAX_BODY).map(|byte| byte as u8).collect());
        let (_reader, writer) = std::io::pipe().unwrap();
        // More than the socket holds, so some frames are queued.
        for sequence in 1..4 {
            router.send(StreamId::new(1, sequence), &long, &[writer.as_fd()]).unwrap();
        }
        assert!(router.queued() > 0);
        // Until here no actor has served the router's end, so the queue has not moved.
        let _at_router = serve(&router);
        for sequence in 1..4 {
            let incoming = message(&mut at_worker).await;
            assert_eq!(incoming.stream, StreamId::new(1, sequence));
            assert_eq!(incoming.fds.len(), 1);
            assert!(incoming.message == long);
        }
    });
}

#[test]
fn four_threads_send_in_order_each() {
    const EACH: u32 = 2_000;
    run(async {
        let (prototype, main) = pair(Role::Prototype, Role::Main);
        let mut at_main = serve(&main);
        let _at_prototype = serve(&prototype);
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                let prototype = prototype.clone();
                std::thread::spawn(move || {
                    futures::executor::block_on(async {
                        for process in 0..EACH {
                            let stream = StreamId::new(thread, 1);
                            prototype
                                .send_when_ready(stream, &Message::RemovePort { process }, &[])
                                .await
                                .unwrap();
                        }
                    });
                })
            })
            .collect();
        let mut next = [0; 4];
        for _ in 0..4 * EACH {
            let incoming = message(&mut at_main).await;
            let next = &mut next[incoming.stream.incarnation() as usize];
            assert_eq!(incoming.message, Message::RemovePort { process: *next });
            *next += 1;
        }
        assert_eq!(next, [EACH; 4]);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn invalid_messages_are_refused_by_send() {
    let (worker, router) = pair(Role::Worker, Role::Router);
    let send = |message, fds: &[_]| worker.send(StreamId::NONE, &message, fds);
    assert!(matches!(send(Message::Quit, &[]), Err(SendError::Forbidden(_))));
    let (reader, writer) = std::io::pipe().unwrap();
    let error = send(Message::Taken, &[writer.as_fd()]).unwrap_err();
    assert_eq!(error.to_string(), "a taken message was to be sent with 1 descriptors, expected 0 to 0");
    let error =
        router.send(StreamId::NONE, &connection(Vec::new()), &[writer.as_fd(), reader.as_fd()]).unwrap_err();
    assert!(matches!(
        error,
        SendError::Descriptors { kind: MessageKind::Connection, found: 2, least: 1, most: 1 }
    ));
    let long = Message::Refused { reason: "x".repeat(impresario_wire::MAX_MESSAGE) };
    assert!(matches!(send(long, &[]), Err(SendError::Encode(_))));
    assert_eq!((worker.queued(), worker.is_closed()), (0, false));
}

#[test]
fn a_new_actor_continues_after_a_panic_of_the_last() {
    run(async {
        let (prototype, main) = pair(Role::Prototype, Role::Main);
        for process in 0..3 {
            prototype.send(StreamId::NONE, &Message::RemovePort { process }, &[]).unwrap();
        }
        let (first, mut events) = serve_with(&main, |event| {
            if matches!(event, PortEvent::Message(incoming) if incoming.message == Message::RemovePort { process: 1 })
            {
                panic!("the test's handler panics");
            }
        });
        assert_eq!(message(&mut events).await.message, Message::RemovePort { process: 0 });
        assert!(soon(events.recv()).await.is_none(), "the actor has exited and dropped its handler");
        assert!(!first.connected());
        let mut events = serve(&main);
        assert_eq!(message(&mut events).await.message, Message::RemovePort { process: 2 });
        main.send(StreamId::NONE, &Message::Quit, &[]).unwrap();
        let mut at_prototype = serve(&prototype);
        assert_eq!(message(&mut at_prototype).await.message, Message::Quit);
        prototype.close();
        assert!(closed(&mut events).await.is_orderly());
    });
}

#[test]
fn a_supervisor_restarts_the_actor_after_a_panic() {
    run(async {
        let (prototype, main) = pair(Role::Prototype, Role::Main);
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let port = main.child_spec("port", move |event| match event {
            PortEvent::Message(incoming) if incoming.message == Message::Ready => {
                panic!("the test's handler panics")
            }
            event => sender.send(event).unwrap(),
        });
        let tree = Supervisor::new(Strategy::OneForOne).logger(log()).child(port).start().await.unwrap();
        for answer in
            [&Message::RemovePort { process: 1 }, &Message::Ready, &Message::RemovePort { process: 2 }]
        {
            prototype.send(StreamId::NONE, answer, &[]).unwrap();
        }
        assert_eq!(message(&mut events).await.message, Message::RemovePort { process: 1 });
        assert_eq!(message(&mut events).await.message, Message::RemovePort { process: 2 });
        drop(prototype);
        assert!(matches!(soon(events.recv()).await, Some(PortEvent::Closed(CloseReason::Eof))));
        tree.stop();
        assert_eq!(soon(tree.stopped()).await, ExitReason::Shutdown);
        drop(tree);
        assert!(soon(events.recv()).await.is_none(), "closed is delivered once");
    });
}
