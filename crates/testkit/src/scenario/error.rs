//! Errors of a scenario file.

use std::fmt;

use serde_json::Value;

/// Why a scenario file is invalid.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file is not JSON.
    Json(serde_json::Error),
    /// A value is not what the format allows.
    Bad {
        /// What the value is for.
        place: String,
        /// The value.
        value: String,
    },
    /// An object has an unknown key.
    UnknownKey {
        /// What the object is.
        place: String,
        /// The unknown key.
        key: String,
        /// All allowed keys.
        known: String,
    },
}

impl ScenarioError {
    pub(super) fn bad(place: &str, value: &Value) -> Self {
        Self::Bad { place: place.to_owned(), value: value.to_string() }
    }

    /// Returns an error if the object has a key that is not in `known`.
    pub(super) fn unless_known(place: &str, value: &Value, known: &[&str]) -> Result<(), Self> {
        let mut keys = value.as_object().into_iter().flat_map(|object| object.keys());
        match keys.find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                Err(Self::UnknownKey { place: place.to_owned(), key: key.clone(), known: known.join(", ") })
            }
        }
    }
}

impl From<serde_json::Error> for ScenarioError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "not json: {error}"),
            Self::Bad { place, value } => {
                write!(f, "{place} cannot be {value}; see tests/scenarios/README.md")
            }
            Self::UnknownKey { place, key, known } => {
                write!(f, "{place} has no key {key:?}, only these: {known}; see tests/scenarios/README.md")
            }
        }
    }
}

impl std::error::Error for ScenarioError {}
