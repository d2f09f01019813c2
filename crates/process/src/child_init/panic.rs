//! Catching panics of user code, with message and source location.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex};
use std::thread;

use impresario_supervision::ExitReason;

/// Source location of the last panic of one thread. The panic payload does not carry it.
type Location = Arc<Mutex<Option<String>>>;

/// Calls `code` and turns a panic into [`ExitReason::Panic`].
///
/// It adds a panic hook that stays until the process exits. A child process calls it at most three times.
pub(crate) fn catch_panic<T>(code: impl FnOnce() -> T) -> Result<T, ExitReason> {
    PanicCatcher::new().catch(code)
}

/// Catches panics of the thread that constructed it. The previous panic hook still prints them.
///
/// It has one panic hook, however often [`catch`](Self::catch) is called. The hook stays until the process exits.
pub(crate) struct PanicCatcher(Location);

impl PanicCatcher {
    pub(crate) fn new() -> Self {
        let location = Location::default();
        add_hook(Arc::clone(&location));
        Self(location)
    }

    /// Calls `code` and turns a panic into [`ExitReason::Panic`].
    pub(crate) fn catch<T>(&self, code: impl FnOnce() -> T) -> Result<T, ExitReason> {
        catch_unwind(AssertUnwindSafe(code)).map_err(|payload| reason(payload, &self.0))
    }
}

/// Puts a panic hook before the previous ones that stores the location of each panic of this thread.
fn add_hook(location: Location) {
    let this = thread::current().id();
    let previous = take_hook();
    set_hook(Box::new(move |info| {
        // Other threads panic too, and their locations would be taken for that of this one.
        if thread::current().id() == this
            && let Ok(mut location) = location.lock()
        {
            *location = info.location().map(ToString::to_string);
        }
        previous(info);
    }));
}

fn reason(payload: Box<dyn Any + Send>, location: &Mutex<Option<String>>) -> ExitReason {
    let message = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a value that is not text".to_owned(),
    };
    // Before the drop of the payload, which may panic at another location.
    let location = location.lock().ok().and_then(|mut location| location.take());
    // In a child, a panic of that drop would unwind into the frames of the parent.
    let _ = catch_unwind(AssertUnwindSafe(move || drop(payload)));
    ExitReason::Panic { message, location }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PanicsInDrop;

    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("again");
        }
    }

    /// One test for both payloads: tests run on several threads, and a change of the panic hook is not atomic.
    #[test]
    fn a_panic_becomes_a_reason_with_message_and_location() {
        let line = line!() + 1;
        let caught = catch_panic(|| panic!("{} apples", 3));
        let Err(ExitReason::Panic { message, location: Some(location) }) = caught else {
            panic!("{caught:?}")
        };
        assert_eq!(message, "3 apples");
        assert!(location.contains(&format!("panic.rs:{line}:")), "{location}");

        let line = line!() + 1;
        let caught = catch_panic(|| std::panic::panic_any(PanicsInDrop));
        let Err(ExitReason::Panic { location: Some(location), .. }) = caught else { panic!("{caught:?}") };
        assert!(location.contains(&format!("panic.rs:{line}:")), "{location} is the drop");
    }
}
