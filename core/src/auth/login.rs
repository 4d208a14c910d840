//! Sign-in that the server runs itself: in a browser, or with a code typed elsewhere
//! (auth.md §6, §14.2, §15.3).
//!
//! Owns: the one login that is under way. States: [`Stage`].
//!
//! Invariants: a login that was accepted gets exactly one completion, and it is given in
//! [`Completion::announce`] alone; after that nothing of it is saved, because its calls are cancelled and
//! their answers find nobody (auth.md §12 G1). Every route of the listener wants the login's state.
//!
//! Never: opens a browser, serves a byte (the backend does), or touches the credential before the
//! store has it.

mod device;

use serde::Deserialize;
use uuid::Uuid;

use self::device::Device;
use super::account::{Dialect, Storing};
use super::authority::{self, Proof, Tokens};
use super::credential::{Credential, Managed};
use super::id_token::Claims;
use super::pages;
use super::record::NewRecord;
use super::store::{StoreKind, StoreWork};
use super::{Auth, AuthCall, Woken};
use crate::effect::{Call, CallId, Effect, Feed, Listen, TimerId, VisitId};
use crate::exchange::{Exchange, Reply};
use crate::input::{ListenFailure, Outcome, Visit};
use crate::limits;
use crate::outside::Outside;
use crate::owner::{CallOwner, TimerOwner};
use crate::pending::Ticket;
use crate::secret::Secret;
use crate::wire::legacy::auth::{LoginChatGptCompleteNotification, LoginChatGptResponse};
use crate::wire::legacy::id::Id;
use crate::wire::refusal::Refusal;
use crate::wire::v2::account::{AccountLoginCompletedNotification, LoginAccountResponse};

/// A login under way.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Login {
    id: Uuid,
    dialect: Dialect,
    /// By a code that is typed elsewhere, without a browser here.
    is_device: bool,
    proof: Proof,
    stage: Stage,
    /// The whole login's time limit, once it was accepted.
    limit: Option<TimerId>,
    /// The listener, while there is one.
    listener: Option<CallId>,
    retry: Option<TimerId>,
}

/// How far a login is.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
enum Stage {
    /// The port is asked for; the request is not answered yet.
    Binding { ticket: Ticket, failures: u32, ousting: Option<Exchange> },
    /// The user's browser is expected.
    Waiting,
    /// A device code is asked for; the request is not answered yet.
    AskingCode { ticket: Ticket, exchange: Exchange },
    /// The user is expected to type the code.
    Polling(Device, Option<Exchange>),
    /// The code is exchanged for tokens. The browser, if there is one, waits for a page.
    Exchanging(Option<VisitId>, Exchange),
    /// The tokens are exchanged for an API key.
    AskingKey(Option<VisitId>, Tokens, Exchange),
    /// The store has the tokens in hand.
    Saving(Option<VisitId>, Box<Managed>),
}

/// The one completion of a login that was accepted.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Completion {
    id: Uuid,
    dialect: Dialect,
    error: Option<String>,
}

impl Completion {
    pub(super) fn announce(self, out: &mut Outside) {
        let Self { id, dialect, error } = self;
        let success = error.is_none();
        match dialect {
            Dialect::V2 => {
                let login_id = Some(id.to_string());
                let params = AccountLoginCompletedNotification { login_id, success, error };
                out.notify("account/login/completed", params);
            }
            Dialect::Legacy => {
                let params = LoginChatGptCompleteNotification { login_id: Id(id), success, error };
                out.notify("loginChatGptComplete", params);
            }
        }
    }
}

/// Why a login ends without success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Cancelled, or another login or a logout took its place.
    Canceled,
    /// Another login of the same kind took its place.
    Replaced,
    TimedOut,
    Failed(String),
}

impl Ended {
    /// The completion's text (auth.md §6.8, §6.9, §14.2).
    fn text(&self, is_device: bool) -> String {
        let prefix = if is_device { "" } else { "Login server error: " };
        match self {
            Ended::Canceled => format!("{prefix}Login was not completed"),
            Ended::Replaced => format!("{prefix}Login cancelled"),
            Ended::TimedOut => "Login timed out".to_owned(),
            Ended::Failed(text) => format!("{prefix}{text}"),
        }
    }
}

impl Login {
    /// The exchange that runs, if one does.
    fn exchange(&mut self) -> Option<&mut Exchange> {
        match &mut self.stage {
            Stage::Binding { ousting, .. } => ousting.as_mut(),
            Stage::AskingCode { exchange, .. }
            | Stage::Exchanging(_, exchange)
            | Stage::AskingKey(_, _, exchange) => Some(exchange),
            Stage::Polling(_, exchange) => exchange.as_mut(),
            Stage::Waiting | Stage::Saving(..) => None,
        }
    }

    fn visit(&self) -> Option<VisitId> {
        match &self.stage {
            Stage::Exchanging(visit, _)
            | Stage::AskingKey(visit, _, _)
            | Stage::Saving(visit, _) => *visit,
            Stage::Binding { .. }
            | Stage::Waiting
            | Stage::AskingCode { .. }
            | Stage::Polling(..) => None,
        }
    }
}

impl Auth {
    // --- beginning ---

    /// Begins a browser login; the reply comes with the port.
    pub(super) fn start_browser_login(
        &mut self,
        out: &mut Outside,
        ticket: Ticket,
        dialect: Dialect,
    ) {
        self.end_login(out, &Ended::Replaced);
        let stage = Stage::Binding { ticket, failures: 0, ousting: None };
        self.login = Some(new_login(out, dialect, stage));
        self.listen(out);
    }

    /// Begins a login with a device code; the reply comes with the code.
    pub(super) fn start_device_login(&mut self, out: &mut Outside, ticket: Ticket) {
        self.end_login(out, &Ended::Replaced);
        let request = self.authority.user_code_request();
        let exchange = login_exchange(out, request);
        let stage = Stage::AskingCode { ticket, exchange };
        self.login = Some(new_login(out, Dialect::V2, stage));
    }

    fn listen(&mut self, out: &mut Outside) {
        let Some(login) = &mut self.login else { return };
        let (port, head_bytes_max) = (limits::LOGIN_PORT, limits::VISIT_HEAD_BYTES_MAX);
        let call = Call::Listen(Listen { port, head_bytes_max });
        login.listener = Some(out.start(call, CallOwner::Auth(AuthCall::Listener)));
    }

    /// Whether `id` names the login under way.
    pub(super) fn is_login(&self, id: Uuid) -> bool {
        self.login.as_ref().is_some_and(|login| login.id == id && login.limit.is_some())
    }

    // --- ending ---

    /// The one place where a login ends without success. Whatever still comes of it finds nobody.
    pub(super) fn end_login(&mut self, out: &mut Outside, ended: &Ended) {
        if let Some(completion) = self.close_login(out, ended) {
            completion.announce(out);
        }
    }

    /// Ends a login; its completion, if it was accepted, is still to be announced.
    pub(super) fn close_login(&mut self, out: &mut Outside, ended: &Ended) -> Option<Completion> {
        let mut login = self.login.take()?;
        let is_device = login.is_device;
        if let (Some(visit), Some(listener)) = (login.visit(), login.listener) {
            let page = pages::failure(&ended.text(true));
            out.push(Effect::Feed(listener, Feed::Answer(visit, page)));
        }
        stop(out, &mut login);
        match login.stage {
            Stage::Binding { ticket, .. } => {
                let text = format!("failed to start login server: {}", ended.text(true));
                out.refuse(ticket, &Refusal::internal(text));
            }
            Stage::AskingCode { ticket, .. } => {
                let text = format!("failed to request device code: {}", ended.text(true));
                out.refuse(ticket, &Refusal::internal(text));
            }
            _ => {
                let (id, dialect, error) = (login.id, login.dialect, Some(ended.text(is_device)));
                return Some(Completion { id, dialect, error });
            }
        }
        None
    }

    /// The login's time is over.
    pub(crate) fn login_expired(&mut self, out: &mut Outside) {
        self.end_unsaved_login(out, &Ended::TimedOut);
    }

    /// What the store has in hand cannot be taken back: such a login is as good as done.
    pub(super) fn end_unsaved_login(&mut self, out: &mut Outside, ended: &Ended) {
        let is_saving = |login: &Login| matches!(login.stage, Stage::Saving(..));
        if !self.login.as_ref().is_some_and(is_saving) {
            self.end_login(out, ended);
        }
    }

    // --- the listener ---

    /// The listener has something to say.
    pub(crate) fn on_listener(&mut self, out: &mut Outside, call: CallId, outcome: Outcome<'_>) {
        if self.login.as_ref().and_then(|login| login.listener) != Some(call) {
            return;
        }
        match outcome {
            Outcome::Listening => self.on_listening(out),
            Outcome::ListenFailed(failure) => self.on_listen_failed(out, &failure),
            Outcome::Visit(visit) => self.on_visit(out, &visit),
            _ => self.on_listener_gone(out, "the listener failed"),
        }
    }

    /// There is no listener any more; who waited there for a page has gone with it.
    fn on_listener_gone(&mut self, out: &mut Outside, text: &str) {
        if let Some(login) = &mut self.login {
            login.listener = None;
        }
        self.end_unsaved_login(out, &Ended::Failed(text.to_owned()));
    }

    fn on_listening(&mut self, out: &mut Outside) {
        let Some(login) = &mut self.login else { return };
        let stage = std::mem::replace(&mut login.stage, Stage::Waiting);
        let Stage::Binding { ticket, ousting, .. } = stage else { return };
        if let Some(ousting) = ousting {
            ousting.stop(out);
        }
        let limit = out.start_timer(limits::BROWSER_LOGIN_LIMIT, TimerOwner::LoginLimit);
        login.limit = Some(limit);
        let workspace = self.policy.forced_workspace.as_deref();
        let (port, originator) = (limits::LOGIN_PORT, &self.identity.originator);
        let auth_url = self.authority.authorize_url(&login.proof, port, originator, workspace);
        match login.dialect {
            Dialect::V2 => {
                let login_id = login.id.to_string();
                out.reply(ticket, LoginAccountResponse::Chatgpt { login_id, auth_url });
            }
            Dialect::Legacy => {
                out.reply(ticket, LoginChatGptResponse { login_id: Id(login.id), auth_url });
            }
        }
    }

    /// Somebody has the port: the first time they are asked to go, as every server of this kind
    /// does; then it is tried again (auth.md §6.2).
    fn on_listen_failed(&mut self, out: &mut Outside, failure: &ListenFailure) {
        let Some(login) = &mut self.login else { return };
        login.listener = None;
        let Stage::Binding { failures, ousting, .. } = &mut login.stage else {
            return self.on_listener_gone(out, &failure.text);
        };
        *failures += 1;
        if !failure.is_in_use {
            return self.refuse_binding(out, &failure.text);
        }
        if *failures >= limits::LOGIN_PORT_TRIES_MAX {
            let text = format!("Port 127.0.0.1:{} is already in use", limits::LOGIN_PORT);
            return self.refuse_binding(out, &text);
        }
        if *failures == 1 {
            *ousting = Some(login_exchange(out, authority::oust_request(limits::LOGIN_PORT)));
        } else {
            login.retry = Some(out.start_timer(limits::LOGIN_PORT_PAUSE, TimerOwner::LoginRetry));
        }
    }

    fn refuse_binding(&mut self, out: &mut Outside, text: &str) {
        let Some(mut login) = self.login.take() else { return };
        stop(out, &mut login);
        if let Stage::Binding { ticket, .. } = login.stage {
            let text = format!("failed to start login server: {text}");
            out.refuse(ticket, &Refusal::internal(text));
        }
    }

    /// A request of the browser. Without this login's state nothing happens (auth.md §12 G13).
    fn on_visit(&mut self, out: &mut Outside, visit: &Visit) {
        let Some(login) = &mut self.login else { return };
        let Some(listener) = login.listener else { return };
        let (path, param) = authority::split_target(&visit.target);
        let answer = |out: &mut Outside, page| {
            out.push(Effect::Feed(listener, Feed::Answer(visit.id, page)));
        };
        if !matches!(path, "/auth/callback" | "/cancel" | "/success") {
            return answer(out, pages::not_found());
        }
        if param("state").as_deref() != Some(login.proof.state.expose()) {
            return answer(out, pages::state_mismatch());
        }
        // What the store has in hand cannot be taken back.
        if path == "/cancel" && !matches!(login.stage, Stage::Saving(..)) {
            answer(out, pages::failure("Login cancelled"));
            return self.end_login(out, &Ended::Replaced);
        }
        if !matches!(login.stage, Stage::Waiting) || path == "/success" {
            return answer(out, pages::in_progress());
        }
        if let Some(error) = param("error") {
            let text = authority::denied_words(&error, param("error_description").as_deref());
            answer(out, pages::failure(&text));
            return self.end_login(out, &Ended::Failed(text));
        }
        let Some(code) = param("code").filter(|code| !code.is_empty()) else {
            let text = "Missing authorization code. Sign-in could not be completed.";
            answer(out, pages::failure(text));
            return self.end_login(out, &Ended::Failed(text.to_owned()));
        };
        let redirect = authority::redirect_uri(limits::LOGIN_PORT);
        let request = self.authority.token_request(&code, &redirect, &login.proof.verifier);
        login.stage = Stage::Exchanging(Some(visit.id), login_exchange(out, request));
    }

    // --- exchanges ---

    /// A part of an answer to the login's own exchange.
    pub(crate) fn on_login_http(&mut self, out: &mut Outside, call: CallId, outcome: Outcome<'_>) {
        let Some(login) = &mut self.login else { return };
        let Some(exchange) = login.exchange().filter(|exchange| exchange.is(call)) else { return };
        let Some(reply) = exchange.on(out, outcome) else { return };
        match std::mem::replace(&mut login.stage, Stage::Waiting) {
            Stage::Binding { ticket, failures, .. } => {
                login.stage = Stage::Binding { ticket, failures, ousting: None };
                let pause = out.start_timer(limits::LOGIN_PORT_PAUSE, TimerOwner::LoginRetry);
                login.retry = Some(pause);
            }
            Stage::AskingCode { ticket, .. } => self.on_user_code(out, ticket, reply),
            Stage::Polling(device, _) => self.on_polled(out, device, reply),
            Stage::Exchanging(visit, _) => self.on_exchanged(out, visit, reply),
            Stage::AskingKey(visit, tokens, _) => self.on_key(out, visit, tokens, reply),
            Stage::Waiting | Stage::Saving(..) => {}
        }
    }

    /// The pause before another try is over.
    pub(crate) fn retry_login(&mut self, out: &mut Outside) {
        let Some(login) = &mut self.login else { return };
        login.retry = None;
        match &mut login.stage {
            Stage::Binding { .. } => self.listen(out),
            Stage::Polling(device, exchange) => {
                let request = self.authority.device_poll_request(&device.id, &device.user_code);
                *exchange = Some(login_exchange(out, request));
            }
            _ => {}
        }
    }

    fn on_exchanged(&mut self, out: &mut Outside, visit: Option<VisitId>, reply: Reply) {
        let tokens = reply.map_err(|failure| failure.text).and_then(|response| {
            if response.is_success() {
                serde_json::from_slice::<Tokens>(&response.body)
                    .map_err(|_| "the answer of the token endpoint does not parse".to_owned())
            } else {
                let (status, words) = (response.head.status, response.text());
                let words = authority::error_words(&words);
                Err(format!("token endpoint returned status {status}: {words}"))
            }
        });
        let tokens = match tokens {
            Ok(tokens) => tokens,
            Err(text) => {
                let is_device = visit.is_none();
                let prefix = if is_device { "device code exchange failed: " } else { "" };
                return self.fail_visit(out, visit, format!("{prefix}{text}"));
            }
        };
        let forced = self.policy.forced_workspace.as_deref();
        if let Some(text) = authority::workspace_fault(&tokens.id_token, forced) {
            return self.fail_visit(out, visit, text);
        }
        let Some(login) = &mut self.login else { return };
        if visit.is_none() {
            // A device login gets no API key (auth.md §15.3).
            return self.save_login(out, None, tokens, None);
        }
        let request = self.authority.key_request(&tokens.id_token);
        login.stage = Stage::AskingKey(visit, tokens, login_exchange(out, request));
    }

    /// The API key is a gift: any failure means that there is none.
    fn on_key(&mut self, out: &mut Outside, visit: Option<VisitId>, tokens: Tokens, reply: Reply) {
        #[derive(Deserialize)]
        struct Key {
            access_token: Secret,
        }
        let key = reply.ok().filter(crate::exchange::Response::is_success).and_then(|response| {
            serde_json::from_slice::<Key>(&response.body).ok().map(|key| key.access_token)
        });
        self.save_login(out, visit, tokens, key);
    }

    fn fail_visit(&mut self, out: &mut Outside, visit: Option<VisitId>, text: String) {
        let listener = self.login.as_ref().and_then(|login| login.listener);
        if let (Some(visit), Some(listener)) = (visit, listener) {
            out.push(Effect::Feed(listener, Feed::Answer(visit, pages::failure(&text))));
        }
        self.end_login(out, &Ended::Failed(text));
    }

    // --- saving ---

    fn save_login(
        &mut self,
        out: &mut Outside,
        visit: Option<VisitId>,
        tokens: Tokens,
        key: Option<Secret>,
    ) {
        let claims = match Claims::parse(tokens.id_token.expose()) {
            Ok(claims) => claims,
            Err(text) => {
                return self.fail_visit(out, visit, format!("Unable to persist auth file: {text}"));
            }
        };
        let managed = Managed {
            id_token: tokens.id_token,
            access: tokens.access_token,
            refresh: tokens.refresh_token,
            account_id: claims.account_id.clone(),
            claims,
            last_refresh: Some(out.now.wall),
            outdated: None,
        };
        let record = NewRecord::Managed(managed.clone(), key);
        if let Some(login) = &mut self.login {
            login.stage = Stage::Saving(visit, Box::new(managed));
        }
        if self.policy.place.kind == StoreKind::Ephemeral {
            return self.login_saved(out, Ok(()));
        }
        // Account requests wait meanwhile, so that none can come between saved and announced.
        self.store(out, StoreWork::Save(Box::new(record)), Storing::Login);
    }

    /// The store is done: the login is complete, or has failed.
    pub(super) fn login_saved(&mut self, out: &mut Outside, saved: Result<(), String>) {
        let Some(login) = &mut self.login else { return };
        let Stage::Saving(visit, managed) = std::mem::replace(&mut login.stage, Stage::Waiting)
        else {
            return;
        };
        if let Err(text) = saved {
            let text = format!("Unable to persist auth file: {text}");
            return self.fail_visit(out, visit, text);
        }
        let Some(mut login) = self.login.take() else { return };
        if let (Some(visit), Some(listener)) = (visit, login.listener) {
            out.push(Effect::Feed(listener, Feed::Answer(visit, pages::success())));
        }
        stop(out, &mut login);
        self.replace(out, Credential::Managed(*managed), &Woken::Retry);
        Completion { id: login.id, dialect: login.dialect, error: None }.announce(out);
        self.announce(out, login.dialect);
    }
}

fn new_login(out: &mut Outside, dialect: Dialect, stage: Stage) -> Login {
    Login {
        id: out.rng.uuid_v4(),
        dialect,
        is_device: matches!(stage, Stage::AskingCode { .. }),
        proof: Proof::new(&mut out.rng),
        stage,
        limit: None,
        listener: None,
        retry: None,
    }
}

fn login_exchange(out: &mut Outside, request: crate::effect::HttpRequest) -> Exchange {
    Exchange::start(out, request, CallOwner::Auth(AuthCall::Login), limits::TOKEN_BYTES_MAX)
}

/// Stops everything that runs for a login.
fn stop(out: &mut Outside, login: &mut Login) {
    if let Some(exchange) = login.exchange() {
        exchange.stop(out);
    }
    if let Some(listener) = login.listener.take() {
        out.cancel(listener);
    }
    for timer in [login.limit.take(), login.retry.take()].into_iter().flatten() {
        out.cancel_timer(timer);
    }
}
