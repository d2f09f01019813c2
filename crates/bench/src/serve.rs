//! Our side of the rows: what a user would write.

use std::net::SocketAddr;
use std::process::ExitCode;

pub(crate) fn echo(_address: SocketAddr) -> ExitCode {
    ExitCode::FAILURE
}

pub(crate) fn http(_address: SocketAddr) -> ExitCode {
    ExitCode::FAILURE
}

pub(crate) fn workers(_address: SocketAddr, _router: bool) -> ExitCode {
    ExitCode::FAILURE
}
