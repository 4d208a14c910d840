//! The product that embeds the server, without its IO: what it says to the server and what it
//! makes of what it hears, whichever runtime carries the bytes.
//!
//! Its user's tokens are its own. Handing them in is a message like any other; when the backend
//! refuses them in the middle of a turn, new ones are asked for by a call in the process.

use std::path::PathBuf;

use serde_json::{Value, json};
use understudy_core::{FreshTokens, Secret};

use crate::backend::{GOOD_TOKEN, PIECES};

/// The token that the user signed in with, some time ago.
pub(crate) const OLD_TOKEN: &str = "access-1-pretended";

const HELLO: u64 = 1;
const LOGIN: u64 = 2;
const THREAD: u64 = 3;
const TURN: u64 = 4;

/// One session of the product with its user.
pub(crate) struct Product {
    work: PathBuf,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    streamed: String,
    /// How the turn ended, once it has.
    ended: Option<Value>,
    unexpected: Vec<String>,
}

impl Product {
    /// A product whose agent works in this folder.
    pub(crate) fn new(work: PathBuf) -> Self {
        let (partial, streamed) = (Vec::new(), String::new());
        Self { work, partial, streamed, ended: None, unexpected: Vec::new() }
    }

    /// What it says first.
    pub(crate) fn hello(&self) -> Vec<u8> {
        let info = json!({"name": "product", "title": "A product", "version": "1.0.0"});
        request(HELLO, "initialize", &json!({"clientInfo": info}))
    }

    /// Takes bytes of the server, cut anywhere, and returns what is said to it in turn.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.partial.extend_from_slice(bytes);
        let mut said = Vec::new();
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(message) => said.extend(self.on_message(&message)),
                Err(error) => self.unexpected.push(format!("no JSON: {error}")),
            }
        }
        said
    }

    /// Whether the turn is over: then the product ends the session.
    pub(crate) fn is_done(&self) -> bool {
        self.ended.is_some() || !self.unexpected.is_empty()
    }

    /// New tokens for the user. A real product asks its own identity service, and may say no:
    /// then its words are in the error of the turn.
    pub(crate) fn refreshed(previous_account: Option<&str>) -> FreshTokens {
        told("new tokens are asked for", previous_account.unwrap_or("no account"));
        FreshTokens {
            access_token: Secret::new(GOOD_TOKEN),
            id_token: Some(Secret::new(id_token())),
            account_id: None,
            plan_type: None,
        }
    }

    /// What should have happened and has not.
    pub(crate) fn verdict(&self, bearers: &[String]) -> Result<(), String> {
        if let Some(what) = self.unexpected.first() {
            return Err(what.clone());
        }
        let ended = self.ended.as_ref().ok_or("the turn did not end")?;
        if ended["status"] != "completed" {
            return Err(format!("the turn ended otherwise: {ended}"));
        }
        if self.streamed != PIECES.concat() {
            return Err(format!("the model said something else: {}", self.streamed));
        }
        // Once refused, once with the new token; nothing was tried in between.
        if bearers != [OLD_TOKEN, GOOD_TOKEN] {
            return Err(format!("the backend was asked with {bearers:?}"));
        }
        Ok(())
    }

    fn on_message(&mut self, message: &Value) -> Vec<u8> {
        if let Some(error) = message.get("error") {
            self.unexpected.push(format!("refused: {error}"));
            return Vec::new();
        }
        match message["id"].as_u64() {
            Some(id) => self.on_answer(id, &message["result"]),
            None => {
                self.on_notice(text(&message["method"]), &message["params"]);
                Vec::new()
            }
        }
    }

    /// Each answer leads to the next request.
    fn on_answer(&mut self, id: u64, result: &Value) -> Vec<u8> {
        match id {
            HELLO => {
                told("the server is there", text(&result["userAgent"]));
                let tokens = json!({
                    "type": "chatgptAuthTokens", "accessToken": OLD_TOKEN, "idToken": id_token(),
                });
                request(LOGIN, "account/login/start", &tokens)
            }
            LOGIN => {
                told("tokens are handed in", OLD_TOKEN);
                request(THREAD, "thread/start", &json!({"cwd": self.work}))
            }
            THREAD => {
                told("a thread is open", text(&result["thread"]["id"]));
                let input = json!([{"type": "text", "text": "Say hello"}]);
                let params = json!({"threadId": result["thread"]["id"], "input": input});
                request(TURN, "turn/start", &params)
            }
            _ => Vec::new(),
        }
    }

    fn on_notice(&mut self, method: &str, params: &Value) {
        match method {
            "turn/started" => told("the turn begins", text(&params["turn"]["id"])),
            "item/agentMessage/delta" => {
                let delta = text(&params["delta"]);
                told("the model says", delta);
                self.streamed.push_str(delta);
            }
            "turn/completed" => {
                told("the turn is over", text(&params["turn"]["status"]));
                self.ended = Some(params["turn"].clone());
            }
            "error" => self.unexpected.push(format!("the user sees an error: {params}")),
            _ => {}
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn told(what: &str, detail: impl std::fmt::Display) {
    println!("{what:<26} {detail}");
}

fn request(id: u64, method: &str, params: &Value) -> Vec<u8> {
    let mut line = json!({"id": id, "method": method, "params": params}).to_string().into_bytes();
    line.push(b'\n');
    line
}

/// Claims of ada@example.com in account org-1; nobody signed it. A real one comes from the sign-in.
fn id_token() -> String {
    "eyJhbGciOiJub25lIn0.\
     eyJlbWFpbCI6ImFkYUBleGFtcGxlLmNvbSIsImh0dHBzOi8vYXBpLm9wZW5haS5jb20vYXV0aCI6eyJjaGF0\
     Z3B0X3BsYW5fdHlwZSI6InBybyIsImNoYXRncHRfYWNjb3VudF9pZCI6Im9yZy0xIn19\
     .cHJldGVuZGVk"
        .to_owned()
}
