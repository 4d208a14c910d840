//! The connection itself: who the host is, and whether it may ask yet (protocol.md §2).

use std::collections::BTreeSet;

use crate::limits;
use crate::model::headers;
use crate::setup::Setup;
use crate::wire::refusal::Refusal;
use crate::wire::v2::initialize::InitializeParams;

/// How far the connection is.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
enum Stage {
    /// Nothing but `initialize` is served.
    Fresh,
    /// Everything is served.
    Ready,
}

/// The host on the other end.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Session {
    stage: Stage,
    /// Who this server speaks for (auth.md §10.3).
    originator: String,
    user_agent: String,
}

impl Session {
    pub(crate) fn new(setup: &Setup) -> Self {
        let originator = headers::originator(&setup.env, None).to_owned();
        let user_agent = headers::user_agent(&originator, &setup.host, None);
        Self { stage: Stage::Fresh, originator, user_agent }
    }

    /// Serves `initialize`; gives back the user agent for the reply.
    pub(crate) fn initialize(
        &mut self,
        setup: &Setup,
        params: InitializeParams,
    ) -> Result<&str, Refusal> {
        if self.is_ready() {
            return Err(Refusal::invalid("Already initialized"));
        }
        let info = params.client_info;
        if !headers::is_header_value(&info.name) {
            return Err(Refusal::invalid(format!(
                "Invalid clientInfo.name: '{}'. Must be a valid HTTP header value.",
                info.name
            )));
        }
        let client = Some((info.name.as_str(), info.version.as_str()));
        self.originator = headers::originator(&setup.env, Some(&info.name)).to_owned();
        self.user_agent = headers::user_agent(&self.originator, &setup.host, client);
        self.stage = Stage::Ready;
        Ok(&self.user_agent)
    }

    /// Whether `initialize` has succeeded.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready)
    }

    pub(crate) fn originator(&self) -> &str {
        &self.originator
    }

    pub(crate) fn user_agent(&self) -> &str {
        &self.user_agent
    }
}

/// Notifications that the host does not want (protocol.md §9 G5).
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct OptOuts {
    names: BTreeSet<String>,
    /// Beginnings of names, given with a trailing `*`.
    prefixes: Vec<String>,
    /// None of the older dialect's notifications is wanted, so that none is made.
    pub(crate) all_legacy: bool,
}

impl OptOuts {
    /// Exact names, and beginnings of names with a trailing `*`.
    pub(crate) fn new(methods: Vec<String>) -> Self {
        let mut opt_outs = Self::default();
        for method in methods.into_iter().take(limits::OPT_OUTS_MAX) {
            match method.strip_suffix('*') {
                Some(prefix) => opt_outs.prefixes.push(prefix.to_owned()),
                None => {
                    opt_outs.names.insert(method);
                }
            }
        }
        opt_outs.all_legacy =
            opt_outs.prefixes.iter().any(|prefix| "codex/event/".starts_with(prefix.as_str()));
        opt_outs
    }

    /// Whether a notification is not wanted.
    pub(crate) fn has(&self, method: &str) -> bool {
        (!self.names.is_empty() && self.names.contains(method))
            || self.prefixes.iter().any(|prefix| method.starts_with(prefix.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::OptOuts;

    #[test]
    fn exact_names_and_prefixes() {
        let names = |list: &[&str]| OptOuts::new(list.iter().map(|s| (*s).to_owned()).collect());
        let one = names(&["turn/started", "codex/event/item_*"]);
        assert!(one.has("turn/started") && !one.has("turn/started2") && !one.has("turn"));
        assert!(one.has("codex/event/item_started") && !one.has("codex/event/error"));
        assert!(!one.all_legacy);
        assert!(names(&["codex/event/*"]).all_legacy);
        assert!(names(&["codex/*"]).all_legacy);
        assert!(names(&["*"]).all_legacy);
    }
}
