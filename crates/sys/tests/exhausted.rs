//! Receiving without free descriptors. Alone in its file, because it lowers the limit of the process.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd};

use impresario_sys::SeqPacket;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn a_message_arrives_although_its_descriptors_are_lost() {
    let (one, other) = SeqPacket::pair().unwrap();
    one.send(&[IoSlice::new(b"news")], &[one.as_fd(), one.as_fd()]).unwrap();
    one.send(&[IoSlice::new(b"more")], &[one.as_fd()]).unwrap();
    let limit = getrlimit(Resource::Nofile);
    // The kernel assigns the lowest free number.
    let lowest = one.try_clone().unwrap();
    for free in [1, 0] {
        let current = u64::try_from(lowest.as_raw_fd()).unwrap() + 1 + free;
        setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit }).unwrap();
        let mut buf = [0; 8];
        let received = other.recv(&mut buf);
        setrlimit(Resource::Nofile, limit).unwrap();
        let received = received.unwrap();
        assert!(received.lost_descriptors && received.fds.is_empty(), "{received:?}");
        assert!(received.sender.is_some() && !received.is_eof());
        assert_eq!(buf.get(..received.len), Some(if free == 1 { &b"news"[..] } else { &b"more"[..] }));
        let error = received.complete().unwrap_err().to_string();
        assert!(error.ends_with("no free descriptors; look at the limit on open files"), "{error}");
    }
}
