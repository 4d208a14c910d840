//! What the host says, by meaning and as text.

use super::seen::Verdict;
use super::setting::WORKSPACE;
use super::tokens::{Login, Shape, Tokens};

/// A line with its id, if it is a request; the id as JSON text.
#[derive(Clone, Debug)]
pub struct SaidLine {
    /// The request's id.
    pub id: Option<String>,
    /// What it means.
    pub line: Line,
}

/// What a line means.
#[derive(Clone, Debug)]
pub enum Line {
    /// `initialize`
    Initialize {
        /// What happens in turns is wanted in the older dialect, too.
        hears_twice: bool,
    },
    /// A login with an API key.
    LoginKey {
        /// The key.
        key: String,
        /// By `loginApiKey`.
        legacy: bool,
    },
    /// A login with the host's tokens.
    LoginTokens(Tokens),
    /// A login in a browser.
    LoginChatGpt {
        /// By `loginChatGpt`.
        legacy: bool,
    },
    /// A login with a code that is typed elsewhere.
    LoginDevice,
    /// Cancelling a login.
    CancelLogin {
        /// By `cancelLoginChatGpt`.
        legacy: bool,
        /// Which.
        id: String,
    },
    /// A logout.
    Logout {
        /// By `logoutChatGpt`.
        legacy: bool,
    },
    /// `account/read`
    ReadAccount {
        /// Its `refreshToken`.
        refresh: bool,
    },
    /// `getAuthStatus`
    Status {
        /// Its `includeToken`.
        include: bool,
        /// Its `refreshToken`.
        refresh: bool,
    },
    /// `account/rateLimits/read`
    RateLimits,
    /// `userInfo`
    UserInfo,
    /// `getUserAgent`, which has nothing to do with accounts.
    Agent,
    /// `thread/start`
    StartThread,
    /// `turn/start`
    StartTurn {
        /// Where.
        thread: String,
        /// The input has no parts.
        is_empty: bool,
    },
    /// `turn/interrupt`
    Interrupt {
        /// Where.
        thread: String,
        /// Which turn is named; none is the empty text.
        turn: Option<String>,
    },
    /// An answer to a question of the server's.
    Answer {
        /// Its id.
        ask: i64,
        /// What it says.
        answer: Answer,
    },
    /// Something that is no proper request.
    Junk(Junk),
}

/// Lines that are no proper requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Junk {
    /// No JSON.
    NotJson,
    /// JSON, but no message.
    NoMessage,
    /// A request with a method that does not exist.
    Unknown,
    /// A login without its type.
    NoType,
    /// A login whose key is a number.
    WrongType,
}

/// Each of them.
pub const JUNK: [Junk; 5] =
    [Junk::NotJson, Junk::NoMessage, Junk::Unknown, Junk::NoType, Junk::WrongType];

impl Junk {
    /// What it is answered with.
    pub fn verdict(self) -> Verdict {
        let (code, text) = match self {
            Junk::NotJson => (-32700, "Parse error"),
            Junk::NoMessage => (-32600, "no id"),
            Junk::Unknown => (-32600, "Invalid request: unknown variant `no/such`"),
            Junk::NoType => (-32600, "Invalid request: missing field `type`"),
            Junk::WrongType => {
                (-32600, "Invalid request: invalid type: integer `5`, expected a string")
            }
        };
        Verdict::RefusedWith(code, text.to_owned())
    }

    fn text(self, id: &str) -> String {
        match self {
            Junk::NotJson => "{nonsense".to_owned(),
            Junk::NoMessage => "{}".to_owned(),
            Junk::Unknown => format!(r#"{{"id":{id},"method":"no/such"}}"#),
            Junk::NoType => request(id, "account/login/start", "{}"),
            Junk::WrongType => {
                request(id, "account/login/start", r#"{"type":"apiKey","apiKey":5}"#)
            }
        }
    }

    /// Whether it has an id to be answered under.
    pub fn has_id(self) -> bool {
        !matches!(self, Junk::NotJson | Junk::NoMessage)
    }
}

/// What the host answers to a refresh.
#[derive(Clone, Debug)]
pub enum Answer {
    /// New tokens, as they were asked for; good or not.
    Tokens(Tokens),
    /// New tokens, with an error beside them.
    Both(Tokens),
    /// New tokens, under an id of the wrong type.
    TextId(Tokens),
    /// An error.
    Denied,
    /// An error that is no error object.
    OddError,
    /// A result of the wrong shape: one of [`MALFORMED`].
    Malformed(usize),
}

/// Results of the wrong shape, each with what is said of it.
pub const MALFORMED: [(&str, &str); 5] = [
    ("null", "invalid type: null, expected struct ChatgptAuthTokensRefreshResponse"),
    ("{}", "missing field `idToken`"),
    (r#"{"idToken":"a.e30.c"}"#, "missing field `accessToken`"),
    (r#"{"idToken":5,"accessToken":"xtok-lost"}"#, "expected a string"),
    (r#""xtok-lost""#, "expected struct ChatgptAuthTokensRefreshResponse"),
];

impl Answer {
    /// Whether its id is a text, and so nobody's.
    pub fn has_text_id(&self) -> bool {
        matches!(self, Answer::TextId(_))
    }

    /// The login that its tokens would make.
    pub fn login(&self) -> Option<&Login> {
        match self {
            Answer::Tokens(tokens) | Answer::Both(tokens) | Answer::TextId(tokens) => {
                tokens.login.as_ref()
            }
            Answer::Denied | Answer::OddError | Answer::Malformed(_) => None,
        }
    }

    /// The login it makes, or the words that the waiting turns end with.
    pub fn verdict(&self, workspace_is_forced: bool) -> Result<Login, String> {
        match self {
            Answer::Tokens(tokens) | Answer::Both(tokens) | Answer::TextId(tokens) => {
                let login = tokens.login.clone();
                let login = login.ok_or("auth refresh response is invalid: ".to_owned())?;
                if workspace_is_forced && login.account.as_deref() != Some(WORKSPACE) {
                    let got = login.account.map_or("None".to_owned(), |id| format!("{id:?}"));
                    let text = "external auth refresh returned workspace";
                    return Err(format!("{text} {got}, expected {WORKSPACE:?}"));
                }
                Ok(login)
            }
            Answer::Denied => {
                Err("auth refresh request failed: code=-32001 message=not today".to_owned())
            }
            Answer::OddError => Err("auth refresh request failed: ".to_owned()),
            Answer::Malformed(which) => {
                Err(MALFORMED.get(*which).map_or_else(String::new, |(_, text)| (*text).to_owned()))
            }
        }
    }

    /// Its name for the coverage of rules, if it brings no tokens.
    pub fn mark(&self) -> &'static str {
        match self {
            Answer::Tokens(tokens) | Answer::Both(tokens) | Answer::TextId(tokens) => {
                if tokens.login.is_some() {
                    "refresh: the wrong workspace"
                } else {
                    "refresh: tokens that do not parse"
                }
            }
            Answer::Denied | Answer::OddError => "refresh: denied",
            Answer::Malformed(_) => "refresh: malformed answer",
        }
    }

    fn text(&self, ask: i64) -> String {
        match self {
            Answer::Tokens(tokens) => {
                format!(r#"{{"id":{ask},"result":{{{}}}}}"#, tokens.members())
            }
            Answer::Both(tokens) => {
                let members = tokens.members();
                format!(
                    r#"{{"id":{ask},"error":{{"code":1,"message":"m"}},"result":{{{members}}}}}"#
                )
            }
            Answer::TextId(tokens) => {
                format!(r#"{{"id":"{ask}","result":{{{}}}}}"#, tokens.members())
            }
            Answer::Denied => {
                format!(r#"{{"id":{ask},"error":{{"code":-32001,"message":"not today"}}}}"#)
            }
            Answer::OddError => format!(r#"{{"id":{ask},"error":"odd"}}"#),
            Answer::Malformed(which) => {
                let result = MALFORMED.get(*which).map_or("null", |(json, _)| *json);
                format!(r#"{{"id":{ask},"result":{result}}}"#)
            }
        }
    }
}

/// An id that no login has.
pub const UUID: &str = "01234567-89ab-4def-8123-456789abcdef";

impl Line {
    /// The method's name; a word for what is no request.
    pub fn method(&self) -> &'static str {
        match self {
            Line::Initialize { .. } => "initialize",
            Line::LoginKey { legacy: true, .. } => "loginApiKey",
            Line::LoginKey { .. }
            | Line::LoginTokens(_)
            | Line::LoginDevice
            | Line::LoginChatGpt { legacy: false } => "account/login/start",
            Line::LoginChatGpt { .. } => "loginChatGpt",
            Line::CancelLogin { legacy: false, .. } => "account/login/cancel",
            Line::CancelLogin { .. } => "cancelLoginChatGpt",
            Line::Logout { legacy: false } => "account/logout",
            Line::Logout { .. } => "logoutChatGpt",
            Line::ReadAccount { .. } => "account/read",
            Line::Status { .. } => "getAuthStatus",
            Line::RateLimits => "account/rateLimits/read",
            Line::UserInfo => "userInfo",
            Line::Agent => "getUserAgent",
            Line::StartThread => "thread/start",
            Line::StartTurn { .. } => "turn/start",
            Line::Interrupt { .. } => "turn/interrupt",
            Line::Answer { .. } => "(answer)",
            Line::Junk(_) => "(junk)",
        }
    }

    /// Whether it only looks at the account.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Line::ReadAccount { .. } | Line::Status { .. } | Line::UserInfo | Line::Agent
        )
    }

    /// The same, once new tokens need not be asked for any more.
    pub fn without_refresh(&self) -> Self {
        match self {
            Line::ReadAccount { .. } => Line::ReadAccount { refresh: false },
            Line::Status { include, .. } => Line::Status { include: *include, refresh: false },
            other => other.clone(),
        }
    }

    /// Whether it wants a reply.
    pub fn is_request(&self) -> bool {
        match self {
            Line::Answer { .. } => false,
            Line::Junk(junk) => junk.has_id(),
            _ => true,
        }
    }

    /// The line's text.
    pub fn text(&self, id: &str) -> String {
        let name = self.method();
        match self {
            Line::Initialize { hears_twice } => {
                let not = if *hears_twice { "" } else { r#""codex/event/*""# };
                let params = format!(
                    r#"{{"clientInfo":{{"name":"simulated","version":"1"}},"capabilities":{{"optOutNotificationMethods":[{not}]}}}}"#
                );
                request(id, name, &params)
            }
            Line::LoginKey { key, legacy: true } => {
                request(id, name, &format!(r#"{{"apiKey":"{key}"}}"#))
            }
            Line::LoginKey { key, .. } => {
                request(id, name, &format!(r#"{{"type":"apiKey","apiKey":"{key}"}}"#))
            }
            Line::LoginTokens(tokens) => {
                let members = tokens.members();
                request(id, name, &format!(r#"{{"type":"chatgptAuthTokens",{members}}}"#))
            }
            Line::LoginChatGpt { legacy: false } => request(id, name, r#"{"type":"chatgpt"}"#),
            Line::LoginDevice => request(id, name, r#"{"type":"chatgptDeviceCode"}"#),
            Line::CancelLogin { id: login, .. } => {
                request(id, name, &format!(r#"{{"loginId":"{login}"}}"#))
            }
            Line::ReadAccount { refresh } => {
                request(id, name, &format!(r#"{{"refreshToken":{refresh}}}"#))
            }
            Line::Status { include, refresh } => {
                let params = format!(r#"{{"includeToken":{include},"refreshToken":{refresh}}}"#);
                request(id, name, &params)
            }
            // A turn of a thread with a file ends when that is written, which the model does not follow.
            Line::StartThread => request(id, name, r#"{"ephemeral":true}"#),
            Line::StartTurn { thread, is_empty } => {
                let input = if *is_empty { "" } else { r#"{"type":"text","text":"hello"}"# };
                request(id, name, &format!(r#"{{"threadId":"{thread}","input":[{input}]}}"#))
            }
            Line::Interrupt { thread, turn } => {
                let turn = turn.as_deref().unwrap_or_default();
                request(id, name, &format!(r#"{{"threadId":"{thread}","turnId":"{turn}"}}"#))
            }
            Line::LoginChatGpt { .. }
            | Line::Logout { .. }
            | Line::UserInfo
            | Line::RateLimits
            | Line::Agent => {
                format!(r#"{{"id":{id},"method":"{name}"}}"#)
            }
            Line::Answer { ask, answer } => answer.text(*ask),
            Line::Junk(junk) => junk.text(id),
        }
    }
}

fn request(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"method":"{method}","id":{id},"params":{params}}}"#)
}

/// What a refused login in this shape is called (auth.md §3.11, §14.1).
pub fn parse_refusal(shape: Shape) -> (i64, &'static str) {
    match shape {
        Shape::Old | Shape::Both => (-32600, "invalid id token: "),
        Shape::New => (-32603, "failed to set external auth: "),
    }
}
