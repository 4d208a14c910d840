//! Owns: the story that `understudy demo` plays and checks.
//!
//! A host that owns its user's tokens hands them in; the backend refuses them in the middle of a
//! turn; the server asks the host, and the turn goes on as if nothing had happened
//! (auth.md §8, sequence V1 of §16). Then the rules around it: logins blocked, logout, end.

use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use super::backend::Backend;
use super::host::Host;
use super::reply::{Reply, Speech};
use super::scratch::{Scratch, Settings};
use super::screen::Screen;
use super::seen::{Request, Seen, Trouble};
use super::tokens::{self, Tokens, shortened};

const REFRESH: &str = "account/chatgptAuthTokens/refresh";
const BLOCKED: &str = "External auth is active. Use account/login/start (chatgptAuthTokens) to \
                       update it or account/logout to clear it.";
const WAIT_LIMIT: Duration = Duration::from_secs(5);
/// How soon after the end of its input the server has to be gone.
const EXIT_LIMIT: Duration = Duration::from_secs(2);
/// Between two pieces of the model's reply: long enough to be seen coming.
const TYPING: Duration = Duration::from_millis(60);
const PIECES: [&str; 5] = ["Hello Ada. ", "Your token ", "ran out; ", "you saw ", "nothing."];

/// The demo at work.
pub(super) struct Story {
    screen: Screen,
    scratch: Scratch,
    backend: Backend,
    host: Host,
    first: Tokens,
    second: Tokens,
    held: usize,
}

impl Story {
    /// Sets the stage: folders, backend, server.
    pub(super) fn new(screen: &Screen, server: &[String]) -> Result<Self, Trouble> {
        let scratch = Scratch::new()?;
        let (tell, facts) = mpsc::channel();
        let first = Tokens::fake(1, "ada@example.com", "org-1");
        let second = Tokens::fake(2, "ada@example.com", "org-1");
        let accepted = second.access.clone();
        let script = move |request: &Request| {
            if request.bearer() == accepted { spoken() } else { Reply::error(401, "token expired") }
        };
        let backend = Backend::start(tell.clone(), Box::new(script))?;
        scratch.configure(&backend.url(), &Settings::default())?;
        let shown = screen.clone();
        let watcher = Box::new(move |fact: &Seen| shown.fact(fact));
        let host = Host::start(&mut scratch.command(server), (tell, facts), WAIT_LIMIT, watcher)?;
        Ok(Self { screen: screen.clone(), scratch, backend, host, first, second, held: 0 })
    }

    /// Plays all chapters; stops at the first thing that does not hold.
    pub(super) fn play(&mut self) -> Result<(), Trouble> {
        self.introduction()?;
        self.sign_in()?;
        let asked = self.turn_until_refused()?;
        self.new_tokens(&asked)?;
        self.blocked_login()?;
        self.logout()?;
        self.end()
    }

    /// How many checks held so far.
    pub(super) fn checks_held(&self) -> usize {
        self.held
    }

    /// The last lines that the server logged, for somebody who wants to know why.
    pub(super) fn last_log_lines(&mut self) -> Vec<String> {
        let log = shortened(&self.host.stderr());
        let mut lines: Vec<String> = log.lines().rev().take(8).map(str::to_owned).collect();
        lines.reverse();
        lines
    }

    fn check(&mut self, holds: bool, what: &str) -> Result<(), Trouble> {
        if !holds {
            return Err(Trouble(format!("this should hold, and does not: {what}")));
        }
        self.held += 1;
        self.screen.holds(what);
        Ok(())
    }

    fn introduction(&mut self) -> Result<(), Trouble> {
        self.screen.chapter(
            "1. A host starts the server",
            "An editor or web back end (the host) starts `understudy app-server` and talks to it \
             in lines of JSON over pipes. On the right stands a model backend. Host and backend \
             are scripted, on this machine only; the server in the middle is the real one.",
        );
        let info = json!({"name": "demo", "title": "Demo host", "version": "1.0.0"});
        let result = self.host.ask("initialize", json!({"clientInfo": info}))?;
        self.host.send(&json!({"method": "initialized"}))?;
        let named = text_at(&result, "/userAgent").starts_with("demo/");
        self.check(named, "the server names host and version in its user agent")
    }

    fn sign_in(&mut self) -> Result<(), Trouble> {
        self.screen.chapter(
            "2. The host hands in its user's tokens",
            "The host signed its user in by itself and owns the tokens. The server keeps them in \
             memory only. (They are fake, and shortened here.)",
        );
        let result = self.host.ask("account/login/start", self.first.login())?;
        let done = self.host.notice("account/login/completed")?;
        let updated = self.host.notice("account/updated")?;
        let account = self.read_account()?;
        self.check(
            result["type"] == "chatgptAuthTokens"
                && done["success"] == true
                && updated["authMode"] == "chatgptAuthTokens",
            "the login is answered, completed and announced, in this order",
        )?;
        let known = account["email"] == "ada@example.com" && account["planType"] == "pro";
        self.check(known, "the account is ada@example.com, as the id token says")?;
        self.nothing_on_disk()
    }

    /// Runs a turn up to the point where the server asks for new tokens, and returns the question.
    fn turn_until_refused(&mut self) -> Result<Value, Trouble> {
        self.screen.chapter(
            "3. In the middle of a turn, the backend says 401",
            "The host opens a thread and starts a turn. The server asks the model with the host's \
             token, which has expired meanwhile.",
        );
        let work = self.scratch.work().to_string_lossy().into_owned();
        let thread = self.host.ask("thread/start", json!({"cwd": work}))?;
        let input = json!([{"type": "text", "text": "Say hello"}]);
        let params = json!({"threadId": thread["thread"]["id"], "input": input});
        self.host.ask("turn/start", params)?;
        let asked = self.host.asked(REFRESH)?;
        let requests = self.backend.model_requests();
        let with_first = requests.iter().all(|r| is_from(r, &self.first));
        self.check(
            requests.len() == 1 && with_first,
            "the model was asked once, with access-1… and account org-1",
        )?;
        let params = &asked["params"];
        let named = params["reason"] == "unauthorized" && params["previousAccountId"] == "org-1";
        self.check(named, "the host is told why it is asked, and for which account")?;
        Ok(asked)
    }

    fn new_tokens(&mut self, asked: &Value) -> Result<(), Trouble> {
        self.screen.chapter(
            "4. The host answers, and the turn goes on",
            "The host gets new tokens where it got the first ones. The server takes them and \
             repeats the request; the model's reply streams through, piece by piece. The user \
             sees no error.",
        );
        let answer = json!({"id": asked["id"], "result": self.second.refreshed()});
        self.host.send(&answer)?;
        let mut streamed = String::new();
        for _ in PIECES {
            let delta = self.host.notice("item/agentMessage/delta")?;
            streamed.push_str(&text_at(&delta, "/delta"));
        }
        let whole = self.host.wait("the whole reply", |message| {
            message["method"] == "item/completed"
                && message["params"]["item"]["type"] == "agentMessage"
        })?;
        let completed = self.host.notice("turn/completed")?;
        let requests = self.backend.model_requests();
        let with_second = requests.get(1).is_some_and(|r| is_from(r, &self.second));
        self.check(
            requests.len() == 2 && with_second,
            "the request was repeated once, with access-2…",
        )?;
        let said = PIECES.concat();
        let same = streamed == said && whole["params"]["item"]["text"] == said;
        self.check(same, "the streamed pieces make up the whole reply")?;
        let good =
            completed["turn"]["status"] == "completed" && completed["turn"]["error"].is_null();
        self.check(good, "the turn completed without an error")?;
        let again = self.host.unread().any(|message| message["method"] == REFRESH);
        self.check(!again, "the host was asked exactly once")?;
        let trouble = self.host.unread().any(|message| message["method"] == "error");
        self.check(!trouble, "no error was shown meanwhile")?;
        self.nothing_on_disk()
    }

    fn blocked_login(&mut self) -> Result<(), Trouble> {
        self.screen.chapter(
            "5. Nobody else may log in meanwhile",
            "While the host owns the credentials, any other login is refused: otherwise a stored \
             key would silently take the place of the user's account.",
        );
        let key = json!({"type": "apiKey", "apiKey": tokens::api_key()});
        let reply = self.host.call("account/login/start", key)?;
        let error = &reply["error"];
        self.check(
            error["code"] == -32600 && error["message"] == BLOCKED,
            "the API-key login is refused, and the error says what to do",
        )?;
        let account = self.read_account()?;
        self.check(account["email"] == "ada@example.com", "the account is still Ada's")
    }

    fn logout(&mut self) -> Result<(), Trouble> {
        self.screen.chapter(
            "6. Logout",
            "The host takes the tokens back. From here on the server has nothing to send.",
        );
        self.host.ask("account/logout", Value::Null)?;
        let updated = self.host.notice("account/updated")?;
        let account = self.read_account()?;
        self.check(
            updated["authMode"].is_null() && account.is_null(),
            "the logout is announced, and nobody is signed in",
        )
    }

    fn end(&mut self) -> Result<(), Trouble> {
        self.screen.chapter(
            "7. The host goes away",
            "When its input ends the server ends too, in order and soon, without being killed.",
        );
        self.host.close_input();
        let status = self.host.wait_exit(EXIT_LIMIT)?;
        self.check(status.success(), "the server ended in order, within 2 s")?;
        self.nothing_on_disk()?;
        let leaks = self.scratch.leaks(&[])?;
        self.check(leaks.is_empty(), "no file of the server holds any part of a token")?;
        let log = self.host.stderr();
        let leaked = tokens::traces().iter().any(|trace| log.contains(trace));
        self.check(!leaked, "nor does its log")
    }

    fn read_account(&mut self) -> Result<Value, Trouble> {
        let mut result = self.host.ask("account/read", json!({"refreshToken": false}))?;
        Ok(result["account"].take())
    }

    fn nothing_on_disk(&mut self) -> Result<(), Trouble> {
        let absent = !self.scratch.has_auth_json();
        self.check(absent, "there is no auth.json: nothing was stored")
    }
}

fn spoken() -> Reply {
    PIECES.iter().fold(Speech::new(1), |speech, piece| speech.delta(piece).pause(TYPING)).done()
}

fn is_from(request: &Request, tokens: &Tokens) -> bool {
    request.bearer() == tokens.access && request.header("chatgpt-account-id") == Some("org-1")
}

fn text_at(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
