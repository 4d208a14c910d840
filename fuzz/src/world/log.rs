//! What the machine logs, caught at the finest level, so that it can be searched for secrets.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

thread_local! {
    static LOG: RefCell<String> = const { RefCell::new(String::new()) };
    static IS_FINE: Cell<bool> = const { Cell::new(true) };
}

/// Keeps what is logged on each thread, for that thread.
#[derive(Debug, Default)]
struct Keeper;

/// Takes the place of the process's subscriber. Call it once or often; false if something else
/// has taken that place.
pub fn install() -> bool {
    static DONE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *DONE.get_or_init(|| tracing::subscriber::set_global_default(Keeper).is_ok())
}

/// Keeps all that is logged on this thread from now on, or only warnings and errors: to write down
/// everything takes longer than what it is about.
pub fn set_fine(is_fine: bool) {
    IS_FINE.set(is_fine);
}

/// What was logged on this thread since the last call.
pub fn take() -> String {
    LOG.with_borrow_mut(std::mem::take)
}

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Keeper {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, about: &Metadata<'_>) -> bool {
        *about.level() <= Level::WARN || IS_FINE.get()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        LOG.with_borrow_mut(|log| span.record(&mut Text(log)));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        LOG.with_borrow_mut(|log| values.record(&mut Text(log)));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        LOG.with_borrow_mut(|log| {
            let _ = write!(log, "{} {}:", event.metadata().level(), event.metadata().target());
            event.record(&mut Text(log));
            log.push('\n');
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_that_is_logged_is_kept_once() {
        assert!(super::install());
        tracing::trace!(token = "abc", "said");
        let log = super::take();
        assert!(log.contains("token=\"abc\"") && log.contains("said"), "{log}");
        assert_eq!(super::take(), "");
        super::set_fine(false);
        tracing::info!("small");
        tracing::error!("large");
        let log = super::take();
        assert!(log.contains("large") && !log.contains("small"), "{log}");
        super::set_fine(true);
    }
}
