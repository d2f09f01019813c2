//! Which version of HTTP a client speaks: HTTP/2 begins with words that no request of HTTP/1 can begin with.

/// What a client of HTTP/2 sends first (RFC 9113, 3.4). It does so over TLS too.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.0 or HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

/// Which version begins with these bytes; `None` while it may be both.
pub(crate) fn version(start: &[u8]) -> Option<Version> {
    if start.starts_with(PREFACE) {
        Some(Version::Two)
    } else if PREFACE.starts_with(start) {
        None
    } else {
        Some(Version::One)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_known_when_it_is_whole_and_not_before() {
        for length in 0..PREFACE.len() {
            assert_eq!(version(&PREFACE[..length]), None, "after {length} bytes");
        }
        assert_eq!(version(PREFACE), Some(Version::Two));
        assert_eq!(version(&[PREFACE, b"\0\0\0\x04"].concat()), Some(Version::Two));
    }

    #[test]
    fn one_other_byte_is_enough_for_http_1() {
        for other in ["G", "POST", "PRI * HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nXX", "\r\nGET", "\x16\x03"] {
            assert_eq!(version(other.as_bytes()), Some(Version::One), "{other:?}");
        }
        assert_eq!(version(b"P"), None);
    }
}
