//! The checksum of a header.

/// The polynomial of Castagnoli, with its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// CRC-32C, bit by bit: it is computed once a connection at most, over some hundred bytes.
pub(super) fn crc32c(bytes: impl IntoIterator<Item = u8>) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
    let byte = |crc: u32, byte: u8| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc));
    !bytes.into_iter().fold(!0, byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_everybody_computes() {
        // The check value of the catalogues, and two of RFC 3720.
        assert_eq!(crc32c(*b"123456789"), 0xe306_9283);
        assert_eq!(crc32c([0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c([0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c([]), 0);
    }
}
