//! Messages of several frames: joined per stream, bounded in number, size and time.

mod support;

use std::time::Duration;

use impresario_wire::{
    DecodeError, Decoder, Expired, MAX_BODY, MAX_MESSAGE, MAX_PARTIAL_MESSAGES, Message, MessageKind,
    StreamId,
};
use support::{FIRST, LAST, MIDDLE, NOW, SOURCE, WHOLE, connection, datagrams, decoder, raw};

const FAILED: u8 = MessageKind::Failed as u8;
const REFUSED: u8 = MessageKind::Refused as u8;

#[test]
fn frames_of_two_streams_may_interleave() {
    let (one, two) = (connection(vec![1; 3 * MAX_BODY]), connection(vec![2; 3 * MAX_BODY]));
    let frames_of = |stream, message| datagrams(StreamId::from_number(stream), message);
    let mut decoder = decoder();
    let mut whole = Vec::new();
    for (index, pair) in frames_of(1, &one).iter().zip(&frames_of(2, &two)).enumerate() {
        for (datagram, descriptor) in [(pair.0, 10), (pair.1, 20)] {
            let descriptors = if index == 0 { vec![descriptor] } else { Vec::new() };
            whole.extend(decoder.handle(NOW, datagram, descriptors).unwrap());
        }
        // A message of a third stream in between completes at once.
        let third = raw(MessageKind::RemovePort as u8, WHOLE, 3, &[5]);
        let complete = decoder.handle(NOW, &third, Vec::new()).unwrap().unwrap();
        assert_eq!(complete.message, Message::RemovePort { process: 5 });
    }
    let [first, second] = &whole[..] else { panic!("{} messages", whole.len()) };
    assert_eq!((&first.message, &first.descriptors[..]), (&one, &[10][..]));
    assert_eq!((&second.message, &second.descriptors[..]), (&two, &[20][..]));
    assert_eq!(decoder.poll_timeout(), None);
}

#[test]
fn two_senders_on_one_stream_are_joined_separately() {
    // A router and its successor send over the same port.
    let mut old = raw(FAILED, FIRST, 1, b"\x03o");
    old[4] ^= 1;
    let mut decoder = decoder();
    assert_eq!(decoder.handle(NOW, &old, Vec::new()), Ok(None));
    assert_eq!(decoder.handle(NOW, &raw(FAILED, FIRST, 1, b"\x03n"), Vec::new()), Ok(None));
    let received = decoder.handle(NOW, &raw(FAILED, LAST, 1, b"ew"), Vec::new()).unwrap().unwrap();
    assert_eq!((received.source, received.message), (SOURCE, Message::Failed { reason: "new".into() }));
}

/// The error of a second datagram, after the first fragment of a `failed` message on stream 1.
fn error_after_first(datagram: &[u8], descriptors: Vec<u32>) -> DecodeError {
    let mut decoder = decoder();
    assert_eq!(decoder.handle(NOW, &raw(FAILED, FIRST, 1, b"\x02"), Vec::new()), Ok(None));
    decoder.handle(NOW, datagram, descriptors).unwrap_err()
}

#[test]
fn fragments_out_of_order_are_errors() {
    assert_eq!(
        decoder().handle(NOW, &raw(FAILED, LAST, 8, b"x"), Vec::new()),
        Err(DecodeError::NoStart { stream: 8 })
    );
    assert_eq!(error_after_first(&raw(FAILED, MIDDLE, 2, b"x"), vec![]), DecodeError::NoStart { stream: 2 });
    assert_eq!(error_after_first(&raw(FAILED, FIRST, 1, b"x"), vec![]), DecodeError::Overlap { stream: 1 });
    assert_eq!(
        error_after_first(&raw(FAILED, WHOLE, 1, b"\x01x"), vec![]),
        DecodeError::Overlap { stream: 1 }
    );
    assert_eq!(
        error_after_first(&raw(REFUSED, LAST, 1, b"x"), vec![]),
        DecodeError::KindChanged { stream: 1, kind: MessageKind::Failed, found: MessageKind::Refused }
    );
    assert_eq!(
        error_after_first(&raw(FAILED, MIDDLE, 1, b""), vec![]),
        DecodeError::EmptyFragment { stream: 1 }
    );
    assert_eq!(
        error_after_first(&raw(FAILED, LAST, 1, b"ok"), vec![7]),
        DecodeError::Descriptors { kind: MessageKind::Failed, found: 1, least: 0, most: 0 }
    );
}

#[test]
fn an_empty_first_fragment_is_an_error() {
    assert_eq!(
        decoder().handle(NOW, &raw(FAILED, FIRST, 1, b""), Vec::new()),
        Err(DecodeError::EmptyFragment { stream: 1 })
    );
}

#[test]
fn fragments_beyond_max_message_are_too_large() {
    let mut decoder = decoder();
    let body = vec![0; MAX_BODY];
    assert_eq!(decoder.handle(NOW, &raw(FAILED, FIRST, 1, &body), Vec::new()), Ok(None));
    let mut joined = body.len();
    while joined + body.len() <= MAX_MESSAGE {
        assert_eq!(decoder.handle(NOW, &raw(FAILED, MIDDLE, 1, &body), Vec::new()), Ok(None));
        joined += body.len();
    }
    assert_eq!(
        decoder.handle(NOW, &raw(FAILED, MIDDLE, 1, &body), Vec::new()),
        Err(DecodeError::TooLarge { stream: 1, kind: MessageKind::Failed })
    );
    assert_eq!(decoder.poll_timeout(), None, "the message is discarded");
}

#[test]
fn a_17th_incomplete_message_is_too_many() {
    let mut decoder = decoder();
    let first = |stream| raw(FAILED, FIRST, stream, b"\x02o");
    for stream in 0..MAX_PARTIAL_MESSAGES as u64 {
        assert_eq!(decoder.handle(NOW, &first(stream), Vec::new()), Ok(None));
    }
    assert_eq!(decoder.handle(NOW, &first(99), Vec::new()), Err(DecodeError::TooManyPartial));
    // A completed message frees capacity.
    assert!(decoder.handle(NOW, &raw(FAILED, LAST, 0, b"k"), Vec::new()).unwrap().is_some());
    assert_eq!(decoder.handle(NOW, &first(99), Vec::new()), Ok(None));
}

#[test]
fn an_incomplete_message_expires_with_its_descriptors() {
    let second = Duration::from_secs(1);
    let descriptor = std::rc::Rc::new(());
    let mut decoder = Decoder::new(10 * second);
    let first = |stream, kind: MessageKind| raw(kind as u8, FIRST, stream, b"\x02");
    assert_eq!(decoder.poll_timeout(), None);
    let with_descriptor = vec![std::rc::Rc::clone(&descriptor)];
    assert_eq!(decoder.handle(second, &first(1, MessageKind::Connection), with_descriptor), Ok(None));
    assert_eq!(decoder.handle(3 * second, &first(2, MessageKind::Failed), Vec::new()), Ok(None));
    // More fragments do not extend the deadline.
    assert_eq!(decoder.handle(4 * second, &raw(FAILED, MIDDLE, 2, b"o"), Vec::new()), Ok(None));
    assert_eq!(decoder.poll_timeout(), Some(11 * second));
    assert_eq!(decoder.expire(10 * second), None);
    let stream = StreamId::from_number;
    assert_eq!(
        decoder.expire(11 * second),
        Some(Expired { source: SOURCE, stream: stream(1), kind: MessageKind::Connection })
    );
    assert_eq!(std::rc::Rc::strong_count(&descriptor), 1);
    assert_eq!(decoder.expire(11 * second), None);
    assert_eq!(decoder.poll_timeout(), Some(13 * second));
    // The deadline holds without a call of expire() too.
    assert_eq!(
        decoder.handle(13 * second, &raw(FAILED, LAST, 2, b"k"), Vec::new()),
        Err(DecodeError::FragmentTimeout { stream: 2, kind: MessageKind::Failed })
    );
    assert_eq!(decoder.poll_timeout(), None);
}
