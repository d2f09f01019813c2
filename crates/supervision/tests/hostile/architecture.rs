//! The table in ARCHITECTURE.md names exactly the properties of this folder.

use std::collections::BTreeSet;
use std::path::Path;

const MODULES: [(&str, &str); 4] = [
    ("dynamic", include_str!("dynamic.rs")),
    ("shutdown", include_str!("shutdown.rs")),
    ("storm", include_str!("storm.rs")),
    ("windows", include_str!("windows.rs")),
];

fn properties() -> BTreeSet<String> {
    let of = |(module, source): (&str, &str)| {
        let tests = source.split("#[test]").skip(1);
        let name = |test: &str| Some(test.trim_start().strip_prefix("fn ")?.split('(').next()?.to_owned());
        tests
            .map(|test| format!("{module}::{}", name(test).expect("a test is a function")))
            .collect::<Vec<_>>()
    };
    MODULES.into_iter().flat_map(of).collect()
}

#[test]
fn architecture_names_every_property_and_no_other() {
    let map = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md");
    let map = std::fs::read_to_string(&map).unwrap_or_else(|error| panic!("{}: {error}", map.display()));
    let is_property =
        |code: &&str| MODULES.iter().any(|(module, _)| code.starts_with(&format!("{module}::")));
    let named: BTreeSet<String> = map.split('`').filter(is_property).map(str::to_owned).collect();
    assert_eq!(named, properties());
}
