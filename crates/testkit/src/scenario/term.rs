//! Erlang terms: parsed from the JSON of scenarios, printed as in traces.

use std::fmt;

use impresario_supervision::ExitReason;
use serde_json::Value;

/// A term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// An atom; printed with quotes where Erlang needs them.
    Atom(String),
    /// An integer.
    Number(i64),
    /// A tuple; printed in braces.
    Tuple(Vec<Term>),
    /// A binary string.
    Binary(String),
}

impl Term {
    /// Converts a reason or an id: a string is an atom, an array is a tuple.
    pub fn from_json(value: &Value) -> Self {
        match value {
            Value::Array(values) => Self::Tuple(values.iter().map(Self::from_json).collect()),
            Value::String(text) => Self::Atom(text.clone()),
            Value::Number(number) => Self::Number(number.as_i64().unwrap_or_default()),
            Value::Bool(_) | Value::Null => Self::Atom(value.to_string()),
            Value::Object(_) => Self::Atom("map".to_owned()),
        }
    }

    /// An atom.
    pub fn atom(text: &str) -> Self {
        Self::Atom(text.to_owned())
    }

    /// The exit reason for this term.
    pub fn to_reason(&self) -> ExitReason {
        match self {
            Self::Atom(atom) => match atom.as_str() {
                "normal" => ExitReason::Normal,
                "shutdown" => ExitReason::Shutdown,
                "killed" => ExitReason::Killed,
                "noproc" => ExitReason::NoProc,
                _ => ExitReason::Error(self.to_string()),
            },
            Self::Tuple(terms) => match &terms[..] {
                [Self::Atom(tag), why] if tag == "shutdown" => ExitReason::ShutdownWith(why.to_string()),
                _ => ExitReason::Error(self.to_string()),
            },
            Self::Number(_) | Self::Binary(_) => ExitReason::Error(self.to_string()),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atom(atom) => f.write_str(&quoted(atom)),
            Self::Number(number) => number.fmt(f),
            Self::Binary(text) => write!(f, "<<{text:?}>>"),
            Self::Tuple(terms) => {
                let terms: Vec<String> = terms.iter().map(Term::to_string).collect();
                write!(f, "{{{}}}", terms.join(","))
            }
        }
    }
}

/// A reason as a trace prints it. A supervisor that reached its restart limit exits with `shutdown`, as in
/// OTP.
pub fn reason_text(reason: &ExitReason) -> String {
    match reason {
        ExitReason::Normal => "normal".to_owned(),
        ExitReason::Shutdown | ExitReason::GaveUp { .. } => "shutdown".to_owned(),
        ExitReason::ShutdownWith(why) => format!("{{shutdown,{why}}}"),
        ExitReason::Killed => "killed".to_owned(),
        ExitReason::NoProc => "noproc".to_owned(),
        ExitReason::Error(term) => term.clone(),
        ExitReason::FailedToStart { child, reason } => {
            let child = quoted(child.as_str());
            format!("{{shutdown,{{failed_to_start_child,{child},{}}}}}", reason_text(reason))
        }
        other => quoted(&other.to_string()),
    }
}

/// An atom as Erlang prints it.
pub fn quoted(atom: &str) -> String {
    const RESERVED: [&str; 27] = [
        "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case", "catch",
        "cond", "div", "end", "fun", "if", "let", "not", "of", "or", "orelse", "receive", "rem", "try",
        "when", "xor",
    ];
    let plain = atom.starts_with(|first: char| first.is_ascii_lowercase())
        && atom.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '@')
        && !RESERVED.contains(&atom);
    if plain {
        return atom.to_owned();
    }
    format!("'{}'", atom.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_terms_print_as_erlang_terms() {
        let print = |value: Value| Term::from_json(&value).to_string();
        assert_eq!(print(json!(["shutdown", ["a", 1, "B"]])), "{shutdown,{a,1,'B'}}");
        assert_eq!(print(json!("it's")), "'it\\'s'");
        assert_eq!(print(json!("end")), "'end'");
        assert_eq!(print(json!(true)), "true");
        assert_eq!(Term::Binary("x".into()).to_string(), "<<\"x\">>");
    }

    #[test]
    fn a_term_to_reason_and_back_is_equal() {
        for value in
            [json!("normal"), json!("shutdown"), json!(["shutdown", "x"]), json!("boom"), json!(["a", 1])]
        {
            let term = Term::from_json(&value);
            assert_eq!(reason_text(&term.to_reason()), term.to_string());
        }
    }
}
