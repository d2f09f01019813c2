//! Splits Rust source into code, comments and literals.

/// One file. Each view has the same lines as the text; what does not belong to the view is blank.
pub(crate) struct Source {
    /// Relative to the root of the workspace.
    pub(crate) path: String,
    /// The whole file.
    pub(crate) text: String,
    /// Without comments and without the contents of literals.
    pub(crate) code: String,
    /// Only the comments.
    pub(crate) comments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let (mut code, mut comments) = (String::new(), String::new());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (kind, length) = token(rest);
            let (token, after) = rest.split_at(length);
            keep(&mut code, token, |character| {
                kind == Kind::Code || (kind == Kind::Literal && character == '"')
            });
            keep(&mut comments, token, |_| kind == Kind::Comment);
            rest = after;
        }
        Self { path: path.into(), text, code, comments }
    }

    /// The number of lines.
    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// The number of lines with code.
    pub(crate) fn code_lines(&self) -> usize {
        self.code.lines().filter(|line| !line.trim().is_empty()).count()
    }

    /// The code of tests: the whole file of a test or of the testkit, or the blocks under `#[cfg(test)]`.
    pub(crate) fn test_code(&self) -> String {
        let in_folder = |folder: &str| self.path.split('/').any(|part| part == folder);
        if in_folder("tests") || in_folder("testkit") || self.path.ends_with("tests.rs") {
            return self.code.clone();
        }
        let blocks = self.code.split("#[cfg(test)]").skip(1).filter_map(block);
        blocks.collect::<Vec<_>>().join("\n")
    }

    /// The code of a library or program, without its tests.
    pub(crate) fn product_code(&self) -> String {
        let tests = self.test_code();
        if tests == self.code {
            return String::new();
        }
        let mut code = self.code.clone();
        for test in self.code.split("#[cfg(test)]").skip(1).filter_map(block) {
            code = code.replace(test, "");
        }
        code
    }

    /// `path:line` of each line in one of the views that has this word, see [`has_word`].
    pub(crate) fn places<'a>(&'a self, view: &'a str, word: &'a str) -> impl Iterator<Item = String> + 'a {
        let lines = view.lines().enumerate().filter(move |(_, line)| has_word(line, word));
        lines.map(move |(index, _)| format!("{}:{}", self.path, index + 1))
    }
}

/// Whether the line has the word with no letter, digit or underscore next to it.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(start, found)| {
        let before = line.get(..start).and_then(|text| text.chars().next_back());
        let after = line.get(start + found.len()..).and_then(|text| text.chars().next());
        let open = word.ends_with(|c: char| !c.is_alphanumeric());
        !part_of_name(before) && (open || !part_of_name(after))
    })
}

fn keep(view: &mut String, token: &str, belongs: impl Fn(char) -> bool) {
    view.extend(token.chars().map(|c| if c == '\n' || belongs(c) { c } else { ' ' }));
}

/// The kind of the first token and its length in bytes.
fn token(rest: &str) -> (Kind, usize) {
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment(rest));
    }
    if rest.starts_with('"') {
        return (Kind::Literal, quoted(rest, '"'));
    }
    if rest.starts_with('\'') {
        let mut after = rest.chars().skip(1);
        let is_character = after.next() == Some('\\') || after.next() == Some('\'');
        return if is_character { (Kind::Literal, quoted(rest, '\'')) } else { (Kind::Code, 1) };
    }
    let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    match rest.get(..name) {
        Some("r" | "br" | "cr") => match raw_string(rest.get(name..).unwrap_or_default()) {
            Some(length) => (Kind::Literal, name + length),
            None => (Kind::Code, name),
        },
        _ => (Kind::Code, name.max(rest.chars().next().map_or(1, char::len_utf8))),
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut position) = (0_usize, 0);
    while let Some(tail) = rest.get(position..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with("/*") {
            depth += 1;
            position += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return position;
            }
        } else {
            position += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (position, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return position + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of the rest of a raw string, from its first `#` or quote on; `None` when it is none (`r#type`).
fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest.bytes().take_while(|byte| *byte == b'#').count();
    let content = rest.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(content.find(&end).map_or(rest.len(), |position| hashes + 1 + position + end.len()))
}

/// The block that follows, with its braces; `None` when a semicolon comes first (`mod tests;`).
fn block(code: &str) -> Option<&str> {
    let start = code.find(['{', ';']).filter(|position| code.as_bytes().get(*position) == Some(&b'{'))?;
    let mut depth = 0_usize;
    for (position, character) in code.char_indices().skip_while(|(position, _)| *position < start) {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return code.get(start..=position),
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.get(start..)
}

#[test]
fn code_comments_and_literals_are_separated() {
    let text = "let a = \"one // two\"; // three 'four\n/* five /* six */ \" */ let b = 'x'; let c: &'a str = r#\"s\"e\"#;\n";
    let source = Source::new("a.rs", text);
    assert_eq!(
        source.code.split_whitespace().collect::<Vec<_>>().join(" "),
        "let a = \" \"; let b = ; let c: &'a str = \" \" \" ;"
    );
    assert_eq!(
        source.comments.split_whitespace().collect::<Vec<_>>().join(" "),
        "// three 'four /* five /* six */ \" */"
    );
    assert_eq!((source.lines(), source.code_lines()), (2, 2));
    for view in [&source.code, &source.comments] {
        assert_eq!(view.lines().count(), 2);
    }
    for text in ["'\\''", "'\"' \"", "b\"\\\"\" ' '", "\"open", "r##\"open\"#", "/* open", "'é' \"é\""] {
        let blank = Source::new("a.rs", text);
        assert!(
            !blank.code.contains(|c: char| c.is_alphabetic() && c != 'b'),
            "{text:?} leaves {:?}",
            blank.code
        );
    }
}

#[test]
fn test_code_is_separated_from_product_code() {
    let text = "#[cfg(test)]\nmod far;\nfn product() {}\n#[cfg(test)]\nmod tests { fn near() { if x {} } }\nfn after() {}\n";
    let source = Source::new("crates/a/src/lib.rs", text);
    assert_eq!(source.test_code(), "{ fn near() { if x {} } }");
    assert!(source.product_code().contains("product") && source.product_code().contains("after"));
    assert!(!source.product_code().contains("near"));
    for path in
        ["crates/a/tests/b.rs", "crates/a/src/far_tests.rs", "crates/testkit/src/lib.rs", "tests/echo.rs"]
    {
        assert_eq!(Source::new(path, text).test_code(), source.code, "{path}");
    }
}

#[test]
fn a_word_inside_a_longer_name_is_not_found() {
    assert!(has_word("x unsafe {", "unsafe") && has_word("unsafe", "unsafe"));
    assert!(!has_word("unsafe_code", "unsafe") && !has_word("an_unsafe", "unsafe"));
    assert!(has_word("thread::sleep(x)", "sleep(") && !has_word("asleep(x)", "sleep("));
}
