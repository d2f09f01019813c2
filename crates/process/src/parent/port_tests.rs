use std::io::{IoSlice, Read, pipe};
use std::time::Duration;

use impresario_wire::{MAX_FRAME, Role};
use rustix::io::Errno;

use super::*;
use crate::frame_socket::testing::{FailingSocket, NO_BUFFERS};

const NOW: Time = Time::START;

/// Main's end of a port to a router, and the router's socket.
fn main_and_router() -> (Port, Port) {
    let (main, router) = SeqPacket::pair().unwrap();
    let this = std::process::id();
    let policy = |own, peer| PortPolicy::new(own, peer).unwrap().with_peer_pid(this);
    (Port::new(main, policy(Role::Main, Role::Router)), Port::new(router, policy(Role::Router, Role::Main)))
}

/// Main's end of a port to a router, of which sends fail, and the router's socket.
fn failing_main_and_router() -> (Port<FailingSocket>, SeqPacket) {
    let (main, router) = SeqPacket::pair().unwrap();
    (Port::new(FailingSocket::new(main), PortPolicy::new(Role::Main, Role::Router).unwrap()), router)
}

fn after(delay: Duration) -> Time {
    NOW + delay
}

fn recv(port: &mut Port) -> Result<Incoming, PortError> {
    port.recv(NOW, &mut vec![0; MAX_FRAME])
}

fn new_port(process: u32) -> Message {
    Message::NewPort { process, app: "shop".into(), slot: 0 }
}

#[test]
fn a_message_arrives_with_its_descriptors() {
    let (mut main, mut router) = main_and_router();
    let (mut reader, writer) = pipe().unwrap();
    let writer: Rc<dyn AsFd> = Rc::new(writer);
    main.send(NOW, &new_port(7), vec![Rc::clone(&writer), writer]).unwrap();
    let Ok(Incoming::Message(message, fds)) = recv(&mut router) else { panic!() };
    assert_eq!((message, fds.len()), (new_port(7), 2));
    // The sender has closed its copies, so the pipe ends when the received ones are closed.
    drop(fds);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    assert!(matches!(recv(&mut router), Ok(Incoming::Empty)));
    drop(main);
    assert!(matches!(recv(&mut router), Ok(Incoming::End)));
}

#[test]
fn messages_that_would_block_are_queued_in_order() {
    let (mut main, mut router) = main_and_router();
    let mut sent = 0;
    while main.queue.is_empty() {
        main.send(NOW, &Message::RemovePort { process: sent }, Vec::new()).unwrap();
        sent += 1;
    }
    assert_eq!(main.write_interest(), Some(true));
    assert_eq!(main.write_interest(), None, "reported once");
    for expected in 0..sent {
        let Ok(Incoming::Message(Message::RemovePort { process }, _)) = recv(&mut router) else { panic!() };
        assert_eq!(process, expected);
        main.flush(NOW).unwrap();
    }
    assert_eq!(main.write_interest(), Some(false));
}

#[test]
fn a_peer_that_does_not_read_overflows_the_queue() {
    let (mut main, _router) = main_and_router();
    let error = loop {
        if let Err(error) = main.send(NOW, &Message::RemovePort { process: 7 }, Vec::new()) {
            break error;
        }
    };
    assert!(matches!(error, PortError::Overflow), "{error}");
    assert_eq!(main.queue.len(), MAX_OUTBOUND);
}

#[test]
fn the_queue_takes_all_workers_and_their_replacements() {
    let (mut main, _router) = failing_main_and_router();
    // The socket takes nothing, as if its buffer were full.
    main.socket.fail([Errno::AGAIN; MAX_OUTBOUND + 1]);
    let workers = 0..MAX_WORKERS as u32;
    let announced = workers.clone().map(new_port);
    let replaced = workers.flat_map(|process| [Message::RemovePort { process }, new_port(process)]);
    for message in announced.chain(replaced).chain([Message::Quit]) {
        main.send(NOW, &message, Vec::new()).unwrap();
    }
    assert!(matches!(main.send(NOW, &new_port(7), Vec::new()), Err(PortError::Overflow)));
}

#[test]
fn a_send_without_kernel_buffers_is_retried_later() {
    for error in NO_BUFFERS {
        let (mut main, router) = failing_main_and_router();
        let (mut reader, writer) = pipe().unwrap();
        main.socket.fail([error, error]);
        main.send(NOW, &new_port(7), vec![Rc::new(writer)]).unwrap();
        let retry_at = after(RETRY_DELAY);
        assert_eq!(main.poll_timeout(), Some(retry_at), "{error}");
        main.send(NOW, &Message::Quit, Vec::new()).unwrap();
        main.flush(after(RETRY_DELAY / 2)).unwrap();
        assert_eq!(main.socket.calls(), 1, "{error}: no call before the deadline");

        main.timeout(retry_at).unwrap();
        assert_eq!(main.poll_timeout(), Some(retry_at + RETRY_DELAY), "{error}: the second failure");
        main.timeout(retry_at + RETRY_DELAY).unwrap();
        assert_eq!((main.queue.len(), main.poll_timeout()), (0, None), "{error}");
        let mut buffer = vec![0; MAX_FRAME];
        let counts = [(); 2].map(|()| router.recv(&mut buffer).unwrap().fds.len());
        assert_eq!(counts, [1, 0], "{error}: each message arrives once, the descriptor with its own");
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "{error}: the queue has dropped the descriptor");
    }
}

#[test]
fn epoll_is_not_asked_for_writability_before_a_retry() {
    let (mut main, _router) = failing_main_and_router();
    main.socket.fail([Errno::NOBUFS]);
    main.send(NOW, &Message::Quit, Vec::new()).unwrap();
    assert_eq!(main.write_interest(), None);
    // A full socket is reported by epoll.
    main.socket.fail([Errno::AGAIN, Errno::NOBUFS]);
    main.timeout(after(RETRY_DELAY)).unwrap();
    assert_eq!((main.write_interest(), main.poll_timeout()), (Some(true), None));
    main.flush(after(RETRY_DELAY)).unwrap();
    assert_eq!(main.write_interest(), Some(false));
    main.timeout(after(2 * RETRY_DELAY)).unwrap();
    assert!(main.queue.is_empty() && main.write_interest().is_none());
}

#[test]
fn interrupted_sends_are_repeated_and_others_are_errors() {
    let (mut main, _router) = failing_main_and_router();
    main.socket.fail([Errno::INTR, Errno::INTR]);
    main.send(NOW, &Message::Quit, Vec::new()).unwrap();
    assert!(main.queue.is_empty());
    for (error, is_closed) in [(Errno::PIPE, true), (Errno::CONNRESET, true), (Errno::BADF, false)] {
        main.socket.fail([error]);
        let failed = main.send(NOW, &Message::Quit, Vec::new()).unwrap_err();
        assert_eq!(failed.is_closed(), is_closed, "{failed}");
    }
}

#[test]
fn a_closed_peer_with_unread_messages_is_end_of_file() {
    let (mut main, router) = main_and_router();
    main.send(NOW, &Message::Quit, Vec::new()).unwrap();
    drop(router);
    assert!(matches!(recv(&mut main), Ok(Incoming::End)));
}

#[test]
fn a_forbidden_or_forged_or_malformed_frame_is_an_error() {
    let (mut main, mut router) = main_and_router();
    assert!(
        matches!(router.send(NOW, &Message::Quit, Vec::new()), Err(PortError::Policy(_))),
        "a router may not send quit"
    );
    let forged = Encoder::new(1).encode(StreamId::NONE, &Message::Ready).unwrap();
    let forged = forged.current().unwrap().to_vec();
    for (bytes, is_expected) in [
        (&forged[..], (|error| matches!(error, PortError::Policy(_))) as fn(&PortError) -> bool),
        (b"", |error| matches!(error, PortError::Decode(_))),
        (&[0xff; 64], |error| matches!(error, PortError::Decode(_))),
    ] {
        router.socket.send(&[IoSlice::new(bytes)], &[]).unwrap();
        let error = recv(&mut main).unwrap_err();
        assert!(is_expected(&error), "{error}");
    }
}
