//! How a port ends: once, with the reason, whatever the other end does.

mod support;

use std::io::IoSlice;

use impresario_port::{CloseReason, SendError};
use impresario_sys::SeqPacket;
use impresario_wire::{
    DecodeError, Encoder, Message, MessageKind, PortPolicy, PortPolicyError, Role, StreamId,
};
use support::{closed, link, message, pair, raw_pair, run, serve, serve_with, soon};

/// One message as one datagram from the process with the id `source`.
fn datagram(source: u32, message: &Message) -> Vec<u8> {
    let frames = Encoder::new(source).encode(StreamId::NONE, message).unwrap();
    frames.current().unwrap().to_vec()
}

fn send(socket: &SeqPacket, bytes: &[u8]) {
    socket.send(&[IoSlice::new(bytes)], &[]).unwrap();
}

fn at_end(socket: &SeqPacket) -> bool {
    socket.recv(&mut [0; 64]).is_ok_and(|received| received.is_eof())
}

/// What a port of a prototype to one of its workers makes of `bytes`, sent after one honest message.
async fn reason_for(link: PortPolicy, bytes: &[u8]) -> CloseReason {
    let (handle, peer) = raw_pair(link);
    let mut events = serve(&handle);
    send(&peer, &datagram(std::process::id(), &Message::Ready));
    send(&peer, bytes);
    send(&peer, &datagram(std::process::id(), &Message::Ready));
    assert_eq!(message(&mut events).await.message, Message::Ready);
    let reason = closed(&mut events).await;
    assert!(!reason.is_orderly());
    assert!(handle.is_closed());
    assert!(matches!(handle.send(StreamId::NONE, &Message::Quit, &[]), Err(SendError::Closed)));
    assert!(at_end(&peer), "the descriptor is closed although a handle is left");
    reason
}

fn own_worker() -> PortPolicy {
    link(Role::Prototype, Role::Worker).with_peer_pid(std::process::id())
}

#[test]
fn malformed_input_closes() {
    run(async {
        let malformed = async |bytes: &[u8]| match reason_for(own_worker(), bytes).await {
            CloseReason::Malformed(error) => error,
            other => panic!("{other}"),
        };
        assert_eq!(malformed(b"").await, DecodeError::TooShort { length: 0 });
        assert_eq!(malformed(b"GET / HTTP/1.1\r\n\r\n").await, DecodeError::TooShort { length: 18 });
        assert_eq!(malformed(&[b'x'; 100]).await, DecodeError::Version { found: b'x' });
        let mut unknown = datagram(std::process::id(), &Message::Ready);
        unknown[1] = 200;
        assert_eq!(malformed(&unknown).await, DecodeError::Kind { found: 200 });
        let mut longer = datagram(std::process::id(), &Message::failed("no"));
        longer.push(0);
        assert!(matches!(malformed(&longer).await, DecodeError::Length { .. }));
        longer[16] += 1;
        assert!(matches!(malformed(&longer).await, DecodeError::Body { .. }));
    });
}

#[test]
fn a_datagram_over_the_limit_closes() {
    run(async {
        let reason = reason_for(own_worker(), &vec![1; impresario_wire::MAX_FRAME + 1]).await;
        assert!(matches!(&reason, CloseReason::Io(error) if error.kind() == std::io::ErrorKind::InvalidData));
    });
}

#[test]
fn the_wrong_sender_or_the_wrong_word_closes() {
    run(async {
        let refused = async |link, bytes: &[u8]| match reason_for(link, bytes).await {
            CloseReason::Refused(error) => error,
            other => panic!("{other}"),
        };
        let own = std::process::id();
        assert_eq!(
            refused(own_worker(), &datagram(own, &Message::Quit)).await,
            PortPolicyError::Forbidden { from: Role::Worker, to: Role::Prototype, kind: MessageKind::Quit }
        );
        assert_eq!(
            refused(own_worker(), &datagram(own + 1, &Message::Ready)).await,
            PortPolicyError::SenderMismatch { sender: own, claimed: own + 1 }
        );
        // Not the process that this port belongs to, so not even the honest message gets through.
        let (handle, peer) = raw_pair(link(Role::Prototype, Role::Worker).with_peer_pid(own + 1));
        let mut events = serve(&handle);
        send(&peer, &datagram(own, &Message::Ready));
        let reason = closed(&mut events).await;
        let CloseReason::Refused(PortPolicyError::WrongPeer { sender, expected }) = reason else {
            panic!("{reason}")
        };
        assert_eq!((sender, expected), (own, own + 1));
    });
}

#[test]
fn what_was_sent_before_the_end_comes_before_the_end() {
    run(async {
        let (prototype, main) = pair(Role::Prototype, Role::Main);
        for process in 0..100 {
            prototype.send(StreamId::NONE, &Message::RemovePort { process }, &[]).unwrap();
        }
        // Unread by the other end when it goes: the kernel tells us of that as an error, too.
        main.send(StreamId::NONE, &Message::Quit, &[]).unwrap();
        drop(prototype);
        // Nothing goes out any more, but what came in is there.
        assert!(matches!(main.send(StreamId::NONE, &Message::Quit, &[]), Err(SendError::Closed)));
        assert!(main.is_closed());
        let mut events = serve(&main);
        for process in 0..100 {
            assert_eq!(message(&mut events).await.message, Message::RemovePort { process });
        }
        assert!(matches!(closed(&mut events).await, CloseReason::Eof));
    });
}

#[test]
fn the_end_is_told_to_one_life_of_the_actor() {
    run(async {
        let (prototype, main) = pair(Role::Prototype, Role::Main);
        drop(prototype);
        let mut events = serve(&main);
        assert!(matches!(closed(&mut events).await, CloseReason::Eof));
        let (again, mut events) = serve_with(&main, |_| {});
        assert!(soon(events.recv()).await.is_none());
        assert!(!again.connected());
    });
}

#[test]
fn closing_here_is_told_and_seen_by_the_peer() {
    run(async {
        let (handle, peer) = raw_pair(own_worker());
        let mut events = serve(&handle);
        handle.close();
        handle.close();
        assert!(matches!(closed(&mut events).await, CloseReason::Local));
        assert!(at_end(&peer));
    });
}

#[test]
fn a_handler_may_close_its_port() {
    run(async {
        let (handle, peer) = raw_pair(own_worker());
        send(&peer, &datagram(std::process::id(), &Message::Ready));
        send(&peer, &datagram(std::process::id(), &Message::Ready));
        let closer = handle.clone();
        let (_, mut events) = serve_with(&handle, move |_| closer.close());
        assert_eq!(message(&mut events).await.message, Message::Ready);
        assert!(matches!(closed(&mut events).await, CloseReason::Local));
    });
}

#[test]
fn a_port_closed_before_its_actor_started_tells_it() {
    run(async {
        let (handle, _peer) = raw_pair(own_worker());
        handle.close();
        assert!(matches!(closed(&mut serve(&handle)).await, CloseReason::Local));
    });
}

#[test]
fn a_handle_is_for_every_thread() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<impresario_port::PortHandle>();
}
