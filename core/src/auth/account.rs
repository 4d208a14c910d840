//! Requests about the account: sign in, sign out, who is it (auth.md §3).
//!
//! While the store is being written, further requests about the account wait in order, so that each
//! sees the effect of those before it; everything else goes on (auth.md §13.1 I40).

use super::credential::{Credential, External};
use super::rules::{self, LoginKind};
use super::store::{StoreJob, StoreKind, StoreWork};
use super::{Auth, Woken};
use crate::effect::Call;
use crate::files::{FileError, FileJob};
use crate::input::FreshTokens;
use crate::limits;
use crate::outside::Outside;
use crate::owner::CallOwner;
use crate::pending::Ticket;
use crate::secret::Secret;
use crate::wire::legacy::auth::{AuthStatusChangeNotification, GetAuthStatusResponse, UserInfoResponse};
use crate::wire::refusal::Refusal;
use crate::wire::v2::account::{Account, AccountLoginCompletedNotification, AccountUpdatedNotification, CancelLoginAccountResponse, CancelLoginAccountStatus, GetAccountResponse, LoginAccountResponse, PlanType};
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
pub(crate) enum AccountRequest {
    LoginApiKey { key: Secret, dialect: Dialect },
    LoginChatGpt,
    LoginExternal(FreshTokens),
    CancelLogin { login_id: String, dialect: Dialect },
    Logout { dialect: Dialect },
    Read,
    Status { include_token: bool },
    UserInfo,
    RateLimits,
}

/// What the store is doing, and what is answered when it is done.
#[derive(Debug)]
pub(super) enum Storing {
    ApiKey { ticket: Ticket, key: Secret, dialect: Dialect },
    Logout { ticket: Ticket, dialect: Dialect },
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
            AccountRequest::LoginChatGpt => self.login_chatgpt(out, ticket),
            AccountRequest::LoginExternal(tokens) => self.login_external(out, ticket, tokens),
            AccountRequest::CancelLogin { login_id, dialect } => {
                self.cancel_login(out, ticket, &login_id, dialect);
            }
            AccountRequest::Logout { dialect } => self.logout(out, ticket, dialect),
            AccountRequest::Read => self.read(out, ticket),
            AccountRequest::Status { include_token } => self.status(out, ticket, include_token),
            AccountRequest::UserInfo => {
                let alleged_user_email = self.credential.email().map(str::to_owned);
                out.reply(ticket, UserInfoResponse { alleged_user_email });
            }
            AccountRequest::RateLimits => self.rate_limits(out, ticket),
        }
    }

    fn is_blocked(&self, kind: LoginKind) -> Option<Refusal> {
        rules::blocked(kind, self.credential.is_external(), self.policy.forced_method)
            .map(rules::Blocked::refusal)
    }

    // --- signing in ---

    fn login_api_key(&mut self, out: &mut Outside, ticket: Ticket, key: Secret, dialect: Dialect) {
        if let Some(refusal) = self.is_blocked(LoginKind::ApiKey) {
            return out.refuse(ticket, &refusal);
        }
        if self.policy.store == StoreKind::Ephemeral {
            return self.signed_in_with_key(out, ticket, key, dialect);
        }
        self.store(out, StoreWork::SaveApiKey(key.clone()));
        self.storing = Some(Storing::ApiKey { ticket, key, dialect });
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

    fn login_chatgpt(&mut self, out: &mut Outside, ticket: Ticket) {
        let text = "not available yet: sign-in with ChatGPT";
        let refusal =
            self.is_blocked(LoginKind::ChatGpt).unwrap_or_else(|| Refusal::internal(text));
        out.refuse(ticket, &refusal);
    }

    fn login_external(&mut self, out: &mut Outside, ticket: Ticket, tokens: FreshTokens) {
        if let Some(refusal) = self.is_blocked(LoginKind::External) {
            return out.refuse(ticket, &refusal);
        }
        match self.accept_login(tokens) {
            Err(refusal) => out.refuse(ticket, &refusal),
            Ok(external) => {
                self.replace(out, Credential::External(external), &Woken::Retry);
                out.reply(ticket, LoginAccountResponse::ChatgptAuthTokens {});
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
        match dialect {
            Dialect::V2 => {
                let status = CancelLoginAccountStatus::NotFound;
                out.reply(ticket, CancelLoginAccountResponse { status });
            }
            Dialect::Legacy => {
                out.refuse(ticket, &Refusal::invalid(format!("login id not found: {id}")));
            }
        }
    }

    // --- signing out ---

    /// Memory is cleared first and in any case; the reply waits for the store (auth.md §12 G14).
    fn logout(&mut self, out: &mut Outside, ticket: Ticket, dialect: Dialect) {
        let gone = Woken::Fail("auth refresh request canceled: signed out".to_owned());
        self.replace(out, Credential::None, &gone);
        if self.policy.store == StoreKind::Ephemeral {
            return self.signed_out(out, ticket, dialect, Ok(()));
        }
        self.store(out, StoreWork::Delete);
        self.storing = Some(Storing::Logout { ticket, dialect });
    }

    fn signed_out(
        &self,
        out: &mut Outside,
        ticket: Ticket,
        dialect: Dialect,
        deleted: Result<(), FileError>,
    ) {
        match deleted {
            Ok(()) => out.reply(ticket, Empty {}),
            Err(err) => out.refuse(ticket, &Refusal::internal(format!("logout failed: {err}"))),
        }
        self.announce(out, dialect);
    }

    // --- the store ---

    fn store(&self, out: &mut Outside, work: StoreWork) {
        let job = StoreJob { path: self.policy.path.clone(), work };
        out.start(Call::Files(FileJob::Credentials(job)), CallOwner::CredentialStore);
    }

    /// The store is done: answer who waited for it, then those who came after.
    pub(crate) fn stored(&mut self, out: &mut Outside, done: Result<(), FileError>) {
        match (self.storing.take(), done) {
            (None, _) => {}
            (Some(Storing::ApiKey { ticket, key, dialect }), Ok(())) => {
                self.signed_in_with_key(out, ticket, key, dialect);
            }
            (Some(Storing::ApiKey { ticket, .. }), Err(err)) => {
                let text = format!("failed to save api key: {err}");
                out.refuse(ticket, &Refusal::internal(text));
            }
            (Some(Storing::Logout { ticket, dialect }), done) => {
                self.signed_out(out, ticket, dialect, done);
            }
        }
        while self.storing.is_none() {
            let Some((ticket, request)) = self.queue.pop_front() else { break };
            self.serve(out, ticket, request);
        }
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

    fn rate_limits(&self, out: &mut Outside, ticket: Ticket) {
        let text = match self.credential {
            Credential::None => "codex account authentication required to read rate limits",
            Credential::ApiKey(_) => "chatgpt authentication required to read rate limits",
            Credential::Managed(_) | Credential::External(_) => {
                let text = "not available yet: account/rateLimits/read";
                return out.refuse(ticket, &Refusal::internal(text));
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
