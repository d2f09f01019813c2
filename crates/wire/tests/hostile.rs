//! Bytes that no correct peer sends: each is a typed error, without a panic or an allocation by a claimed length.

mod support;

use impresario_wire::{
    CodecError, DecodeError, HEADER_LEN, MAX_FRAME, Message, MessageKind, StreamId, VERSION,
};
use support::{NOW, WHOLE, datagrams, decoder, raw, samples};

fn error_of(datagram: &[u8]) -> DecodeError {
    let count = MessageKind::try_from(datagram.get(1).copied().unwrap_or(0))
        .map_or(0, |kind| *kind.descriptors().start());
    decoder().handle(NOW, datagram, vec![0; count]).unwrap_err()
}

fn body_error_of(kind: MessageKind, body: &[u8]) -> CodecError {
    match error_of(&raw(kind.number(), WHOLE, 1, body)) {
        DecodeError::Body { kind: found, error } if found == kind => error,
        other => panic!("{kind}: {other}"),
    }
}

#[test]
fn a_truncated_datagram_is_an_error() {
    for message in samples() {
        let datagram = datagrams(StreamId::NONE, &message).remove(0);
        for length in 0..datagram.len() {
            let expected = if length < HEADER_LEN {
                DecodeError::TooShort { length }
            } else {
                let claimed = (datagram.len() - HEADER_LEN) as u32;
                DecodeError::Length { claimed, found: length - HEADER_LEN }
            };
            assert_eq!(error_of(&datagram[..length]), expected, "{message:?} cut to {length}");
        }
    }
}

#[test]
fn a_truncated_body_with_a_right_header_is_an_error() {
    for message in samples() {
        let datagram = datagrams(StreamId::NONE, &message).remove(0);
        for length in HEADER_LEN..datagram.len() {
            let error = body_error_of(message.kind(), &datagram[HEADER_LEN..length]);
            assert_eq!(error, CodecError::Truncated, "{message:?} cut to {length}");
        }
    }
}

#[test]
fn bytes_after_the_value_are_an_error() {
    for message in samples() {
        let mut body = datagrams(StreamId::NONE, &message).remove(0).split_off(HEADER_LEN);
        body.extend([0, 0, 0]);
        assert_eq!(body_error_of(message.kind(), &body), CodecError::Trailing { extra: 3 }, "{message:?}");
    }
}

#[test]
fn a_claimed_length_of_a_terabyte_hits_the_limit() {
    // 253 is bincode's marker of a 64-bit integer.
    let terabyte = [&[253][..], &(1_u64 << 40).to_le_bytes()].concat();
    for kind in [MessageKind::Failed, MessageKind::Refused] {
        assert!(matches!(body_error_of(kind, &terabyte), CodecError::Limit { .. }));
    }
    let app = [&[1][..], &terabyte].concat();
    assert!(matches!(body_error_of(MessageKind::NewPort, &app), CodecError::Limit { .. }));
    let addresses = b"\x00\xc0\x00\x02\x01\x50\x00\xc0\x00\x02\x02\x51";
    let read_ahead = [&addresses[..], &terabyte].concat();
    assert!(matches!(body_error_of(MessageKind::Connection, &read_ahead), CodecError::Limit { .. }));
    let unix = [&[2][..], &terabyte].concat();
    assert!(matches!(body_error_of(MessageKind::Connection, &unix), CodecError::Limit { .. }));
    let greatest = [&[253][..], &u64::MAX.to_le_bytes()].concat();
    assert!(matches!(body_error_of(MessageKind::Failed, &greatest), CodecError::Limit { .. }));
}

#[test]
fn a_claimed_length_beyond_the_body_is_truncated() {
    let two_megabytes = [&[252][..], &(2_u32 << 20).to_le_bytes()].concat();
    assert_eq!(body_error_of(MessageKind::Failed, &two_megabytes), CodecError::Truncated);
}

#[test]
fn a_body_of_another_type_is_malformed() {
    assert!(
        matches!(body_error_of(MessageKind::Failed, &[2, 0xff, 0xfe]), CodecError::Malformed(_)),
        "not utf-8"
    );
    assert!(
        matches!(body_error_of(MessageKind::Connection, &[9, 0, 0, 0]), CodecError::Malformed(_)),
        "no such address"
    );
    assert!(
        matches!(body_error_of(MessageKind::RemovePort, &[253; 9]), CodecError::Malformed(_)),
        "no 32-bit number"
    );
}

#[test]
fn each_wrong_header_field_is_its_own_error() {
    let ready = raw(MessageKind::Ready.number(), WHOLE, 0, &[]);
    let with = |offset: usize, value| {
        let mut datagram = ready.clone();
        datagram[offset] = value;
        error_of(&datagram)
    };
    for found in (0..=u8::MAX).filter(|version| *version != VERSION) {
        assert_eq!(with(0, found), DecodeError::Version { found });
    }
    for found in (0..=u8::MAX).filter(|number| MessageKind::ALL.iter().all(|kind| kind.number() != *number)) {
        assert_eq!(with(1, found), DecodeError::Kind { found });
    }
    for flags in 4..=u8::MAX {
        assert_eq!(with(2, flags), DecodeError::Flags { found: flags.into() });
    }
    assert_eq!(with(3, 1), DecodeError::Flags { found: 0x0100 });
    assert_eq!(with(16, 1), DecodeError::Length { claimed: 1, found: 0 });
    assert_eq!(with(19, 0xff), DecodeError::Length { claimed: 0xff00_0000, found: 0 });
}

#[test]
fn a_datagram_over_max_frame_is_too_long() {
    assert_eq!(error_of(&vec![0xaa; MAX_FRAME + 1]), DecodeError::TooLong { length: MAX_FRAME + 1 });
}

#[test]
fn a_wrong_number_of_descriptors_is_an_error() {
    for message in samples() {
        let datagram = datagrams(StreamId::NONE, &message).remove(0);
        for found in 0..4 {
            let result = decoder().handle(NOW, &datagram, vec![0; found]);
            if message.descriptors().contains(&found) {
                assert_eq!(result.unwrap().unwrap().descriptors.len(), found);
            } else {
                let (least, most) = message.descriptors().into_inner();
                let kind = message.kind();
                assert_eq!(result.unwrap_err(), DecodeError::Descriptors { kind, found, least, most });
            }
        }
    }
}

#[test]
fn an_error_drops_the_descriptors() {
    use std::rc::Rc;
    let descriptor = Rc::new(());
    let mut decoder = impresario_wire::Decoder::new(NOW);
    let datagram = datagrams(StreamId::NONE, &Message::Ready).remove(0);
    assert!(decoder.handle(NOW, &datagram, vec![Rc::clone(&descriptor)]).is_err());
    assert_eq!(Rc::strong_count(&descriptor), 1);
}

#[test]
fn error_texts_name_the_value_found() {
    let text = |error: DecodeError| error.to_string();
    assert_eq!(
        text(DecodeError::Version { found: 9 }),
        "wire version 9, expected 1: both processes must run the same build"
    );
    assert_eq!(
        text(DecodeError::Descriptors { kind: MessageKind::NewPort, found: 0, least: 1, most: 2 }),
        "a new-port frame carries 0 descriptors, expected 1 to 2"
    );
    assert_eq!(
        text(DecodeError::Body { kind: MessageKind::Failed, error: CodecError::Trailing { extra: 2 } }),
        "a failed message: 2 bytes follow the end of the body's value"
    );
}
