//! Manifests, heads of crates, and the index of decisions.

use crate::source::Source;

/// Entries of the version table without a comment above them. Crates of the workspace need none.
pub(crate) fn unexplained_dependencies(manifest: &str) -> Vec<String> {
    let mut failures = Vec::new();
    let mut before = "";
    for line in section(manifest, "[workspace.dependencies]") {
        let is_entry = line.contains('=') && !line.starts_with('#');
        if is_entry && !line.contains("path = ") && !before.starts_with("# ") {
            failures.push(format!(
                "Cargo.toml: `{line}` has no comment above it: say in one line why it is here"
            ));
        }
        before = line;
    }
    failures
}

/// Dependencies of a member that do not come from the version table.
pub(crate) fn own_versions(path: &str, manifest: &str) -> Vec<String> {
    let sections = ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"];
    let lines = sections.iter().flat_map(|name| section(manifest, name));
    lines
        .filter(|line| line.contains('=') && !line.starts_with('#') && !line.contains("workspace = true"))
        .map(|line| format!("{path}: `{line}` has its own version: move it to [workspace.dependencies]"))
        .collect()
}

/// A failure if a member does not inherit the workspace's lints, which forbid unsafe code. `crates/sys` has its own
/// lints, because it holds the unsafe code.
pub(crate) fn own_lints(path: &str, manifest: &str) -> Vec<String> {
    if path.starts_with("crates/sys/") || section(manifest, "[lints]").any(|line| line == "workspace = true")
    {
        return Vec::new();
    }
    vec![format!(
        "{path}: write `[lints]` and `workspace = true`, which forbid unsafe code and missing documentation"
    )]
}

/// A failure if the workspace's lints do not forbid unsafe code.
pub(crate) fn lints_without_unsafe(manifest: &str) -> Vec<String> {
    if section(manifest, "[workspace.lints.rust]").any(|line| line == "unsafe_code = \"forbid\"") {
        return Vec::new();
    }
    vec!["Cargo.toml: [workspace.lints.rust] must say `unsafe_code = \"forbid\"`".to_owned()]
}

fn section<'a>(manifest: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = manifest.lines().map(str::trim).skip_while(move |line| *line != name).skip(1);
    lines.take_while(|line| !line.starts_with('['))
}

/// Libraries that do not open with a paragraph of at least two lines: what the crate is and what it must not know.
pub(crate) fn incomplete_heads(libraries: &[&Source]) -> Vec<String> {
    let silent = libraries.iter().filter(|source| {
        let lines = source.text.lines().map_while(|line| line.strip_prefix("//!"));
        lines.filter(|line| !line.trim().is_empty()).count() < 2
    });
    let advice = "does not open with two lines of `//!`: say what the crate is and what it must not know";
    silent.map(|source| format!("{} {advice}", source.path)).collect()
}

/// Roots of programs and tests without a first line of documentation, own or included.
pub(crate) fn silent_roots(roots: &[&Source]) -> Vec<String> {
    let silent = roots
        .iter()
        .filter(|source| !["//! ", "#![doc = "].iter().any(|start| source.text.starts_with(start)));
    silent.map(|source| format!("{} does not begin with `//! `: say what it is", source.path)).collect()
}

/// Decisions that are missing in the index.
pub(crate) fn unlisted(index: Option<&str>, decisions: &[String]) -> Vec<String> {
    let Some(index) = index else {
        return vec!["docs/adr has no README.md: write one that lists the decisions".to_owned()];
    };
    let missing = decisions.iter().filter(|name| !index.contains(name.as_str()));
    missing
        .map(|name| format!("docs/adr/{name} is not listed in docs/adr/README.md: add a line for it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let table = |lines: &str| format!("[a]\nx = 1\n[workspace.dependencies]\n{lines}\n[b]\ny = 1\n");
        assert!(unexplained_dependencies(&table("a = { path = \"a\" }\n\n# Why.\nb = \"1\"")).is_empty());
        assert_eq!(unexplained_dependencies(&table("# Why.\nb = \"1\"\nc = \"1\"")).len(), 1);
        assert_eq!(unexplained_dependencies(&table("# Why.\n\nb = \"1\"")).len(), 1);
    }

    #[test]
    fn a_version_beside_the_table_is_found() {
        assert!(
            own_versions("a", "[package]\nname = \"a\"\n[dependencies]\na.workspace = true\n").is_empty()
        );
        assert_eq!(
            own_versions("a", "[dependencies]\na = \"1\"\n[dev-dependencies]\nb = { version = \"1\" }\n")
                .len(),
            2
        );
    }

    #[test]
    fn a_manifest_without_the_lints_is_found() {
        assert!(own_lints("crates/a/Cargo.toml", "[lints]\nworkspace = true\n").is_empty());
        assert_eq!(own_lints("crates/a/Cargo.toml", "[package]\nworkspace = true\n").len(), 1);
        assert!(own_lints("crates/sys/Cargo.toml", "").is_empty());
        assert!(lints_without_unsafe("[workspace.lints.rust]\nunsafe_code = \"forbid\"\n").is_empty());
        assert_eq!(lints_without_unsafe("[workspace.lints.rust]\nunsafe_code = \"deny\"\n").len(), 1);
    }

    #[test]
    fn an_incomplete_head_is_found() {
        let good = Source::new("lib.rs", "//! Frames.\n//!\n//! Must not know sockets.\nmod a;\n");
        assert!(incomplete_heads(&[&good]).is_empty());
        for bad in ["mod a;", "//! Frames.\n//!\nmod a;", "//! Frames.\n\n//! More.\n"] {
            assert_eq!(incomplete_heads(&[&Source::new("lib.rs", bad)]).len(), 1, "{bad:?}");
        }
        assert_eq!(silent_roots(&[&good, &Source::new("main.rs", "fn main() {}")]).len(), 1);
    }

    #[test]
    fn a_decision_that_is_not_listed_is_found() {
        let decisions = ["0001-a.md".to_owned(), "0002-b.md".to_owned()];
        assert!(unlisted(Some("[a](0001-a.md), [b](0002-b.md)"), &decisions).is_empty());
        assert_eq!(unlisted(Some("[a](0001-a.md)"), &decisions).len(), 1);
        assert_eq!(unlisted(None, &[]).len(), 1);
    }
}
