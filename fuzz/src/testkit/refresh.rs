//! The host's tokens on a stage: what they look like, and how the host is asked for new ones.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use understudy_core::{AskId, FreshTokens, RefreshDenied, Secret};

use super::Stage;
use super::story::Line;
use crate::auth::tokens::{claims, jwt};

/// Pretended tokens of a ChatGPT account, as a host hands them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    access: String,
    email: String,
    account: String,
    plan: String,
}

impl Tokens {
    /// Tokens of `user@example.com` in the workspace `org-a`, with this text as the bearer.
    pub fn new(access: impl Into<String>) -> Self {
        Self {
            access: access.into(),
            email: "user@example.com".to_owned(),
            account: "org-a".to_owned(),
            plan: "pro".to_owned(),
        }
    }

    /// The same in another workspace.
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// The same of another user.
    #[must_use]
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = email.into();
        self
    }

    /// The same with another plan.
    #[must_use]
    pub fn plan(mut self, plan: impl Into<String>) -> Self {
        self.plan = plan.into();
        self
    }

    fn id_token(&self) -> String {
        jwt(&claims(Some(&self.email), Some(&self.plan), Some(&self.account)), "signature")
    }

    /// What a host answers to `account/chatgptAuthTokens/refresh`. It holds the members of the older
    /// and of the newer shape.
    pub fn result(&self) -> Value {
        json!({
            "accessToken": self.access,
            "idToken": self.id_token(),
            "chatgptAccountId": self.account,
            "chatgptPlanType": self.plan,
        })
    }

    /// The params of `account/login/start` with them.
    pub fn login(&self) -> Value {
        let mut params = self.result();
        params["type"] = json!("chatgptAuthTokens");
        params
    }

    /// What a program that embeds the machine answers.
    pub fn fresh(&self) -> FreshTokens {
        FreshTokens {
            access_token: Secret::new(self.access.as_str()),
            id_token: Some(Secret::new(self.id_token())),
            account_id: Some(self.account.clone()),
            plan_type: Some(self.plan.clone()),
        }
    }
}

/// The server has asked the host for new tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshAsked {
    /// The id of the question.
    pub id: i64,
    /// The account whose token the backend has refused.
    pub previous_account: Option<String>,
    /// When it was asked, in time since the server's start.
    pub at: Duration,
}

/// What the host answers when it is asked for new tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These tokens.
    Tokens(Tokens),
    /// It has none, for this reason.
    Denied {
        /// A code as in JSON-RPC; any number.
        code: i64,
        /// Text that reaches whoever reads the turn's error.
        message: String,
    },
    /// The same after some time. Only for an embedder's function.
    After(Duration, Box<Answer>),
    /// Nothing for now: the test answers with [`Stage::answer_refresh`], or never. Only for an
    /// embedder's function.
    Later,
}

impl Answer {
    /// The answer comes this much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Answer::After(time, Box::new(self))
    }
}

/// The function that a program answers with when it embeds the machine.
pub(super) struct Embedding {
    answer: Box<dyn FnMut(&RefreshAsked) -> Answer>,
    /// Questions that the function has not seen.
    asked: Vec<RefreshAsked>,
    /// Answers that come later.
    waiting: Vec<(Duration, RefreshAsked, Answer)>,
}

impl Embedding {
    pub(super) fn new(answer: impl FnMut(&RefreshAsked) -> Answer + 'static) -> Self {
        Self { answer: Box::new(answer), asked: Vec::new(), waiting: Vec::new() }
    }

    pub(super) fn ask(&mut self, asked: RefreshAsked) {
        self.asked.push(asked);
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.waiting.iter().map(|(due, ..)| *due).min()
    }

    /// The first answer whose time has come.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<(RefreshAsked, Answer)> {
        let at = self.waiting.iter().position(|(due, ..)| *due <= now)?;
        let (_, asked, answer) = self.waiting.remove(at);
        Some((asked, answer))
    }
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedding").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Stage {
    /// Every time that the server has asked for new tokens, on the wire or in process, oldest first.
    pub fn refreshes(&self) -> &[RefreshAsked] {
        &self.asked
    }

    /// The last time that it has.
    ///
    /// # Panics
    /// If it never has.
    #[track_caller]
    pub fn refresh_asked(&self) -> RefreshAsked {
        match self.asked.last() {
            Some(asked) => asked.clone(),
            None => self.fail("the server has not asked for new tokens"),
        }
    }

    /// The host answers a question for new tokens, in the way that it was asked.
    #[track_caller]
    pub fn answer_refresh(&mut self, asked: &RefreshAsked, answer: &Answer) {
        if self.embedding().is_some() {
            return self.answer_in_process(asked, answer);
        }
        match answer {
            Answer::Tokens(tokens) => self.respond(asked.id, &tokens.result()),
            Answer::Denied { code, message } => self.refuse(asked.id, *code, message),
            Answer::After(..) | Answer::Later => {
                self.fail("let time pass with `advance`, then answer")
            }
        }
    }

    #[track_caller]
    pub(super) fn answer_in_process(&mut self, asked: &RefreshAsked, answer: &Answer) {
        let result = match answer {
            Answer::Tokens(tokens) => Ok(tokens.fresh()),
            Answer::Denied { code, message } => {
                Err(RefreshDenied { code: *code, message: message.clone() })
            }
            Answer::After(time, answer) => {
                let due = self.world.mono() + *time;
                let waits = (due, asked.clone(), (**answer).clone());
                self.embedding().into_iter().for_each(|e| e.waiting.push(waits.clone()));
                return;
            }
            Answer::Later => return,
        };
        let text = if result.is_ok() { "has new tokens" } else { "has no new tokens" };
        self.note(Line::Embedder, text);
        self.world.embedder(AskId(asked.id), 0, result);
        self.settle();
    }

    /// The embedder's function sees what it was not asked yet; whether there was anything.
    pub(super) fn ask_embedder(&mut self) -> bool {
        let Some(embedding) = self.embedding() else { return false };
        let Some(asked) = embedding.asked.pop() else { return false };
        let answer = (embedding.answer)(&asked);
        self.answer_in_process(&asked, &answer);
        true
    }

    // --- what most hosts begin with ---

    /// `initialize`.
    #[track_caller]
    pub fn initialize(&mut self) -> Value {
        self.call("initialize", json!({"clientInfo": {"name": "stage", "version": "1"}}))
    }

    /// The host signs its user in with these tokens, and hears that it has.
    #[track_caller]
    pub fn sign_in(&mut self, tokens: &Tokens) {
        self.call("account/login/start", tokens.login());
        self.expect("account/login/completed");
        self.expect("account/updated");
    }

    /// A new thread; its id.
    #[track_caller]
    pub fn start_thread(&mut self) -> String {
        let result = self.call("thread/start", json!({}));
        self.text(&result, "/thread/id")
    }

    /// A turn with this input begins; its id.
    #[track_caller]
    pub fn start_turn(&mut self, thread: &str, input: &str) -> String {
        let input = json!([{"type": "text", "text": input}]);
        let result = self.call("turn/start", json!({"threadId": thread, "input": input}));
        self.text(&result, "/turn/id")
    }

    #[track_caller]
    fn text(&self, value: &Value, at: &str) -> String {
        match value.pointer(at).and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => self.fail(&format!("no text at {at} in {value}")),
        }
    }
}
