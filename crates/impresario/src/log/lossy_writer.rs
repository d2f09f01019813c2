//! A writer that drops lines when stderr is not writable, so that a full pipe does not block main.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use impresario_sys::wait_writable;

/// How long the first line waits until stderr is writable. After it has dropped a line, the next ones do not wait.
const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

/// Maximum length of a line, in bytes (`PIPE_BUF`). A pipe that is writable takes this many without blocking.
const MAX_LINE: usize = 4096;

/// What the writer must know of the format of its lines.
pub(super) struct LineFormat {
    /// Shortens a line to a maximum length, in bytes.
    pub(super) cut: fn(&mut Vec<u8>, usize),
    /// The line, without its end, that says how many lines were dropped.
    pub(super) lost_message: fn(u64) -> String,
}

/// Writes each line with one `write`, and drops it if stderr is not writable within [`WRITE_TIMEOUT`].
///
/// The next line that is written is preceded by a line with the number of dropped ones.
pub(super) struct LossyWriter<W> {
    out: W,
    lost: u64,
    format: &'static LineFormat,
}

impl<W: Write + AsFd> LossyWriter<W> {
    pub(super) const fn new(out: W, format: &'static LineFormat) -> Self {
        Self { out, lost: 0, format }
    }

    fn is_writable(&self) -> bool {
        let timeout = if self.lost == 0 { WRITE_TIMEOUT } else { Duration::ZERO };
        // An error of the descriptor counts as writable: then `write` returns it immediately.
        wait_writable(&self.out, Some(timeout)).unwrap_or(false)
    }

    /// One `write` of at most [`MAX_LINE`] bytes: the kernel does not mix it with the writes of other processes.
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let mut message = Vec::new();
        if self.lost > 0 {
            message = (self.format.lost_message)(self.lost).into_bytes();
            message.push(b'\n');
        }
        let mut line = line.to_vec();
        (self.format.cut)(&mut line, MAX_LINE.saturating_sub(message.len()));
        message.append(&mut line);
        self.out.write_all(&message)
    }
}

impl<W: Write + AsFd> Write for LossyWriter<W> {
    /// Takes one whole line. It never fails: the caller could only drop the line too.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.is_writable() && self.write_line(line).is_ok() {
            self.lost = 0;
        } else {
            self.lost = self.lost.saturating_add(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Shortens a line of text to `max` bytes: whole characters and an end of line.
pub(super) fn cut(line: &mut Vec<u8>, max: usize) {
    if line.len() <= max {
        return;
    }
    line.truncate(max);
    let continues = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    while line.pop().as_ref().is_some_and(continues) {}
    line.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read, pipe};
    use std::time::Instant;

    use super::*;
    use crate::log::json_line::WholeLines;

    const FORMAT: LineFormat = LineFormat { cut, lost_message: |lost| format!("{lost} lost") };

    /// A writer on a full pipe, and how many bytes are in the pipe.
    fn full() -> (PipeReader, LossyWriter<PipeWriter>, usize) {
        let (reader, writer) = pipe().unwrap();
        let mut lossy = LossyWriter::new(writer, &FORMAT);
        let mut written = 0;
        while lossy.lost == 0 {
            lossy.write_all(&[b'x'; MAX_LINE]).unwrap();
            written += MAX_LINE;
        }
        (reader, lossy, written - MAX_LINE)
    }

    #[test]
    fn lines_for_a_full_pipe_are_dropped_and_counted() {
        let (mut reader, mut lossy, inside) = full();
        let begin = Instant::now();
        for _ in 0..100 {
            lossy.write_all(b"lost\n").unwrap();
        }
        assert!(begin.elapsed() < 100 * WRITE_TIMEOUT, "only the first line may wait");
        assert_eq!(lossy.lost, 101);
        reader.read_exact(&mut vec![0; inside]).unwrap();
        lossy.write_all(b"one\n").unwrap();
        lossy.write_all(b"two\n").unwrap();
        drop(lossy);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "101 lost\none\ntwo\n");
    }

    #[test]
    fn a_pipe_with_less_than_a_free_page_gets_no_line() {
        let (mut reader, mut lossy, _) = full();
        reader.read_exact(&mut [0; MAX_LINE - 1]).unwrap();
        lossy.write_all(b"lost\n").unwrap();
        assert_eq!(lossy.lost, 2);
        reader.read_exact(&mut [0]).unwrap();
        // The message and the line together are cut to the one free page.
        lossy.write_all(&[b'y'; 2 * MAX_LINE]).unwrap();
        assert_eq!(lossy.lost, 0);
    }

    #[test]
    fn a_long_text_line_is_cut_between_characters() {
        for before in 0..4 {
            let mut line = format!("{}{}", "x".repeat(before), "€".repeat(MAX_LINE)).into_bytes();
            cut(&mut line, MAX_LINE);
            let text = String::from_utf8(line).unwrap();
            assert!(
                text.ends_with("€\n") && (MAX_LINE - 3..=MAX_LINE).contains(&text.len()),
                "{}",
                text.len()
            );
        }
        let mut short = b"short\n".to_vec();
        cut(&mut short, MAX_LINE);
        assert_eq!(short, b"short\n");
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut lossy = LossyWriter::new(writer, &FORMAT);
        lossy.write_all(b"lost\n").unwrap();
        assert_eq!(lossy.lost, 1);
    }

    #[test]
    fn a_long_json_line_stays_an_object_within_the_bound() {
        const JSON: LineFormat = LineFormat { cut: crate::log::json_line::cut, ..FORMAT };
        let (mut reader, writer) = pipe().unwrap();
        let mut lossy = LossyWriter::new(writer, &JSON);
        for value in ["x".repeat(2 * MAX_LINE), "€\\n".repeat(MAX_LINE)] {
            writeln!(WholeLines::new(&mut lossy), r#"{{"msg":"{value}","level":"INFO","n":7}}"#).unwrap();
        }
        drop(lossy);
        let mut written = String::new();
        reader.read_to_string(&mut written).unwrap();
        assert_eq!(written.lines().count(), 2);
        for line in written.lines() {
            assert!(line.len() < MAX_LINE, "{}", line.len());
            let tail = line.get(line.len() - 40..);
            assert!(line.starts_with(r#"{"msg":""#), "{tail:?}");
            assert!(line.ends_with(r#"...[cut]","level":"INFO","n":7}"#), "{tail:?}");
        }
    }
}
