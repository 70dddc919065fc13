//! Keeps a panic in one room from holding up the thread that ticks the others.

use std::{any::Any, panic, sync::Once, thread};

/// Media threads' names begin so.
pub(super) const PREFIX: &str = "media-";

/// Has panics on media threads logged without a backtrace: resolving one takes longer than many ticks. Others are told as before.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let current = thread::current();
            match current.name().filter(|name| name.starts_with(PREFIX)) {
                Some(name) => {
                    let place = info.location().map(ToString::to_string).unwrap_or_default();
                    tracing::error!(thread = name, place, reason = reason(info.payload()), "panic");
                }
                None => before(info),
            }
        }));
    });
}

fn reason(payload: &dyn Any) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("unknown")
}
