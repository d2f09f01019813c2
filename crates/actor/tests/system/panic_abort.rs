//! `panic = "abort"`: the crate fails to compile with a message, because panics cannot be caught.

use std::process::Command;

#[test]
fn panic_abort_fails_the_build_with_a_message() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compile = |panic: &str| {
        let mut command = Command::new(&rustc);
        command.args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "-o", "/dev/null", source]);
        command.args(["-C", panic, "--error-format=short"]).env_remove("RUSTFLAGS");
        let output = command.output().expect("rustc runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // The dependencies are not passed to rustc, so its output has other errors, too.
    let said = compile("panic=abort");
    assert!(said.contains("it cannot work with panic = \"abort\": remove that line"), "{said}");
    assert!(!compile("panic=unwind").contains("cannot work"), "panic=unwind is accepted");
}
