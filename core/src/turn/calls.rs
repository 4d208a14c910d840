//! The calls of a response: which is begun when, who each answer is for, and their outputs
//! (engine.md §3.2, §4.6).
//!
//! Owns: the order. A call begins when all before it have ended; calls that may run side by side
//! begin together. What a call does while it is open is the business of its kind: see [`Doing`].
//!
//! Invariants: every call has one output, in the order of the calls. An item that was started is
//! completed before its call has its output. Nothing is begun before the response is whole, so that
//! a response that has to be asked for again runs nothing twice. What a call waits for is withdrawn
//! when the turn ends; an answer that comes after that finds nobody.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::asking::Asking;
use super::commanding::Commanding;
use super::measuring::ToolMeasure;
use super::patching::Patching;
use super::reading::{Reading, look_at};
use super::sessions::Looking;
use super::{Next, Phase, Turn};
use crate::effect::{AskId, CallId, TimerId};
use crate::input::Outcome;
use crate::outside::Outside;
use crate::thread::Conversation;
use crate::tools::{OutputSlot, PLAN_UPDATED, ToolCall, Work};

/// What the model is told of a call that was never begun (engine.md §1.9).
const ABORTED: &str = "aborted";

/// The calls of one response, in the model's order.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Calls {
    list: Vec<Entry>,
}

#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
enum Entry {
    /// Not begun.
    Waiting(ToolCall),
    /// Begun; none while a step of it is being taken.
    Open(Option<Open>),
    /// Over, with its output.
    Ended(Option<Arc<str>>),
}

/// A call that is open.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Open {
    begun: Begun,
    doing: Doing,
}

/// What is known of a call whatever its kind.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Begun {
    /// Names it, also as an item.
    pub(super) slot: OutputSlot,
    /// When it was begun, in time since the runtime's start.
    pub(super) since: Duration,
    /// Whether others may be open beside it.
    is_shared: bool,
    /// What is measured of it.
    pub(super) tool: Option<Box<ToolMeasure>>,
}

/// What an open call does, by its kind.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) enum Doing {
    /// A patch is checked, asked about, made.
    Patch(Patching),
    /// A command is asked about, runs.
    Command(Commanding),
    /// A program that was left running is looked at.
    Look(Looking),
    /// The host answers a question.
    Ask(Asking),
    /// Files are read.
    Read(Reading),
}

/// In which words the user is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    Legacy,
}

/// How a step of a call has left it.
#[derive(Debug)]
pub(super) enum Progress {
    /// It waits for something.
    Open(Doing),
    /// It is over, and this is what the model is told.
    Ended(String),
    /// So, and the user wants the turn to end.
    EndedTurn(String),
}

/// Something that an open call may wait for.
#[derive(Debug)]
pub(crate) enum ToolInput<'a> {
    /// A part of the answer to a call to the outside.
    Outcome(CallId, Outcome<'a>),
    /// The host's answer to a question, or its error.
    Answer(AskId, Result<&'a RawValue, &'a RawValue>),
    /// A program that was left running has ended.
    Ended(CallId),
    /// The time for something is over.
    Timer(TimerId),
}

impl Calls {
    pub(super) fn push(&mut self, call: ToolCall) {
        self.list.push(Entry::Waiting(call));
    }

    /// The attempt that made these calls was given up.
    pub(super) fn forget(&mut self) {
        self.list.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Gives the outputs away, in the order of the calls.
    pub(super) fn take_outputs(&mut self) -> impl Iterator<Item = Arc<str>> {
        let list = std::mem::take(&mut self.list);
        list.into_iter().filter_map(|entry| match entry {
            Entry::Ended(output) => output,
            Entry::Waiting(_) | Entry::Open(_) => None,
        })
    }

    /// Whether files are being changed: that is never left in the middle.
    pub(super) fn is_writing(&self) -> bool {
        self.open().any(|open| match &open.doing {
            Doing::Patch(patch) => patch.is_writing(),
            Doing::Command(_) | Doing::Look(_) | Doing::Ask(_) | Doing::Read(_) => false,
        })
    }

    fn open(&self) -> impl Iterator<Item = &Open> {
        self.list.iter().filter_map(|entry| match entry {
            Entry::Open(open) => open.as_ref(),
            Entry::Waiting(_) | Entry::Ended(_) => None,
        })
    }

    /// Takes the next call that may begin, with its place.
    fn take_next(&mut self) -> Option<(usize, ToolCall)> {
        let place = self.list.iter().position(|entry| matches!(entry, Entry::Waiting(_)))?;
        let all_shared = self.open().all(|open| open.begun.is_shared);
        let none_open = self.open().next().is_none();
        let entry = self.list.get_mut(place)?;
        let Entry::Waiting(call) = entry else { return None };
        if !(none_open || all_shared && call.work.is_shared()) {
            return None;
        }
        match std::mem::replace(entry, Entry::Open(None)) {
            Entry::Waiting(call) => Some((place, call)),
            Entry::Open(_) | Entry::Ended(_) => None,
        }
    }

    /// Takes the open call that waits for something, with its place.
    fn take_waiting_for(&mut self, input: &ToolInput<'_>) -> Option<(usize, Open)> {
        self.list.iter_mut().enumerate().find_map(|(place, entry)| match entry {
            Entry::Open(open) => {
                open.take_if(|open| open.doing.waits_for(input)).map(|open| (place, open))
            }
            Entry::Waiting(_) | Entry::Ended(_) => None,
        })
    }

    fn set(&mut self, place: usize, new: Entry) {
        if let Some(entry) = self.list.get_mut(place) {
            *entry = new;
        }
    }
}

impl Doing {
    fn waits_for(&self, input: &ToolInput<'_>) -> bool {
        match (self, input) {
            (Self::Patch(patch), ToolInput::Outcome(call, _)) => patch.waits_for_call(*call),
            (Self::Patch(patch), ToolInput::Answer(ask, _)) => patch.waits_for_answer(*ask),
            (Self::Ask(asking), ToolInput::Answer(ask, _)) => asking.waits_for_answer(*ask),
            (Self::Command(command), input) => command.waits_for(input),
            (Self::Look(looking), input) => looking.waits_for(input),
            (Self::Read(reading), ToolInput::Outcome(call, _)) => reading.waits_for_call(*call),
            (Self::Ask(_), ToolInput::Outcome(..))
            | (Self::Read(_), ToolInput::Answer(..))
            | (
                Self::Patch(_) | Self::Ask(_) | Self::Read(_),
                ToolInput::Timer(_) | ToolInput::Ended(_),
            ) => false,
        }
    }
}

impl Begun {
    /// What the model is told when the user stops a call that runs.
    pub(super) fn aborted_text(&self, now: Duration) -> String {
        format!("aborted by user after {:.1}s", self.seconds(now))
    }

    /// How long the call has been open. The reference never says less than a tenth of a second
    /// (engine.md §1.8).
    pub(super) fn seconds(&self, now: Duration) -> f64 {
        now.saturating_sub(self.since).as_secs_f64().max(0.1)
    }
}

impl Turn {
    /// Begins calls until one has to be waited for; after the last one the turn goes on.
    pub(super) fn run_calls(&mut self, out: &mut Outside, conversation: &mut Conversation) -> Next {
        self.phase = Phase::Working;
        while let Some((place, call)) = self.calls.take_next() {
            let ToolCall { slot, work } = call;
            let tool = self.measure_tool(out, work.tool());
            let begun = Begun { slot, since: out.now.mono, is_shared: work.is_shared(), tool };
            let progress = self.begin_call(out, conversation, &begun, work);
            if self.settle_call(out, conversation, place, begun, progress) {
                return self.stop(out, conversation);
            }
        }
        if self.calls.open().next().is_some() {
            return Next::Wait;
        }
        self.phase = Phase::Ready;
        self.after_calls(out, conversation)
    }

    fn begin_call(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        work: Work,
    ) -> Progress {
        match work {
            Work::Answer(text) => Progress::Ended(text),
            Work::ShowPlan(update) => {
                self.voice.plan_updated(out, update);
                Progress::Ended(PLAN_UPDATED.to_owned())
            }
            Work::Patch(text) => {
                self.begin_patch(out, conversation, text, conversation.settings.cwd.clone())
            }
            Work::Type(typing) => self.begin_typing(out, conversation, begun, typing),
            Work::Command(call) => self.begin_command(out, conversation, begun, *call),
            Work::AskUser(questions) => self.ask_user(out, conversation, begun, questions),
            Work::Dynamic(call) => self.call_dynamic(out, conversation, begun, call),
            Work::ViewImage(path) => self.view_image(out, conversation, &path),
            Work::Look(look) => look_at(out, conversation, look),
            Work::Resources(call) => self.answer_resources(out, begun, call),
        }
    }

    /// Something has come that an open call waits for.
    pub(crate) fn on_tool_input(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        input: ToolInput<'_>,
    ) -> Next {
        let Some((place, Open { mut begun, doing })) = self.calls.take_waiting_for(&input) else {
            return Next::Wait;
        };
        let progress = match (doing, input) {
            (Doing::Patch(patch), ToolInput::Outcome(_, outcome)) => {
                self.on_patch_outcome(out, conversation, &mut begun, patch, outcome)
            }
            (Doing::Patch(patch), ToolInput::Answer(_, answer)) => {
                self.on_patch_answer(out, conversation, &mut begun, patch, answer)
            }
            (Doing::Ask(asking), ToolInput::Answer(_, answer)) => {
                Progress::Ended(asking.output(answer))
            }
            (Doing::Look(looking), _) => self.on_looked(out, conversation, &begun, &looking),
            (Doing::Command(command), input) => {
                self.on_command_input(out, conversation, &begun, command, input)
            }
            (Doing::Read(reading), ToolInput::Outcome(_, outcome)) => {
                self.on_read(out, conversation, &begun, &reading, outcome)
            }
            (doing @ Doing::Ask(_), ToolInput::Outcome(..))
            | (doing @ Doing::Read(_), ToolInput::Answer(..))
            | (
                doing @ (Doing::Patch(_) | Doing::Ask(_) | Doing::Read(_)),
                ToolInput::Timer(_) | ToolInput::Ended(_),
            ) => Progress::Open(doing),
        };
        if self.settle_call(out, conversation, place, begun, progress) {
            self.is_stopping = true;
        }
        if self.is_stopping && !self.calls.is_writing() {
            self.is_stopping = false;
            return self.stop(out, conversation);
        }
        match self.is_stopping {
            true => Next::Wait,
            false => self.run_calls(out, conversation),
        }
    }

    /// Notes how a step has left a call; says whether the turn is to end.
    fn settle_call(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
        place: usize,
        mut begun: Begun,
        progress: Progress,
    ) -> bool {
        let (text, ends_turn) = match progress {
            Progress::Open(doing) => {
                self.calls.set(place, Entry::Open(Some(Open { begun, doing })));
                return false;
            }
            Progress::Ended(text) => (text, false),
            Progress::EndedTurn(text) => (text, true),
        };
        self.tool_measured(out, conversation, &mut begun, false);
        self.calls.set(place, Entry::Ended(begun.slot.filled(&text)));
        ends_turn
    }

    /// The turn ends early: what is open ends, and what was not begun never is.
    pub(super) fn abort_calls(&mut self, out: &mut Outside, conversation: &mut Conversation) {
        let mut calls = std::mem::take(&mut self.calls);
        for entry in &mut calls.list {
            let output = match std::mem::replace(entry, Entry::Ended(None)) {
                Entry::Ended(output) => output,
                Entry::Waiting(call) => call.slot.filled(ABORTED),
                Entry::Open(None) => None,
                Entry::Open(Some(Open { mut begun, doing })) => {
                    let text = match doing {
                        Doing::Patch(patch) => self.abort_patch(out, conversation, &begun, patch),
                        Doing::Command(command) => {
                            self.abort_command(out, conversation, &begun, command)
                        }
                        Doing::Look(looking) => looking.abort(out, &begun),
                        Doing::Ask(asking) => asking.abort(out),
                        Doing::Read(reading) => {
                            reading.abort(out);
                            begun.aborted_text(out.now.mono)
                        }
                    };
                    self.tool_measured(out, conversation, &mut begun, true);
                    begun.slot.filled(&text)
                }
            };
            *entry = Entry::Ended(output);
        }
        self.calls = calls;
        if matches!(self.phase, Phase::Working) {
            self.phase = Phase::Ready;
        }
    }
}
