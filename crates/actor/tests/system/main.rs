//! A tree as a whole: introspection, `Tree::run` in its own process, and how it works on actix. Uses only the public API.

mod actix_behavior;
mod introspection;
mod panic_abort;
mod run;
