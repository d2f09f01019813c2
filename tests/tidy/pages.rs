//! Pages: links lead to files and headings that exist, and Rust code is an include of a compiled file.

/// Links to files or headings that do not exist. `find` returns the text of a file by its path.
pub(crate) fn broken_links(path: &str, text: &str, find: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let prose = without_code(text);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let broken = targets.filter(|target| !target.contains("://")).filter(|target| {
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let page = if file.is_empty() { Some(text.to_owned()) } else { find(&beside(path, file)) };
        !page.is_some_and(|page| heading.is_empty() || has_heading(&page, heading))
    });
    broken.map(|target| format!("{path}: the link target {target} does not exist: correct it")).collect()
}

/// Chapters that the summary does not list.
pub(crate) fn unlisted_chapters(summary: &str, names: &[&str]) -> Vec<String> {
    let missing =
        names.iter().filter(|name| **name != "SUMMARY.md" && !summary.contains(&format!("]({name})")));
    missing.map(|name| format!("{name} is not in the book's SUMMARY.md: add a line for it")).collect()
}

/// Rust code blocks that are not one include of a compiled file.
pub(crate) fn loose_code(path: &str, text: &str) -> Vec<String> {
    let blocks = text.split("\n```rust").skip(1).filter_map(|rest| rest.split_once('\n'));
    let code = blocks.map(|(_, rest)| rest.split("\n```").next().unwrap_or_default());
    let loose = code.filter(|code| code.lines().count() != 1 || !code.starts_with("{{#include "));
    loose
        .map(|code| {
            let first = code.lines().next().unwrap_or_default();
            format!(
                "{path}: `{first}` is not compiled: move the code into an example or a test, and include that"
            )
        })
        .collect()
}

/// Includes of files or anchors that do not exist.
pub(crate) fn broken_includes(path: &str, text: &str, find: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let includes = text.split("{{#include ").skip(1).filter_map(|rest| rest.split_once("}}"));
    let broken = includes.map(|(target, _)| target).filter(|target| {
        let (file, anchor) = target.split_once(':').unwrap_or((target, ""));
        let is_there = |source: String| {
            let has = |mark: &str| source.lines().any(|line| line.trim() == format!("// {mark}: {anchor}"));
            // Including a whole file would show its anchor comments.
            if anchor.is_empty() { !source.contains("// ANCHOR") } else { has("ANCHOR") && has("ANCHOR_END") }
        };
        !find(&beside(path, file)).is_some_and(is_there)
    });
    broken
        .map(|target| {
            format!("{path}: {target} cannot be included: name a file without anchors, or one of its anchors")
        })
        .collect()
}

/// Examples without a command line on the page.
pub(crate) fn unnamed_examples(page: &str, text: &str, examples: &[&str]) -> Vec<String> {
    let named = |name: &str| {
        let command = format!("--example {name}");
        text.match_indices(&command).any(|(start, found)| {
            let after = text.get(start + found.len()..).and_then(|rest| rest.chars().next());
            !after.is_some_and(|after| after.is_alphanumeric() || after == '_' || after == '-')
        })
    };
    let missing = examples.iter().filter(|name| !named(name));
    missing.map(|name| format!("{page} does not say how to run the example {name}: add a line")).collect()
}

/// Steps of a walk that name a file or function that does not exist. A step is a numbered item that opens with a path below `crates/`
/// in inline code, a colon, and functions in inline code: ``1. `crates/a/src/b.rs`: `first`, `second` ``.
pub(crate) fn broken_steps(path: &str, text: &str, find: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut failures = Vec::new();
    for line in text.lines() {
        let Some((_, step)) = line.split_once(". `crates/") else { continue };
        let Some((file, rest)) = step.split_once("`: ") else { continue };
        let file = format!("crates/{file}");
        let Some(source) = find(&file) else {
            failures.push(format!("{path}: {file} does not exist: correct the step"));
            continue;
        };
        let names = rest.split(' ').map_while(|word| {
            let word = word.trim_end_matches([',', '.', ':', ';']);
            word.strip_prefix('`').and_then(|word| word.strip_suffix('`'))
        });
        let names: Vec<&str> = names.collect();
        if names.is_empty() {
            failures.push(format!("{path}: the step in {file} names no function: add one"));
        }
        let defines = |name: &str| ["(", "<"].iter().any(|end| source.contains(&format!("fn {name}{end}")));
        let missing = names.into_iter().filter(|name| !defines(name));
        failures.extend(missing.map(|name| format!("{path}: {file} has no fn {name}: correct the step")));
    }
    failures
}

/// The text without code blocks and inline code, where `](` is no link.
fn without_code(text: &str) -> String {
    let mut prose = String::new();
    for (number, part) in text.split("```").enumerate() {
        if number % 2 == 0 {
            prose.extend(part.split('`').step_by(2));
        }
    }
    prose
}

/// The path from the root of the workspace to `target`, which is relative to a page.
fn beside(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether a page has a heading with this anchor: lower case, hyphens for blanks, other punctuation removed.
fn has_heading(page: &str, name: &str) -> bool {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let mut slugs = headings.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect::<String>()
    });
    slugs.any(|slug| slug == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str) -> Option<String> {
        match path {
            "a/b.md" => Some("# On b's\n\n## What, then?\n".to_owned()),
            "c.rs" => Some("// ANCHOR: one\nfn one() {}\n// ANCHOR_END: one\n// ANCHOR: two\n".to_owned()),
            "d.rs" => Some("fn all() {}\n".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn a_link_to_a_missing_page_or_heading_is_found() {
        let good =
            "[b](b.md) [then](b.md#what-then) [x](https://x.example/y) [here](#here) `a[i](j)`\n# Here\n";
        assert!(broken_links("a/a.md", good, find).is_empty());
        assert!(broken_links("a/a.md", "```\nx[1](2)\n```\n", find).is_empty());
        for bad in ["[b](../b.md)", "[b](c.md)", "[b](b.md#what)", "[here](#here)"] {
            assert_eq!(broken_links("a/a.md", bad, find).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_chapter_that_is_not_listed_is_found() {
        let names = ["SUMMARY.md", "a.md", "b.md"];
        assert!(unlisted_chapters("- [A](a.md)\n- [B](b.md)\n", &names).is_empty());
        assert_eq!(unlisted_chapters("- [A](a.md)\n", &names).len(), 1);
    }

    #[test]
    fn code_that_is_not_compiled_is_found() {
        let page = |code: &str| format!("text\n```rust,no_run\n{code}\n```\n\n```text\nany\nthing\n```\n");
        assert!(loose_code("a.md", &page("{{#include ../d.rs}}")).is_empty());
        for bad in ["let a = 1;", "{{#include ../d.rs}}\nlet a = 1;", ""] {
            assert_eq!(loose_code("a.md", &page(bad)).len(), 1, "{bad}");
        }
    }

    #[test]
    fn an_include_of_a_missing_file_or_anchor_is_found() {
        for good in ["{{#include ../c.rs:one}}", "{{#include ../d.rs}}"] {
            assert!(broken_includes("a/a.md", good, find).is_empty(), "{good}");
        }
        for bad in ["{{#include ../e.rs}}", "{{#include ../c.rs:two}}", "{{#include ../c.rs}}"] {
            assert_eq!(broken_includes("a/a.md", bad, find).len(), 1, "{bad}");
        }
    }

    #[test]
    fn an_example_without_a_command_is_found() {
        let text = "cargo run --example tree-top\ncargo run --example tls\n";
        assert_eq!(unnamed_examples("a.md", text, &["tree", "tls"]).len(), 1);
    }

    #[test]
    fn a_step_without_its_file_or_function_is_found() {
        let find = |path: &str| {
            (path == "crates/a/src/b.rs").then(|| "fn first() {}\nasync fn second<T>() {}".to_owned())
        };
        let steps = |text: &str| broken_steps("a.md", text, find).len();
        assert_eq!(steps("1. `crates/a/src/b.rs`: `first`, `second`: what it does with `third`."), 0);
        assert_eq!(steps("2. `crates/a/src/b.rs`: `third`: what it does."), 1);
        assert_eq!(steps("3. `crates/a/src/c.rs`: `first`."), 1);
        assert_eq!(steps("4. `crates/a/src/b.rs`: does nothing."), 1);
        assert_eq!(steps("see `crates/a/src/c.rs`"), 0);
    }
}
