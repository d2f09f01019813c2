//! Random input: decoding gives a message or an error, never a panic; a decoded message survives another round trip.

mod support;

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use impresario_wire::{Address, MAX_BODY, Message, MessageKind, StreamId};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use support::{NOW, datagrams, decoder, descriptors, feed, raw, samples};

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port).into()),
        (any::<std::net::Ipv6Addr>(), any::<u16>(), any::<u32>(), any::<u32>())
            .prop_map(|(ip, port, flow, scope)| Address::Ip(SocketAddrV6::new(ip, port, flow, scope).into())),
        vec(any::<u8>(), 0..108).prop_map(Address::Unix),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        Just(Message::Ready),
        any::<String>().prop_map(Message::failed),
        Just(Message::Quit),
        (any::<u32>(), any::<String>(), any::<u32>()).prop_map(|(process, app, slot)| Message::NewPort {
            process,
            app,
            slot
        }),
        any::<u32>().prop_map(|process| Message::RemovePort { process }),
        (address(), address(), vec(any::<u8>(), 0..300))
            .prop_map(|(peer, local, read_ahead)| { Message::Connection { peer, local, read_ahead } }),
        Just(Message::Taken),
        any::<String>().prop_map(Message::refused),
        Just(Message::Released),
    ]
}

proptest! {
    #[test]
    fn a_message_survives_the_round_trip(message in message(), stream in any::<u64>()) {
        let stream = StreamId::from_number(stream);
        let received = feed(&mut decoder(), &datagrams(stream, &message), descriptors(&message)).unwrap();
        prop_assert_eq!(received.stream, stream);
        prop_assert_eq!(received.message, message);
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..512), count in 0_usize..3) {
        let _ = decoder().handle(NOW, &bytes, vec![0; count]);
    }

    #[test]
    fn random_bodies_do_not_panic(kind in 0..MessageKind::ALL.len(), body in vec(any::<u8>(), 0..512)) {
        let kind = MessageKind::ALL[kind];
        let datagram = raw(kind.number(), support::WHOLE, 1, &body);
        if let Ok(received) = decoder().handle(NOW, &datagram, vec![0; *kind.descriptors().start()]) {
            let message = received.unwrap().message;
            // Varints have longer forms too, so the bytes may differ. The message may not.
            let again = feed(&mut decoder(), &datagrams(StreamId::NONE, &message), descriptors(&message)).unwrap();
            prop_assert_eq!(again.message, message);
        }
    }

    #[test]
    fn a_mutated_frame_does_not_panic(
        sample in 0..10_usize,
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<proptest::sample::Index>(),
    ) {
        let message = &samples()[sample];
        let mut datagram = datagrams(StreamId::new(1, 2), message).remove(0);
        for (offset, byte) in changes {
            let offset = offset.index(datagram.len());
            datagram[offset] = byte;
        }
        let _ = decoder().handle(NOW, &datagram, descriptors(message));
        let length = cut.index(datagram.len());
        prop_assert!(decoder().handle(NOW, &datagram[..length], descriptors(message)).is_err());
    }

    /// Up to 199 well-formed frames of 20 streams at random times: no panic, and no deadline stays in the past.
    #[test]
    fn random_fragment_sequences_do_not_panic(
        frames in vec((0..3_usize, 0..4_u8, 0..20_u64, 0..2000_usize, 0..9_u64, 0..2_usize), 1..200),
    ) {
        let mut decoder = decoder();
        let mut now = NOW;
        for (kind, flags, stream, length, seconds, count) in frames {
            let kind = [MessageKind::Failed, MessageKind::Ready, MessageKind::Connection][kind];
            now += Duration::from_secs(seconds);
            let _ = decoder.handle(now, &raw(kind.number(), flags, stream, &vec![1; length]), vec![0; count]);
            while decoder.expire(now).is_some() {}
            prop_assert!(decoder.poll_timeout().is_none_or(|next| next > now));
        }
    }

    #[test]
    fn a_long_message_survives_the_round_trip(length in 0..3 * MAX_BODY, byte in any::<u8>()) {
        let message = support::connection(vec![byte; length]);
        let received = feed(&mut decoder(), &datagrams(StreamId::NONE, &message), vec![0]).unwrap();
        prop_assert_eq!(received.message, message);
    }
}
