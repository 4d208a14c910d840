//! The connection itself: who the host is, and whether it may ask yet (protocol.md §2).

use crate::model::headers::{self, Client};
use crate::setup::Setup;
use crate::wire::refusal::Refusal;
use crate::wire::v2::initialize::InitializeParams;

/// How far the connection is.
#[derive(Debug)]
enum Stage {
    /// Nothing but `initialize` is served.
    Fresh,
    /// Everything is served.
    Ready,
}

/// The host on the other end.
#[derive(Debug)]
pub(crate) struct Session {
    stage: Stage,
    client: Client,
    /// Beats the host's own name (auth.md §10.3).
    originator_override: Option<String>,
}

impl Session {
    pub(crate) fn new(setup: &Setup) -> Self {
        let originator_override =
            setup.env.filled("CODEX_INTERNAL_ORIGINATOR_OVERRIDE").map(str::to_owned);
        let originator = originator_override.as_deref().unwrap_or(headers::DEFAULT_ORIGINATOR);
        Self {
            stage: Stage::Fresh,
            client: Client::new(originator, &setup.host, None),
            originator_override,
        }
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
        let originator = self.originator_override.as_deref().unwrap_or(&info.name);
        self.client = Client::new(originator, &setup.host, Some((&info.name, &info.version)));
        self.stage = Stage::Ready;
        Ok(&self.client.user_agent)
    }

    /// Whether `initialize` has succeeded.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready)
    }

    /// How the server introduces itself to backends.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}
