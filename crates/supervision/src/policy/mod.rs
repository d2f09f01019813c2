//! What a user configures: specs and flags with their checks, restart intensity, backoff; and the random numbers
//! that backoff and recycling draw.
//!
//! It knows ids, reasons and times of the root. It knows no supervisor, no child state, no events and no actions.

pub(crate) mod backoff;
pub(crate) mod intensity;
pub(crate) mod rng;
pub(crate) mod spec;
pub(crate) mod spec_error;
