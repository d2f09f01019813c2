//! Integration tests: they start the built examples as child processes and drive them as a user does.
//!
//! Each file is one theme and a test target of its own; shared code is in `impresario-testkit`. The target `tidy` is
//! different: it checks the rules of CONTRIBUTING.md on the sources. The tests need the built examples, which `cargo test
//! --workspace` builds first. For `cargo test -p impresario-tests` alone, run `cargo build -p impresario-examples
//! --examples` before.
