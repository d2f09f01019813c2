//! Shared by the tests: samples of all messages, and helpers that encode, decode and forge frames.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::time::Duration;

use impresario_wire::{
    Address, DecodeError, DecodedMessage, Decoder, Encoder, HEADER_LEN, Message, PARTIAL_TIMEOUT, StreamId,
};

pub(crate) const SOURCE: u32 = 4711;
pub(crate) const NOW: Duration = Duration::from_secs(1);

pub(crate) fn tcp(address: &str) -> Address {
    address.parse::<SocketAddr>().unwrap().into()
}

/// At least one message of each kind.
pub(crate) fn samples() -> Vec<Message> {
    vec![
        Message::Ready,
        Message::failed("cannot bind 127.0.0.1:80"),
        Message::Quit,
        Message::NewPort { process: 1234, app: "shop".into(), slot: 3 },
        Message::RemovePort { process: u32::MAX },
        connection(b"PROXY TCP4".to_vec()),
        Message::Connection {
            peer: Address::Unix(Vec::new()),
            local: Address::Unix(b"/run/shop\xff.sock".to_vec()),
            read_ahead: Vec::new(),
        },
        Message::Taken,
        Message::refused("draining"),
        Message::Released,
    ]
}

pub(crate) fn connection(read_ahead: Vec<u8>) -> Message {
    Message::Connection { peer: tcp("[fe80::1%3]:4000"), local: tcp("192.0.2.7:8080"), read_ahead }
}

/// The frames of a message as datagrams.
pub(crate) fn datagrams(stream: StreamId, message: &Message) -> Vec<Vec<u8>> {
    let mut frames = Encoder::new(SOURCE).encode(stream, message).unwrap();
    let mut datagrams = Vec::new();
    while let Some(frame) = frames.current() {
        assert_eq!(frames.is_first(), datagrams.is_empty());
        datagrams.push(frame.to_vec());
        frames.advance();
    }
    assert!(!frames.is_first());
    datagrams
}

/// The minimum number of descriptors of the message. Plain numbers stand for descriptors.
pub(crate) fn descriptors(message: &Message) -> Vec<u32> {
    (0..u32::try_from(*message.descriptors().start()).unwrap()).collect()
}

/// A decoder with the default timeout.
pub(crate) fn decoder() -> Decoder<u32> {
    Decoder::new(PARTIAL_TIMEOUT)
}

/// Decodes the frames of one message. Only the last one may return it.
pub(crate) fn feed(
    decoder: &mut Decoder<u32>,
    datagrams: &[Vec<u8>],
    mut descriptors: Vec<u32>,
) -> Result<DecodedMessage<u32>, DecodeError> {
    let (last, first) = datagrams.split_last().unwrap();
    for datagram in first {
        assert!(decoder.handle(NOW, datagram, std::mem::take(&mut descriptors))?.is_none());
    }
    Ok(decoder.handle(NOW, last, descriptors)?.unwrap())
}

/// A frame with this header and body, and the right length.
pub(crate) fn raw(kind: u8, flags: u8, stream: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![impresario_wire::VERSION, kind, flags, 0];
    bytes.extend(SOURCE.to_le_bytes());
    bytes.extend(stream.to_le_bytes());
    bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    assert_eq!(bytes.len(), HEADER_LEN);
    bytes.extend(body);
    bytes
}

pub(crate) const WHOLE: u8 = 0;
pub(crate) const FIRST: u8 = 1;
pub(crate) const LAST: u8 = 2;
pub(crate) const MIDDLE: u8 = 3;
