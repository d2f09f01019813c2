//! Version 1: a line of text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::error::ProxyError;
use super::header::{Addresses, Header, Parsed};
use super::tlv::Tlvs;

pub(super) const SIGNATURE: &[u8] = b"PROXY ";
/// Maximum length of the line, with its end.
const MAX_LINE_BYTES: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let head = bytes.get(..MAX_LINE_BYTES).unwrap_or(bytes);
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
        if bytes.len() >= MAX_LINE_BYTES {
            return Err(ProxyError::Malformed("the line has no end"));
        }
        return Ok(Parsed::Incomplete);
    };
    let line = head.get(SIGNATURE.len()..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.ok_or(ProxyError::Malformed("the line does not end in CR LF"))?;
    let line = std::str::from_utf8(line).map_err(|_| ProxyError::Malformed("the line is no text"))?;
    let header = Header { version: 1, addresses: addresses(line)?, tlvs: Tlvs::default() };
    Ok(Parsed::Header(Box::new(header), end + 1))
}

fn addresses(line: &str) -> Result<Option<Addresses>, ProxyError> {
    let (family, rest) = line.split_once(' ').unwrap_or((line, ""));
    match family {
        // The specification says to ignore the rest of the line.
        "UNKNOWN" => Ok(None),
        "TCP4" => pair::<Ipv4Addr>(rest).map(Some),
        "TCP6" => pair::<Ipv6Addr>(rest).map(Some),
        _ => Err(ProxyError::Malformed("neither TCP4, TCP6 nor UNKNOWN")),
    }
}

fn pair<T: FromStr + Into<IpAddr>>(text: &str) -> Result<Addresses, ProxyError> {
    let mut parts = text.split(' ');
    let mut next = || parts.next().ok_or(ProxyError::Malformed("an address or a port is missing"));
    let (source, destination) = (address::<T>(next()?)?, address::<T>(next()?)?);
    let (source_port, destination_port) = (port(next()?)?, port(next()?)?);
    if parts.next().is_some() {
        return Err(ProxyError::Malformed("something comes after the ports"));
    }
    Ok(Addresses {
        source: SocketAddr::new(source, source_port).into(),
        destination: SocketAddr::new(destination, destination_port).into(),
    })
}

fn address<T: FromStr + Into<IpAddr>>(text: &str) -> Result<IpAddr, ProxyError> {
    let bad = ProxyError::Malformed("no address of the family that was announced");
    text.parse::<T>().map(Into::into).map_err(|_| bad)
}

/// A number as the specification wants it: no sign, no leading zero.
fn port(text: &str) -> Result<u16, ProxyError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading = text.len() > 1 && text.starts_with('0');
    let port = text.parse().ok().filter(|_| digits && !leading);
    port.ok_or(ProxyError::Malformed("no port number"))
}
