//! The module tree of one crate, read from its sources: items, imports and paths of each module.
//!
//! This module knows no rules and resolves no names. Code under `#[cfg(test)]` is left out.

use std::collections::{BTreeMap, BTreeSet};

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility};

/// Names of modules from the root of the crate; empty for the root itself.
pub(crate) type ModulePath = Vec<String>;

/// One name that a `use` item brings into scope.
#[derive(Debug)]
pub(crate) struct Import {
    /// The path as written. A glob import ends with `*`.
    pub(crate) segments: Vec<String>,
    /// The name in scope: the last segment, or the name after `as`.
    pub(crate) alias: String,
    /// Whether the item has a visibility (`pub use`, `pub(crate) use`).
    pub(crate) re_export: bool,
}

/// What one module declares and names.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// The file with the module's text, relative to `src`.
    pub(crate) file: String,
    /// Child modules.
    pub(crate) children: BTreeSet<String>,
    /// Items that are defined here.
    pub(crate) items: BTreeSet<String>,
    /// Imports, also those inside functions.
    pub(crate) imports: Vec<Import>,
    /// Paths of at least two segments, outside `use` items.
    pub(crate) paths: BTreeSet<Vec<String>>,
}

/// All modules of a crate.
#[derive(Debug, Default)]
pub(crate) struct ModuleTree {
    pub(crate) modules: BTreeMap<ModulePath, Module>,
}

impl ModuleTree {
    /// Reads a crate from `files`: the text of each source by its path relative to `src`. The root is `lib.rs`, or
    /// `main.rs` if there is no `lib.rs`. A declared module without a file is left out.
    ///
    /// # Panics
    ///
    /// When a file is not Rust.
    pub(crate) fn parse(files: &BTreeMap<&str, &str>) -> Self {
        let mut tree = Self::default();
        if let Some(root) = ["lib.rs", "main.rs"].into_iter().find(|root| files.contains_key(root)) {
            tree.add_file(files, Vec::new(), root, "");
        }
        tree
    }

    /// Adds a file and the modules that it declares. `folder` is where files of its child modules lie: empty, or with
    /// a slash at its end.
    fn add_file(&mut self, files: &BTreeMap<&str, &str>, path: ModulePath, file: &str, folder: &str) {
        let Some(text) = files.get(file) else { return };
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("cannot parse {file}: {error}"));
        self.add_module(files, path, file, folder, &syntax.items);
    }

    fn add_module(
        &mut self,
        files: &BTreeMap<&str, &str>,
        path: ModulePath,
        file: &str,
        folder: &str,
        items: &[Item],
    ) {
        let mut collector = Collector::default();
        collector.module.file = file.to_owned();
        for item in items.iter().filter(|item| !is_test_code(attributes(item))) {
            collector.module.items.extend(defined_names(item));
            let Item::Mod(child) = item else {
                collector.visit_item(item);
                continue;
            };
            let name = child.ident.to_string();
            let child_path: ModulePath = path.iter().cloned().chain([name.clone()]).collect();
            let child_folder = format!("{folder}{name}/");
            if let Some((_, items)) = &child.content {
                self.add_module(files, child_path, file, &child_folder, items);
            } else if let Some(child_file) = child_file(files, child, file, folder) {
                self.add_file(files, child_path, &child_file, &child_folder);
            }
            collector.module.children.insert(name);
        }
        self.modules.insert(path, collector.module);
    }
}

/// The file of `mod name;`: the one of its `#[path]`, `name.rs` or `name/mod.rs`.
fn child_file(files: &BTreeMap<&str, &str>, child: &ItemMod, file: &str, folder: &str) -> Option<String> {
    let name = &child.ident;
    let mut candidates = vec![format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")];
    for attribute in child.attrs.iter().filter(|attribute| attribute.path().is_ident("path")) {
        if let Meta::NameValue(meta) = &attribute.meta
            && let syn::Expr::Lit(literal) = &meta.value
            && let syn::Lit::Str(target) = &literal.lit
        {
            let parent = file.rsplit_once('/').map_or(String::new(), |(parent, _)| format!("{parent}/"));
            candidates = vec![format!("{parent}{}", target.value())];
        }
    }
    candidates.into_iter().find(|candidate| files.contains_key(candidate.as_str()))
}

/// Whether code with these attributes is compiled for tests only.
fn is_test_code(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        let condition: String = list.tokens.to_string().split_whitespace().collect();
        condition == "test" || condition.starts_with("all(test,")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The names that an item defines in its module. A macro such as `pin_project!` may define several.
fn defined_names(item: &Item) -> Vec<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => {
            let buffer = TokenBuffer::new2(item.mac.tokens.clone());
            return item
                .ident
                .as_ref()
                .map_or_else(|| names_in(buffer.begin()), |name| vec![name.to_string()]);
        }
        _ => return Vec::new(),
    };
    vec![name.to_string()]
}

/// The names after `struct`, `enum`, `fn`, `const`, `static` and `type` among the tokens, groups left out.
fn names_in(mut cursor: Cursor<'_>) -> Vec<String> {
    let (mut names, mut after_keyword) = (Vec::new(), false);
    while let Some((_, rest)) = cursor.token_tree() {
        let word = cursor.ident().map(|(ident, _)| ident.to_string());
        if after_keyword {
            names.extend(word.clone());
        }
        let keywords = ["struct", "enum", "fn", "const", "static", "type"];
        after_keyword = word.is_some_and(|word| keywords.contains(&word.as_str()));
        cursor = rest;
    }
    names
}

/// Collects imports and paths of one module.
#[derive(Default)]
struct Collector {
    module: Module,
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_code(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test_code(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            let re_export = !matches!(item.vis, Visibility::Inherited);
            add_imports(&mut self.module.imports, &item.tree, &mut Vec::new(), re_export);
        }
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            self.module.paths.insert(path.segments.iter().map(|part| part.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        // The body of `macro_rules!` is resolved where the macro is used.
        if item.ident.is_none() {
            visit::visit_item_macro(self, item);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let buffer = TokenBuffer::new2(call.tokens.clone());
        add_token_paths(&mut self.module.paths, buffer.begin());
        visit::visit_macro(self, call);
    }
}

fn add_imports(imports: &mut Vec<Import>, tree: &UseTree, prefix: &mut Vec<String>, re_export: bool) {
    let mut add = |name: String, alias: String| {
        let mut segments = prefix.clone();
        // `use a::{self}` names `a`.
        let alias = if name == "self" && !segments.is_empty() {
            if alias == "self" { segments.last().cloned().unwrap_or_default() } else { alias }
        } else {
            segments.push(name);
            alias
        };
        imports.push(Import { segments, alias, re_export });
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            add_imports(imports, &path.tree, prefix, re_export);
            prefix.pop();
        }
        UseTree::Name(name) => add(name.ident.to_string(), name.ident.to_string()),
        UseTree::Rename(rename) => add(rename.ident.to_string(), rename.rename.to_string()),
        UseTree::Glob(_) => add("*".to_owned(), "*".to_owned()),
        UseTree::Group(group) => {
            for tree in &group.items {
                add_imports(imports, tree, prefix, re_export);
            }
        }
    }
}

/// Adds the paths among the tokens of a macro call, such as those in `assert!(crate::a::f())`.
fn add_token_paths(paths: &mut BTreeSet<Vec<String>>, mut cursor: Cursor<'_>) {
    let mut colons = 0;
    while !cursor.eof() {
        if let Some((inside, _, _, rest)) = cursor.any_group() {
            add_token_paths(paths, inside);
            (colons, cursor) = (0, rest);
        } else if let Some((first, rest)) = cursor.ident() {
            let mut segments = vec![first.to_string()];
            cursor = rest;
            while let Some((next, rest)) = next_segment(cursor) {
                segments.push(next);
                cursor = rest;
            }
            if segments.len() > 1 && colons < 2 {
                paths.insert(segments);
            }
            colons = 0;
        } else if let Some((punct, rest)) = cursor.punct() {
            colons = if punct.as_char() == ':' { colons + 1 } else { 0 };
            cursor = rest;
        } else if let Some((_, rest)) = cursor.token_tree() {
            (colons, cursor) = (0, rest);
        } else {
            break;
        }
    }
}

/// The name after `::` and the rest of the tokens.
fn next_segment(cursor: Cursor<'_>) -> Option<(String, Cursor<'_>)> {
    let (_, cursor) = cursor.punct().filter(|(punct, _)| punct.as_char() == ':')?;
    let (_, cursor) = cursor.punct().filter(|(punct, _)| punct.as_char() == ':')?;
    let (name, rest) = cursor.ident()?;
    Some((name.to_string(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(path: &str) -> Vec<String> {
        path.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn files_of_modules_are_found() {
        let files = BTreeMap::from([
            (
                "lib.rs",
                "mod a; mod b { mod c; } #[path = \"x/other.rs\"] mod d; mod missing; #[cfg(test)] mod e;",
            ),
            ("a/mod.rs", "mod f;"),
            ("a/f.rs", ""),
            ("b/c.rs", "fn g() {}"),
            ("x/other.rs", ""),
            ("e.rs", ""),
        ]);
        let tree = ModuleTree::parse(&files);
        let found: Vec<(String, &str)> =
            tree.modules.iter().map(|(path, module)| (path.join("::"), module.file.as_str())).collect();
        let expected = [
            ("", "lib.rs"),
            ("a", "a/mod.rs"),
            ("a::f", "a/f.rs"),
            ("b", "lib.rs"),
            ("b::c", "b/c.rs"),
            ("d", "x/other.rs"),
        ];
        assert_eq!(found, expected.map(|(path, file)| (path.to_owned(), file)));
    }

    #[test]
    fn imports_and_paths_are_collected() {
        let text = "pub(crate) use a::{self, b::C as D}; use super::e::*; use ::std::f::G;
            pin_project! { pub struct H { i: crate::j::K } }
            #[cfg(test)] use t::T;
            impl L { #[cfg(test)] fn m() { t::n(); } fn o(p: q::R) { s!(u::v(), ::w::x()); } }";
        let tree = ModuleTree::parse(&BTreeMap::from([("lib.rs", text)]));
        let module = &tree.modules[&Vec::new()];
        let imports: Vec<(String, &str, bool)> = module
            .imports
            .iter()
            .map(|import| (import.segments.join("::"), import.alias.as_str(), import.re_export))
            .collect();
        let expected = [("a", "a", true), ("a::b::C", "D", true), ("super::e::*", "*", false)];
        assert_eq!(imports, expected.map(|(path, alias, re_export)| (path.to_owned(), alias, re_export)));
        assert_eq!(module.items, BTreeSet::from(["H".to_owned()]));
        assert_eq!(
            module.paths,
            BTreeSet::from([segments("crate::j::K"), segments("q::R"), segments("u::v")])
        );
    }
}
