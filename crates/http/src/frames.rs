//! How much of what is written over HTTP/2 is of bodies.

/// Length, kind, flags and stream of a frame (RFC 9113, 4.1).
const HEAD_BYTES: usize = 9;
const KIND: usize = 3;
const DATA: u8 = 0;

/// Tells bodies from all else that is written on a connection of HTTP/2: a client that has us answer its pings takes
/// nothing of its answers by that.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    head: [u8; HEAD_BYTES],
    /// How much of the head has passed.
    known: usize,
    /// How much of the rest has not.
    left: usize,
}

impl Frames {
    /// These were written next; how many of them are of bodies.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) -> usize {
        let mut data = 0;
        while !bytes.is_empty() {
            let wanted = if self.left > 0 { self.left } else { HEAD_BYTES - self.known };
            let (part, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            if self.left > 0 {
                self.left -= part.len();
                data += if self.head[KIND] == DATA { part.len() } else { 0 };
                continue;
            }
            self.head[self.known..][..part.len()].copy_from_slice(part);
            self.known += part.len();
            if self.known == HEAD_BYTES {
                let [high, middle, low, ..] = self.head;
                self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.known = 0;
            }
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: u16) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let head = [0, high, low, kind, 0, 0, 0, 0, 1];
        head.into_iter().chain((0..length).map(|byte| byte as u8)).collect()
    }

    #[test]
    fn only_bodies_count_however_they_are_cut() {
        let [settings, headers, ping, goaway] = [frame(4, 30), frame(1, 300), frame(6, 8), frame(7, 8)];
        let bodies = [frame(DATA, 1000), frame(DATA, 0), frame(DATA, 1)];
        let all = [&settings, &headers, &bodies[0], &ping, &bodies[1], &bodies[2], &goaway, &ping];
        let all: Vec<u8> = all.into_iter().flatten().copied().collect();
        for cut in 1..all.len() {
            let mut frames = Frames::default();
            assert_eq!(all.chunks(cut).map(|bytes| frames.pass(bytes)).sum::<usize>(), 1001, "cut by {cut}");
        }
    }

    #[test]
    fn a_body_counts_as_it_is_written() {
        let mut frames = Frames::default();
        let body = frame(DATA, 100);
        let (first, rest) = body.split_at(HEAD_BYTES + 40);
        assert_eq!((frames.pass(first), frames.pass(rest), frames.pass(&frame(6, 8))), (40, 60, 0));
    }
}
