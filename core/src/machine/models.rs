//! The model list: served at once from what is known, and fetched behind the scenes from the active
//! provider's own host, never from another (engine.md §9.3).

use super::Machine;
use super::errands::{Errand, What};
use super::page::page;
use super::startup::cache_path;
use crate::config::Feature;
use crate::effect::{Call, HttpRequest, Method};
use crate::exchange::Reply;
use crate::files::{Access, FileJob};
use crate::limits;
use crate::model::catalogue;
use crate::model::headers::{self, AccountFacts};
use crate::model::modes;
use crate::model::request::{self, LoginKind};
use crate::owner::CallOwner;
use crate::pending::Ticket;
use crate::wire::PROTOCOL_VERSION;
use crate::wire::v2::model::{
    CollaborationModeListParams, CollaborationModeListResponse, ModelListParams, ModelListResponse,
};

/// A model list on its way.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct ModelsErrand;

impl Machine {
    /// `model/list`. The reply never waits for the network.
    pub(super) fn list_models(&mut self, ticket: Ticket, params: ModelListParams) {
        self.refresh_catalogue();
        let listed = self.catalogue.listed(self.auth.login_kind() == LoginKind::ChatGpt);
        let views = listed.iter().enumerate().map(|(at, record)| record.view(at == 0)).collect();
        match page(views, params.cursor.as_deref(), params.limit, "models") {
            Ok((data, next_cursor)) => {
                self.out.reply(ticket, ModelListResponse { data, next_cursor });
            }
            Err(refusal) => self.out.refuse(ticket, &refusal),
        }
    }

    /// `collaborationMode/list`
    pub(super) fn list_modes(&mut self, ticket: Ticket, _: CollaborationModeListParams) {
        self.out.reply(ticket, CollaborationModeListResponse { data: modes::all() });
    }

    /// Fetches the list if it is old, the login is one whose backend has a list, and nothing is on
    /// its way.
    pub(super) fn refresh_catalogue(&mut self) {
        let Some(config) = &self.config else { return };
        let wanted = config.provider.requires_openai_auth
            && config.features.has(Feature::RemoteModels)
            && self.auth.login_kind() == LoginKind::ChatGpt
            && !self.catalogue.is_fresh(self.out.now.wall)
            && !self.errands.values().any(Errand::is_models);
        if wanted {
            self.run_errand(What::Models(ModelsErrand));
        }
    }

    pub(super) fn models_request(&self, facts: &AccountFacts<'_>) -> Option<HttpRequest> {
        let config = self.config.as_ref()?;
        let provider = config.provider.facts(&config.provider_id);
        let base = request::base_url(&provider, self.auth.login_kind());
        let own = provider.query_params.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let params = own.chain([("client_version", PROTOCOL_VERSION)]);
        Some(HttpRequest {
            method: Method::Get,
            url: request::endpoint_url(base, "models", params),
            headers: headers::account_headers(&provider, facts, &self.setup.env),
            body: Vec::new(),
            head_limit: None,
            total_limit: Some(limits::CATALOGUE_LIMIT),
        })
    }

    /// Takes over a list. Any failure leaves things as they are.
    pub(super) fn take_models(&mut self, reply: Reply) {
        let response = match reply {
            Ok(response) if response.is_success() => response,
            Ok(response) => {
                let status = response.head.status;
                return tracing::debug!(status, "the backend has no model list");
            }
            Err(failure) => {
                return tracing::debug!(kind = ?failure.kind, "the model list did not come");
            }
        };
        let etag = response.head.header("etag");
        match catalogue::read_served(&response.text(), etag, self.out.now.wall) {
            Err(error) => tracing::warn!(%error, "the backend's model list cannot be used"),
            Ok((list, stored)) => {
                self.catalogue.replace(list);
                let path = cache_path(&self.setup.home);
                let (bytes, access) = (stored.into_bytes(), Access::Shared);
                let job = FileJob::Write { path, bytes, access };
                self.out.start(Call::Files(job), CallOwner::CatalogueFile);
            }
        }
    }
}
