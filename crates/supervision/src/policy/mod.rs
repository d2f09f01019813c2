//! What a user configures.

pub(crate) mod backoff;
pub(crate) mod intensity;
pub(crate) mod rng;
pub(crate) mod spec;
pub(crate) mod spec_error;
