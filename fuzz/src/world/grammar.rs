//! The grammar of the server's messages: one reply a request, and the order within a thread.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fact::{Heard, TASK_STARTED};

/// What was said and heard so far, as far as the order of messages goes.
#[derive(Clone, Debug, Default)]
pub struct Grammar {
    /// Requests without a reply, counted by id.
    open: BTreeMap<String, usize>,
    /// What each open request has asked for.
    methods: BTreeMap<String, String>,
    threads: BTreeMap<String, ThreadGrammar>,
    /// Turns that a reply has named, with their threads not yet known.
    named_turns: BTreeSet<String>,
    /// Turns that were asked for by the older methods, whose replies name none.
    sends: usize,
    /// Threads that a reply has named and `thread/started` has not.
    named_threads: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
struct ThreadGrammar {
    /// Somebody listens in today's dialect.
    is_todays: bool,
    turn: Option<TurnGrammar>,
    over: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct TurnGrammar {
    id: String,
    open_items: BTreeSet<String>,
    /// Completed items, in order.
    items: Vec<String>,
    /// An `error` with `willRetry: false`; nothing but completions follows it.
    has_failed: bool,
}

impl Grammar {
    /// The host has asked something.
    pub fn asked(&mut self, id: &str, method: &str) {
        *self.open.entry(id.to_owned()).or_default() += 1;
        self.methods.insert(id.to_owned(), method.to_owned());
    }

    /// Requests without a reply.
    pub fn unanswered(&self) -> Vec<&str> {
        self.open.keys().map(String::as_str).collect()
    }

    /// Turns that were started and not completed, by thread.
    pub fn running(&self) -> impl Iterator<Item = (&str, &str)> {
        self.threads.iter().filter_map(|(thread, state)| {
            state.turn.as_ref().map(|turn| (thread.as_str(), turn.id.as_str()))
        })
    }

    /// Takes in a message; the error says which rule it breaks.
    pub fn heard(&mut self, heard: &Heard) -> Result<(), String> {
        match heard {
            Heard::Reply { id, result } => {
                let method = self.close(id)?;
                match method.as_str() {
                    "thread/start" => {
                        let thread = text(result, "/thread/id")?;
                        self.threads.entry(thread.clone()).or_default().is_todays = true;
                        self.named_threads.insert(thread);
                    }
                    "thread/resume" | "thread/fork" => {
                        let thread = text(result, "/thread/id")?;
                        self.threads.entry(thread.clone()).or_default().is_todays = true;
                        self.named_threads.insert(thread);
                    }
                    "newConversation" | "resumeConversation" | "forkConversation" => {
                        // It may be open anew, and then nobody listens in today's dialect.
                        let thread = text(result, "/conversationId")?;
                        self.threads.entry(thread).or_default().is_todays = false;
                    }
                    "sendUserMessage" | "sendUserTurn" => self.sends += 1,
                    "turn/start" | "review/start" => {
                        self.named_turns.insert(text(result, "/turn/id")?);
                    }
                    _ => {}
                }
                Ok(())
            }
            // A line that was no request may be refused under an id that none had.
            Heard::Refused { id, message, .. } if !self.open.contains_key(id) => {
                let is_line = id == "null" || message.starts_with("no method");
                if is_line { Ok(()) } else { Err(format!("a second reply to {id}")) }
            }
            Heard::Refused { id, .. } => self.close(id).map(drop),
            Heard::Ask { .. } => Ok(()),
            Heard::Notice { method, params } => self.noticed(method, params),
        }
    }

    fn close(&mut self, id: &str) -> Result<String, String> {
        let Some(open) = self.open.get_mut(id) else {
            return Err(format!("a reply to {id}, which is no open request"));
        };
        *open -= 1;
        if *open == 0 {
            self.open.remove(id);
        }
        Ok(self.methods.get(id).cloned().unwrap_or_default())
    }

    fn noticed(&mut self, method: &str, params: &Value) -> Result<(), String> {
        if method == "thread/started" {
            let thread = text(params, "/thread/id")?;
            let was_named = self.named_threads.remove(&thread);
            return was_named.then_some(()).ok_or("thread/started before its reply".to_owned());
        }
        if method == TASK_STARTED {
            return self.task_started(params);
        }
        let Some(thread) = params.get("threadId").and_then(Value::as_str) else { return Ok(()) };
        let Some(state) = self.threads.get_mut(thread) else {
            return Err(format!("{method} of a thread that was not started"));
        };
        match method {
            "turn/started" => {
                let id = text(params, "/turn/id")?;
                let is_named = self.sends > 0 || self.named_turns.contains(&id);
                state.begin(id, is_named)
            }
            "turn/completed" => {
                let id = text(params, "/turn/id")?;
                let turn = state.turn.take().filter(|turn| turn.id == id);
                let turn = turn.ok_or_else(|| format!("turn/completed of {id}, not running"))?;
                state.over.insert(id);
                turn.check_end(&params["turn"])
            }
            _ => {
                let Some(id) = params.get("turnId").and_then(Value::as_str) else { return Ok(()) };
                // The older dialect says of a review what it is about before it says that it begins.
                if method == "item/started" && !state.is_todays && self.named_turns.contains(id) {
                    state.begin_unless_begun(id)?;
                }
                let turn = state.turn.as_mut().filter(|turn| turn.id == id);
                // When turns are taken back, under an id that no turn has.
                let is_taken_back = method == "thread/tokenUsage/updated";
                if turn.is_none() && is_taken_back && !state.over.contains(id) {
                    return Ok(());
                }
                let turn = turn.ok_or_else(|| format!("{method} of {id}, which does not run"))?;
                turn.noticed(method, params)
            }
        }
    }
}

impl Grammar {
    /// Begins a turn for those who hear of it in the older dialect alone; for others it has begun.
    fn task_started(&mut self, params: &Value) -> Result<(), String> {
        let (thread, id) = (text(params, "/conversationId")?, text(params, "/id")?);
        let Some(state) = self.threads.get_mut(&thread) else { return Ok(()) };
        if state.turn.as_ref().is_some_and(|turn| turn.id == id) {
            return Ok(());
        }
        if state.is_todays {
            return Err(format!("task_started before turn/started, of {id}"));
        }
        let is_named = self.sends > 0 || self.named_turns.contains(&id);
        state.begin(id, is_named)
    }
}

impl ThreadGrammar {
    /// A turn that a reply has named begins with its first item.
    fn begin_unless_begun(&mut self, id: &str) -> Result<(), String> {
        let has_begun = self.turn.as_ref().is_some_and(|turn| turn.id == id);
        if has_begun { Ok(()) } else { self.begin(id.to_owned(), true) }
    }

    /// A turn begins, which a reply has named if that is its way.
    fn begin(&mut self, id: String, is_named: bool) -> Result<(), String> {
        if !is_named {
            return Err("turn/started before the reply to turn/start".to_owned());
        }
        if self.turn.is_some() || self.over.contains(&id) {
            return Err(format!("turn/started again, of {id}"));
        }
        let (open_items, items, has_failed) = (BTreeSet::new(), Vec::new(), false);
        self.turn = Some(TurnGrammar { id, open_items, items, has_failed });
        Ok(())
    }
}

impl TurnGrammar {
    fn noticed(&mut self, method: &str, params: &Value) -> Result<(), String> {
        match method {
            "item/started" => {
                let id = key(&params["item"])?;
                if self.items.contains(&id) || !self.open_items.insert(id.clone()) {
                    return Err(format!("item/started again, of {id}"));
                }
                // What a review has found, or that it has found nothing, comes after all else.
                if id.ends_with("exitedReviewMode") || id == "review_rollout_assistant" {
                    return Ok(());
                }
            }
            "item/completed" => {
                let id = key(&params["item"])?;
                if !self.open_items.remove(&id) {
                    return Err(format!("item/completed of {id}, which is not open"));
                }
                self.items.push(id);
                return Ok(());
            }
            "error" => {
                self.has_failed = params["willRetry"] == false;
                return Ok(());
            }
            _ => {
                // What is typed into a program is told of the item that it was begun with, also in
                // a later turn (engine.md §3.5).
                let is_typing = method == "item/commandExecution/terminalInteraction";
                if let Some(id) = params.get("itemId").and_then(Value::as_str)
                    && !self.open_items.contains(id)
                    && !is_typing
                {
                    return Err(format!("{method} of {id}, which is not open"));
                }
            }
        }
        if self.has_failed { Err(format!("{method} after the turn has failed")) } else { Ok(()) }
    }

    fn check_end(&self, turn: &Value) -> Result<(), String> {
        if let Some(item) = self.open_items.first() {
            return Err(format!("turn/completed while {item} is open"));
        }
        let status = turn["status"].as_str().unwrap_or_default();
        if !matches!(status, "completed" | "interrupted" | "failed") {
            return Err(format!("turn/completed with the status {status}"));
        }
        if (status == "failed") != turn["error"].is_object() {
            return Err(format!("turn/completed: {status} with error {}", turn["error"]));
        }
        if (status == "failed") != self.has_failed {
            return Err(format!("turn/completed: {status}, error said: {}", self.has_failed));
        }
        let shown = turn["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let shown: Vec<String> = shown.iter().map(key).collect::<Result<_, _>>()?;
        if shown != self.items {
            return Err(format!("turn/completed shows {shown:?}, not {:?}", self.items));
        }
        Ok(())
    }
}

/// What tells an item from the others of its turn: the two ends of a review have the turn's own id,
/// as the reference has it (protocol.md §4.7).
fn key(item: &Value) -> Result<String, String> {
    let id = text(item, "/id")?;
    let kind = text(item, "/type")?;
    Ok(if kind.ends_with("ReviewMode") { format!("{id} {kind}") } else { id })
}

/// The text at a place that is named like in a JSON pointer; the error says that there is none.
/// Unlike `Value::pointer` it makes no copy of each name.
pub(crate) fn text(value: &Value, at: &str) -> Result<String, String> {
    let found = at.split('/').skip(1).try_fold(value, |value, name| value.get(name));
    let found = found.and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| format!("no text at {at} in {value}"))
}
