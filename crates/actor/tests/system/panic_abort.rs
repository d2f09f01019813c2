//! Without unwinding there is nothing to catch, so the crate refuses to be built, and says why.

use std::process::Command;

#[test]
fn panic_abort_is_refused_with_a_reason() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compile = |panic: &str| {
        let mut command = Command::new(&rustc);
        command.args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "-o", "/dev/null", source]);
        command.args(["-C", panic, "--error-format=short"]).env_remove("RUSTFLAGS");
        let output = command.output().expect("there is a compiler");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // Nothing it depends on is there, so there are other errors too.
    let said = compile("panic=abort");
    assert!(said.contains("it cannot work with panic = \"abort\": remove that line"), "{said}");
    assert!(!compile("panic=unwind").contains("cannot work"), "it is refused for that reason only");
}
