//! How long files may be, and how many parameters types may have.

use crate::source::Source;

/// The most lines of a file.
pub(crate) const MAX_LINES: usize = 500;
/// The most lines of the file in the middle.
pub(crate) const MAX_MEDIAN: usize = 150;
/// The most lines of code of the echo example: it is the first thing anybody reads.
pub(crate) const MAX_ECHO: usize = 35;
/// The most type parameters of a public type.
pub(crate) const MAX_PARAMETERS: usize = 2;

pub(crate) fn too_long(sources: &[Source]) -> Vec<String> {
    let long = sources.iter().filter(|source| source.lines() > MAX_LINES);
    long.map(|source| {
        format!(
            "{} has {} lines, at most {MAX_LINES} may be: split it by what it does",
            source.path,
            source.lines()
        )
    })
    .collect()
}

pub(crate) fn median_too_long(sources: &[Source]) -> Vec<String> {
    let mut lines: Vec<usize> = sources.iter().map(Source::lines).collect();
    lines.sort_unstable();
    match lines.get(lines.len() / 2) {
        Some(median) if *median > MAX_MEDIAN => {
            vec![format!(
                "the median file has {median} lines, at most {MAX_MEDIAN} may be: split the largest ones"
            )]
        }
        _ => Vec::new(),
    }
}

pub(crate) fn example_too_long(source: &Source) -> Vec<String> {
    let lines = source.code_lines();
    if lines <= MAX_ECHO {
        return Vec::new();
    }
    vec![format!(
        "{} has {lines} lines of code, at most {MAX_ECHO} may be: move what is not the tree into the library",
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
                        "{name} in {} has {count} type parameters, at most {MAX_PARAMETERS} may be",
                        source.path
                    ));
                }
            }
        }
    }
    failures
}

/// How many types a declaration such as `Name<'a, A, const N: usize> ...` takes.
fn type_parameters(declaration: &str) -> usize {
    let name = declaration.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(declaration.len());
    let Some(list) = declaration.get(name..).and_then(|rest| rest.strip_prefix('<')) else { return 0 };
    let (mut depth, mut parameters) = (1_usize, vec![String::new()]);
    let mut before = ' ';
    for character in list.chars() {
        match character {
            '<' | '(' | '[' => depth += 1,
            // The arrow of a bound such as `Fn() -> T` closes nothing.
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
        assert!(median_too_long(&[]).is_empty());
        assert!(median_too_long(&[lines(10), lines(MAX_MEDIAN), lines(400)]).is_empty());
        assert_eq!(median_too_long(&[lines(10), lines(MAX_MEDIAN + 1), lines(400)]).len(), 1);
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
