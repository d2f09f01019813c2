//! How many source files a folder holds, and that each folder says what it is for.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;

/// The most source files in one folder; subfolders are counted on their own.
pub(crate) const MAX_FILES: usize = 15;

/// Whether a file holds the tests of the file beside it. Such files do not count.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.ends_with("_tests.rs") || path.ends_with("/tests.rs")
}

/// Folders of crates, of `examples` and of `tests` with too many source files.
pub(crate) fn crowded(paths: &[&str]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let counted = paths.iter().filter(|path| path.ends_with(".rs") && !is_test_file(path));
    for (folder, _) in counted.filter_map(|path| path.rsplit_once('/')) {
        *counts.entry(folder).or_default() += 1;
    }
    let crowded = counts.into_iter().filter(|(_, count)| *count > MAX_FILES);
    crowded
        .map(|(folder, count)| {
            format!("{folder}/ has {count} source files, at most {MAX_FILES} are allowed: make a folder for each concern")
        })
        .collect()
}

/// The folders below `crates/*/src` with source files, relative to `src`, by the crate's folder name. `bin` is left
/// out: its files are programs of their own.
pub(crate) fn module_folders<'a>(paths: &[&'a str]) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for path in paths.iter().filter(|path| !is_test_file(path)) {
        if let Some((package, file)) = split_source_path(path) {
            let of_crate = folders.entry(package).or_default();
            of_crate
                .extend(file.rsplit_once('/').map(|(folder, _)| folder).filter(|folder| *folder != "bin"));
        }
    }
    folders
}

/// The crate's folder name and the path below `src` of `crates/<name>/src/<path>`.
pub(crate) fn split_source_path(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("crates/")?.split_once("/src/")
}

/// Folders below `src` that have no `mod.rs`, or one that does not open with a paragraph.
pub(crate) fn undescribed(sources: &[Source]) -> Vec<String> {
    let paths: Vec<&str> = sources.iter().map(|source| source.path.as_str()).collect();
    let mut failures = Vec::new();
    for (package, folders) in module_folders(&paths) {
        for folder in folders {
            let path = format!("crates/{package}/src/{folder}/mod.rs");
            match sources.iter().find(|source| source.path == path) {
                None => failures.push(format!(
                    "crates/{package}/src/{folder}/ has no mod.rs: move the module that declares its files there"
                )),
                Some(source) if !source.text.starts_with("//! ") => failures.push(format!(
                    "{path} does not open with `//! `: say what the folder is for and what it must not know"
                )),
                Some(_) => {}
            }
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_files_in_a_folder_are_too_many() {
        let names = |folder: &str, count: usize| -> Vec<String> {
            (0..count).map(|number| format!("{folder}/f{number}.rs")).collect()
        };
        let mut all = names("crates/a/src", MAX_FILES);
        all.extend(names("crates/a/src/b", MAX_FILES));
        all.extend(
            ["crates/a/src/b/f0_tests.rs", "crates/a/src/tests.rs", "crates/a/src/b.json"].map(str::to_owned),
        );
        let paths = |all: &[String]| crowded(&all.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(paths(&all).is_empty());
        for folder in ["crates/a/src/b", "crates/a/tests", "tests", "examples"] {
            assert_eq!(paths(&names(folder, MAX_FILES + 1)).len(), 1, "{folder}");
        }
    }

    #[test]
    fn folders_are_found_by_crate() {
        let paths = [
            "crates/a/src/lib.rs",
            "crates/a/src/b/c/d.rs",
            "crates/a/src/bin/e.rs",
            "crates/a/src/f/g_tests.rs",
            "tests/h.rs",
        ];
        assert_eq!(module_folders(&paths), BTreeMap::from([("a", BTreeSet::from(["b/c"]))]));
    }

    #[test]
    fn a_folder_without_a_description_is_found() {
        let sources =
            |text: &str| [Source::new("crates/a/src/b/mod.rs", text), Source::new("crates/a/src/b/c.rs", "")];
        assert!(undescribed(&sources("//! Counts frames.\n\nmod c;")).is_empty());
        assert_eq!(undescribed(&sources("mod c;")).len(), 1);
        let beside = [Source::new("crates/a/src/b.rs", "//! B."), Source::new("crates/a/src/b/c.rs", "")];
        assert_eq!(undescribed(&beside).len(), 1);
    }
}
