//! Imports between the files of a crate, with re-exports resolved to the file that defines the item.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::{ModulePath, ModuleTree};

/// File `from` names the item `name`, which file `to` defines. Paths are relative to `src`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) name: String,
}

/// What a path leads to.
enum Target {
    Module(ModulePath),
    Item { file: String, name: String },
}

/// The state of one resolution.
#[derive(Default)]
struct Trail {
    /// Paths that were followed; a path that leads back to itself resolves to nothing.
    seen: BTreeSet<(ModulePath, Vec<String>)>,
    /// The name in the crate root at which the path went through a re-export.
    root_re_export: Option<String>,
}

impl ModuleTree {
    /// All imports between two files of the crate. A re-export is not an import, nor is the import of a module; the
    /// paths that go through the module are.
    pub(crate) fn imports(&self) -> BTreeSet<Import> {
        let mut imports = BTreeSet::new();
        for (path, module) in &self.modules {
            let used =
                module.imports.iter().filter(|import| !import.re_export).map(|import| &import.segments);
            let paths = module.paths.iter().filter(|segments| self.names_a_module(path, segments));
            for segments in used.chain(paths) {
                match self.resolve(path, segments, &mut Trail::default()) {
                    Some(Target::Item { file, name }) if file != module.file => {
                        imports.insert(Import { from: module.file.clone(), to: file, name });
                    }
                    _ => {}
                }
            }
        }
        imports
    }

    /// Files and the names that they import through a re-export of the crate root.
    pub(crate) fn imports_through_root(&self) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        for (path, module) in self.modules.iter().filter(|(path, _)| !path.is_empty()) {
            let used = module.imports.iter().map(|import| &import.segments);
            for segments in used.chain(&module.paths).filter(|segments| is_anchor(segments)) {
                let mut trail = Trail::default();
                self.resolve(path, segments, &mut trail);
                found.extend(trail.root_re_export.map(|name| (module.file.clone(), name)));
            }
        }
        found
    }

    /// Whether the first segment of a path is a module. A path that starts with a type was counted when the type was
    /// imported.
    fn names_a_module(&self, from: &ModulePath, segments: &[String]) -> bool {
        is_anchor(segments)
            || segments.first().is_some_and(|first| {
                let target = self.resolve(from, std::slice::from_ref(first), &mut Trail::default());
                matches!(target, Some(Target::Module(_)))
            })
    }

    /// Follows a path from a module; `None` when it leaves the crate or names something that a macro defines.
    fn resolve(&self, from: &ModulePath, segments: &[String], trail: &mut Trail) -> Option<Target> {
        if !trail.seen.insert((from.clone(), segments.to_vec())) {
            return None;
        }
        let is_outermost = trail.seen.len() == 1;
        let (mut current, mut rest) = self.start(from, segments)?;
        while let Some((name, after)) = rest.split_first() {
            let module = self.modules.get(&current)?;
            if module.children.contains(name) {
                current.push(name.clone());
                rest = after;
            } else if name == "*" || module.items.contains(name) {
                return Some(Target::Item { file: module.file.clone(), name: name.clone() });
            } else if let Some(import) = module.imports.iter().find(|import| import.alias == *name) {
                if is_outermost && current.is_empty() && !from.is_empty() {
                    trail.root_re_export = Some(name.clone());
                }
                match self.resolve(&current, &import.segments, trail)? {
                    Target::Module(path) => (current, rest) = (path, after),
                    item @ Target::Item { .. } => return Some(item),
                }
            } else {
                return self.resolve_in_globs(&current, rest, trail);
            }
        }
        Some(Target::Module(current))
    }

    fn resolve_in_globs(&self, path: &ModulePath, rest: &[String], trail: &mut Trail) -> Option<Target> {
        let globs = self.modules.get(path)?.imports.iter().filter(|import| import.alias == "*");
        globs.into_iter().find_map(|glob| {
            let (_, prefix) = glob.segments.split_last()?;
            self.resolve(path, &[prefix, rest].concat(), trail)
        })
    }

    /// The module from which to follow a path, and the segments left to follow.
    fn start<'a>(&self, from: &ModulePath, segments: &'a [String]) -> Option<(ModulePath, &'a [String])> {
        let (first, rest) = segments.split_first()?;
        match first.as_str() {
            "crate" => Some((Vec::new(), rest)),
            "self" => Some((from.clone(), rest)),
            "super" => {
                let levels = segments.iter().take_while(|segment| *segment == "super").count();
                let depth = from.len().checked_sub(levels)?;
                Some((from.get(..depth)?.to_vec(), segments.get(levels..)?))
            }
            name => {
                let module = self.modules.get(from)?;
                let is_known = module.children.contains(name)
                    || module.items.contains(name)
                    || module.imports.iter().any(|import| import.alias == name);
                is_known.then(|| (from.clone(), segments))
            }
        }
    }
}

fn is_anchor(segments: &[String]) -> bool {
    segments.first().is_some_and(|first| ["crate", "self", "super"].contains(&first.as_str()))
}

/// Import circles between files: one failure per circle, with the imports that close it.
pub(crate) fn circles(package: &str, imports: &BTreeSet<Import>) -> Vec<String> {
    let mut targets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in imports {
        targets.entry(&import.from).or_default().insert(&import.to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        targets.keys().map(|file| (*file, reachable(&targets, file))).collect();
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|files| files.contains(to));
    let (mut failures, mut reported) = (Vec::new(), BTreeSet::new());
    for file in reached.keys().filter(|file| reaches(file, file)) {
        let circle: BTreeSet<&str> =
            reached.keys().copied().filter(|other| reaches(file, other) && reaches(other, file)).collect();
        if reported.insert(circle.clone()) {
            let inside = imports.iter().filter(|import| {
                circle.contains(import.from.as_str()) && circle.contains(import.to.as_str())
            });
            let lines: Vec<String> = inside
                .map(|import| format!("    {} -> {} ({})", import.from, import.to, import.name))
                .collect();
            failures.push(format!(
                "crates/{package}/src: {} files import each other in a circle; move what both need into a file of its own:\n{}",
                circle.len(),
                lines.join("\n")
            ));
        }
    }
    failures
}

/// All files that can be reached from one, itself only through a circle.
fn reachable<'a>(targets: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = targets.get(start).into_iter().flatten().copied().collect();
    while let Some(file) = open.pop() {
        if seen.insert(file) {
            open.extend(targets.get(file).into_iter().flatten());
        }
    }
    seen
}

/// Imports through a re-export of `lib.rs`, which would hide circles from the import graph.
pub(crate) fn through_root(package: &str, found: &BTreeSet<(String, String)>) -> Vec<String> {
    found
        .iter()
        .map(|(file, name)| {
            format!(
                "crates/{package}/src/{file} imports `crate::{name}` through a re-export: name its module"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> ModuleTree {
        ModuleTree::parse(&files.iter().copied().collect())
    }

    fn imports(files: &[(&str, &str)]) -> Vec<String> {
        let found = tree(files).imports();
        found.iter().map(|import| format!("{} -> {}: {}", import.from, import.to, import.name)).collect()
    }

    #[test]
    fn an_import_resolves_to_the_defining_file() {
        let root = ("lib.rs", "mod a; mod b; mod f; pub use b::{B, deep::C}; macro_rules! m { () => {} }");
        let b = [
            ("b/mod.rs", "pub mod deep; pub(crate) use deep::*; pub struct B;"),
            ("b/deep.rs", "pub struct C; pub fn go() {}"),
        ];
        let f = ("f.rs", "use std::a::E; use serde; pub use crate::b::B;");
        for (text, expected) in [
            ("use crate::B;", "a.rs -> b/mod.rs: B"),
            ("use crate::C;", "a.rs -> b/deep.rs: C"),
            ("use crate::b::C as D; impl D {}", "a.rs -> b/deep.rs: C"),
            ("use super::{b::{self, C}};", "a.rs -> b/deep.rs: C"),
            ("fn x() -> crate::b::deep::C { y() }", "a.rs -> b/deep.rs: C"),
            ("use crate::b; fn x() { b::deep::go(); }", "a.rs -> b/deep.rs: go"),
            ("fn x() { assert!(super::b::deep::go()); }", "a.rs -> b/deep.rs: go"),
            ("fn x() { crate::m!(); }", "a.rs -> lib.rs: m"),
            ("use crate::f::B; fn x() { B::new(); }", "a.rs -> b/mod.rs: B"),
        ] {
            assert_eq!(imports(&[root, ("a.rs", text), b[0], b[1], f]), [expected], "{text}");
        }
        for text in [
            "use crate::b;",
            "pub(crate) use crate::b::B;",
            "#[cfg(test)] mod tests { use crate::b::B; }",
            "use crate::unknown::B;",
            "struct B; fn x() { B::new(); self::B; m!(); }",
            "use crate::a::Loop; pub use self::Loop;",
        ] {
            assert!(imports(&[root, ("a.rs", text), b[0], b[1], f]).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_circle_behind_re_exports_is_found() {
        let circle = [
            ("lib.rs", "mod a; mod b; mod c; pub use a::A; pub use b::B;"),
            ("a.rs", "use crate::B; use crate::c::C; pub struct A;"),
            ("b.rs", "use crate::A; pub struct B;"),
            ("c.rs", "pub struct C;"),
        ];
        let failures = circles("x", &tree(&circle).imports());
        assert_eq!(failures.len(), 1);
        assert!(
            failures[0].contains(": 2 files ") && failures[0].contains("a.rs -> b.rs (B)"),
            "{failures:?}"
        );
        assert!(!failures[0].contains("c.rs"), "{failures:?}");
        let line = [
            circle[0],
            ("a.rs", "use crate::B; use crate::c::C; pub struct A;"),
            ("b.rs", "pub struct B;"),
            circle[3],
        ];
        assert!(circles("x", &tree(&line).imports()).is_empty());
    }

    #[test]
    fn two_circles_are_two_failures() {
        let import =
            |from: &str, to: &str| Import { from: from.to_owned(), to: to.to_owned(), name: "X".to_owned() };
        let imports = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "c")];
        assert_eq!(circles("x", &imports.map(|(from, to)| import(from, to)).into()).len(), 2);
    }

    #[test]
    fn an_import_through_lib_rs_is_found() {
        let files = |text: &'static str| {
            tree(&[
                ("lib.rs", "mod a; mod b; pub use b::B; pub struct Own;"),
                ("a.rs", text),
                ("b.rs", "pub struct B;"),
            ])
        };
        for bad in
            ["use crate::B;", "use super::B;", "fn x() -> crate::B { y() }", "use crate::{b::B as C, B};"]
        {
            assert_eq!(through_root("x", &files(bad).imports_through_root()).len(), 1, "{bad}");
        }
        for good in ["use crate::b::B;", "use super::b::B;", "use crate::Own;", "use std::B;"] {
            assert!(files(good).imports_through_root().is_empty(), "{good}");
        }
    }
}
