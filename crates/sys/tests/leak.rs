//! Descriptors of a refused message are closed. Alone in its file, because it counts the descriptors of the process.

use std::io::{ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use impresario_sys::{MAX_FDS, SeqPacket};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A peer that does not use `SeqPacket` may attach more than `MAX_FDS` descriptors.
#[test]
fn more_than_max_fds_is_an_error_and_leaks_none() {
    let (one, other) = SeqPacket::pair().unwrap();
    let before = open_descriptors();
    let fds = [one.as_fd(); MAX_FDS + 5];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS + 5))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    rustix::net::sendmsg(&one, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).unwrap();
    let error = other.recv(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().contains("descriptors"), "{error}");
    assert_eq!(open_descriptors(), before);
}
