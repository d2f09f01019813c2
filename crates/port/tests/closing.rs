//! Closing of a port: the event comes once, with its reason.

mod support;

use std::io::IoSlice;

use impresario_port::{CloseReason, SendError};
use impresario_sys::SeqPacket;
use impresario_wire::{
    DecodeError, Encoder, Message, MessageKind, PortPolicy, PortPolicyError, Role, StreamId,
};
use support::{closed, message, pair, policy, raw_pair, run, serve, serve_with, soon};

/// A message as a datagram with `source` as the pid in its header.
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

/// The close reason of a prototype's port to a worker, when `bytes` arrive after a valid message.
async fn reason_for(policy: PortPolicy, bytes: &[u8]) -> CloseReason {
    let (handle, peer) = raw_pair(policy);
    let mut events = serve(&handle);
    send(&peer, &datagram(std::process::id(), &Message::Ready));
    send(&peer, bytes);
    send(&peer, &datagram(std::process::id(), &Message::Ready));
    assert_eq!(message(&mut events).await.message, Message::Ready);
    let reason = closed(&mut events).await;
    assert!(!reason.is_orderly());
    assert!(handle.is_closed());
    assert!(matches!(handle.send(StreamId::NONE, &Message::Quit, &[]), Err(SendError::Closed)));
    assert!(at_end(&peer), "the descriptor is closed although a handle exists");
    reason
}

fn own_worker() -> PortPolicy {
    policy(Role::Prototype, Role::Worker).with_peer_pid(std::process::id())
}

#[test]
fn malformed_input_closes_the_port() {
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
fn a_datagram_over_max_frame_closes_the_port() {
    run(async {
        let reason = reason_for(own_worker(), &vec![1; impresario_wire::MAX_FRAME + 1]).await;
        assert!(matches!(&reason, CloseReason::Io(error) if error.kind() == std::io::ErrorKind::InvalidData));
    });
}

#[test]
fn a_wrong_sender_or_kind_closes_the_port() {
    run(async {
        let refused = async |policy, bytes: &[u8]| match reason_for(policy, bytes).await {
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
        // With another peer pid in the policy even the valid message is refused.
        let (handle, peer) = raw_pair(policy(Role::Prototype, Role::Worker).with_peer_pid(own + 1));
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
fn messages_sent_before_close_arrive_before_eof() {
    run(async {
        let (prototype, main) = pair(Role::Prototype, Role::Main);
        for process in 0..100 {
            prototype.send(StreamId::NONE, &Message::RemovePort { process }, &[]).unwrap();
        }
        // Unread by the other end when it closes, so the kernel also reports ECONNRESET.
        main.send(StreamId::NONE, &Message::Quit, &[]).unwrap();
        drop(prototype);
        // Nothing can be sent, but the received messages are delivered.
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
fn a_second_actor_gets_no_closed_event() {
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
fn close_delivers_local_here_and_eof_to_the_peer() {
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
fn an_actor_of_a_closed_port_delivers_local() {
    run(async {
        let (handle, _peer) = raw_pair(own_worker());
        handle.close();
        assert!(matches!(closed(&mut serve(&handle)).await, CloseReason::Local));
    });
}

#[test]
fn a_handle_is_send_sync_and_clone() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<impresario_port::PortHandle>();
}
