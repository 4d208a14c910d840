//! What the host says: requests, and answers to questions.

use super::ledger::{About, Ask, Rights, Thread, Told};
use super::reply::{self, Tool};
use super::scene::{Scene, newest};
use super::step::{Answering, Say};
use crate::auth::tokens::{Tokens, Wanted};
use crate::world::Cut;

/// What the host has said.
#[derive(Clone, Debug)]
pub enum Asked {
    /// For a thread with these rights.
    Start(Rights),
    /// For one by the older method, to which nobody listens.
    Converse(Rights),
    /// To hear of a thread by the older method.
    Listen,
    /// For a turn by the older methods, perhaps with other rights from then on.
    Send(String, Option<Rights>),
    /// For a stored thread that has at least these turns.
    Resume(String, Vec<Told>),
    /// For a copy of a thread that has at least these turns.
    Fork(String, Rights, Vec<Told>),
    /// To put a thread away.
    Archive(String),
    /// To have it back.
    Unarchive(String),
    /// To take the last turns back, so many; those that it is about are known when it arrives.
    RollBack(String, usize, Vec<String>),
    /// To see a thread that has at least these turns.
    Read(String, Vec<Told>),
    /// An answer to a question: whether it agrees.
    Answer(i64, bool),
    /// Anything else.
    Other,
}

/// A line of the host.
#[derive(Clone, Debug)]
pub struct SaidLine {
    /// Its id and method, if it is a request.
    pub request: Option<(String, &'static str)>,
    /// What it is for.
    pub asked: Asked,
}
/// Requests that have no part of their own, with `@` for a thread's id.
pub const ANY: &[(&str, &str)] = &[
    ("initialize", r#"{"clientInfo":{"name":"d","version":"1"}}"#),
    ("thread/name/set", r#"{"threadId":"@","name":"a name"}"#),
    ("thread/list", r#"{}"#),
    ("thread/list", r#"{"archived":true,"limit":1}"#),
    ("thread/loaded/list", r#"{}"#),
    ("skills/list", r#"{}"#),
    ("app/list", r#"{}"#),
    ("skills/config/write", r#"{"path":"/home/user/.codex/skills/x/SKILL.md","enabled":false}"#),
    ("model/list", r#"{}"#),
    ("collaborationMode/list", r#"{}"#),
    ("mcpServer/oauth/login", r#"{"name":"none"}"#),
    ("config/mcpServer/reload", "null"),
    ("mcpServerStatus/list", r#"{}"#),
    ("account/login/cancel", r#"{"loginId":"01234567-89ab-7def-8123-456789abcdef"}"#),
    ("account/rateLimits/read", "null"),
    ("feedback/upload", r#"{"classification":"bug","includeLogs":false}"#),
    ("config/read", r#"{}"#),
    (
        "config/value/write",
        r#"{"keyPath":"history.max_bytes","value":5,"mergeStrategy":"replace"}"#,
    ),
    ("config/batchWrite", r#"{"edits":[]}"#),
    ("configRequirements/read", "null"),
    ("account/read", r#"{}"#),
    ("getConversationSummary", r#"{"conversationId":"@"}"#),
    ("listConversations", r#"{}"#),
    ("interruptConversation", r#"{"conversationId":"@"}"#),
    ("gitDiffToRemote", r#"{"cwd":"/work"}"#),
    ("cancelLoginChatGpt", r#"{"loginId":"01234567-89ab-7def-8123-456789abcdef"}"#),
    ("getAuthStatus", r#"{"includeToken":false}"#),
    ("getUserSavedConfig", "null"),
    ("setDefaultModel", r#"{"model":"gpt-5"}"#),
    ("getUserAgent", "null"),
    ("userInfo", "null"),
    ("fuzzyFileSearch", r#"{"query":"a","roots":["/work"]}"#),
    ("execOneOffCommand", r#"{"command":["ls","x1"]}"#),
    ("addConversationListener", r#"{"conversationId":"@"}"#),
    ("removeConversationListener", r#"{"subscriptionId":"01234567-89ab-7def-8123-456789abcdef"}"#),
    (
        "archiveConversation",
        r#"{"conversationId":"01234567-89ab-7def-8123-456789abcdef","rolloutPath":"/nowhere"}"#,
    ),
    ("resumeConversation", r#"{"path":"/nowhere"}"#),
    ("forkConversation", r#"{"path":"/nowhere"}"#),
    ("newConversation", r#"{}"#),
    ("sendUserMessage", r#"{"conversationId":"01234567-89ab-7def-8123-456789abcdef","items":[]}"#),
    (
        "sendUserTurn",
        r#"{"conversationId":"01234567-89ab-7def-8123-456789abcdef","items":[],"cwd":"/work","approvalPolicy":"never","sandboxPolicy":{"mode":"read-only"},"model":"gpt-5","summary":"auto"}"#,
    ),
];

/// What a request says: its method and its params, and what it is for.
type Request = (&'static str, String, Asked);

impl Scene {
    fn slot(&self, number: usize, slot: usize) -> Option<&Thread> {
        let own: Vec<_> =
            self.ledger.threads.iter().filter(|thread| thread.is_at(number)).collect();
        own.get(own.len().checked_sub(1 + slot.min(own.len().saturating_sub(1)))?).copied()
    }

    /// The host asks for something, if there is anything to ask it of.
    pub(super) fn say(&mut self, number: usize, what: Say, cut: Cut) {
        let request = match what {
            Say::StartThread(..)
            | Say::ResumeThread(_)
            | Say::JoinThread(_)
            | Say::ForkThread(_)
            | Say::ArchiveThread(_)
            | Say::UnarchiveThread(_)
            | Say::RollBack(..)
            | Say::ReadThread(_) => self.about_a_thread(number, what),
            Say::StartTurn(_) | Say::Interrupt(_) | Say::Review(_) => {
                self.about_a_turn(number, what)
            }
            Say::Converse(..)
            | Say::ResumeConversation(_)
            | Say::Listen(_)
            | Say::StopListening
            | Say::SendMessage(_)
            | Say::SendTurn(..) => self.in_the_older_dialect(number, what),
            Say::Exec | Say::Login | Say::Any(_) => self.about_anything(number, what),
        };
        if let Some((method, params, asked)) = request {
            self.request(number, method, &params, asked, cut);
        }
    }

    fn about_a_thread(&mut self, number: usize, what: Say) -> Option<Request> {
        let of = |slot| self.slot(number, slot).cloned();
        Some(match what {
            Say::StartThread(policy, sandbox) => {
                let rights = Rights { policy, sandbox };
                let params = format!("{{{}}}", members(rights));
                ("thread/start", params, Asked::Start(rights))
            }
            Say::ResumeThread(slot) => to_resume(&of(slot)?, number),
            Say::JoinThread(slot) => {
                let all = self.ledger.threads.iter_mut();
                let others: Vec<_> = all.filter(|thread| !thread.is_at(number)).collect();
                let count = others.len();
                let thread = others.into_iter().rev().nth(slot.min(count.checked_sub(1)?))?;
                thread.share(number);
                to_resume(thread, number)
            }
            Say::ForkThread(slot) => {
                let all = &self.ledger.threads;
                let thread = all.get(slot % all.len().max(1)).cloned()?;
                let rights = thread.last_rights(number);
                let params = format!(r#"{{"threadId":"{}",{}}}"#, thread.id, members(rights));
                let turns = thread.promised();
                ("thread/fork", params, Asked::Fork(thread.id, rights, turns))
            }
            Say::ArchiveThread(slot) => {
                let thread = of(slot)?;
                let params = format!(r#"{{"threadId":"{}"}}"#, thread.id);
                ("thread/archive", params, Asked::Archive(thread.id))
            }
            Say::UnarchiveThread(slot) => {
                let thread = of(slot)?;
                let params = format!(r#"{{"threadId":"{}"}}"#, thread.id);
                ("thread/unarchive", params, Asked::Unarchive(thread.id))
            }
            Say::RollBack(slot, turns) => {
                let thread = of(slot)?;
                let params = format!(r#"{{"threadId":"{}","numTurns":{turns}}}"#, thread.id);
                ("thread/rollback", params, Asked::RollBack(thread.id, turns as usize, Vec::new()))
            }
            Say::ReadThread(slot) => to_read(&of(slot)?),
            _ => return None,
        })
    }

    fn about_a_turn(&self, number: usize, what: Say) -> Option<Request> {
        let of = |slot| self.slot(number, slot);
        Some(match what {
            Say::StartTurn(slot) => {
                let thread = of(slot)?;
                let input = r#"[{"type":"text","text":"go"}]"#;
                let params = format!(r#"{{"threadId":"{}","input":{input}}}"#, thread.id);
                ("turn/start", params, Asked::Other)
            }
            Say::Interrupt(slot) => {
                let thread = of(slot)?;
                let turn = self.desks[number].running.get(&thread.id);
                let turn = turn.map_or("", String::as_str);
                let params = format!(r#"{{"threadId":"{}","turnId":"{turn}"}}"#, thread.id);
                ("turn/interrupt", params, Asked::Other)
            }
            Say::Review(slot) => {
                let thread = of(slot)?;
                let target = r#"{"type":"uncommittedChanges"}"#;
                let params = format!(r#"{{"threadId":"{}","target":{target}}}"#, thread.id);
                ("review/start", params, Asked::Other)
            }
            _ => return None,
        })
    }

    fn about_anything(&mut self, number: usize, what: Say) -> Option<Request> {
        Some(match what {
            Say::Exec => {
                ("command/exec", r#"{"command":["client","x1"]}"#.to_owned(), Asked::Other)
            }
            Say::Login => {
                self.tokens += 1;
                let tokens = Tokens::make(self.tokens, Wanted::GOOD).members();
                let params = format!(r#"{{"type":"chatgptAuthTokens",{tokens}}}"#);
                ("account/login/start", params, Asked::Other)
            }
            Say::Any(which) => {
                let (method, params) = ANY[which % ANY.len()];
                let thread = self.slot(number, which / ANY.len());
                let thread = thread.map_or("", |thread| &thread.id);
                (method, params.replace('@', thread), Asked::Other)
            }
            _ => return None,
        })
    }

    fn in_the_older_dialect(&mut self, number: usize, what: Say) -> Option<Request> {
        self.desks[number].may_be_unheard = true;
        let of = |slot| self.slot(number, slot);
        let items = r#"[{"type":"text","data":{"text":"go"}}]"#;
        Some(match what {
            Say::Converse(policy, sandbox) => {
                let rights = Rights { policy, sandbox };
                ("newConversation", format!("{{{}}}", members(rights)), Asked::Converse(rights))
            }
            Say::ResumeConversation(slot) => {
                let thread = of(slot)?;
                let (id, rights) = (&thread.id, members(thread.last_rights(number)));
                let params = format!(r#"{{"conversationId":"{id}","overrides":{{{rights}}}}}"#);
                ("resumeConversation", params, Asked::Other)
            }
            Say::Listen(slot) => {
                let params = format!(r#"{{"conversationId":"{}"}}"#, of(slot)?.id);
                ("addConversationListener", params, Asked::Listen)
            }
            Say::StopListening => {
                let listener = self.desks[number].listeners.pop()?;
                let params = format!(r#"{{"subscriptionId":"{listener}"}}"#);
                ("removeConversationListener", params, Asked::Other)
            }
            Say::SendMessage(slot) => {
                let id = of(slot)?.id.clone();
                let params = format!(r#"{{"conversationId":"{id}","items":{items}}}"#);
                ("sendUserMessage", params, Asked::Send(id, None))
            }
            Say::SendTurn(slot, policy, sandbox) => {
                let id = of(slot)?.id.clone();
                let rest = format!(
                    r#""cwd":"/work","approvalPolicy":"{}","sandboxPolicy":{{"type":"{}"}},"model":"gpt-5","summary":"auto""#,
                    policy.name(),
                    sandbox.name()
                );
                let params = format!(r#"{{"conversationId":"{id}","items":{items},{rest}}}"#);
                ("sendUserTurn", params, Asked::Send(id, Some(Rights { policy, sandbox })))
            }
            _ => return None,
        })
    }

    /// Asks for a thread with its turns.
    pub(super) fn read(&mut self, number: usize, thread: &Thread, cut: Cut) {
        let (method, params, asked) = to_read(thread);
        self.request(number, method, &params, asked, cut);
    }

    pub(super) fn request(
        &mut self,
        number: usize,
        method: &'static str,
        params: &str,
        asked: Asked,
        cut: Cut,
    ) {
        if let Asked::Archive(id) | Asked::Unarchive(id) | Asked::RollBack(id, ..) = &asked
            && let Some(thread) = self.ledger.thread(id)
        {
            thread.begin_move();
            // A turn that is taken back may be heard of later, by whoever listens then.
            let may_be_unheard = self.desks[number].may_be_unheard;
            thread.is_uncertain |= may_be_unheard && matches!(asked, Asked::RollBack(..));
        }
        let desk = &mut self.desks[number];
        desk.requests += 1;
        let id = desk.requests.to_string();
        let line = format!(r#"{{"id":{id},"method":"{method}","params":{params}}}"#);
        desk.said.push(SaidLine { request: Some((id, method)), asked });
        desk.world.say(desk.said.len() - 1, &line, false, cut);
    }

    pub(super) fn answer(&mut self, number: usize, nth: usize, answering: Answering) {
        let asks = &self.desks[number].asks;
        let open = asks.iter().filter(|ask| ask.is_open || nth > 0);
        let Some(ask) = newest(open, nth).cloned() else { return };
        let agrees = matches!(
            answering,
            Answering::Accept | Answering::AcceptForSession | Answering::AcceptWithRule
        );
        let result = match (ask.about, answering) {
            (_, Answering::Error) => r#""error":{"code":-1,"message":"no"}"#.to_owned(),
            (_, Answering::Nonsense) => r#""result":[5]"#.to_owned(),
            (About::Tokens, _) if agrees => {
                self.tokens += 1;
                let tokens = Tokens::make(self.tokens, Wanted::GOOD).members();
                format!(r#""result":{{{tokens}}}"#)
            }
            (About::Tokens, _) => r#""error":{"code":-32001,"message":"not today"}"#.to_owned(),
            (About::User | About::Other, _) => r#""result":{"answers":{}}"#.to_owned(),
            (About::Plan(plan, _), Answering::AcceptWithRule) if self.is_command(plan) => {
                let rule = format!(r#"["make","{}"]"#, reply::mark(plan));
                let decision = match ask.is_legacy {
                    true => format!(
                        r#"{{"approved_execpolicy_amendment":{{"proposed_execpolicy_amendment":{rule}}}}}"#
                    ),
                    false => format!(
                        r#"{{"acceptWithExecpolicyAmendment":{{"execpolicy_amendment":{rule}}}}}"#
                    ),
                };
                format!(r#""result":{{"decision":{decision}}}"#)
            }
            (About::Plan(..), answering) => {
                format!(r#""result":{{"decision":"{}"}}"#, decision(&ask, answering))
            }
        };
        let line = format!(r#"{{"id":{},{result}}}"#, ask.id);
        let desk = &mut self.desks[number];
        desk.said.push(SaidLine { request: None, asked: Asked::Answer(ask.id, agrees) });
        desk.world.say(desk.said.len() - 1, &line, false, Cut::Whole);
    }

    fn is_command(&self, plan: usize) -> bool {
        let plan = self.ledger.plans.get(&plan);
        plan.is_some_and(|plan| matches!(plan.tool, Tool::Command { .. }))
    }
}

/// Asks for a thread with its turns.
fn to_read(thread: &Thread) -> Request {
    let params = format!(r#"{{"threadId":"{}","includeTurns":true}}"#, thread.id);
    ("thread/read", params, Asked::Read(thread.id.clone(), thread.promised()))
}

/// Asks for a stored thread, with the rights that were said of it last.
fn to_resume(thread: &Thread, desk: usize) -> Request {
    let rights = members(thread.last_rights(desk));
    let params = format!(r#"{{"threadId":"{}",{rights}}}"#, thread.id);
    ("thread/resume", params, Asked::Resume(thread.id.clone(), thread.promised()))
}

/// Rights as members of a request.
fn members(rights: Rights) -> String {
    let (policy, sandbox) = (rights.policy.name(), rights.sandbox.name());
    format!(r#""approvalPolicy":"{policy}","sandbox":"{sandbox}""#)
}

/// A decision in the dialect of the question; or in the other one, where it means nothing.
fn decision(ask: &Ask, answering: Answering) -> &'static str {
    let is_other = answering == Answering::OtherDialect;
    let [today, older] = match answering {
        Answering::AcceptForSession => ["acceptForSession", "approved_for_session"],
        Answering::Decline => ["decline", "denied"],
        Answering::Cancel => ["cancel", "abort"],
        _ => ["accept", "approved"],
    };
    if ask.is_legacy == is_other { today } else { older }
}
