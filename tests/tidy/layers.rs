//! Layers: the order of the folders inside a crate, read from ARCHITECTURE.md.
//!
//! Below the heading `## Inside each crate` stands a heading `### <crate>` per crate and a table. The first cells are
//! folders (`` `cell/` ``) or single files (`` `protocol.rs` ``), relative to `src`. A row may import only rows above it.
//! Files beside `lib.rs` without a row stand above all rows. `lib.rs` and `main.rs` may import everything.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::Import;

const SECTION: &str = "## Inside each crate";

/// The rows of each crate's table, in the order of the page.
pub(crate) fn tables(page: &str) -> BTreeMap<String, Vec<String>> {
    let lines = page.lines().skip_while(|line| *line != SECTION).skip(1);
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut package = None;
    for line in lines.take_while(|line| !line.starts_with("## ")) {
        if let Some(heading) = line.strip_prefix("### ") {
            package = Some(heading.trim().trim_matches('`').to_owned());
        } else if let (Some(package), Some(row)) = (&package, row(line)) {
            tables.entry(package.clone()).or_default().push(row.to_owned());
        }
    }
    tables
}

/// The folder or file in the first cell of a table's row; `None` for headings and other lines.
fn row(line: &str) -> Option<&str> {
    let cell = line.strip_prefix('|')?.split('|').next()?.trim();
    let name = cell.strip_prefix('`')?.strip_suffix('`')?;
    (name.ends_with('/') || name.ends_with(".rs")).then_some(name)
}

/// Rows that name nothing, rows that stand twice, and folders without a row. `folders` and `files` are those of the
/// crate, relative to `src`.
pub(crate) fn differences(
    package: &str,
    rows: &[String],
    folders: &BTreeSet<&str>,
    files: &BTreeSet<&str>,
) -> Vec<String> {
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    for row in rows {
        let exists =
            row.strip_suffix('/').map_or(files.contains(row.as_str()), |folder| folders.contains(folder));
        if !exists {
            failures
                .push(format!("ARCHITECTURE.md, {SECTION}, {package}: there is no `{row}`: remove its row"));
        }
        if !seen.insert(row.trim_end_matches('/')) {
            failures.push(format!("ARCHITECTURE.md, {SECTION}, {package}: `{row}` has two rows: remove one"));
        }
    }
    for folder in folders.iter().filter(|folder| !seen.contains(*folder)) {
        failures.push(format!(
            "ARCHITECTURE.md, {SECTION}, {package}: `{folder}/` has no row: add one below the folders that it imports"
        ));
    }
    failures
}

/// Imports of a folder or file that stands further down in the table.
pub(crate) fn upward(package: &str, rows: &[String], imports: &BTreeSet<Import>) -> Vec<String> {
    let wrong = imports.iter().filter(|import| {
        let is_root = ["lib.rs", "main.rs"].contains(&import.from.as_str());
        !is_root && layer(rows, &import.to) > layer(rows, &import.from)
    });
    wrong
        .map(|Import { from, to, name }| {
            format!(
                "crates/{package}/src/{from} imports {name} from {to}, which stands below it in ARCHITECTURE.md: move the item up, or turn the import round"
            )
        })
        .collect()
}

/// The layer of a file: the number of its row, or of its folder's row, from 1. Files beside `lib.rs` without a row are
/// in layer 0.
fn layer(rows: &[String], file: &str) -> usize {
    // `name.rs` beside the folder `name/` is the module of that folder.
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let own = rows.iter().position(|row| row == file || row.strip_suffix('/') == Some(stem));
    let folder = file.rsplit_once('/').map(|(folder, _)| folder);
    let of_folder =
        || rows.iter().position(|row| row.strip_suffix('/').is_some_and(|row| Some(row) == folder));
    own.or_else(of_folder).map_or(0, |position| position + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&str]) -> Vec<String> {
        rows.iter().map(|row| (*row).to_owned()).collect()
    }

    #[test]
    fn tables_are_read_in_order() {
        let page = "## Crates\n\n### a\n\n| `x/` | no |\n\n## Inside each crate\n\nText.\n\n### a\n\n| folder | what it is |\n\
            | --- | --- |\n| `c/` | counts |\n| `b/d/` | more |\n| `e.rs` | start |\n\n### `f`\n\n| `g/` | one |\n\n## After\n\n### h\n\n| `i/` | no |\n";
        let expected = [("a".to_owned(), rows(&["c/", "b/d/", "e.rs"])), ("f".to_owned(), rows(&["g/"]))];
        assert_eq!(tables(page), expected.into());
        assert!(tables("# Nothing\n").is_empty());
    }

    #[test]
    fn a_table_that_differs_from_the_folders_is_found() {
        let folders = BTreeSet::from(["b", "b/d"]);
        let files = BTreeSet::from(["lib.rs", "e.rs"]);
        assert!(differences("a", &rows(&["b/", "b/d/", "e.rs"]), &folders, &files).is_empty());
        for bad in [&["b/"][..], &["b/", "b/d/", "c/"], &["b/", "b/d/", "f.rs"], &["b/", "b/d/", "b/"]] {
            assert_eq!(differences("a", &rows(bad), &folders, &files).len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn an_import_from_a_lower_layer_is_found() {
        let rows = rows(&["b/", "b/d/", "c/", "facade.rs"]);
        let failures = |from: &str, to: &str| {
            let import = Import { from: from.to_owned(), to: to.to_owned(), name: "X".to_owned() };
            upward("a", &rows, &BTreeSet::from([import])).len()
        };
        for (from, to) in [
            ("b/x.rs", "b/y.rs"),
            ("b/d/x.rs", "b/y.rs"),
            ("c/x.rs", "b/d/y.rs"),
            ("c.rs", "b/y.rs"),
            ("b/x.rs", "error.rs"),
            ("error.rs", "time.rs"),
            ("facade.rs", "c/x.rs"),
            ("lib.rs", "c/x.rs"),
            ("b/x.rs", "lib.rs"),
        ] {
            assert_eq!(failures(from, to), 0, "{from} -> {to}");
        }
        for (from, to) in [
            ("b/x.rs", "c/y.rs"),
            ("b/x.rs", "b/d/y.rs"),
            ("error.rs", "b/x.rs"),
            ("c/x.rs", "facade.rs"),
            ("error.rs", "facade.rs"),
        ] {
            assert_eq!(failures(from, to), 1, "{from} -> {to}");
        }
    }
}
