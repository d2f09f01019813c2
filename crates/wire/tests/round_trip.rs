//! Encoding and decoding: round trips, pinned bytes, lengths at the limits.

mod support;

use impresario_wire::{
    EncodeError, Encoder, MAX_BODY, MAX_FRAME, MAX_MESSAGE, MAX_REASON, Message, MessageKind, StreamId,
};
use support::{SOURCE, connection, datagrams, decoder, descriptors, feed, samples};

#[test]
fn each_sample_survives_the_round_trip() {
    for message in samples() {
        let stream = StreamId::new(2, 7);
        let received = feed(&mut decoder(), &datagrams(stream, &message), descriptors(&message)).unwrap();
        assert_eq!(received.source, SOURCE);
        assert_eq!(received.stream, stream);
        assert_eq!(received.descriptors, descriptors(&message));
        assert_eq!(received.message, message);
    }
}

#[test]
fn samples_cover_all_kinds() {
    for kind in MessageKind::ALL {
        assert!(samples().iter().any(|message| message.kind() == kind), "{kind}");
        assert_eq!(MessageKind::try_from(kind.number()), Ok(kind));
    }
}

#[test]
fn encoded_bytes_are_pinned() {
    // A change here needs a new VERSION: the peer may run an older build.
    let header =
        |kind, length| vec![1, kind, 0, 0, 0x67, 0x12, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, length, 0, 0, 0];
    let cases = [
        (Message::Ready, header(1, 0)),
        (Message::failed("no"), [header(2, 3), b"\x02no".to_vec()].concat()),
        (Message::Quit, header(3, 0)),
        (
            Message::NewPort { process: 300, app: "shop".into(), slot: 2 },
            [header(4, 9), b"\xfb\x2c\x01\x04shop\x02".to_vec()].concat(),
        ),
        (Message::RemovePort { process: 9 }, [header(5, 1), vec![9]].concat()),
        (
            Message::Connection {
                peer: support::tcp("192.0.2.1:80"),
                local: support::tcp("192.0.2.2:81"),
                read_ahead: b"GET".to_vec(),
            },
            [header(6, 16), b"\x00\xc0\x00\x02\x01\x50\x00\xc0\x00\x02\x02\x51\x03GET".to_vec()].concat(),
        ),
        (Message::Taken, header(7, 0)),
        (Message::refused(""), [header(8, 1), vec![0]].concat()),
        (Message::Released, header(9, 0)),
    ];
    for (message, bytes) in cases {
        assert_eq!(datagrams(StreamId::new(2, 7), &message), [bytes], "{message:?}");
    }
}

#[test]
fn frames_are_filled_up_to_max_frame() {
    let overhead = datagrams(StreamId::NONE, &connection(vec![0; 70_000]))[0].len() - 70_000;
    for (length, frames) in [
        (MAX_FRAME - overhead, 1),
        (MAX_FRAME - overhead + 1, 2),
        (2 * MAX_BODY, 3),
        (MAX_MESSAGE - overhead, 9),
    ] {
        let message = connection(vec![7; length]);
        let datagrams = datagrams(StreamId::new(1, 1), &message);
        assert_eq!(datagrams.len(), frames, "{length} bytes");
        assert!(datagrams.iter().all(|datagram| datagram.len() <= MAX_FRAME));
        let received = feed(&mut decoder(), &datagrams, vec![0]).unwrap();
        assert_eq!(received.message, message);
        assert_eq!(received.descriptors, [0]);
    }
}

#[test]
fn a_message_over_max_message_is_too_large() {
    let error = Encoder::new(SOURCE).encode(StreamId::NONE, &connection(vec![0; MAX_MESSAGE])).unwrap_err();
    assert!(
        matches!(error, EncodeError::TooLarge { kind: MessageKind::Connection, length } if length > MAX_MESSAGE)
    );
    assert!(error.to_string().contains("over the limit of 1048576"), "{error}");
}

#[test]
fn a_long_reason_is_truncated_between_characters() {
    for message in [Message::failed("ü".repeat(MAX_REASON)), Message::refused("ü".repeat(MAX_REASON))] {
        let (Message::Failed { reason } | Message::Refused { reason }) = &message else { unreachable!() };
        assert!(reason.len() <= MAX_REASON && reason.ends_with("ü ..."));
        assert_eq!(datagrams(StreamId::NONE, &message).len(), 1);
    }
    let fits = "x".repeat(MAX_REASON);
    assert_eq!(Message::failed(&fits), Message::Failed { reason: fits });
}

#[test]
fn a_stream_id_is_an_incarnation_and_a_sequence() {
    let stream = StreamId::new(3, u32::MAX);
    assert_eq!((stream.incarnation(), stream.sequence()), (3, u32::MAX));
    assert_eq!(StreamId::from_number(stream.number()), stream);
    assert_ne!(StreamId::new(0, 1), StreamId::new(1, 0));
    assert_eq!(stream.to_string(), "3.4294967295");
}
