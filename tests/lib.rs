//! Integration tests: they start the built examples as child processes and drive them as a user would.
//!
//! One file a theme, each a test target of its own; what they share is `impresario-testkit`. `tidy` is the
//! exception: it tests the rules of the house on the sources. A test needs the examples, which `cargo test
//! --workspace` builds first; alone, run `cargo build -p impresario-examples --examples` before `cargo test -p
//! impresario-tests`.
