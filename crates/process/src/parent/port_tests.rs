use std::io::{IoSlice, Read, pipe};

use impresario_wire::{MAX_FRAME, Role};

use super::*;

const NOW: Time = Time::START;

/// Main's end of a port to a router, and the router's socket.
fn main_and_router() -> (Port, Port) {
    let (main, router) = SeqPacket::pair().unwrap();
    let this = std::process::id();
    let link = |own, peer| PortPolicy::new(own, peer).unwrap().with_peer_pid(this);
    (Port::new(main, link(Role::Main, Role::Router)), Port::new(router, link(Role::Router, Role::Main)))
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
    main.send(&new_port(7), vec![Rc::clone(&writer), writer]).unwrap();
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
        main.send(&Message::RemovePort { process: sent }, Vec::new()).unwrap();
        sent += 1;
    }
    assert_eq!(main.write_interest(), Some(true));
    assert_eq!(main.write_interest(), None, "reported once");
    for expected in 0..sent {
        let Ok(Incoming::Message(Message::RemovePort { process }, _)) = recv(&mut router) else { panic!() };
        assert_eq!(process, expected);
        main.flush().unwrap();
    }
    assert_eq!(main.write_interest(), Some(false));
}

#[test]
fn a_peer_that_does_not_read_overflows_the_queue() {
    let (mut main, _router) = main_and_router();
    let error = loop {
        if let Err(error) = main.send(&Message::RemovePort { process: 7 }, Vec::new()) {
            break error;
        }
    };
    assert!(matches!(error, PortError::Overflow), "{error}");
    assert_eq!(main.queue.len(), MAX_OUTBOUND);
}

#[test]
fn a_forbidden_or_forged_or_malformed_frame_is_an_error() {
    let (mut main, mut router) = main_and_router();
    assert!(
        matches!(router.send(&Message::Quit, Vec::new()), Err(PortError::Link(_))),
        "a router may not send quit"
    );
    let forged = Encoder::new(1).encode(StreamId::NONE, &Message::Ready).unwrap();
    let forged = forged.current().unwrap().to_vec();
    for (bytes, is_expected) in [
        (&forged[..], (|error| matches!(error, PortError::Link(_))) as fn(&PortError) -> bool),
        (b"", |error| matches!(error, PortError::Decode(_))),
        (&[0xff; 64], |error| matches!(error, PortError::Decode(_))),
    ] {
        router.socket.send(&[IoSlice::new(bytes)], &[]).unwrap();
        let error = recv(&mut main).unwrap_err();
        assert!(is_expected(&error), "{error}");
    }
}
