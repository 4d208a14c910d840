//! The model list: served at once from what is known, and fetched behind the scenes from the active
//! provider's own host, never from another (engine.md §9.3).

use super::Machine;
use super::startup::cache_path;
use crate::auth::ProviderAuth;
use crate::config::Feature;
use crate::effect::{Call, HttpRequest, Method};
use crate::files::{Access, FileJob};
use crate::input::Outcome;
use crate::limits;
use crate::model::catalogue;
use crate::model::headers::{self, AccountFacts};
use crate::model::request::{self, LoginKind};
use crate::owner::CallOwner;
use crate::pending::Ticket;
use crate::wire::PROTOCOL_VERSION;
use crate::wire::refusal::Refusal;
use crate::wire::v2::model::{Model, ModelListParams, ModelListResponse};

/// A model list on its way.
#[derive(Debug, Default)]
pub(super) struct Fetching {
    etag: Option<String>,
    /// Nothing until the head says that it is a list.
    body: Option<Vec<u8>>,
}

impl Machine {
    /// `model/list`. The reply never waits for the network.
    pub(super) fn list_models(&mut self, ticket: Ticket, params: ModelListParams) {
        self.refresh_catalogue();
        let listed = self.catalogue.listed(self.auth.login_kind() == LoginKind::ChatGpt);
        let start = match params.cursor.as_deref().map(str::parse::<usize>) {
            None => 0,
            Some(Ok(start)) if start <= listed.len() => start,
            Some(Ok(start)) => {
                let text = format!("cursor {start} exceeds total models {}", listed.len());
                return self.out.refuse(ticket, &Refusal::invalid(text));
            }
            Some(Err(_)) => {
                let cursor = params.cursor.unwrap_or_default();
                let text = format!("invalid cursor: {cursor}");
                return self.out.refuse(ticket, &Refusal::invalid(text));
            }
        };
        let limit = params.limit.map_or(usize::MAX, |limit| limit.max(1) as usize);
        let page = listed.iter().enumerate().skip(start).take(limit);
        let data: Vec<Model> = page.map(|(at, record)| record.view(at == 0)).collect();
        let end = start + data.len();
        let next_cursor = (end < listed.len()).then(|| end.to_string());
        self.out.reply(ticket, ModelListResponse { data, next_cursor });
    }

    /// Fetches the list if it is old, the login is one whose backend has a list, and nothing is on
    /// its way.
    pub(super) fn refresh_catalogue(&mut self) {
        let Some(config) = &self.config else { return };
        let wanted = config.provider.requires_openai_auth
            && config.features.has(Feature::RemoteModels)
            && self.auth.login_kind() == LoginKind::ChatGpt
            && !self.catalogue.is_fresh(self.out.now.wall)
            && self.fetching.is_none();
        if !wanted {
            return;
        }
        let auth = ProviderAuth::of(&config.provider);
        let Ok(credential) = self.auth.for_call(auth, &self.setup.env) else { return };
        let provider = config.provider.facts(&config.provider_id);
        let base = request::base_url(&provider, self.auth.login_kind());
        let own = provider.query_params.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let params = own.chain([("client_version", PROTOCOL_VERSION)]);
        let facts = AccountFacts {
            originator: self.session.originator(),
            user_agent: self.session.user_agent(),
            bearer: credential.token.as_ref(),
            account_id: credential.account_id.as_deref(),
        };
        let call = Call::Http(HttpRequest {
            method: Method::Get,
            url: request::endpoint_url(base, "models", params),
            headers: headers::account_headers(&provider, &facts, &self.setup.env),
            body: Vec::new(),
            head_limit: None,
            total_limit: Some(limits::CATALOGUE_LIMIT),
        });
        self.out.start(call, CallOwner::Catalogue);
        self.fetching = Some(Fetching::default());
    }

    /// A part of the list. Any failure leaves things as they are.
    pub(super) fn on_catalogue(&mut self, outcome: Outcome<'_>) {
        let Some(fetching) = &mut self.fetching else { return };
        match outcome {
            Outcome::HttpHead(head) => {
                fetching.etag = head.header("etag").map(str::to_owned);
                fetching.body = (head.status == 200).then(Vec::new);
            }
            Outcome::HttpBytes(bytes) => {
                let Some(body) = &mut fetching.body else { return };
                if body.len() as u64 + bytes.len() as u64 > limits::CATALOGUE_BYTES_MAX {
                    fetching.body = None;
                    return;
                }
                body.extend_from_slice(bytes);
            }
            Outcome::HttpEnd => self.take_catalogue(),
            Outcome::HttpFailed(failure) => {
                tracing::debug!(kind = ?failure.kind, "the model list could not be fetched");
                self.fetching = None;
            }
            Outcome::Files(_) => {}
        }
    }

    fn take_catalogue(&mut self) {
        let Some(Fetching { etag, body: Some(body) }) = self.fetching.take() else { return };
        let Ok(body) = std::str::from_utf8(&body) else { return };
        match catalogue::read_served(body, etag.as_deref(), self.out.now.wall) {
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
