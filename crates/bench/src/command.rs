//! Hidden commands of child processes, and the parser of a number of seconds.

/// Runs a server. Arguments: its name and its address.
pub(crate) const SERVE: &str = "serve";
/// Runs one measurement of actors. Arguments: work, framework, seconds.
pub(crate) const ACT: &str = "act";

pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("write a number of seconds from 0.05 to 600".to_owned()),
    }
}
