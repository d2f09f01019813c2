//! The rules of CONTRIBUTING.md that are checked on the sources. A failure names the file, the rule and what to do.
//!
//! Each rule is a function over data (sources, manifests, module trees) with unit tests beside it that show that it can
//! fail. The tests in this file apply the rules to the workspace.

mod dependencies;
mod folders;
mod imports;
mod layers;
mod modules;
mod pages;
mod prose;
mod sizes;
mod source;
mod texts;
mod words;
mod workspace;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use source::Source;
use workspace::{at_root, find, manifests, read, relative, root, sources};

#[track_caller]
fn assert_no_failures(failures: &[String]) {
    assert!(failures.is_empty(), "\n{}\n{} failures\n", failures.join("\n"), failures.len());
}

#[test]
fn crates_depend_only_on_crates_in_the_table() {
    let metadata = dependencies::metadata(root());
    let packages = metadata.workspace_packages();
    let crates: Vec<&str> = packages
        .iter()
        .map(|package| package.name.strip_prefix("impresario-").unwrap_or(&package.name))
        .collect();
    assert_no_failures(&dependencies::disallowed(
        &dependencies::direct(&metadata),
        &crates,
        dependencies::ALLOWED,
    ));
}

#[test]
fn crates_do_not_depend_on_forbidden_crates() {
    assert_no_failures(&dependencies::forbidden(
        &dependencies::reachable(&dependencies::metadata(root())),
        dependencies::UNREACHABLE,
    ));
}

#[test]
fn supervision_depends_on_std_only() {
    let reached = dependencies::reachable(&dependencies::metadata(root()));
    let others = reached.get("supervision").expect("the workspace has the crate supervision");
    assert!(others.is_empty(), "supervision may depend on std only, not on {others:?}");
}

#[test]
fn no_file_is_too_long() {
    assert_no_failures(&sizes::too_long(sources()));
}

#[test]
fn no_test_name_is_too_long() {
    assert_no_failures(&sizes::long_test_names(sources()));
}

#[test]
fn no_folder_is_crowded() {
    let sources = sources();
    assert_no_failures(&folders::crowded(
        &sources.iter().map(|source| source.path.as_str()).collect::<Vec<_>>(),
    ));
}

#[test]
fn every_folder_opens_with_a_description() {
    assert_no_failures(&folders::undescribed(sources()));
}

#[test]
fn files_of_a_crate_import_each_other_without_circles() {
    let imports = workspace::module_trees().iter().map(|(package, tree)| (package, tree.imports()));
    let imports: Vec<_> = imports.collect();
    assert!(
        imports.iter().map(|(_, imports)| imports.len()).sum::<usize>() > 500,
        "too few imports were found"
    );
    let failures = imports.iter().flat_map(|(package, imports)| imports::circles(package, imports));
    assert_no_failures(&failures.collect::<Vec<_>>());
}

#[test]
fn nothing_is_imported_through_lib_rs() {
    let failures = workspace::module_trees()
        .iter()
        .flat_map(|(package, tree)| imports::through_root(package, &tree.imports_through_root()));
    assert_no_failures(&failures.collect::<Vec<_>>());
}

#[test]
fn folders_import_only_folders_above_them() {
    let sources = sources();
    let tables = layers::tables(&at_root("ARCHITECTURE.md"));
    let paths: Vec<&str> = sources.iter().map(|source| source.path.as_str()).collect();
    let all_folders = folders::module_folders(&paths);
    let mut failures: Vec<String> = tables
        .keys()
        .filter(|package| !all_folders.contains_key(package.as_str()))
        .map(|package| format!("ARCHITECTURE.md has folders of {package}, which is no crate"))
        .collect();
    for (package, folders) in &all_folders {
        let rows = tables.get(*package).map_or(&[][..], Vec::as_slice);
        let files: BTreeSet<&str> = paths
            .iter()
            .filter_map(|path| folders::split_source_path(path))
            .filter_map(|(name, file)| (name == *package).then_some(file))
            .collect();
        failures.extend(layers::differences(package, rows, folders, &files));
        let imports = workspace::module_trees()[*package].imports();
        failures.extend(layers::upward(package, rows, &imports));
    }
    assert_no_failures(&failures);
}

#[test]
fn comments_and_pages_use_no_denied_word() {
    let mut hits: Vec<prose::Hit> = sources().iter().flat_map(prose::in_comments).collect();
    hits.extend(workspace::pages().iter().flat_map(|(path, text)| prose::in_page(path, text)));
    assert_no_failures(&prose::failures(&hits));
}

#[test]
fn the_echo_example_is_short() {
    let path = Path::new(root()).join("examples/echo.rs");
    assert_no_failures(&sizes::example_too_long(&Source::new("examples/echo.rs", read(&path))));
}

#[test]
fn public_types_have_few_parameters() {
    assert_no_failures(&sizes::too_many_parameters(sources()));
}

#[test]
fn unsafe_code_is_in_sys_only() {
    assert_no_failures(&words::unsafe_elsewhere(sources()));
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    assert_no_failures(&texts::lints_without_unsafe(&at_root("Cargo.toml")));
    assert_no_failures(
        &manifests().iter().flat_map(|(path, text)| texts::own_lints(path, text)).collect::<Vec<_>>(),
    );
}

#[test]
fn tests_do_not_sleep() {
    assert_no_failures(&words::sleeping_tests(sources()));
}

#[test]
fn no_work_is_left_for_later() {
    assert_no_failures(&words::unfinished(sources()));
}

#[test]
fn there_are_no_globals() {
    assert_no_failures(&words::globals(sources()));
}

#[test]
fn every_dependency_has_a_reason() {
    assert_no_failures(&texts::unexplained_dependencies(&at_root("Cargo.toml")));
}

#[test]
fn versions_are_in_one_table() {
    assert_no_failures(
        &manifests().iter().flat_map(|(path, text)| texts::own_versions(path, text)).collect::<Vec<_>>(),
    );
}

#[test]
fn every_library_opens_with_a_description() {
    let sources = sources();
    let is_library = |path: &str| path.starts_with("crates/") && path.ends_with("/src/lib.rs");
    let libraries: Vec<&Source> = sources.iter().filter(|source| is_library(&source.path)).collect();
    assert!(libraries.len() >= 10, "only {} libraries were found", libraries.len());
    assert_no_failures(&texts::incomplete_heads(&libraries));
}

#[test]
fn every_program_and_test_opens_with_a_description() {
    let metadata = dependencies::metadata(root());
    let targets = metadata.workspace_packages().into_iter().flat_map(|package| &package.targets);
    let roots: Vec<Source> = targets
        .map(|target| target.src_path.as_std_path())
        .map(|path| Source::new(relative(path), read(path)))
        .collect();
    assert_no_failures(&texts::silent_roots(&roots.iter().collect::<Vec<_>>()));
}

#[test]
fn links_between_pages_lead_to_existing_targets() {
    let pages = workspace::pages();
    assert!(pages.len() > 20, "only {} pages were found", pages.len());
    assert_no_failures(
        &pages.iter().flat_map(|(path, text)| pages::broken_links(path, text, find)).collect::<Vec<_>>(),
    );
}

/// The pages of the book.
fn book() -> Vec<(String, String)> {
    workspace::pages().into_iter().filter(|(path, _)| path.starts_with(BOOK)).collect()
}

const BOOK: &str = "docs/book/src/";

#[test]
fn steps_of_the_walks_name_existing_functions() {
    let page = read(&Path::new(root()).join("ARCHITECTURE.md"));
    assert!(page.matches(". `crates/").count() > 20, "ARCHITECTURE.md has few steps: are the walks missing?");
    assert_no_failures(&pages::broken_steps("ARCHITECTURE.md", &page, find));
}

#[test]
fn the_summary_of_the_book_lists_all_chapters() {
    let pages = book();
    let names: Vec<&str> = pages.iter().filter_map(|(path, _)| path.strip_prefix(BOOK)).collect();
    assert_no_failures(&pages::unlisted_chapters(&at_root(&format!("{BOOK}SUMMARY.md")), &names));
}

#[test]
fn the_book_shows_only_code_that_is_compiled() {
    let pages = book();
    assert_no_failures(
        &pages.iter().flat_map(|(path, text)| pages::loose_code(path, text)).collect::<Vec<_>>(),
    );
    let includes = pages.iter().flat_map(|(path, text)| pages::broken_includes(path, text, find));
    assert_no_failures(&includes.collect::<Vec<_>>());
}

#[test]
fn every_example_has_a_command_in_readme_and_justfile() {
    let metadata = dependencies::metadata(root());
    let targets = metadata.workspace_packages().into_iter().flat_map(|package| &package.targets);
    let examples: Vec<&str> =
        targets.filter(|target| target.is_example()).map(|target| target.name.as_str()).collect();
    for page in ["README.md", "justfile"] {
        assert_no_failures(&pages::unnamed_examples(page, &read(&Path::new(root()).join(page)), &examples));
    }
}

#[test]
fn every_decision_is_listed() {
    let folder = Path::new(root()).join("docs/adr");
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("the entry can be read").file_name().to_string_lossy().into_owned())
        .collect();
    names.retain(|name| name.ends_with(".md") && name != "README.md");
    assert_no_failures(&texts::unlisted(
        fs::read_to_string(folder.join("README.md")).ok().as_deref(),
        &names,
    ));
}
