//! Words that may not stand in comments and pages, because the glossary of CONTRIBUTING.md has a standard word.

use std::collections::BTreeSet;

use crate::source::Source;

/// The words and what to write in their place.
const DENIED: &[(&str, &str)] = &[
    ("who", ROLE),
    ("whoever", ROLE),
    ("whom", ROLE),
    ("whomever", ROLE),
    ("whose", "the role or type, with `of` or an apostrophe"),
    ("nobody", ROLE),
    ("somebody", ROLE),
    ("everybody", ROLE),
    ("anybody", ROLE),
    ("ours", "the name of the crate or type"),
    ("life", LIFE),
    ("lives", LIFE),
    ("born", "started, constructed"),
    ("bury", "remove, drop"),
    ("buried", "removed, exited"),
    ("patience", "timeout, with the name of the constant"),
    ("hear", "receive, be notified"),
    ("hears", "receives, is notified"),
    ("heard", "received, notified"),
    ("told", "sent, notified, requested"),
    ("stranger", "a process that is not linked, an unknown peer"),
    ("strangers", "processes that are not linked, unknown peers"),
    ("cradle", "ChildInit"),
    ("nursery", "ChildFactory"),
    ("newborn", "ProcessStart"),
];

const ROLE: &str = "the role: caller, sender, parent, supervisor, child, peer, acceptor";
const LIFE: &str = "actor, process, connection or incarnation";

/// Where a denied word has to stand: path, word and reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// A denied word in a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    path: String,
    line: usize,
    word: &'static str,
    replacement: &'static str,
}

/// Denied words in the comments of a source.
pub(crate) fn in_comments(source: &Source) -> Vec<Hit> {
    let lines = source.comments.lines().map(|line| line.trim().trim_start_matches(['/', '!', '*']).trim());
    hits(&source.path, lines)
}

/// Denied words in a page. Of the changelog only the first section counts: the others are history.
pub(crate) fn in_page(path: &str, text: &str) -> Vec<Hit> {
    let mut sections = 0;
    let lines = text.lines().take_while(move |line| {
        sections += usize::from(line.starts_with("## "));
        path != "CHANGELOG.md" || sections < 2
    });
    hits(path, lines)
}

/// Denied words outside code blocks and inline code.
fn hits<'a>(path: &str, lines: impl Iterator<Item = &'a str>) -> Vec<Hit> {
    let (mut hits, mut in_code) = (Vec::new(), false);
    for (index, line) in lines.enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let prose = without_link_targets(&without_inline_code(line)).to_lowercase();
            let words = prose.split(|c: char| !c.is_alphanumeric() && c != '_');
            let denied = words.filter_map(|word| DENIED.iter().find(|(denied, _)| *denied == word));
            hits.extend(denied.map(|(word, replacement)| Hit {
                path: path.to_owned(),
                line: index + 1,
                word,
                replacement,
            }));
        }
    }
    hits
}

/// The line with a blank in place of each span between two backticks. A backtick without a partner is text.
fn without_inline_code(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    let last = parts.len() - 1;
    let is_text = |index: usize| index.is_multiple_of(2) || index == last;
    parts.iter().enumerate().map(|(index, part)| if is_text(index) { part } else { " " }).collect()
}

/// The line without the addresses of its links, which are names of files.
fn without_link_targets(line: &str) -> String {
    let mut parts = line.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + " " + part.split_once(')').map_or("", |(_, after)| after))
}

/// The hits without the exceptions of this workspace, as failures.
pub(crate) fn failures(hits: &[Hit]) -> Vec<String> {
    judge(hits, EXCEPTIONS)
}

fn judge(hits: &[Hit], exceptions: &[(&str, &str, &str)]) -> Vec<String> {
    let mut used = BTreeSet::new();
    let mut failures = Vec::new();
    for Hit { path, line, word, replacement } in hits {
        if let Some(row) = exceptions.iter().position(|(file, allowed, _)| file == path && allowed == word) {
            used.insert(row);
        } else {
            failures.push(format!("{path}:{line}: do not write `{word}`; write {replacement}"));
        }
    }
    let unused = exceptions.iter().enumerate().filter(|(row, _)| !used.contains(row));
    failures.extend(
        unused.map(|(_, (path, word, _))| {
            format!("{path} no longer has the word `{word}`: remove the exception")
        }),
    );
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(hits: &[Hit]) -> Vec<(usize, &'static str)> {
        hits.iter().map(|hit| (hit.line, hit.word)).collect()
    }

    #[test]
    fn a_denied_word_in_a_comment_is_found() {
        let text = "//! Whoever calls.\nlet who = \"nobody\"; // its life\n/* lives,\n * heard */\n";
        let hits = in_comments(&Source::new("a.rs", text));
        assert_eq!(words(&hits), [(1, "whoever"), (2, "life"), (3, "lives"), (4, "heard")]);
        let good = "//! The whole lifetime, its lifecycle, an `inline who` and outlives.\n/// ```\n/// who();\n/// ```\n";
        assert!(in_comments(&Source::new("a.rs", good)).is_empty());
    }

    #[test]
    fn a_denied_word_in_a_page_is_found() {
        let page = "# Who\n\n```text\nwho\n```\n\n`who` is denied, `nobody` too; [told](x-life.md) all.\n\na ` life\n";
        assert_eq!(words(&in_page("a.md", page)), [(1, "who"), (7, "told"), (9, "life")]);
        let changelog = "# Changelog\n\n## Unreleased\n\n* who\n\n## 0.1.0\n\n* nobody\n";
        assert_eq!(words(&in_page("CHANGELOG.md", changelog)), [(5, "who")]);
        assert_eq!(words(&in_page("b.md", changelog)), [(5, "who"), (9, "nobody")]);
    }

    #[test]
    fn an_exception_allows_one_word_in_one_file() {
        let hits = in_page("a.md", "who\nlife\n");
        assert_eq!(judge(&hits, &[]).len(), 2);
        assert_eq!(judge(&hits, &[("a.md", "life", "a title")]).len(), 1);
        assert_eq!(judge(&hits, &[("b.md", "life", "a title")]).len(), 3);
        assert!(judge(&hits, &[])[0].starts_with("a.md:1: do not write `who`; write the role"));
    }
}
