//! Counts the payload of DATA frames in the bytes that are written over HTTP/2.

/// Size of a frame header: length, type, flags and stream (RFC 9113, 4.1).
const HEADER_BYTES: usize = 9;
/// Offset of the type in the header.
const TYPE: usize = 3;
/// The type of DATA frames.
const DATA: u8 = 0;

/// Finds DATA frames in the outgoing byte stream of an HTTP/2 connection.
///
/// Only body bytes count as progress. A client that sends pings causes writes too, but it reads no response by that.
#[derive(Debug, Default)]
pub(crate) struct DataFrameCounter {
    header: [u8; HEADER_BYTES],
    /// Bytes of the current header that were counted.
    header_len: usize,
    /// Bytes of the current payload that were not counted yet.
    payload_left: usize,
}

impl DataFrameCounter {
    /// Takes the next written bytes. Returns how many of them are payload of DATA frames.
    pub(crate) fn count_data(&mut self, mut bytes: &[u8]) -> usize {
        let mut data = 0;
        while !bytes.is_empty() {
            let wanted =
                if self.payload_left > 0 { self.payload_left } else { HEADER_BYTES - self.header_len };
            let (part, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            if self.payload_left > 0 {
                self.payload_left -= part.len();
                data += if self.header[TYPE] == DATA { part.len() } else { 0 };
                continue;
            }
            self.header[self.header_len..][..part.len()].copy_from_slice(part);
            self.header_len += part.len();
            if self.header_len == HEADER_BYTES {
                let [high, middle, low, ..] = self.header;
                self.payload_left = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.header_len = 0;
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
        let header = [0, high, low, kind, 0, 0, 0, 0, 1];
        header.into_iter().chain((0..length).map(|byte| byte as u8)).collect()
    }

    #[test]
    fn only_data_payload_counts_for_any_split() {
        let [settings, headers, ping, goaway] = [frame(4, 30), frame(1, 300), frame(6, 8), frame(7, 8)];
        let bodies = [frame(DATA, 1000), frame(DATA, 0), frame(DATA, 1)];
        let all = [&settings, &headers, &bodies[0], &ping, &bodies[1], &bodies[2], &goaway, &ping];
        let all: Vec<u8> = all.into_iter().flatten().copied().collect();
        for cut in 1..all.len() {
            let mut frames = DataFrameCounter::default();
            assert_eq!(
                all.chunks(cut).map(|bytes| frames.count_data(bytes)).sum::<usize>(),
                1001,
                "cut by {cut}"
            );
        }
    }

    #[test]
    fn a_split_data_frame_counts_in_parts() {
        let mut frames = DataFrameCounter::default();
        let body = frame(DATA, 100);
        let (first, rest) = body.split_at(HEADER_BYTES + 40);
        assert_eq!(
            (frames.count_data(first), frames.count_data(rest), frames.count_data(&frame(6, 8))),
            (40, 60, 0)
        );
    }
}
