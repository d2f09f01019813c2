//! Lines of JSON: written whole, and cut so that they stay JSON.

use std::io::{self, Write};
use std::ops::Range;

/// The end of a value that was cut.
const MARK: &[u8] = b"...[cut]";

/// Collects bytes up to the end of a line, then passes the line on in one `write_all`.
///
/// It holds one line, as long as the record that is being logged.
pub(super) struct WholeLines<W> {
    out: W,
    line: Vec<u8>,
}

impl<W> WholeLines<W> {
    pub(super) const fn new(out: W) -> Self {
        Self { out, line: Vec::new() }
    }
}

impl<W: Write> Write for WholeLines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
        let taken = &bytes[..end];
        self.line.extend_from_slice(taken);
        if taken.ends_with(b"\n") {
            // Taken out, so that an error drops this line and does not join it with the next one.
            let line = std::mem::take(&mut self.line);
            self.out.write_all(&line)?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Shortens a line with a JSON object to `max` bytes: the longest strings among its values are cut and end in [`MARK`].
///
/// If that is not enough, because keys and numbers alone exceed `max`, an object that says so replaces the line.
pub(super) fn cut(line: &mut Vec<u8>, max: usize) {
    let length = line.len();
    while line.len() > max {
        let excess = line.len() - max;
        let longest = strings(line).into_iter().max_by_key(Range::len);
        let Some(value) = longest.filter(|value| value.len() > MARK.len()) else {
            let pid = std::process::id();
            let text = format!("a log line of {length} bytes was dropped: its keys exceed {max} bytes");
            *line = format!("{{\"msg\":\"{text}\",\"level\":\"WARN\",\"pid\":{pid}}}\n").into_bytes();
            return;
        };
        let kept = value.len().saturating_sub(excess + MARK.len());
        let start = value.start + boundary(&line[value.clone()], kept);
        line.splice(start..value.end, MARK.iter().copied());
    }
}

/// The greatest index up to `limit` at which a JSON string can be cut: before a character, and not inside an escape.
fn boundary(string: &[u8], limit: usize) -> usize {
    let mut end = 0;
    let mut next = 0;
    while next <= limit {
        end = next;
        next += match string.get(next..) {
            None | Some([]) => break,
            // serde_json escapes control characters only, so no escape is half of a surrogate pair.
            Some([b'\\', b'u', ..]) => 6,
            Some([b'\\', ..]) => 2,
            Some([_, rest @ ..]) => {
                1 + rest.iter().take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count()
            }
        };
    }
    end
}

/// The contents of all strings that are values, without their quotes.
fn strings(line: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    let mut index = 0;
    while index < line.len() {
        match (line[index], start) {
            // An escaped character is never the end of a string.
            (b'\\', Some(_)) => index += 1,
            (b'"', Some(begin)) => {
                start = None;
                if line.get(index + 1) != Some(&b':') {
                    found.push(begin..index);
                }
            }
            (b'"', None) => start = Some(index + 1),
            _ => {}
        }
        index += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 64;

    fn cut_to(line: &str, max: usize) -> String {
        let mut line = format!("{line}\n").into_bytes();
        cut(&mut line, max);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_line_within_the_bound_is_unchanged() {
        let line = format!(r#"{{"msg":"{}"}}"#, "x".repeat(MAX - 11));
        assert_eq!(cut_to(&line, MAX), format!("{line}\n"));
    }

    #[test]
    fn the_longest_value_is_cut_and_marked() {
        let line = format!(r#"{{"level":"INFO","msg":"{}","n":12,"role":"main"}}"#, "x".repeat(500));
        let expected = r#"{"level":"INFO","msg":"xxxxxxxxxxx...[cut]","n":12,"role":"main"}"#;
        assert_eq!(cut_to(&line, 66), format!("{expected}\n"));
    }

    #[test]
    fn several_long_values_are_cut() {
        let line = format!(r#"{{"a":"{}","b":"{}"}}"#, "x".repeat(900), "y".repeat(800));
        assert_eq!(
            cut_to(&line, 40),
            "{\"a\":\"...[cut]\",\"b\":\"yyyyyyyy...[cut]\"}
"
        );
    }

    #[test]
    fn no_character_and_no_escape_is_cut_in_two() {
        for piece in ["€", "\\\"", "\\\\", "\\n", "\\u0001"] {
            for before in 0..8 {
                let value = format!("{}{}", "x".repeat(before), piece.repeat(50));
                let line = cut_to(&format!(r#"{{"msg":"{value}","n":1}}"#), MAX);
                assert!((MAX - 6..=MAX).contains(&line.len()), "{line}");
                let kept = line.strip_prefix(r#"{"msg":""#).unwrap();
                let kept = kept.strip_suffix("...[cut]\",\"n\":1}\n").unwrap();
                let kept = kept.strip_prefix(&"x".repeat(before)).unwrap();
                assert_eq!(kept, piece.repeat(kept.len() / piece.len()));
            }
        }
    }

    #[test]
    fn a_line_of_keys_alone_is_replaced() {
        let keys: Vec<String> = (0..100).map(|number| format!("\"key{number}\":{number}")).collect();
        let line = cut_to(&format!("{{{}}}", keys.join(",")), 200);
        assert!(line.starts_with("{\"msg\":\"a log line of ") && line.ends_with("}\n"), "{line}");
    }

    #[test]
    fn tokens_are_passed_on_as_whole_lines() {
        /// Records each write.
        struct Writes(Vec<String>);
        impl Write for Writes {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.push(String::from_utf8(bytes.to_vec()).unwrap());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut lines = WholeLines::new(Writes(Vec::new()));
        for token in ["{", "\"a\":", "1", "}\n{", "}", "\n", "rest"] {
            lines.write_all(token.as_bytes()).unwrap();
        }
        assert_eq!(lines.out.0, ["{\"a\":1}\n", "{}\n"]);
    }
}
