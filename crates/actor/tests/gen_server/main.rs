//! [`GenServer`](impresario_actor::GenServer): calls, casts, callbacks and exits. Uses only the public API of the crate.

mod callbacks;
mod calls;
mod probe;
