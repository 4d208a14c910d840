//! Who listens to a thread. All listeners are at the other end of one connection, so an event is
//! written once, in every dialect that one of them wants (protocol.md §9 G17).

/// The listeners of a thread, as far as they decide what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audience {
    /// By `thread/start`, `thread/resume` or `thread/fork`.
    v2: bool,
    /// How many by `addConversationListener`.
    legacy: u32,
    /// Raw items of the model are wanted too.
    raw: bool,
}

impl Audience {
    /// The audience of a thread that was opened in today's dialect.
    pub(crate) fn v2(raw: bool) -> Self {
        Self { v2: true, legacy: 0, raw }
    }

    /// Whether nobody listens: what happens is kept for the first who does.
    pub(crate) fn is_empty(self) -> bool {
        !self.v2 && self.legacy == 0
    }

    /// Whether notifications that only today's listeners get are written.
    pub(crate) fn hears_v2(self) -> bool {
        self.v2
    }

    pub(crate) fn hears_raw(self) -> bool {
        self.raw
    }

    pub(crate) fn join_v2(&mut self) {
        self.v2 = true;
    }

    pub(crate) fn join_legacy(&mut self, raw: bool) {
        self.legacy += 1;
        self.raw |= raw;
    }

    pub(crate) fn leave_legacy(&mut self) {
        self.legacy = self.legacy.saturating_sub(1);
    }
}
