//! The header of a proxy, as a function of bytes: what is one, what may become one, what is none.

use std::net::SocketAddr;

use impresario_server::Address;
use impresario_server::proxy::{Addresses, Header, MAX_HEADER_BYTES, Parsed, ProxyError, parse};
use proptest::prelude::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2 of these parts.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("short enough").to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("short enough").to_be_bytes();
    [&[kind], length.as_slice(), value].concat()
}

/// 1.2.3.4:5 to 6.7.8.9:10.
const IPV4: [u8; 12] = [1, 2, 3, 4, 6, 7, 8, 9, 0, 5, 0, 10];

fn ipv4(tlvs: &[u8]) -> Vec<u8> {
    v2(0x21, 0x11, &[&IPV4, tlvs].concat())
}

fn header(bytes: &[u8]) -> Header {
    match parse(bytes) {
        Ok(Parsed::Header(header, length)) => {
            assert_eq!(length, bytes.len());
            *header
        }
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

fn source(bytes: &[u8]) -> String {
    header(bytes).addresses.map_or("none".into(), |both| format!("{} {}", both.source, both.destination))
}

#[test]
fn text_headers_are_read() {
    let lines = [
        ("PROXY TCP4 255.255.255.255 127.0.0.1 65535 1\r\n", "255.255.255.255:65535 127.0.0.1:1"),
        ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0 0.0.0.0:0"),
        ("PROXY TCP6 ::1 2001:db8::1 1 443\r\n", "[::1]:1 [2001:db8::1]:443"),
        ("PROXY UNKNOWN\r\n", "none"),
        ("PROXY UNKNOWN ffff:f...f:ffff whatever it is\r\n", "none"),
    ];
    for (line, expected) in lines {
        assert_eq!(
            (source(line.as_bytes()).as_str(), header(line.as_bytes()).version),
            (expected, 1),
            "{line}"
        );
    }
    // The longest that the specification has.
    let longest = format!("PROXY UNKNOWN {0} {0} 65535 65535\r\n", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_eq!((longest.len(), source(longest.as_bytes()).as_str()), (107, "none"));
}

#[test]
fn text_headers_are_taken_strictly() {
    for line in [
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4  2\r\n",
        "PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
        "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n",
    ] {
        let parsed = parse(line.as_bytes());
        assert!(matches!(parsed, Err(ProxyError::Malformed(_))), "{}: {parsed:?}", line.escape_default());
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert!(matches!(parse(endless.as_bytes()), Err(ProxyError::Malformed(_))));
    assert!(parse(b"PROXY UNKNOWN \xff\xff\r\n").is_err());
}

#[test]
fn binary_headers_are_read() {
    assert_eq!(source(&ipv4(b"")), "1.2.3.4:5 6.7.8.9:10");
    let v6 = [[0; 15].as_slice(), &[1], &[0; 15], &[2], &[1, 0, 0, 1]].concat();
    assert_eq!(source(&v2(0x21, 0x21, &v6)), "[::1]:256 [::2]:1");
    let mut paths = [0; 216];
    paths[..6].copy_from_slice(b"/run/a");
    paths[108..112].copy_from_slice(b"\0abc");
    assert_eq!(source(&v2(0x21, 0x31, &paths)), "unix:/run/a unix:@abc");
    assert_eq!(source(&v2(0x21, 0x31, &[b'x'; 216])), format!("unix:{0} unix:{0}", "x".repeat(108)));
    // The proxy speaks for itself, or does not know.
    assert_eq!(source(&v2(0x20, 0x00, b"")), "none");
    assert_eq!(source(&v2(0x20, 0x11, &IPV4)), "none");
    assert_eq!(source(&v2(0x21, 0x00, b"")), "none");
    assert_eq!(source(&v2(0x21, 0x00, b"anything")), "none");
}

#[test]
fn binary_headers_are_taken_strictly() {
    let bad = [
        v2(0x11, 0x11, &IPV4),
        v2(0x22, 0x11, &IPV4),
        v2(0x21, 0x12, &IPV4),
        v2(0x21, 0x10, &IPV4),
        v2(0x21, 0x41, &IPV4),
        v2(0x21, 0xff, &IPV4),
        v2(0x21, 0x11, &IPV4[..11]),
        v2(0x21, 0x21, &[0; 35]),
        v2(0x21, 0x31, &[0; 215]),
        ipv4(&[1]),
        ipv4(&[1, 0]),
        ipv4(&[1, 0, 2, b'h']),
        ipv4(&tlv(0x02, b"\xff")),
        ipv4(&tlv(0x05, &[0; 129])),
        ipv4(&tlv(0x20, &[0; 4])),
        ipv4(&tlv(0x20, &[0, 0, 0, 0, 0, 0x21, 0])),
        ipv4(&tlv(0x03, &[0; 3])),
        ipv4(&tlv(0xee, b"").repeat(65)),
    ];
    for bytes in bad {
        let parsed = parse(&bytes);
        assert!(matches!(parsed, Err(ProxyError::Malformed(_))), "{}: {parsed:?}", bytes.escape_ascii());
    }
    let long = v2(0x21, 0x11, &[0; MAX_HEADER_BYTES]);
    // Said as soon as its length is known.
    assert_eq!(parse(&long[..16]), Err(ProxyError::TooLong(MAX_HEADER_BYTES + 16)));
}

#[test]
fn extensions_are_read() {
    let version = tlv(0x21, b"TLSv1.3");
    let details = [&[1, 0, 0, 0, 0], version.as_slice(), &tlv(0x22, b"alice"), &tlv(0x23, b"AES")].concat();
    let all = [
        tlv(0x01, b"h2"),
        tlv(0x02, b"shop.example.org"),
        tlv(0x05, b"id"),
        tlv(0x30, b"blue"),
        tlv(0x20, &details),
        tlv(0xe0, b"own"),
        tlv(0x04, &[0; 7]),
    ];
    let header = header(&ipv4(&all.concat()));
    let tlvs = &header.tlvs;
    assert_eq!((tlvs.alpn(), tlvs.authority()), (Some(b"h2".as_slice()), Some("shop.example.org")));
    assert_eq!((tlvs.unique_id(), tlvs.netns()), (Some(b"id".as_slice()), Some(b"blue".as_slice())));
    let tls = tlvs.tls().expect("it is there");
    assert_eq!((tls.client, tls.verify), (1, 0));
    assert_eq!(
        (tls.version(), tls.common_name(), tls.cipher()),
        (Some("TLSv1.3"), Some("alice"), Some("AES"))
    );
    assert_eq!(tlvs.iter().map(|tlv| tlv.kind).collect::<Vec<_>>(), [1, 2, 5, 0x30, 0x20, 0xe0, 4]);
    let none = with(b"");
    assert!(none.tlvs.alpn().is_none() && none.tlvs.tls().is_none() && none.tlvs.iter().next().is_none());
}

fn with(tlvs: &[u8]) -> Header {
    header(&ipv4(tlvs))
}

/// CRC-32C by its table, not by the code under test.
fn crc32c(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|index| (0..8).fold(index, |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())))
        .collect();
    !bytes.iter().fold(!0, |crc, byte| (crc >> 8) ^ table[((crc ^ u32::from(*byte)) & 0xff) as usize])
}

/// A header with a correct checksum between two other extensions.
fn summed() -> Vec<u8> {
    let mut bytes = ipv4(&[tlv(0x05, b"id"), tlv(0x03, &[0; 4]), tlv(0x01, b"h2")].concat());
    let sum = crc32c(&bytes).to_be_bytes();
    let place = 16 + IPV4.len() + 5 + 3;
    bytes[place..place + 4].copy_from_slice(&sum);
    bytes
}

#[test]
fn the_checksum_is_checked() {
    let good = summed();
    assert_eq!(header(&good).tlvs.alpn(), Some(b"h2".as_slice()));
    // Anything else that the parser would take is damage.
    for place in [16, 27, 31, 32, 36, 40, good.len() - 1] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        assert_eq!(parse(&bad), Err(ProxyError::Checksum), "byte {place}");
    }
    let two = [tlv(0x03, &[0; 4]), tlv(0x03, &[0; 4])].concat();
    assert!(matches!(parse(&ipv4(&two)), Err(ProxyError::Malformed(_))));
}

#[test]
fn what_begins_otherwise_is_no_header_from_the_first_wrong_byte() {
    for bytes in
        ["GET / HTTP/1.1\r\n", "proxy TCP4", "PROXX", "PROXYTCP4", "\r\n\r\nx", "\r\n\r\n\0\r\nQUITE", "x"]
    {
        assert_eq!(parse(bytes.as_bytes()), Err(ProxyError::Missing), "{}", bytes.escape_default());
    }
    assert_eq!(parse(b""), Ok(Parsed::Incomplete));
}

#[test]
fn bytes_after_the_header_are_not_parsed() {
    for head in [b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(), ipv4(b""), summed()] {
        let bytes = [&head, b"\r\n\r\n\0\xffPROXY ".as_slice()].concat();
        assert!(matches!(parse(&bytes), Ok(Parsed::Header(_, length)) if length == head.len()));
    }
}

fn any_header() -> impl Strategy<Value = (Vec<u8>, Option<Addresses>)> {
    let both =
        |a: SocketAddr, b: SocketAddr| Addresses { source: Address::Ip(a), destination: Address::Ip(b) };
    let v4 = (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::from((ip, port)));
    let v6 = (any::<[u8; 16]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::from((ip, port)));
    let text = |family: &'static str| {
        move |(a, b): (SocketAddr, SocketAddr)| {
            let line = format!("PROXY {family} {} {} {} {}\r\n", a.ip(), b.ip(), a.port(), b.port());
            (line.into_bytes(), Some(both(a, b)))
        }
    };
    let binary = move |((a, b), tlvs): ((SocketAddr, SocketAddr), Vec<u8>)| {
        let octets = |address: SocketAddr| match address {
            SocketAddr::V4(address) => address.ip().octets().to_vec(),
            SocketAddr::V6(address) => address.ip().octets().to_vec(),
        };
        let family = if a.is_ipv4() { 0x11 } else { 0x21 };
        let ports = [a.port().to_be_bytes(), b.port().to_be_bytes()].concat();
        (v2(0x21, family, &[octets(a), octets(b), ports, tlvs].concat()), Some(both(a, b)))
    };
    let values = prop::collection::vec((0xe0..=0xef_u8, prop::collection::vec(any::<u8>(), 0..50)), 0..10);
    let tlvs = values.prop_map(|tlvs| tlvs.iter().flat_map(|(kind, value)| tlv(*kind, value)).collect());
    prop_oneof![
        (v4.clone(), v4.clone()).prop_map(text("TCP4")),
        (v6.clone(), v6.clone()).prop_map(text("TCP6")),
        (prop_oneof![(v4.clone(), v4), (v6.clone(), v6)], tlvs).prop_map(binary),
    ]
}

proptest! {
    #[test]
    fn every_header_is_read_and_every_part_of_it_may_become_one((bytes, addresses) in any_header()) {
        for end in 0..bytes.len() {
            prop_assert_eq!(parse(&bytes[..end]), Ok(Parsed::Incomplete));
        }
        prop_assert_eq!(header(&bytes).addresses, addresses);
    }

    #[test]
    fn no_bytes_make_it_panic_or_read_too_far(
        start in prop_oneof![Just(&b""[..]), Just(&b"PROXY "[..]), Just(SIGNATURE)],
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [start, &bytes].concat();
        if let Ok(Parsed::Header(_, length)) = parse(&bytes) {
            prop_assert!(length <= bytes.len());
        }
    }

    #[test]
    fn damage_makes_no_panic((mut bytes, _) in any_header(), place: prop::sample::Index, to: u8) {
        let place = place.index(bytes.len());
        bytes[place] = to;
        if let Ok(Parsed::Header(_, length)) = parse(&bytes) {
            prop_assert!(length <= bytes.len());
        }
    }
}
