//! The rules of the house, as tests: each names the file, the rule and what to do.
//!
//! A rule is a function over data (sources, manifests, arrows) with tests of its own beside it that show that it
//! can fail; the tests here apply it to this workspace.

mod arrows;
mod pages;
mod sizes;
mod source;
mod texts;
mod words;

use std::fs;
use std::path::Path;

use source::Source;
use walkdir::{DirEntry, WalkDir};

/// The folder of the workspace.
fn root() -> &'static str {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .and_then(Path::to_str)
        .expect("this crate lies in the workspace")
}

/// All Rust sources of the workspace.
fn sources() -> Vec<Source> {
    let skip = |entry: &DirEntry| entry.depth() > 0 && (entry.file_name() == "target" || is_hidden(entry));
    let files = WalkDir::new(root()).sort_by_file_name().into_iter().filter_entry(move |entry| !skip(entry));
    let sources: Vec<Source> = files
        .map(|entry| entry.expect("the workspace can be read").into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| Source::new(relative(&path), read(&path)))
        .collect();
    assert!(sources.len() > 50, "only {} sources were found below {}", sources.len(), root());
    sources
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("it was found there").display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// The manifests of all members, by path.
fn manifests() -> Vec<(String, String)> {
    let packages = arrows::metadata(root());
    let paths = packages
        .workspace_packages()
        .into_iter()
        .map(|package| package.manifest_path.clone().into_std_path_buf());
    paths.map(|path| (relative(&path), read(&path))).collect()
}

fn workspace_manifest() -> String {
    read(&Path::new(root()).join("Cargo.toml"))
}

#[track_caller]
fn nothing(failures: &[String]) {
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let metadata = arrows::metadata(root());
    let packages = metadata.workspace_packages();
    let crates: Vec<&str> = packages
        .iter()
        .map(|package| package.name.strip_prefix("impresario-").unwrap_or(&package.name))
        .collect();
    nothing(&arrows::wrong(&arrows::direct(&metadata), &crates, arrows::ARROWS));
}

#[test]
fn crates_do_not_reach_what_they_must_not_know() {
    nothing(&arrows::too_far(&arrows::reachable(&arrows::metadata(root())), arrows::UNREACHABLE));
}

#[test]
fn supervision_needs_nothing_but_std() {
    let reached = arrows::reachable(&arrows::metadata(root()));
    let others = reached.get("supervision").expect("there is such a crate");
    assert!(others.is_empty(), "supervision is pure rules and needs nothing but std, not {others:?}");
}

#[test]
fn no_file_is_too_long() {
    nothing(&sizes::too_long(&sources()));
}

#[test]
fn the_median_file_is_short() {
    nothing(&sizes::median_too_long(&sources()));
}

#[test]
fn the_echo_example_is_short() {
    let path = Path::new(root()).join("examples/echo.rs");
    nothing(&sizes::example_too_long(&Source::new("examples/echo.rs", read(&path))));
}

#[test]
fn public_types_have_few_parameters() {
    nothing(&sizes::too_many_parameters(&sources()));
}

#[test]
fn unsafe_code_is_in_sys_only() {
    nothing(&words::unsafe_elsewhere(&sources()));
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    nothing(&texts::lints_without_unsafe(&workspace_manifest()));
    nothing(&manifests().iter().flat_map(|(path, text)| texts::own_lints(path, text)).collect::<Vec<_>>());
}

#[test]
fn tests_do_not_sleep() {
    nothing(&words::sleeping_tests(&sources()));
}

#[test]
fn nothing_is_left_for_later() {
    nothing(&words::unfinished(&sources()));
}

#[test]
fn there_are_no_globals() {
    nothing(&words::globals(&sources()));
}

#[test]
fn every_dependency_says_why_it_is_here() {
    nothing(&texts::unexplained_dependencies(&workspace_manifest()));
}

#[test]
fn versions_are_in_one_table() {
    nothing(&manifests().iter().flat_map(|(path, text)| texts::own_versions(path, text)).collect::<Vec<_>>());
}

#[test]
fn every_library_says_what_it_is_and_what_it_does_not_know() {
    let sources = sources();
    let is_library = |path: &str| path.starts_with("crates/") && path.ends_with("/src/lib.rs");
    let libraries: Vec<&Source> = sources.iter().filter(|source| is_library(&source.path)).collect();
    assert!(libraries.len() >= 10, "only {} libraries were found", libraries.len());
    nothing(&texts::incomplete_heads(&libraries));
}

#[test]
fn every_program_and_test_says_what_it_is() {
    let metadata = arrows::metadata(root());
    let targets = metadata.workspace_packages().into_iter().flat_map(|package| &package.targets);
    let roots: Vec<Source> = targets
        .map(|target| target.src_path.as_std_path())
        .map(|path| Source::new(relative(path), read(path)))
        .collect();
    nothing(&texts::silent_roots(&roots.iter().collect::<Vec<_>>()));
}

/// All pages of text, by path.
fn pages() -> Vec<(String, String)> {
    let skip = |entry: &DirEntry| entry.depth() > 0 && (entry.file_name() == "target" || is_hidden(entry));
    let files = WalkDir::new(root()).sort_by_file_name().into_iter().filter_entry(move |entry| !skip(entry));
    let paths = files.map(|entry| entry.expect("the workspace can be read").into_path());
    let pages = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|path| (relative(&path), read(&path))).collect()
}

/// What a path that a page names leads to: the text of a file, or nothing of a folder.
fn find(path: &str) -> Option<String> {
    let path = Path::new(root()).join(path);
    if path.is_dir() { Some(String::new()) } else { fs::read_to_string(path).ok() }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let pages = pages();
    assert!(pages.len() > 20, "only {} pages were found", pages.len());
    nothing(&pages.iter().flat_map(|(path, text)| pages::broken_links(path, text, find)).collect::<Vec<_>>());
}

#[test]
fn the_book_has_all_its_chapters_and_shows_only_code_that_is_compiled() {
    const BOOK: &str = "docs/book/src/";
    let mut pages = pages();
    pages.retain(|(path, _)| path.starts_with(BOOK));
    let names: Vec<&str> = pages.iter().filter_map(|(path, _)| path.strip_prefix(BOOK)).collect();
    nothing(&pages::unlisted_chapters(&read(&Path::new(root()).join(BOOK).join("SUMMARY.md")), &names));
    nothing(&pages.iter().flat_map(|(path, text)| pages::loose_code(path, text)).collect::<Vec<_>>());
    nothing(
        &pages.iter().flat_map(|(path, text)| pages::broken_includes(path, text, find)).collect::<Vec<_>>(),
    );
}

#[test]
fn every_example_can_be_found_and_run() {
    let metadata = arrows::metadata(root());
    let targets = metadata.workspace_packages().into_iter().flat_map(|package| &package.targets);
    let examples: Vec<&str> =
        targets.filter(|target| target.is_example()).map(|target| target.name.as_str()).collect();
    for page in ["README.md", "justfile"] {
        nothing(&pages::unnamed_examples(page, &read(&Path::new(root()).join(page)), &examples));
    }
}

#[test]
fn every_decision_is_listed() {
    let folder = Path::new(root()).join("docs/adr");
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned())
        .collect();
    names.retain(|name| name.ends_with(".md") && name != "README.md");
    nothing(&texts::unlisted(fs::read_to_string(folder.join("README.md")).ok().as_deref(), &names));
}
