//! Requests in the account's name that are no turn's: the model list, the account's usage and its
//! apps. All of
//! them know the same rules about 401 as a turn does (auth.md §12 G11).

use super::Machine;
use super::apps::AppsErrand;
use super::models::ModelsErrand;
use super::usage::UsageErrand;
use crate::auth::{AfterUnauthorized, CallCredential, ProviderAuth, Source, Waiter, Woken};
use crate::effect::HttpRequest;
use crate::exchange::{Exchange, Reply};
use crate::input::{HttpFailure, HttpFailureKind, Outcome};
use crate::limits;
use crate::model::headers::AccountFacts;
use crate::owner::CallOwner;

/// One request on its way.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Errand {
    what: What,
    /// None while tokens are waited for.
    running: Option<(Exchange, Source)>,
    /// Answers with 401 so far (auth.md §13.1 I28).
    unauthorized: u32,
    /// Tokens were waited for: another 401 is final.
    was_refreshed: bool,
    /// The answer that was refused, while tokens are waited for.
    refused: Option<Reply>,
}

/// What a request is for.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) enum What {
    Models(ModelsErrand),
    Usage(UsageErrand),
    Apps(Box<AppsErrand>),
}

impl Errand {
    fn new(what: What) -> Self {
        Self { what, running: None, unauthorized: 0, was_refreshed: false, refused: None }
    }

    pub(super) fn is_models(&self) -> bool {
        matches!(self.what, What::Models(_))
    }
}

impl Machine {
    /// Sends a request, with fresh tokens where those in force are old.
    pub(super) fn run_errand(&mut self, what: What) {
        let id = self.next_errand;
        self.next_errand += 1;
        self.errands.insert(id, Errand::new(what));
        if !self.auth.freshen(&mut self.out, Waiter::Errand(id), None) {
            self.send_errand(id);
        }
    }

    fn send_errand(&mut self, id: u64) {
        let Some(config) = &self.config else { return };
        let Some(errand) = self.errands.get(&id) else { return };
        let auth = match errand.what {
            What::Models(_) => ProviderAuth::of(&config.provider),
            What::Usage(_) | What::Apps(_) => ProviderAuth::account_only(),
        };
        let credential = match self.auth.for_call(&mut self.out, auth, &self.setup.env) {
            Ok(credential) => credential,
            Err(text) => {
                let failure = HttpFailure { kind: HttpFailureKind::Request, text };
                return self.finish_errand(id, Err(failure));
            }
        };
        let Some(request) = self.errand_request(&errand.what, &credential) else { return };
        let bytes_max = match errand.what {
            What::Models(_) => usize::try_from(limits::CATALOGUE_BYTES_MAX).unwrap_or(usize::MAX),
            What::Usage(_) => limits::USAGE_BYTES_MAX,
            What::Apps(_) => limits::APPS_BYTES_MAX,
        };
        let exchange = Exchange::start(&mut self.out, request, CallOwner::Errand(id), bytes_max);
        if let Some(errand) = self.errands.get_mut(&id) {
            errand.running = Some((exchange, credential.source));
        }
    }

    fn errand_request(&self, what: &What, credential: &CallCredential) -> Option<HttpRequest> {
        let facts = AccountFacts {
            originator: self.session.originator(),
            user_agent: self.session.user_agent(),
            bearer: credential.token.as_ref(),
            account_id: credential.account_id.as_deref(),
        };
        match what {
            What::Models(_) => self.models_request(&facts),
            What::Usage(usage) => Some(usage.request(&facts)),
            What::Apps(apps) => Some(apps.request(&facts)),
        }
    }

    /// A part of the answer.
    pub(super) fn on_errand(&mut self, id: u64, outcome: Outcome<'_>) {
        let Some(errand) = self.errands.get_mut(&id) else { return };
        let Some((exchange, source)) = &mut errand.running else { return };
        let source = *source;
        let Some(reply) = exchange.on(&mut self.out, outcome) else { return };
        errand.running = None;
        let is_refused = matches!(&reply, Ok(response) if response.head.status == 401);
        if !is_refused {
            return self.finish_errand(id, reply);
        }
        errand.unauthorized += 1;
        let is_final =
            errand.was_refreshed || errand.unauthorized >= limits::UNAUTHORIZED_REQUESTS_MAX;
        let Source::Account(used) = source else { return self.finish_errand(id, reply) };
        if is_final {
            return self.finish_errand(id, reply);
        }
        match self.auth.unauthorized(&mut self.out, used, Waiter::Errand(id), None) {
            AfterUnauthorized::Retry => self.send_errand(id),
            AfterUnauthorized::Wait => {
                errand.was_refreshed = true;
                errand.refused = Some(reply);
            }
            AfterUnauthorized::Fail(_) => self.finish_errand(id, reply),
        }
    }

    /// The refresh that a request waited for is over.
    pub(super) fn errand_woken(&mut self, id: u64, woken: &Woken) {
        let Some(errand) = self.errands.get_mut(&id) else { return };
        errand.was_refreshed &= *woken != Woken::Adopted;
        match (woken, errand.refused.take()) {
            (Woken::Fail(_), Some(reply)) => self.finish_errand(id, reply),
            (Woken::Retry | Woken::Adopted | Woken::Fail(_), _) => self.send_errand(id),
        }
    }

    fn finish_errand(&mut self, id: u64, reply: Reply) {
        let Some(errand) = self.errands.remove(&id) else { return };
        match errand.what {
            What::Models(ModelsErrand) => self.take_models(reply),
            What::Usage(usage) => usage.answer(&mut self.out, reply),
            What::Apps(apps) => self.take_apps(*apps, reply),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::auth::unsigned_jwt;
    use crate::effect::{Call, CallId};
    use crate::input::HttpHead;
    use crate::machine::bench::Bench;
    use crate::{Input, Outcome};

    /// A host with tokens of its own that has asked for the account's usage.
    fn asking() -> (Bench, CallId) {
        let mut bench = Bench::new();
        let claims = r#"{"https://api.openai.com/auth":{"chatgpt_account_id":"org-1"}}"#;
        let jwt = unsigned_jwt(claims);
        let tokens = json!({"type": "chatgptAuthTokens", "idToken": jwt, "accessToken": jwt});
        bench.ask(1, "account/login/start", tokens);
        bench.ask(2, "account/rateLimits/read", Value::Null);
        bench.answered();
        let (call, request) = bench.calls.pop().expect("a request");
        assert!(matches!(request, Call::Http(_)), "{request:?}");
        (bench, call)
    }

    fn refuse(bench: &mut Bench, call: CallId) {
        let head = HttpHead { status: 401, headers: Vec::new() };
        bench.input(Input::Done(call, Outcome::HttpHead(head)));
        bench.input(Input::Done(call, Outcome::HttpEnd));
    }

    #[track_caller]
    fn check_failed(said: &[Value]) {
        let [reply] = said else { panic!("{said:?}") };
        assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(2), &json!(-32603)));
        let text = reply["error"]["message"].as_str().unwrap_or_default();
        assert!(text.contains("401 Unauthorized"), "{text}");
    }

    /// Nobody answers what is asked after the end of input: the failure stands.
    #[test]
    fn a_401_after_the_end_of_input_is_final() {
        let (mut bench, call) = asking();
        bench.input(Input::Eof);
        assert_eq!(bench.answered(), [] as [Value; 0]);
        refuse(&mut bench, call);
        check_failed(&bench.answered());
    }

    /// Nor what was asked before.
    #[test]
    fn the_end_of_input_ends_the_wait_for_the_hosts_tokens() {
        let (mut bench, call) = asking();
        refuse(&mut bench, call);
        let said = bench.answered();
        assert_eq!(said[0]["method"], "account/chatgptAuthTokens/refresh");
        bench.input(Input::Eof);
        check_failed(&bench.answered());
    }
}
