//! Requests about the account: sign in, sign out, who is it (auth.md §3).
//!
//! While the store is being written, further requests about the account wait in order, so that each
//! sees the effect of those before it; everything else goes on (auth.md §13.1 I40).

use super::credential::{Credential, External};
use super::login::{Completion, Ended};
use super::record::NewRecord;
use super::rows;
use super::rules::{self, LoginKind};
use super::store::{SaveError, StoreAnswer, StoreDone, StoreJob, StoreKind, StoreWork};
use super::{Auth, AuthCall, Waiter, Woken};
use crate::effect::{Call, CallId};
use crate::files::{FileError, FileJob};
use crate::input::FreshTokens;
use crate::limits;
use crate::outside::Outside;
use crate::owner::CallOwner;
use crate::pending::Ticket;
use crate::secret::Secret;
use crate::wire::legacy::auth::{
    AuthStatusChangeNotification, GetAuthStatusResponse, UserInfoResponse,
};
use crate::wire::refusal::Refusal;
use crate::wire::v2::account::{
    Account, AccountLoginCompletedNotification, AccountUpdatedNotification,
    CancelLoginAccountResponse, CancelLoginAccountStatus, GetAccountResponse, LoginAccountResponse,
    PlanType,
};
use crate::wire::v2::common::Empty;

/// Which generation of the protocol a request came in; its notifications follow suit
/// (auth.md §3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    V2,
    Legacy,
}

/// A request about the account, decoded.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) enum AccountRequest {
    LoginApiKey { key: Secret, dialect: Dialect },
    LoginChatGpt { dialect: Dialect },
    LoginDevice,
    LoginExternal(FreshTokens),
    CancelLogin { login_id: String, dialect: Dialect },
    Logout { dialect: Dialect },
    Read { refresh: bool },
    Status { include_token: bool, refresh: bool },
    UserInfo,
    RateLimits,
}

/// What the store is doing, and what is answered when it is done.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) enum Storing {
    ApiKey {
        ticket: Ticket,
        key: Secret,
        dialect: Dialect,
    },
    /// The login that the server runs itself.
    Login,
    Logout {
        ticket: Ticket,
        dialect: Dialect,
        /// Of the login that the logout ended.
        completion: Option<Completion>,
    },
}

impl Auth {
    /// Serves a request about the account, or lets it wait for the store.
    pub(crate) fn request(&mut self, out: &mut Outside, ticket: Ticket, request: AccountRequest) {
        if self.storing.is_none() {
            return self.serve(out, ticket, request);
        }
        if self.queue.len() >= limits::ACCOUNT_QUEUE_MAX {
            let text = "too many account requests wait for the credential store";
            return out.refuse(ticket, &Refusal::internal(text));
        }
        self.queue.push_back((ticket, request));
    }

    fn serve(&mut self, out: &mut Outside, ticket: Ticket, request: AccountRequest) {
        match request {
            AccountRequest::LoginApiKey { key, dialect } => {
                self.login_api_key(out, ticket, key, dialect);
            }
            AccountRequest::LoginChatGpt { dialect } => self.login_chatgpt(out, ticket, dialect),
            AccountRequest::LoginDevice => self.login_device(out, ticket),
            AccountRequest::LoginExternal(tokens) => self.login_external(out, ticket, tokens),
            AccountRequest::CancelLogin { login_id, dialect } => {
                self.cancel_login(out, ticket, &login_id, dialect);
            }
            AccountRequest::Logout { dialect } => self.logout(out, ticket, dialect),
            AccountRequest::Read { refresh } => {
                let again = AccountRequest::Read { refresh: false };
                if let Some(ticket) = self.after_refresh(out, ticket, refresh, again) {
                    self.read(out, ticket);
                }
            }
            AccountRequest::Status { include_token, refresh } => {
                let again = AccountRequest::Status { include_token, refresh: false };
                if let Some(ticket) = self.after_refresh(out, ticket, refresh, again) {
                    self.status(out, ticket, include_token);
                }
            }
            AccountRequest::UserInfo => {
                let alleged_user_email = self.credential.email().map(str::to_owned);
                out.reply(ticket, UserInfoResponse { alleged_user_email });
            }
            AccountRequest::RateLimits => self.want_usage(out, ticket),
        }
    }

    /// Refreshes first where that is asked for: then `again` is served when it is over, in either
    /// case (auth.md §3.6). Gives the ticket back when nothing has to be waited for.
    fn after_refresh(
        &mut self,
        out: &mut Outside,
        ticket: Ticket,
        refresh: bool,
        again: AccountRequest,
    ) -> Option<Ticket> {
        let number = self.next_waiting;
        if !refresh || !self.refresh_on_demand(out, Waiter::Request(number), ticket.scope()) {
            return Some(ticket);
        }
        self.next_waiting += 1;
        self.waiting.insert(number, (ticket, again));
        None
    }

    /// The refresh that a request waited for is over.
    pub(crate) fn serve_waiting(&mut self, out: &mut Outside, number: u64) {
        if let Some((ticket, request)) = self.waiting.remove(&number) {
            self.request(out, ticket, request);
        }
    }

    fn is_blocked(&self, out: &mut Outside, kind: LoginKind) -> Option<Refusal> {
        let (external, forced) = (self.credential.is_external(), self.policy.forced_method);
        out.reached(|| rows::blocking_row(kind, external, forced));
        rules::blocked(kind, external, forced).map(rules::Blocked::refusal)
    }

    // --- signing in ---

    fn login_api_key(&mut self, out: &mut Outside, ticket: Ticket, key: Secret, dialect: Dialect) {
        if let Some(refusal) = self.is_blocked(out, LoginKind::ApiKey) {
            return out.refuse(ticket, &refusal);
        }
        self.end_login(out, &Ended::Canceled);
        if self.policy.place.kind == StoreKind::Ephemeral {
            return self.signed_in_with_key(out, ticket, key, dialect);
        }
        let record = NewRecord::ApiKey(key.clone());
        self.store(
            out,
            StoreWork::Save(Box::new(record)),
            Storing::ApiKey { ticket, key, dialect },
        );
    }

    fn signed_in_with_key(
        &mut self,
        out: &mut Outside,
        ticket: Ticket,
        key: Secret,
        dialect: Dialect,
    ) {
        self.replace(out, Credential::ApiKey(key), &Woken::Retry);
        match dialect {
            Dialect::V2 => {
                out.reply(ticket, LoginAccountResponse::ApiKey {});
                announce_login(out);
            }
            Dialect::Legacy => out.reply(ticket, Empty {}),
        }
        self.announce(out, dialect);
    }

    fn login_chatgpt(&mut self, out: &mut Outside, ticket: Ticket, dialect: Dialect) {
        match self.is_blocked(out, LoginKind::ChatGpt) {
            Some(refusal) => out.refuse(ticket, &refusal),
            None => self.start_browser_login(out, ticket, dialect),
        }
    }

    fn login_device(&mut self, out: &mut Outside, ticket: Ticket) {
        match self.is_blocked(out, LoginKind::ChatGpt) {
            Some(refusal) => out.refuse(ticket, &refusal),
            None => self.start_device_login(out, ticket),
        }
    }

    /// A login of the server's own that is under way ends in any case, even when the tokens are
    /// refused (auth.md §3.11).
    fn login_external(&mut self, out: &mut Outside, ticket: Ticket, tokens: FreshTokens) {
        if let Some(refusal) = self.is_blocked(out, LoginKind::External) {
            return out.refuse(ticket, &refusal);
        }
        match self.accept_login(tokens) {
            Err(refusal) => {
                out.refuse(ticket, &refusal);
                self.end_login(out, &Ended::Canceled);
            }
            Ok(external) => {
                self.replace(out, Credential::External(external), &Woken::Retry);
                out.reply(ticket, LoginAccountResponse::ChatgptAuthTokens {});
                self.end_login(out, &Ended::Canceled);
                announce_login(out);
                self.announce(out, Dialect::V2);
            }
        }
    }

    fn accept_login(&self, tokens: FreshTokens) -> Result<External, Refusal> {
        let is_old_shape = tokens.id_token.is_some();
        let external = External::accept(tokens).map_err(|text| {
            if is_old_shape {
                Refusal::invalid(format!("invalid id token: {text}"))
            } else {
                Refusal::internal(format!("failed to set external auth: {text}"))
            }
        })?;
        let Some(wanted) = &self.policy.forced_workspace else { return Ok(external) };
        if external.account_id.as_ref() == Some(wanted) {
            return Ok(external);
        }
        // The reference's text of each shape (auth.md §3.11 E6, §14.1).
        let got = match (&external.account_id, is_old_shape) {
            (Some(id), true) => format!("Some({id:?})"),
            (Some(id), false) => format!("{id:?}"),
            (None, _) => "None".to_owned(),
        };
        let text = format!("External auth must use workspace {wanted}, but received {got}.");
        Err(Refusal::invalid(text))
    }

    fn cancel_login(
        &mut self,
        out: &mut Outside,
        ticket: Ticket,
        login_id: &str,
        dialect: Dialect,
    ) {
        let Ok(id) = uuid::Uuid::try_parse(login_id) else {
            let text = format!("invalid login id: {login_id}");
            return out.refuse(ticket, &Refusal::invalid(text));
        };
        let is_it = self.is_login(id);
        match dialect {
            Dialect::V2 => {
                let status = if is_it {
                    CancelLoginAccountStatus::Canceled
                } else {
                    CancelLoginAccountStatus::NotFound
                };
                out.reply(ticket, CancelLoginAccountResponse { status });
            }
            Dialect::Legacy if is_it => out.reply(ticket, Empty {}),
            Dialect::Legacy => {
                out.refuse(ticket, &Refusal::invalid(format!("login id not found: {id}")));
            }
        }
        if is_it {
            self.end_login(out, &Ended::Canceled);
        }
    }

    // --- signing out ---

    /// Memory is cleared first and in any case; the reply waits for the store (auth.md §12 G14). A
    /// login under way ends before that, lest it be saved while the store is being emptied.
    fn logout(&mut self, out: &mut Outside, ticket: Ticket, dialect: Dialect) {
        let completion = self.close_login(out, &Ended::Canceled);
        self.revoke(out);
        let gone = Woken::Fail("auth refresh request canceled: signed out".to_owned());
        self.replace(out, Credential::None, &gone);
        if self.policy.place.kind == StoreKind::Ephemeral {
            self.signed_out(out, ticket, dialect, Ok(()));
            return completion.into_iter().for_each(|completion| completion.announce(out));
        }
        self.store(out, StoreWork::Delete, Storing::Logout { ticket, dialect, completion });
    }

    /// Asks the authority to take the tokens of a login back. Nobody waits for it (auth.md §14.2).
    fn revoke(&self, out: &mut Outside) {
        let Credential::Managed(managed) = &self.credential else { return };
        let (token, hint) = if managed.refresh.is_empty() {
            (&managed.access, "access_token")
        } else {
            (&managed.refresh, "refresh_token")
        };
        let mut request = self.authority.revoke_request(token, hint);
        request.headers.append(&mut self.identity());
        out.start(Call::Http(request), CallOwner::Auth(AuthCall::Revoke));
    }

    fn signed_out(
        &mut self,
        out: &mut Outside,
        ticket: Ticket,
        dialect: Dialect,
        deleted: Result<(), String>,
    ) {
        match deleted {
            Ok(()) => out.reply(ticket, Empty {}),
            Err(err) => out.refuse(ticket, &Refusal::internal(format!("logout failed: {err}"))),
        }
        self.announce(out, dialect);
    }

    // --- the store ---

    pub(super) fn store(&mut self, out: &mut Outside, work: StoreWork, storing: Storing) {
        let job = StoreJob { place: self.policy.place.clone(), work };
        out.start(Call::Files(FileJob::Credentials(job)), CallOwner::Auth(AuthCall::Store));
        self.storing = Some(storing);
    }

    /// A job on the store is done.
    pub(crate) fn stored(&mut self, out: &mut Outside, call: CallId, answer: StoreAnswer) {
        let done = match answer.0 {
            StoreDone::Saved(done) | StoreDone::Deleted(done) => done,
            done @ (StoreDone::Loaded(_) | StoreDone::Refreshed(_)) => {
                return self.on_refresh_store(out, call, done);
            }
        };
        match (self.storing.take(), done) {
            (None, _) => {}
            (Some(Storing::ApiKey { ticket, key, dialect }), Ok(())) => {
                self.signed_in_with_key(out, ticket, key, dialect);
            }
            (Some(Storing::ApiKey { ticket, .. }), Err(err)) => {
                let text = format!("failed to save api key: {err}");
                out.refuse(ticket, &Refusal::internal(text));
            }
            (Some(Storing::Login), done) => self.login_saved(out, done),
            (Some(Storing::Logout { ticket, dialect, completion }), done) => {
                self.signed_out(out, ticket, dialect, done);
                completion.into_iter().for_each(|completion| completion.announce(out));
            }
        }
        while self.storing.is_none() {
            let Some((ticket, request)) = self.queue.pop_front() else { break };
            self.serve(out, ticket, request);
        }
    }

    /// The backend failed before the store's job could answer.
    pub(crate) fn store_lost(&mut self, out: &mut Outside, call: CallId, owner: AuthCall) {
        let text = FileError::lost().text;
        let done = match owner {
            AuthCall::RefreshStore if self.is_saving_refreshed() => {
                StoreDone::Refreshed(Err(SaveError::Store(text)))
            }
            AuthCall::RefreshStore => StoreDone::Loaded(Err(text)),
            _ => StoreDone::Saved(Err(text)),
        };
        self.stored(out, call, StoreAnswer(done));
    }

    // --- who is it ---

    fn read(&self, out: &mut Outside, ticket: Ticket) {
        if !self.policy.requires_openai_auth {
            let nobody = GetAccountResponse { account: None, requires_openai_auth: false };
            return out.reply(ticket, nobody);
        }
        let account = match &self.credential {
            Credential::None => None,
            Credential::ApiKey(_) => Some(Account::ApiKey {}),
            Credential::Managed(_) | Credential::External(_) => {
                let Some(email) = self.credential.email() else {
                    let text = "email and plan type are required for chatgpt authentication";
                    return out.refuse(ticket, &Refusal::invalid(text));
                };
                // A token without a plan is a valid login all the same (auth.md §12 G23).
                let plan_type = self.credential.plan().unwrap_or(PlanType::Unknown);
                Some(Account::Chatgpt { email: email.to_owned(), plan_type })
            }
        };
        out.reply(ticket, GetAccountResponse { account, requires_openai_auth: true });
    }

    fn status(&self, out: &mut Outside, ticket: Ticket, include_token: bool) {
        let required = self.policy.requires_openai_auth;
        let bearer = self.credential.bearer().filter(|token| required && !token.is_empty());
        out.reply(
            ticket,
            GetAuthStatusResponse {
                auth_method: bearer.and(self.credential.mode()),
                auth_token: bearer.filter(|_| include_token).cloned(),
                requires_openai_auth: Some(required),
            },
        );
    }

    /// Lets the account's usage be read, where there is an account that has any (auth.md §3.7).
    fn want_usage(&mut self, out: &mut Outside, ticket: Ticket) {
        let text = match self.credential {
            Credential::None => "codex account authentication required to read rate limits",
            Credential::ApiKey(_) => "chatgpt authentication required to read rate limits",
            Credential::Managed(_) | Credential::External(_) => {
                return self.usage.push_back(ticket);
            }
        };
        out.refuse(ticket, &Refusal::invalid(text));
    }

    /// Says how the user is signed in now.
    pub(super) fn announce(&self, out: &mut Outside, dialect: Dialect) {
        let mode = self.credential.mode();
        match dialect {
            Dialect::V2 => {
                out.notify("account/updated", AccountUpdatedNotification { auth_mode: mode });
            }
            Dialect::Legacy => {
                let params = AuthStatusChangeNotification { auth_method: mode };
                out.notify("authStatusChange", params);
            }
        }
    }
}

fn announce_login(out: &mut Outside) {
    let params = AccountLoginCompletedNotification { login_id: None, success: true, error: None };
    out.notify("account/login/completed", params);
}
