//! The extensions of version 2: type, length, value.

use bytes::Bytes;

use super::error::ProxyError;

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
pub(super) const CRC32C: u8 = 0x03;
const UNIQUE_ID: u8 = 0x05;
const TLS: u8 = 0x20;
const TLS_VERSION: u8 = 0x21;
const TLS_COMMON_NAME: u8 = 0x22;
const TLS_CIPHER: u8 = 0x23;
const NETNS: u8 = 0x30;

/// The type and the length of an extension.
const HEAD_BYTES: usize = 3;
/// A checksum.
pub(super) const CRC32C_BYTES: usize = 4;
/// Maximum length of a unique id, in bytes.
const MAX_UNIQUE_ID_BYTES: usize = 128;
/// Bits about the client, and the result of the verification of its certificate.
const TLS_FIXED_BYTES: usize = 5;
/// Maximum number of extensions.
const MAX_TLVS: usize = 64;

/// One extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its type; the specification has the list.
    pub kind: u8,
    /// Its value.
    pub value: &'a [u8],
}

/// The extensions of a header. All are well-formed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tlvs(Bytes);

/// What a proxy reports about the client's TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsInfo<'a> {
    /// Bit 1: the client connected by TLS. Bit 2: it sent a certificate on this connection. Bit 4: it sent one
    /// in this session.
    pub client: u8,
    /// 0 if the certificate was verified.
    pub verify: u32,
    details: &'a [u8],
}

impl Tlvs {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ProxyError> {
        let tlvs = Self(Bytes::copy_from_slice(bytes));
        walk(bytes)?;
        for Tlv { kind, value } in &tlvs {
            match kind {
                AUTHORITY if std::str::from_utf8(value).is_err() => {
                    return Err(ProxyError::Malformed("a host name that is no text"));
                }
                UNIQUE_ID if value.len() > MAX_UNIQUE_ID_BYTES => {
                    return Err(ProxyError::Malformed("a unique id of more than 128 bytes"));
                }
                TLS => {
                    let details = value.get(TLS_FIXED_BYTES..);
                    walk(details.ok_or(ProxyError::Malformed("a TLS extension that is too short"))?)?;
                }
                _ => {}
            }
        }
        Ok(tlvs)
    }

    /// Of a header without addresses: invalid extensions are ignored.
    pub(super) fn lenient(bytes: &[u8]) -> Self {
        Self::parse(bytes).unwrap_or_default()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Tlv<'_>> {
        Split(&self.0).map_while(Result::ok)
    }

    /// Those of this type, each with the offset of its value.
    pub(super) fn places(&self, kind: u8) -> impl Iterator<Item = (usize, &[u8])> {
        let mut place = 0;
        let places = self.iter().map(move |tlv| {
            let start = place + HEAD_BYTES;
            place = start + tlv.value.len();
            (tlv.kind, start, tlv.value)
        });
        places.filter_map(move |(found, start, value)| (found == kind).then_some((start, value)))
    }

    fn get(&self, kind: u8) -> Option<&[u8]> {
        self.iter().find(|tlv| tlv.kind == kind).map(|tlv| tlv.value)
    }

    /// The protocol that the client chose (ALPN).
    pub fn alpn(&self) -> Option<&[u8]> {
        self.get(ALPN)
    }

    /// The host name that the client requested (SNI).
    pub fn authority(&self) -> Option<&str> {
        self.get(AUTHORITY).and_then(|name| std::str::from_utf8(name).ok())
    }

    /// The proxy's id of the connection.
    pub fn unique_id(&self) -> Option<&[u8]> {
        self.get(UNIQUE_ID)
    }

    /// The network namespace of the client.
    pub fn netns(&self) -> Option<&[u8]> {
        self.get(NETNS)
    }

    /// What the proxy reports about TLS.
    pub fn tls(&self) -> Option<TlsInfo<'_>> {
        let (fixed, details) = self.get(TLS)?.split_first_chunk::<TLS_FIXED_BYTES>()?;
        let [client, verify @ ..] = *fixed;
        Some(TlsInfo { client, verify: u32::from_be_bytes(verify), details })
    }
}

impl<'a> TlsInfo<'a> {
    fn get(&self, kind: u8) -> Option<&'a str> {
        let tlv = Split(self.details).map_while(Result::ok).find(|tlv| tlv.kind == kind)?;
        std::str::from_utf8(tlv.value).ok()
    }

    /// The version, as `TLSv1.3`.
    pub fn version(&self) -> Option<&'a str> {
        self.get(TLS_VERSION)
    }

    /// The common name of the client's certificate.
    pub fn common_name(&self) -> Option<&'a str> {
        self.get(TLS_COMMON_NAME)
    }

    /// The cipher.
    pub fn cipher(&self) -> Option<&'a str> {
        self.get(TLS_CIPHER)
    }
}

impl<'a> IntoIterator for &'a Tlvs {
    type Item = Tlv<'a>;
    type IntoIter = Box<dyn Iterator<Item = Tlv<'a>> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

/// Reads extensions one after the other.
struct Split<'a>(&'a [u8]);

impl<'a> Iterator for Split<'a> {
    type Item = Result<Tlv<'a>, ProxyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some(([kind, high, low], rest)) = self.0.split_first_chunk::<HEAD_BYTES>() else {
            self.0 = &[];
            return Some(Err(ProxyError::Malformed("an extension without its length")));
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, rest)) = rest.split_at_checked(length) else {
            self.0 = &[];
            return Some(Err(ProxyError::Malformed("an extension that is longer than the header")));
        };
        self.0 = rest;
        Some(Ok(Tlv { kind: *kind, value }))
    }
}

/// Checks that bytes are well-formed extensions, at most [`MAX_EXTENSIONS`] of them.
fn walk(bytes: &[u8]) -> Result<(), ProxyError> {
    let mut count = 0;
    for tlv in Split(bytes) {
        tlv?;
        count += 1;
        if count > MAX_TLVS {
            return Err(ProxyError::Malformed("more than 64 extensions"));
        }
    }
    Ok(())
}
