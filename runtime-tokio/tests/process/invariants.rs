//! Owns: rules that hold for every session, read off what crossed the pipes (design: every request
//! one reply, every turn and item completed once, items before their turn).

use std::collections::BTreeMap;

use serde_json::Value;
use understudy_tokio::demo::seen::{Seen, Trouble};

#[derive(Default)]
struct Session {
    /// Requests by id, with how many replies came.
    replies: BTreeMap<String, usize>,
    /// Turns by id, with how many times they were completed.
    turns: BTreeMap<String, usize>,
    /// Started items by turn, kind and id, with how many times they were completed. A review has two
    /// under the turn's id, as the reference has.
    items: BTreeMap<(String, String, String), usize>,
}

/// Checks a session that has ended in order.
pub(crate) fn check(facts: &[Seen]) -> Result<(), Trouble> {
    let mut session = Session::default();
    for fact in facts {
        match fact {
            Seen::Host(line) => line.json.iter().for_each(|message| session.on_host(message)),
            Seen::Server(line) => {
                let message = line.json.as_ref();
                let message = message.ok_or_else(|| Trouble(format!("no JSON: {}", line.text)))?;
                session.on_server(message).map_err(|why| Trouble(format!("{why}: {message}")))?;
            }
            _ => {}
        }
    }
    let unanswered: Vec<_> = session.replies.iter().filter(|(_, n)| **n != 1).collect();
    let open: Vec<_> = session.turns.iter().filter(|(_, n)| **n != 1).collect();
    if unanswered.is_empty() && open.is_empty() {
        return Ok(());
    }
    Err(Trouble(format!(
        "not exactly one reply to {unanswered:?}, not exactly one completion of {open:?}"
    )))
}

impl Session {
    fn on_host(&mut self, message: &Value) {
        if let (Some(id), Some(_)) = (message.get("id"), message.get("method")) {
            self.replies.entry(id.to_string()).or_default();
        }
    }

    fn on_server(&mut self, message: &Value) -> Result<(), &'static str> {
        let params = &message["params"];
        match (message["method"].as_str(), message.get("id")) {
            (None, Some(id)) if !id.is_null() => {
                // Requests that a test wrote as bytes are not known here.
                if let Some(count) = self.replies.get_mut(&id.to_string()) {
                    *count += 1;
                }
            }
            (Some("turn/started"), _) => {
                let turn = params["turn"]["id"].to_string();
                if self.turns.insert(turn, 0).is_some() {
                    return Err("a turn was started twice");
                }
            }
            (Some("turn/completed"), _) => {
                let turn = params["turn"]["id"].to_string();
                if self.items.iter().any(|((of, ..), count)| *of == turn && *count == 0) {
                    return Err("a turn was completed before one of its items");
                }
                *self.turns.get_mut(&turn).ok_or("a turn was completed that never started")? += 1;
            }
            (Some("item/started"), _) if self.items.insert(item_key(params), 0).is_some() => {
                return Err("an item was started twice");
            }
            (Some("item/completed"), _) => {
                let count = self.items.get_mut(&item_key(params));
                let count = count.ok_or("an item was completed that never started")?;
                *count += 1;
                if *count > 1 {
                    return Err("an item was completed twice");
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn item_key(params: &Value) -> (String, String, String) {
    let item = &params["item"];
    (params["turnId"].to_string(), item["type"].to_string(), item["id"].to_string())
}
