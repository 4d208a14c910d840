//! The reference model's answers to requests about the account (auth.md §3).

use std::rc::Rc;

use serde_json::{Value, json};

use super::login::Ended;
use super::{Busy, Completion, Model, Notice, Stage, Who};
use crate::auth::said::{Line, parse_refusal};
use crate::auth::seen::Verdict;
use crate::auth::setting::{Forced, Keeping, WORKSPACE};
use crate::auth::tokens::{Kind, Login, Shape, Tokens};
use crate::world::Fault;

/// E1: the host's tokens are in force.
const E1: &str = "External auth is active. Use account/login/start (chatgptAuthTokens) to \
                      update it or account/logout to clear it.";
/// E2: ChatGPT is forced.
const E2: &str = "API key login is disabled. Use ChatGPT login instead.";
/// E3: an API key is forced.
const E3: &str = "ChatGPT login is disabled. Use API key login instead.";
/// E4: an API key is forced.
const E4: &str = "External ChatGPT auth is disabled. Use API key login instead.";

impl Model {
    /// Serves a request about the account, or lets it wait for the store.
    pub(super) fn account(&mut self, id: Option<String>, line: Line) {
        if self.busy.is_some() {
            self.mark("account: waits for the store");
            self.queue.push_back((id, line));
        } else {
            self.serve_account(id, line);
        }
    }

    fn serve_account(&mut self, id: Option<String>, line: Line) {
        let verdict = match &line {
            Line::LoginKey { key, .. } => match self.blocked_key() {
                Some(refusal) => refusal,
                None if self.setting.keeping == Keeping::Memory => {
                    let key = key.clone();
                    self.end_login(Ended::Canceled);
                    return self.signed_in_with_key(id, &line, &key);
                }
                None => {
                    self.end_login(Ended::Canceled);
                    self.mark("store: save");
                    self.must_store = true;
                    self.busy = Some(Busy::Request(Box::new((id, line))));
                    return;
                }
            },
            Line::LoginChatGpt { .. } | Line::LoginDevice => match self.blocked_chatgpt() {
                Some(refusal) => refusal,
                None => return self.start_login(id, line),
            },
            Line::LoginTokens(tokens) => {
                let tokens = tokens.clone();
                return self.login_tokens(id, &line, &tokens);
            }
            Line::Logout { .. } => return self.logout(id, line),
            Line::CancelLogin { id: named, .. } => {
                let named = named.clone();
                return self.cancel_login(id, &line, &named);
            }
            Line::ReadAccount { refresh: true } | Line::Status { refresh: true, .. }
                if self.login.kind == Kind::Managed
                    && !self.is_dead()
                    && self.stage < Stage::Closing =>
            {
                self.mark("on demand: waits for tokens");
                let again = line.without_refresh();
                return self.wait_for_tokens(Who::Request(id, Box::new(again)), true);
            }
            Line::RateLimits => return self.want_usage(id, line),
            Line::ReadAccount { .. } => self.read_account(),
            Line::Status { include, .. } => Verdict::Exactly(self.status(*include)),
            Line::UserInfo => Verdict::Exactly(json!({"allegedUserEmail": self.login.email})),
            other => unreachable!("{} is not about the account", other.method()),
        };
        self.expect_reply(id.as_ref(), &line, verdict);
    }

    fn blocked_key(&mut self) -> Option<Verdict> {
        if self.login.kind == Kind::External {
            self.mark("E1: apiKey");
            return Some(Verdict::refused(-32600, E1));
        }
        if self.setting.forced_method == Some(Forced::ChatGpt) {
            self.mark("E2: apiKey");
            return Some(Verdict::refused(-32600, E2));
        }
        None
    }

    fn blocked_chatgpt(&mut self) -> Option<Verdict> {
        if self.login.kind == Kind::External {
            self.mark("E1: chatgpt");
            return Some(Verdict::refused(-32600, E1));
        }
        if self.setting.forced_method == Some(Forced::Api) {
            self.mark("E3: chatgpt");
            return Some(Verdict::refused(-32600, E3));
        }
        None
    }

    fn login_tokens(&mut self, id: Option<String>, line: &Line, tokens: &Tokens) {
        let verdict = match self.blocked_tokens(tokens) {
            Ok(login) => {
                self.mark(match self.login.kind {
                    Kind::None => "tokens: the first login",
                    Kind::Key => "tokens: over an API key",
                    Kind::Managed => "tokens: over a managed login",
                    Kind::External => "tokens: over tokens",
                });
                self.sign_in(login);
                if self.attempt.is_some() {
                    self.mark("browser: overtaken by tokens");
                }
                self.end_login(Ended::Canceled);
                self.notices.push_back(signed_in());
                self.announce("account/updated");
                Verdict::Exactly(json!({"type": "chatgptAuthTokens"}))
            }
            Err(refusal) => {
                if self.setting.forced_method != Some(Forced::Api) {
                    self.end_login(Ended::Canceled);
                }
                refusal
            }
        };
        self.expect_reply(id.as_ref(), line, verdict);
    }

    fn blocked_tokens(&mut self, tokens: &Tokens) -> Result<Login, Verdict> {
        if self.setting.forced_method == Some(Forced::Api) {
            self.mark("E4: tokens");
            return Err(Verdict::refused(-32600, E4));
        }
        let Some(login) = tokens.login.clone() else {
            self.mark("E5: tokens");
            let (code, text) = parse_refusal(tokens.shape);
            return Err(Verdict::RefusedWith(code, text.to_owned()));
        };
        if self.setting.forced_workspace && login.account.as_deref() != Some(WORKSPACE) {
            self.mark("E6: tokens");
            let got = match (&login.account, tokens.shape) {
                (Some(id), Shape::New) => format!("{id:?}"),
                (Some(id), _) => format!("Some({id:?})"),
                (None, _) => "None".to_owned(),
            };
            let text = "External auth must use workspace";
            let text = format!("{text} {WORKSPACE}, but received {got}.");
            return Err(Verdict::Refused(-32600, text));
        }
        Ok(login)
    }

    fn signed_in_with_key(&mut self, id: Option<String>, line: &Line, key: &str) {
        self.mark(match self.login.kind {
            Kind::None => "apiKey: the first login",
            Kind::Key => "apiKey: over an API key",
            Kind::Managed => "apiKey: over a managed login",
            // Blocked before the store was asked, and nothing else is served meanwhile.
            Kind::External => unreachable!("an API key over the host's tokens"),
        });
        self.sign_in(Login::key(key));
        let is_legacy = matches!(line, Line::LoginKey { legacy: true, .. });
        let result = if is_legacy {
            self.announce("authStatusChange");
            json!({})
        } else {
            self.notices.push_back(signed_in());
            self.announce("account/updated");
            json!({"type": "apiKey"})
        };
        self.expect_reply(id.as_ref(), line, Verdict::Exactly(result));
    }

    fn logout(&mut self, id: Option<String>, line: Line) {
        self.mark(match self.login.kind {
            Kind::None => "logout: nobody is signed in",
            Kind::Key => "logout: an API key",
            Kind::Managed => "logout: a managed login",
            Kind::External => "logout: tokens",
        });
        if self.attempt.is_some() {
            self.mark("browser: overtaken by a logout");
        }
        self.after_logout = self.close_login(Ended::Canceled);
        self.must_revoke = self.login.own.as_ref().map(|own| own.refresh.clone());
        self.sign_in(Login::none());
        if self.setting.keeping == Keeping::Memory {
            return self.signed_out(id, &line, true);
        }
        self.must_store = true;
        self.busy = Some(Busy::Request(Box::new((id, line))));
    }

    fn signed_out(&mut self, id: Option<String>, line: &Line, done: bool) {
        let verdict = if done {
            Verdict::Exactly(json!({}))
        } else {
            self.mark("store: delete failed");
            Verdict::RefusedWith(-32603, "logout failed: ".to_owned())
        };
        self.expect_reply(id.as_ref(), line, verdict);
        let is_legacy = matches!(line, Line::Logout { legacy: true });
        self.announce(if is_legacy { "authStatusChange" } else { "account/updated" });
        self.notices.extend(self.after_logout.take());
    }

    /// A job on the store is over: what came of it, then what it was for.
    pub(super) fn on_stored(&mut self, fault: Fault, done: bool) {
        let expected = match &self.busy {
            Some(Busy::Request(queued)) => match &queued.1 {
                Line::LoginKey { key, .. } => self.stores.save(Rc::new(Login::key(key)), fault),
                _ => self.stores.delete(fault),
            },
            Some(Busy::Login) => match self.login_in_hand() {
                Some(login) => self.stores.save(login, fault),
                None => done,
            },
            None => done,
        };
        self.check_done(expected, done, "written");
        self.stored(done);
    }

    /// The store is done; then come those who have waited for it.
    fn stored(&mut self, done: bool) {
        match self.busy.take() {
            Some(Busy::Request(queued)) => match *queued {
                (id, line @ Line::Logout { .. }) => self.signed_out(id, &line, done),
                (id, Line::LoginKey { key, legacy }) if done => {
                    let line = Line::LoginKey { key: key.clone(), legacy };
                    self.signed_in_with_key(id, &line, &key);
                }
                (id, line) => {
                    self.mark("store: save failed");
                    let text = "failed to save api key: ".to_owned();
                    self.expect_reply(id.as_ref(), &line, Verdict::RefusedWith(-32603, text));
                }
            },
            Some(Busy::Login) => self.login_saved(done),
            None => {}
        }
        while self.busy.is_none() {
            let Some((id, line)) = self.queue.pop_front() else { break };
            self.serve_account(id, line);
        }
    }

    fn read_account(&self) -> Verdict {
        let requires = self.setting.requires_auth();
        let account = match self.login.kind {
            _ if !requires => Value::Null,
            Kind::None => Value::Null,
            Kind::Key => json!({"type": "apiKey"}),
            Kind::Managed | Kind::External => {
                let Some(email) = &self.login.email else {
                    let text = "email and plan type are required for chatgpt authentication";
                    return Verdict::refused(-32600, text);
                };
                let plan = self.login.plan.unwrap_or("unknown");
                json!({"type": "chatgpt", "email": email, "planType": plan})
            }
        };
        Verdict::Exactly(json!({"account": account, "requiresOpenaiAuth": requires}))
    }

    fn status(&self, include: bool) -> Value {
        let requires = self.setting.requires_auth();
        let token = Some(&self.login.token).filter(|token| requires && !token.is_empty());
        json!({
            "authMethod": token.and(self.login.kind.wire()),
            "authToken": token.filter(|_| include),
            "requiresOpenaiAuth": requires,
        })
    }
}

/// A login of another kind than a browser's is done.
fn signed_in() -> Notice {
    Notice::completion(false, Completion { id: None, words: None })
}
