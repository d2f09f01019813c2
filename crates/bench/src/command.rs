//! The hidden commands of child processes, and the number of seconds in an argument.

/// The hidden first argument of a child process; the name of a server and its address follow.
pub(crate) const SERVE: &str = "serve";
/// The same for one measurement of actors; work, framework and seconds follow.
pub(crate) const ACT: &str = "act";

pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("write a number of seconds from 0.05 to 600".to_owned()),
    }
}
