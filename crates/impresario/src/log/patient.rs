//! A stderr that nobody reads must not stop the process that all others depend on.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long the first line that finds no room waits for it. Those after it do not wait.
const PATIENCE: Duration = Duration::from_millis(100);

/// The longest line; the rest of a longer one is cut off. A pipe that has room at all takes this much (`PIPE_BUF`).
const MAX_LINE: usize = 4096;

/// Writes lines, one `write` each, and rather loses one than waits for it. How many were lost is said in a line of
/// its own as soon as there is room again.
pub(super) struct Patient<W> {
    out: W,
    lost: u64,
    /// Makes the line, without its end, that says how many were lost.
    notice: fn(u64) -> String,
}

impl<W: Write + AsFd> Patient<W> {
    pub(super) const fn new(out: W, notice: fn(u64) -> String) -> Self {
        Self { out, lost: 0, notice }
    }

    fn has_room(&self) -> bool {
        let patience = if self.lost == 0 { PATIENCE } else { Duration::ZERO };
        let Ok(patience) = Timespec::try_from(patience) else { return false };
        // An error is something to write to, too: `write` tells it at once.
        poll(&mut [PollFd::new(&self.out, PollFlags::OUT)], Some(&patience)).is_ok_and(|ready| ready > 0)
    }

    /// In one piece, so that there is room for all of it and no other process writes into it.
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let mut piece = Vec::with_capacity(MAX_LINE);
        if self.lost > 0 {
            piece.extend_from_slice((self.notice)(self.lost).as_bytes());
            piece.push(b'\n');
        }
        piece.extend_from_slice(line);
        cut(&mut piece);
        self.out.write_all(&piece)
    }
}

impl<W: Write + AsFd> Write for Patient<W> {
    /// Takes one whole line, always: nobody could do better with what is lost here.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.has_room() && self.write_line(line).is_ok() {
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

/// Leaves what fits, whole characters and an end of line.
fn cut(line: &mut Vec<u8>) {
    if line.len() <= MAX_LINE {
        return;
    }
    line.truncate(MAX_LINE);
    let continues = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    while line.pop().as_ref().is_some_and(continues) {}
    line.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read, pipe};
    use std::time::Instant;

    use super::*;

    fn notice(lost: u64) -> String {
        format!("{lost} lost")
    }

    /// A pipe that takes nothing more, and how much is in it.
    fn full() -> (PipeReader, Patient<PipeWriter>, usize) {
        let (reader, writer) = pipe().unwrap();
        let mut patient = Patient::new(writer, notice);
        let mut written = 0;
        while patient.lost == 0 {
            patient.write_all(&[b'x'; MAX_LINE]).unwrap();
            written += MAX_LINE;
        }
        (reader, patient, written - MAX_LINE)
    }

    #[test]
    fn a_full_pipe_loses_lines_and_says_so_when_it_is_read_again() {
        let (mut reader, mut patient, inside) = full();
        let begin = Instant::now();
        for _ in 0..100 {
            patient.write_all(b"lost\n").unwrap();
        }
        assert!(begin.elapsed() < 100 * PATIENCE, "only the first line waits");
        assert_eq!(patient.lost, 101);
        reader.read_exact(&mut vec![0; inside]).unwrap();
        patient.write_all(b"one\n").unwrap();
        patient.write_all(b"two\n").unwrap();
        drop(patient);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "101 lost\none\ntwo\n");
    }

    #[test]
    fn less_than_a_page_of_room_is_no_room_for_any_line() {
        let (mut reader, mut patient, _) = full();
        reader.read_exact(&mut [0; MAX_LINE - 1]).unwrap();
        patient.write_all(b"lost\n").unwrap();
        assert_eq!(patient.lost, 2);
        reader.read_exact(&mut [0]).unwrap();
        // Takes the notice and the line, cut to the one page that is free.
        patient.write_all(&[b'y'; 2 * MAX_LINE]).unwrap();
        assert_eq!(patient.lost, 0);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        for before in 0..4 {
            let mut line = format!("{}{}", "x".repeat(before), "€".repeat(MAX_LINE)).into_bytes();
            cut(&mut line);
            let text = String::from_utf8(line).unwrap();
            assert!(
                text.ends_with("€\n") && (MAX_LINE - 3..=MAX_LINE).contains(&text.len()),
                "{}",
                text.len()
            );
        }
        let mut short = b"short\n".to_vec();
        cut(&mut short);
        assert_eq!(short, b"short\n");
    }

    #[test]
    fn a_reader_that_is_gone_is_no_error() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut patient = Patient::new(writer, notice);
        patient.write_all(b"lost\n").unwrap();
        assert_eq!(patient.lost, 1);
    }
}
