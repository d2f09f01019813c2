//! Code that is allowed in certain places only: unsafe code, sleeps, unfinished work, globals.

use crate::source::Source;

/// The only folder with unsafe code.
const UNSAFE_FOLDER: &str = "crates/sys/";

pub(crate) fn unsafe_elsewhere(sources: &[Source]) -> Vec<String> {
    let others = sources.iter().filter(|source| !source.path.starts_with(UNSAFE_FOLDER));
    others
        .flat_map(|source| source.places(&source.code, "unsafe"))
        .map(|place| {
            format!("{place}: unsafe code is allowed in {UNSAFE_FOLDER} only, one system call a function")
        })
        .collect()
}

pub(crate) fn sleeping_tests(sources: &[Source]) -> Vec<String> {
    let sleeping = sources.iter().filter(|source| sleeps(&source.test_code()));
    let advice = "a test calls a sleep function; wait for an event: an exit, a line, a byte, a message";
    sleeping.map(|source| format!("{}: {advice}", source.path)).collect()
}

/// Whether a sleep function is called. A method of that name advances a test's virtual clock, so it is allowed.
fn sleeps(code: &str) -> bool {
    ["sleep(", "sleep_until(", "sleep_ms(", "nanosleep("].iter().any(|word| {
        code.match_indices(word).any(|(start, _)| {
            let before = code.get(..start).unwrap_or_default();
            let part_of_name = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            !part_of_name && !before.ends_with('.') && !before.ends_with("fn ")
        })
    })
}

pub(crate) fn unfinished(sources: &[Source]) -> Vec<String> {
    let mut failures = Vec::new();
    for source in sources {
        let macros =
            ["todo!", "unimplemented!"].into_iter().flat_map(|word| source.places(&source.code, word));
        let marks =
            ["FIXME", "XXX", "TODO"].into_iter().flat_map(|word| source.places(&source.comments, word));
        failures.extend(macros.chain(marks).map(|place| {
            format!("{place}: finish it now, or write an issue and state the present behaviour here")
        }));
    }
    failures
}

/// Files that may have a `static` or `thread_local!`: path and reason.
const GLOBALS: &[(&str, &str)] = &[
    ("crates/actor/src/panic.rs", "std has one panic hook per process"),
    ("crates/server/src/socket/mod.rs", "one scratch buffer per thread instead of one per connection"),
];

/// Statics and thread-locals outside tests.
pub(crate) fn globals(sources: &[Source]) -> Vec<String> {
    let mut failures = Vec::new();
    for source in sources.iter().filter(|source| GLOBALS.iter().all(|(path, _)| *path != source.path)) {
        let code = source.product_code();
        for line in code.lines().map(str::trim_start) {
            let item = line
                .strip_prefix("pub")
                .map_or(line, |rest| rest.trim_start_matches(|c| c != ' ').trim_start());
            if item.starts_with("static ") || item.starts_with("thread_local!") {
                failures.push(format!(
                    "{}: `{}` is a global; pass the value as an argument, or add a row with the reason to GLOBALS",
                    source.path,
                    line.trim_end()
                ));
            }
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, text: &str) -> [Source; 1] {
        [Source::new(path, text)]
    }

    #[test]
    fn unsafe_code_is_found_outside_its_folder() {
        assert_eq!(unsafe_elsewhere(&one("crates/a/src/lib.rs", "fn a() {\n unsafe { b() } }")).len(), 1);
        assert!(unsafe_elsewhere(&one("crates/sys/src/lib.rs", "fn a() { unsafe { b() } }")).is_empty());
        assert!(
            unsafe_elsewhere(&one("crates/a/src/lib.rs", "#![forbid(unsafe_code)] // unsafe\n\"unsafe\""))
                .is_empty()
        );
    }

    #[test]
    fn a_sleep_is_found_in_tests_only() {
        let sleeps = "fn a() { thread::sleep(b) }";
        assert_eq!(sleeping_tests(&one("tests/a.rs", sleeps)).len(), 1);
        assert_eq!(
            sleeping_tests(&one("crates/a/src/b.rs", &format!("#[cfg(test)]\nmod tests {{ {sleeps} }}")))
                .len(),
            1
        );
        assert_eq!(sleeping_tests(&one("crates/a/tests/a.rs", "async { sleep_until(b).await }")).len(), 1);
        assert_eq!(
            sleeping_tests(&one("tests/a.rs", "use std::thread::sleep; fn a() { sleep(b) }")).len(),
            1
        );
        assert!(sleeping_tests(&one("crates/a/src/b.rs", sleeps)).is_empty());
        assert!(
            sleeping_tests(&one("tests/a.rs", "fn sleep(&mut self) {} fn a() { self.world.sleep(b) }"))
                .is_empty()
        );
        assert!(sleeping_tests(&one("tests/a.rs", "// sleep(1)\n\"sleep(1)\"; asleep(1);")).is_empty());
    }

    #[test]
    fn unfinished_work_is_found() {
        for text in ["fn a() { todo!() }", "unimplemented!(\"x\")", "// XXX", "/* FIXME: b */", "/// TODO"] {
            assert_eq!(unfinished(&one("a.rs", text)).len(), 1, "{text}");
        }
        assert!(unfinished(&one("a.rs", "\"todo!()\"; // a todo list\nlet xxx = 1;")).is_empty());
    }

    #[test]
    fn globals_are_found() {
        for text in [
            "static A: u8 = 1;",
            "pub(crate) static A: u8 = 1;",
            "pub static mut A: u8 = 1;",
            "thread_local! {}",
        ] {
            assert_eq!(globals(&one("crates/a/src/lib.rs", text)).len(), 1, "{text}");
        }
        for text in [
            "const A: &'static str = \"\";",
            "fn a(b: impl Fn() + 'static) {}",
            "#[cfg(test)]\nmod tests {\nstatic A: u8 = 1;\n}",
        ] {
            assert!(globals(&one("crates/a/src/lib.rs", text)).is_empty(), "{text}");
        }
    }
}
