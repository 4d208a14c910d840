//! The connection itself: who the host is, and whether it may ask yet (protocol.md §2).

use crate::model::headers;
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
