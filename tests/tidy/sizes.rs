//! Limits: lines of a file, letters of a test's name, type parameters of a public type.

use crate::source::Source;

/// The most lines of a file.
pub(crate) const MAX_LINES: usize = 500;
/// The most characters of a test's name.
pub(crate) const MAX_NAME: usize = 60;
/// The most lines of code of the echo example, which README shows first.
pub(crate) const MAX_ECHO: usize = 35;
/// The most type parameters of a public type.
pub(crate) const MAX_PARAMETERS: usize = 2;

pub(crate) fn too_long(sources: &[Source]) -> Vec<String> {
    let long = sources.iter().filter(|source| source.lines() > MAX_LINES);
    long.map(|source| {
        format!(
            "{} has {} lines, at most {MAX_LINES} are allowed: split it by concern",
            source.path,
            source.lines()
        )
    })
    .collect()
}

/// Tests with names that are too long: functions with an attribute `test` of any path, and those that
/// `in_both_modes!` makes.
pub(crate) fn long_test_names(sources: &[Source]) -> Vec<String> {
    let mut failures = Vec::new();
    for source in sources {
        for name in test_names(&source.code).into_iter().filter(|name| name.chars().count() > MAX_NAME) {
            failures.push(format!(
                "{}: {name} has {} characters, at most {MAX_NAME} are allowed: state input and expected result",
                source.path,
                name.chars().count()
            ));
        }
    }
    failures
}

fn test_names(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let identifier =
        |text: &'_ str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    for (start, _) in code.match_indices("#[") {
        let attribute = code.get(start + 2..).unwrap_or_default();
        let path = attribute.find(['(', ']', '=']).and_then(|end| attribute.get(..end)).unwrap_or_default();
        if path.rsplit("::").next().map(str::trim) == Some("test")
            && let Some((_, function)) = attribute.split_once("fn ")
        {
            names.extend(function.get(..identifier(function)).filter(|name| !name.is_empty()));
        }
    }
    for (start, call) in code.match_indices("in_both_modes!") {
        let list = code.get(start + call.len()..).unwrap_or_default().trim_start();
        let end = list.find([')', '}', ']']).unwrap_or_default();
        let parts = list.get(..end).unwrap_or_default().split(|c: char| !c.is_alphanumeric() && c != '_');
        names.extend(parts.filter(|name| !name.is_empty()));
    }
    names
}

pub(crate) fn example_too_long(source: &Source) -> Vec<String> {
    let lines = source.code_lines();
    if lines <= MAX_ECHO {
        return Vec::new();
    }
    vec![format!(
        "{} has {lines} lines of code, at most {MAX_ECHO} are allowed: move code into the library",
        source.path
    )]
}

pub(crate) fn too_many_parameters(sources: &[Source]) -> Vec<String> {
    let mut failures = Vec::new();
    for source in sources {
        for kind in ["pub struct ", "pub enum ", "pub trait ", "pub type "] {
            for (start, _) in source.code.match_indices(kind) {
                let declaration = source.code.get(start + kind.len()..).unwrap_or_default();
                let count = type_parameters(declaration);
                if count > MAX_PARAMETERS {
                    let name: String =
                        declaration.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    failures.push(format!(
                        "{name} in {} has {count} type parameters, at most {MAX_PARAMETERS} are allowed",
                        source.path
                    ));
                }
            }
        }
    }
    failures
}

/// The number of type parameters that a declaration such as `Name<'a, A, const N: usize> ...` takes.
fn type_parameters(declaration: &str) -> usize {
    let name = declaration.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(declaration.len());
    let Some(list) = declaration.get(name..).and_then(|rest| rest.strip_prefix('<')) else { return 0 };
    let (mut depth, mut parameters) = (1_usize, vec![String::new()]);
    let mut before = ' ';
    for character in list.chars() {
        match character {
            '<' | '(' | '[' => depth += 1,
            // The `>` of `Fn() -> T` closes no bracket.
            '>' if before == '-' => {}
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 1 => parameters.push(String::new()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        before = character;
        if let Some(last) = parameters.last_mut() {
            last.push(character);
        }
    }
    let is_type = |text: &&str| !text.is_empty() && !text.starts_with('\'') && !text.starts_with("const ");
    parameters.iter().map(|text| text.trim_matches([',', ' ', '\n'])).filter(is_type).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> Source {
        Source::new("a.rs", "x\n".repeat(count))
    }

    #[test]
    fn long_files_are_found() {
        assert!(too_long(&[lines(MAX_LINES)]).is_empty());
        assert_eq!(too_long(&[lines(1), lines(MAX_LINES + 1)]).len(), 1);
    }

    #[test]
    fn a_test_name_of_61_characters_is_too_long() {
        let text = |count: usize| {
            let name = "a".repeat(count);
            format!(
                "#[test]\nfn {name}() {{}}\n#[tokio::test(x = 1)]\n#[allow(y)]\nasync fn {name}() {{}}\n\
                 proptest! {{ #[test] fn {name}(x in 0..1) {{}} }}\nin_both_modes!(short, {name},);\n"
            )
        };
        assert!(long_test_names(&[Source::new("a.rs", text(MAX_NAME))]).is_empty());
        assert_eq!(long_test_names(&[Source::new("a.rs", text(MAX_NAME + 1))]).len(), 4);
        let other = format!("fn {}() {{}}\n#[cfg(test)]\nmod tests {{}}\n", "a".repeat(MAX_NAME + 1));
        assert!(long_test_names(&[Source::new("a.rs", other)]).is_empty());
    }

    #[test]
    fn only_lines_of_code_count_in_the_example() {
        let text = format!("//! Echo.\n\n// Why.\n{}", "call(\"//\");\n".repeat(MAX_ECHO));
        assert!(example_too_long(&Source::new("echo.rs", text.clone())).is_empty());
        assert_eq!(example_too_long(&Source::new("echo.rs", text + "\"text\";\n")).len(), 1);
    }

    #[test]
    fn types_with_many_parameters_are_found() {
        for good in [
            "Plain;",
            "A<T>;",
            "A<'a, 'b, A, B, const N: usize>(A, B);",
            "A<F: Fn(u8, u8) -> (A, B), T: Into<Map<A, B>>> {",
            "A<\n    A,\n    B,\n> {",
        ] {
            assert!(
                too_many_parameters(&[Source::new("a.rs", format!("pub struct {good}"))]).is_empty(),
                "{good}"
            );
        }
        for bad in [
            "pub struct A<X, Y, Z>;",
            "pub trait A<'a, X, Y: Fn() -> X, Z> {}",
            "pub type A<X, Y, Z> = (X, Y, Z);",
        ] {
            assert_eq!(too_many_parameters(&[Source::new("a.rs", bad)]).len(), 1, "{bad}");
        }
    }
}
