//! Version 2: binary, with extensions.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::crc32c::crc32c;
use super::error::{MAX_HEADER_BYTES, ProxyError};
use super::header::{Addresses, Header, Parsed};
use super::tlv::{CRC32C, CRC32C_BYTES, Tlvs};
use crate::address::Address;

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, the command, the family and the length of the rest.
const FIXED_BYTES: usize = 16;
/// The path of a unix socket, padded with zeros.
const PATH_BYTES: usize = 108;

/// The version, in the upper half of the command's byte.
const VERSION: u8 = 2;
/// Commands, with the version.
const LOCAL: u8 = VERSION << 4;
const PROXY: u8 = VERSION << 4 | 1;

/// Family and transport: not known, or streams over one of these.
const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let command = bytes.get(SIGNATURE.len()).copied();
    if command.is_some_and(|command| command >> 4 != VERSION) {
        return Err(ProxyError::Malformed("no such version"));
    }
    if command.is_some_and(|command| !matches!(command, LOCAL | PROXY)) {
        return Err(ProxyError::Malformed("neither LOCAL nor PROXY"));
    }
    let Some([.., command, family, high, low]) = bytes.first_chunk::<FIXED_BYTES>() else {
        return Ok(Parsed::Incomplete);
    };
    let length = FIXED_BYTES + usize::from(u16::from_be_bytes([*high, *low]));
    if length > MAX_HEADER_BYTES {
        return Err(ProxyError::TooLong(length));
    }
    let Some(header) = bytes.get(..length) else { return Ok(Parsed::Incomplete) };
    if *command == LOCAL {
        // A health check of the proxy. The specification says to ignore the rest.
        let nothing = Header { version: VERSION, addresses: None, tlvs: Tlvs::default() };
        return Ok(Parsed::Header(Box::new(nothing), length));
    }
    let mut rest = header.get(FIXED_BYTES..).unwrap_or_default();
    let addresses = match *family {
        // The proxy does not know the client.
        UNSPECIFIED => None,
        TCP_OVER_IPV4 => Some(ip(&mut rest, |bytes: [u8; 4]| Ipv4Addr::from(bytes).into())?),
        TCP_OVER_IPV6 => Some(ip(&mut rest, |bytes: [u8; 16]| Ipv6Addr::from(bytes).into())?),
        UNIX_STREAM => Some(Addresses { source: path(&mut rest)?, destination: path(&mut rest)? }),
        _ => return Err(ProxyError::Malformed("a family or transport that is no stream")),
    };
    let tlvs = if addresses.is_none() { Tlvs::lenient(rest) } else { Tlvs::parse(rest)? };
    check(header, &tlvs, rest.len())?;
    Ok(Parsed::Header(Box::new(Header { version: VERSION, addresses, tlvs }), length))
}

/// Splits off the first bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ProxyError> {
    let (first, after) =
        rest.split_first_chunk().ok_or(ProxyError::Malformed("too short for its addresses"))?;
    *rest = after;
    Ok(*first)
}

fn ip<const N: usize>(
    rest: &mut &[u8],
    address: impl Fn([u8; N]) -> std::net::IpAddr,
) -> Result<Addresses, ProxyError> {
    let (source, destination) = (address(take(rest)?), address(take(rest)?));
    let (source_port, destination_port) = (u16::from_be_bytes(take(rest)?), u16::from_be_bytes(take(rest)?));
    Ok(Addresses {
        source: SocketAddr::new(source, source_port).into(),
        destination: SocketAddr::new(destination, destination_port).into(),
    })
}

/// A path up to its first zero; an abstract name begins with one.
fn path(rest: &mut &[u8]) -> Result<Address, ProxyError> {
    let bytes: [u8; PATH_BYTES] = take(rest)?;
    let end = |bytes: &[u8]| bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    Ok(match bytes.split_first() {
        Some((0, name)) if end(name) > 0 => Address::abstract_name(name.get(..end(name)).unwrap_or_default()),
        _ => Address::Unix(bytes.get(..end(&bytes)).unwrap_or_default().into()),
    })
}

/// Compares the checksum, if there is one, with that of the header with zeros in its place.
fn check(header: &[u8], tlvs: &Tlvs, rest: usize) -> Result<(), ProxyError> {
    let mut sums = tlvs.places(CRC32C);
    let Some((place, value)) = sums.next() else { return Ok(()) };
    if sums.next().is_some() {
        return Err(ProxyError::Malformed("two checksums"));
    }
    let expected: [u8; CRC32C_BYTES] =
        value.try_into().map_err(|_| ProxyError::Malformed("a checksum of another length"))?;
    let start = header.len() - rest + place;
    let zeroed = header.iter().enumerate().map(|(index, byte)| {
        let is_sum = (start..start + CRC32C_BYTES).contains(&index);
        if is_sum { 0 } else { *byte }
    });
    if crc32c(zeroed) == u32::from_be_bytes(expected) { Ok(()) } else { Err(ProxyError::Checksum) }
}
