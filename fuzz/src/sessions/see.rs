//! What was seen is entered in the ledger, and held against what is written there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use understudy_core::{CallId, ExitStatus};

use super::ledger::{About, Ask, Plan, Rights, Thread, Told};
use super::reply::{self, Tool};
use super::said::Asked;
use super::scene::Scene;
use super::table::{self, Leave};
use crate::sim::Violation;
use crate::world::fact::{Fact, Heard};
use crate::world::grammar;
use crate::world::process::Spawned;

/// The name of the rule that messages say what they are about.
const WHOLE: &str = "s_messages_say_what_they_are_about";

impl Scene {
    /// Takes in what happened at a desk.
    pub(super) fn see(&mut self, number: usize, fact: &Fact) {
        match fact {
            Fact::Said(line) => self.on_said(number, *line),
            Fact::Heard(heard, _) => self.on_heard(number, heard),
            Fact::Spawned(spawned) => self.on_spawned(number, spawned),
            Fact::Dropped(call) | Fact::ProgramEnded(call) => {
                self.desks[number].owners.remove(call);
            }
            Fact::Exited(status) => {
                // Its time was over before the disk had what the authority gave.
                self.ledger.may_reuse |= *status != ExitStatus::Clean;
                self.doubt(number);
            }
            _ => {}
        }
    }

    fn break_rule(&mut self, rule: &'static str, text: String) {
        self.trouble.get_or_insert(Violation { rule, text });
    }

    fn on_said(&mut self, number: usize, line: usize) {
        let desk = &mut self.desks[number];
        let Some(said) = desk.said.get(line).cloned() else { return };
        if let Some((id, method)) = said.request {
            desk.grammar.asked(&id, method);
            let mut asked = said.asked;
            if let Asked::RollBack(thread, count, gone) = &mut asked
                && let Some(thread) = self.ledger.thread(thread)
            {
                *gone = thread.announced.iter().rev().take(*count).map(|t| t.id.clone()).collect();
            }
            desk.open.insert(id, asked);
            return;
        }
        let Asked::Answer(id, agrees) = said.asked else { return };
        let Some(ask) = desk.asks.iter_mut().find(|ask| ask.id == id) else { return };
        let is_first = std::mem::replace(&mut ask.is_open, false);
        match (ask.about, agrees, is_first) {
            (About::Plan(plan, again), true, true) => {
                if let Some(plan) = self.ledger.plans.get_mut(&plan) {
                    plan.agreed[usize::from(again)] += 1;
                }
                self.marks.insert("the user agrees");
            }
            (About::Plan(..), true, false) => drop(self.marks.insert("the user agrees too late")),
            (About::Plan(..), false, true) => drop(self.marks.insert("the user does not agree")),
            _ => {}
        }
    }

    fn on_heard(&mut self, number: usize, heard: &Heard) {
        if let Err(text) = self.desks[number].grammar.heard(heard) {
            self.break_rule("d2_the_order_of_messages", text);
        }
        match heard {
            Heard::Reply { id, result } => {
                if let Some(asked) = self.desks[number].open.remove(id) {
                    self.has_moved(&asked);
                    self.on_reply(number, asked, result);
                }
            }
            Heard::Refused { id, message, .. } => {
                let asked = self.desks[number].open.remove(id);
                if let Some(asked) = &asked {
                    self.has_moved(asked);
                }
                // Turns may have been taken back before the thread was put away.
                if let Some(Asked::RollBack(id, ..)) = &asked
                    && let Some(thread) = self.ledger.thread(id)
                {
                    thread.is_uncertain |= message.starts_with("thread not found");
                }
                if let Some(Asked::Read(id, turns)) = asked
                    && !turns.is_empty()
                    && !self.is_adrift(&id)
                    && !message.contains("the file backend failed")
                {
                    let text = format!("a thread with turns cannot be read: {message}");
                    self.break_rule("s_what_was_announced_is_stored", text);
                }
            }
            Heard::Ask { id, method, params } => self.on_ask(number, *id, method, params),
            Heard::Notice { method, params } => self.on_notice(number, method, params),
        }
    }

    /// A request that may move or cut a thread has its reply.
    fn has_moved(&mut self, asked: &Asked) {
        if let Asked::Archive(id) | Asked::Unarchive(id) | Asked::RollBack(id, ..) = asked
            && let Some(thread) = self.ledger.thread(id)
        {
            thread.moves = thread.moves.saturating_sub(1);
        }
    }

    /// A text that every message of the kind has.
    fn text(&mut self, message: &Value, at: &str) -> String {
        grammar::text(message, at).unwrap_or_else(|fault| {
            self.break_rule(WHOLE, fault);
            String::new()
        })
    }

    /// A turn as a message shows it. Each says all that is compared.
    fn told(&mut self, number: usize, turn: &Value) -> Option<Told> {
        let told = told(number, turn);
        if told.is_none() {
            self.break_rule(WHOLE, turn.to_string());
        }
        told
    }

    fn on_reply(&mut self, number: usize, asked: Asked, result: &Value) {
        let turns = result.pointer("/thread/turns").and_then(Value::as_array);
        let turns = turns.map(Vec::as_slice).unwrap_or_default();
        let shown: Vec<Told> = turns.iter().filter_map(|turn| self.told(number, turn)).collect();
        match asked {
            Asked::Start(rights) => {
                let id = self.text(result, "/thread/id");
                self.ledger.threads.push(Thread::new(&id, number, rights));
            }
            Asked::Converse(rights) => {
                let id = self.text(result, "/conversationId");
                self.ledger.threads.push(Thread::new(&id, number, rights));
            }
            Asked::Listen => {
                self.marks.insert("somebody listens in the older dialect");
                let listener = self.text(result, "/subscriptionId");
                self.desks[number].listeners.push(listener);
            }
            Asked::Send(thread, rights) => {
                self.marks.insert("a turn was begun in the older dialect");
                if let Some(rights) = rights {
                    self.set_rights(number, &thread, rights);
                }
            }
            Asked::Fork(from, rights, turns) => {
                let is_certain = self.ledger.thread(&from).is_some_and(|from| {
                    let is_there = |turn: &Told| from.announced.iter().any(|t| t.id == turn.id);
                    !from.is_unsettled() && turns.iter().all(is_there)
                });
                let promised = if is_certain { turns } else { Vec::new() };
                self.compare("s_a_copy_has_all_turns", &promised, &shown);
                self.marks.insert("a thread was copied");
                // What ran in the other thread is not over in this one.
                let over = shown.into_iter().filter(|turn| turn.status != "inProgress");
                let announced = over.collect();
                // It may have been moved by another machine while it was copied.
                let from = self.ledger.thread(&from);
                let is_uncertain = from.is_none_or(|from| from.is_shared || from.is_unsettled());
                let id = self.text(result, "/thread/id");
                let thread = Thread::new(&id, number, rights);
                self.ledger.threads.push(Thread { announced, is_uncertain, ..thread });
            }
            Asked::Resume(id, promised) => {
                self.marks.insert("a thread was resumed");
                let Some(thread) = self.ledger.thread(&id) else { return };
                let promised = if thread.is_unsettled() { Vec::new() } else { promised };
                if thread.is_shared {
                    self.marks.insert("a thread was joined by another machine");
                }
                self.compare("s_what_was_announced_is_stored", &promised, &shown);
            }
            Asked::Read(id, mut promised) => {
                if self.is_adrift(&id) {
                    promised.clear();
                }
                self.compare("s_what_was_announced_is_stored", &promised, &shown);
            }
            Asked::RollBack(id, _, gone) => {
                self.marks.insert("turns were taken back");
                let Some(thread) = self.ledger.thread(&id) else { return };
                thread.announced.retain(|turn| !gone.contains(&turn.id));
                let promised = thread.promised();
                self.compare("s_what_was_announced_is_stored", &promised, &shown);
            }
            Asked::Archive(id) => self.set_archived(&id, true),
            Asked::Unarchive(id) => self.set_archived(&id, false),
            Asked::Answer(..) | Asked::Other => {}
        }
    }

    /// Whether another machine may have moved or cut a thread since it was asked for.
    fn is_adrift(&mut self, id: &str) -> bool {
        self.ledger.thread(id).is_some_and(|thread| thread.is_shared && thread.is_uncertain)
    }

    /// A turn was asked for with these rights. They hold at once, but for what is in hand or waits
    /// before it.
    fn set_rights(&mut self, number: usize, id: &str, rights: Rights) {
        let Some(thread) = self.ledger.thread(id) else { return };
        thread.rights.entry(number).or_default().push(rights);
        let plans = self.ledger.plans.values_mut();
        for plan in plans.filter(|plan| plan.place == (id.to_owned(), number) && !plan.is_over) {
            plan.rights.push(rights);
        }
    }

    /// A turn is heard of for the first time, in whichever dialect.
    fn on_begun(&mut self, number: usize, thread: &str, turn: &str) {
        self.desks[number].running.insert(thread.to_owned(), turn.to_owned());
        if let Some(thread) = self.ledger.thread(thread) {
            thread.settle_rights(number);
        }
    }

    fn set_archived(&mut self, id: &str, is_archived: bool) {
        self.marks.insert(if is_archived { "a thread was put away" } else { "a thread is back" });
        if let Some(thread) = self.ledger.thread(id) {
            thread.is_archived = is_archived;
        }
    }

    /// Every turn that was promised is there, has ended as it was said, and has the items that it was
    /// said to have. Those of one machine are in order; machines do not know of each other. No turn is
    /// there twice, and none that no machine has begun, unless one lies in pieces.
    fn compare(&mut self, rule: &'static str, promised: &[Told], shown: &[Told]) {
        let mut reached = BTreeMap::new();
        for turn in promised {
            let place = shown.iter().position(|shown| shown.id == turn.id);
            let Some(place) = place.filter(|at| reached.get(&turn.desk).is_none_or(|was| was < at))
            else {
                return self.break_rule(rule, format!("{turn:?} is not in {shown:?}"));
            };
            reached.insert(turn.desk, place);
            let found = &shown[place];
            if (&found.status, &found.items) != (&turn.status, &turn.items) {
                return self.break_rule(rule, format!("{turn:?} is shown as {found:?}"));
            }
        }
        let ids: BTreeSet<&str> = shown.iter().map(|turn| turn.id.as_str()).collect();
        if ids.len() < shown.len() {
            return self.break_rule("s_no_turn_is_there_twice", format!("{shown:?}"));
        }
        let nobodys = ids.iter().find(|id| id.starts_with("turn-"));
        if let Some(turn) = nobodys.filter(|_| !self.ledger.may_be_in_pieces()) {
            self.break_rule("s_no_turn_of_nobody", format!("{turn} in {shown:?}"));
        }
    }

    fn on_ask(&mut self, number: usize, id: i64, method: &str, params: &Value) {
        let is_legacy = matches!(method, "execCommandApproval" | "applyPatchApproval");
        let item = if is_legacy { &params["callId"] } else { &params["itemId"] };
        let plan = item.as_str().and_then(number_of);
        let again = params["reason"] == understudy_core::approval::RETRY_REASON;
        let about = match (method, plan) {
            (
                "item/commandExecution/requestApproval"
                | "item/fileChange/requestApproval"
                | "execCommandApproval"
                | "applyPatchApproval",
                Some(plan),
            ) => About::Plan(plan, again),
            ("item/tool/requestUserInput", _) => About::User,
            ("account/chatgptAuthTokens/refresh", _) => About::Tokens,
            _ => About::Other,
        };
        if again {
            self.marks.insert("the user is asked again, for no sandbox");
        }
        let turn = params["turnId"].as_str().unwrap_or_default().to_owned();
        if is_legacy {
            self.marks.insert("the user is asked in the older dialect");
        }
        self.desks[number].asks.push(Ask { id, about, turn, is_legacy, is_open: true });
    }

    fn on_notice(&mut self, number: usize, method: &str, params: &Value) {
        match method {
            "turn/started" => {
                let thread = self.text(params, "/threadId");
                let turn = self.text(params, "/turn/id");
                self.on_begun(number, &thread, &turn);
            }
            "codex/event/task_started" => {
                let thread = self.text(params, "/conversationId");
                let turn = self.text(params, "/id");
                let running = self.desks[number].running.get(&thread);
                if running.is_none_or(|running| *running != turn) {
                    self.on_begun(number, &thread, &turn);
                }
            }
            "item/started" => {
                let item = &params["item"];
                let session = item["processId"].as_str().and_then(|id| id.parse().ok());
                let desk = &mut self.desks[number];
                desk.session = session.or(desk.session);
                if let Some(plan) = item["id"].as_str().and_then(number_of)
                    && let Some(plan) = self.ledger.plans.get_mut(&plan)
                {
                    plan.turn = params["turnId"].as_str().map(str::to_owned);
                }
            }
            "item/completed" => {
                if let Some(over) = params["item"]["id"].as_str().and_then(number_of)
                    && let Some(plan) = self.ledger.plans.get_mut(&over)
                {
                    plan.is_over = true;
                    for ask in &mut self.desks[number].asks {
                        let is_it = matches!(ask.about, About::Plan(plan, _) if plan == over);
                        ask.is_open &= !is_it;
                    }
                }
            }
            "turn/completed" => {
                let thread = self.text(params, "/threadId");
                let Some(turn) = self.told(number, &params["turn"]) else { return };
                let desk = &mut self.desks[number];
                desk.running.remove(&thread);
                desk.over.insert(turn.id.clone(), turn.status.clone());
                // Nobody waits for what the model wanted to know.
                for ask in desk.asks.iter_mut().filter(|ask| ask.turn == turn.id) {
                    ask.is_open = false;
                }
                self.mark_end(&turn);
                if let Some(thread) = self.ledger.thread(&thread) {
                    thread.announced.push(turn);
                }
            }
            _ => {}
        }
    }

    fn mark_end(&mut self, turn: &Told) {
        self.marks.insert(match turn.status.as_str() {
            _ if turn.is_unstored => "a turn could not be stored",
            "completed" => "a turn was completed",
            "interrupted" => "a turn was interrupted",
            _ => "a turn failed",
        });
    }

    // --- programs ---

    fn on_spawned(&mut self, number: usize, spawned: &Spawned) {
        let Some(place) = reply::marked(&spawned.argv) else { return };
        let Some(plan) = self.ledger.plans.get_mut(&place) else { return };
        self.desks[number].owners.insert(spawned.call, place);
        plan.started += 1;
        let fault = may_start(plan, spawned.is_confined).err();
        if plan.is_over {
            self.break_rule("s_nothing_runs_after_its_end", format!("c{place}: {spawned:?}"));
        } else if let Some(text) = fault {
            self.break_rule("s_nothing_runs_without_leave", format!("c{place}: {text}"));
        }
        self.marks.insert("a program was started");
    }

    /// The call of the model that a running program belongs to.
    pub fn plan_of(&self, number: usize, call: CallId) -> Option<&Plan> {
        let place = self.desks[number].owners.get(&call)?;
        self.ledger.plans.get(place)
    }
}

/// Whether a program may be started for a call, for this many times by now.
fn may_start(plan: &Plan, is_confined: bool) -> Result<(), String> {
    let Tool::Command { finding, escalated, .. } = plan.tool else {
        return Err(format!("it is no command: {:?}", plan.tool));
    };
    let [first, again] = plan.agreed;
    if plan.started > 1 {
        let has_leave = again + 1 >= plan.started && !is_confined;
        let text = format!("started {} times, agreed to again {again} times", plan.started);
        return if has_leave { Ok(()) } else { Err(text) };
    }
    let may_start = |rights: &Rights| {
        let confined = match table::command(rights.policy, rights.sandbox, finding, escalated) {
            Leave::No => return Err(format!("it is refused: {plan:?}")),
            Leave::IfAsked { .. } if first == 0 => {
                return Err(format!("nobody has agreed: {plan:?}"));
            }
            Leave::IfAsked { confined } | Leave::Free { confined } => confined,
        };
        let text = || format!("confined {is_confined}: {plan:?}");
        if confined == is_confined { Ok(()) } else { Err(text()) }
    };
    let mut last = Err(format!("its thread is not open there: {plan:?}"));
    for rights in &plan.rights {
        last = may_start(rights);
        if last.is_ok() {
            break;
        }
    }
    last
}

/// A turn as a message shows it.
fn told(desk: usize, turn: &Value) -> Option<Told> {
    let says = |part: &str| {
        turn["error"][part].as_str().is_some_and(|text| text.starts_with("failed to write"))
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let items = turn["items"].as_array()?.iter();
    let items = items.map(|item| Some((text(&item["type"])?, text(&item["id"])?)));
    Some(Told {
        items: items.collect::<Option<_>>()?,
        desk,
        id: turn["id"].as_str()?.to_owned(),
        status: turn["status"].as_str()?.to_owned(),
        is_unstored: says("message") || says("additionalDetails"),
    })
}

/// The number of the model's call that an item is of.
fn number_of(item: &str) -> Option<usize> {
    item.strip_prefix('c')?.parse().ok()
}
