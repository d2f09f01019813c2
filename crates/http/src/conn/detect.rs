//! Detection of the HTTP version: HTTP/2 begins with a preface that no HTTP/1 request can begin with.

/// The HTTP/2 connection preface (RFC 9113, 3.4). A client sends it over TLS too.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// The version that begins with these bytes. `None` while both are possible.
pub(crate) fn detect(start: &[u8]) -> Option<Version> {
    if start.starts_with(PREFACE) {
        Some(Version::Http2)
    } else if PREFACE.starts_with(start) {
        None
    } else {
        Some(Version::Http1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_2_is_detected_at_the_last_byte_of_the_preface() {
        for length in 0..PREFACE.len() {
            assert_eq!(detect(&PREFACE[..length]), None, "after {length} bytes");
        }
        assert_eq!(detect(PREFACE), Some(Version::Http2));
        assert_eq!(detect(&[PREFACE, b"\0\0\0\x04"].concat()), Some(Version::Http2));
    }

    #[test]
    fn any_other_byte_is_detected_as_http_1() {
        for other in ["G", "POST", "PRI * HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nXX", "\r\nGET", "\x16\x03"] {
            assert_eq!(detect(other.as_bytes()), Some(Version::Http1), "{other:?}");
        }
        assert_eq!(detect(b"P"), None);
    }
}
