//! Reads the workspace: sources, pages and manifests, each by its path relative to the root.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use walkdir::{DirEntry, WalkDir};

use crate::dependencies;
use crate::folders::split_source_path;
use crate::modules::ModuleTree;
use crate::source::Source;

/// The folder of the workspace.
pub(crate) fn root() -> &'static str {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .and_then(Path::to_str)
        .expect("the package impresario-tests lies in the workspace")
}

/// All files with this extension, sorted; `target` and hidden folders are left out.
fn files(extension: &str) -> impl Iterator<Item = PathBuf> {
    let skip = |entry: &DirEntry| {
        let name = entry.file_name().as_encoded_bytes();
        entry.depth() > 0 && (name == b"target" || name.starts_with(b"."))
    };
    let entries =
        WalkDir::new(root()).sort_by_file_name().into_iter().filter_entry(move |entry| !skip(entry));
    let paths = entries.map(|entry| entry.expect("the workspace can be read").into_path());
    paths.filter(move |path| path.extension().is_some_and(|found| found == extension))
}

/// All Rust sources of the workspace, read once for all tests of this program.
pub(crate) fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let sources: Vec<Source> =
            files("rs").map(|path| Source::new(relative(&path), read(&path))).collect();
        assert!(sources.len() > 50, "only {} sources were found below {}", sources.len(), root());
        sources
    })
}

/// All pages of text: path and text.
pub(crate) fn pages() -> Vec<(String, String)> {
    files("md").map(|path| (relative(&path), read(&path))).collect()
}

/// The manifests of all members: path and text.
pub(crate) fn manifests() -> Vec<(String, String)> {
    let metadata = dependencies::metadata(root());
    let packages = metadata.workspace_packages();
    let paths = packages.into_iter().map(|package| package.manifest_path.as_std_path());
    paths.map(|path| (relative(path), read(path))).collect()
}

/// The text of a page or manifest at the root.
pub(crate) fn at_root(name: &str) -> String {
    read(&Path::new(root()).join(name))
}

/// What a path that a page names leads to: the text of a file, or an empty text for a folder.
pub(crate) fn find(path: &str) -> Option<String> {
    let path = Path::new(root()).join(path);
    if path.is_dir() { Some(String::new()) } else { fs::read_to_string(path).ok() }
}

pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("the path was found below the root").display().to_string()
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// The module trees of all crates, by the names of their folders. They are read once for all tests of this program.
pub(crate) fn module_trees() -> &'static BTreeMap<String, ModuleTree> {
    static TREES: OnceLock<BTreeMap<String, ModuleTree>> = OnceLock::new();
    TREES.get_or_init(|| {
        let mut files: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for source in sources() {
            if let Some((package, path)) = split_source_path(&source.path) {
                files.entry(package).or_default().insert(path, &source.text);
            }
        }
        files.into_iter().map(|(package, files)| (package.to_owned(), ModuleTree::parse(&files))).collect()
    })
}
