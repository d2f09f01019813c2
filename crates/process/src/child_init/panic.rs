//! Catching panics in a child process, with message and source location.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use impresario_supervision::ExitReason;

thread_local! {
    /// Source location of the last panic of this thread. The panic payload does not carry it.
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Calls `code` and turns a panic into [`ExitReason::Panic`]. The previous panic hook still prints the panic.
///
/// Only child processes call it, so the panic hook of main stays as it is.
pub(super) fn catch_panic<T>(code: impl FnOnce() -> T) -> Result<T, ExitReason> {
    install_hook();
    catch_unwind(AssertUnwindSafe(code)).map_err(reason)
}

/// Chains a panic hook that stores the location. Once per process; a forked child inherits the hook and the
/// flag.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            LOCATION.set(info.location().map(ToString::to_string));
            previous(info);
        }));
    });
}

fn reason(payload: Box<dyn Any + Send>) -> ExitReason {
    let message = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a value that is not text".to_owned(),
    };
    let location = LOCATION.take();
    // The drop of a payload may panic itself, which would unwind into the frames of the parent.
    let _ = catch_unwind(AssertUnwindSafe(move || drop(payload)));
    ExitReason::Panic { message, location }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_reason_with_message_and_location() {
        let Err(ExitReason::Panic { message, location }) = catch_panic(|| panic!("{} apples", 3)) else {
            panic!("not caught")
        };
        assert_eq!(message, "3 apples");
        assert!(location.is_some_and(|location| location.contains("panic.rs:")));
    }

    #[test]
    fn a_payload_that_panics_in_drop_is_caught() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let line = line!() + 1;
        let caught = catch_panic(|| std::panic::panic_any(Bomb));
        let Err(ExitReason::Panic { location: Some(location), .. }) = caught else { panic!("{caught:?}") };
        assert!(location.contains(&format!("panic.rs:{line}:")), "{location} is the drop");
    }
}
