//! Catching panics, with the location, which the payload does not have.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use impresario_supervision::ExitReason;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs user code. A panic becomes the exit reason, with message and location.
///
/// Every actor runs inside such a call already. Use it where a panic should end less than the actor. Drop the
/// state that the code used: after a panic it may be half changed.
///
/// # Errors
///
/// [`ExitReason::Panic`].
pub fn catch_panic<T>(code: impl FnOnce() -> T) -> Result<T, ExitReason> {
    install_hook();
    let outer = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(code));
    CATCHING.set(outer);
    result.map_err(reason)
}

/// Drops a value of user code. A panic in its destructor is caught and adds nothing.
pub(crate) fn drop_caught<T>(value: T) {
    let _ = catch_panic(move || drop(value));
}

/// A process has one panic hook. This one prints nothing for panics that are caught here, unless a backtrace is
/// requested; it passes all others on to the previous hook.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        let backtrace = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
        std::panic::set_hook(Box::new(move |info| {
            if !CATCHING.get() {
                return previous(info);
            }
            LOCATION.set(info.location().map(ToString::to_string));
            if backtrace {
                previous(info);
            }
        }));
    });
}

/// The exit reason for a panic that was caught in a [`catch_panic`].
pub(crate) fn reason(payload: Box<dyn Any + Send>) -> ExitReason {
    let message = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a value that is not text".to_owned(),
    };
    let location = LOCATION.take();
    // The payload may panic in its own destructor, at another location.
    let _ = catch_unwind(AssertUnwindSafe(move || drop(payload)));
    LOCATION.take();
    ExitReason::Panic { message, location }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_and_place_are_kept() {
        let reason = catch_panic(|| panic!("{} apples", 3)).expect_err("it panics");
        let ExitReason::Panic { message, location } = reason else { panic!("{reason:?}") };
        assert_eq!(message, "3 apples");
        assert!(location.is_some_and(|place| place.contains("panic.rs:")));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_survived() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let place = line!() + 1;
        let caught = catch_panic(|| catch_panic(|| std::panic::panic_any(Bomb)));
        let Ok(Err(ExitReason::Panic { location: Some(reported), .. })) = caught else {
            panic!("{caught:?}")
        };
        assert!(reported.contains(&format!("panic.rs:{place}:")), "{reported} is the drop");
    }
}
