//! What the user says in a turn: prompts that it calls, then pictures and skills that it names are
//! read first, then it is shown and the model gets it (engine.md §1.5, §10.2, §10.4).
//!
//! Invariants: inputs keep their order, also while one of them waits for what it names. Nothing is
//! asked of the model meanwhile. A turn that ends before that is read keeps the words all the same.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Next, Phase, Turn, legacy};
use crate::effect::{Call, CallId};
use crate::files::{FileAnswer, FileJob};
use crate::input::Outcome;
use crate::limits;
use crate::model::context::{self, UserContent};
use crate::outside::Outside;
use crate::owner::CallOwner;
use crate::prompts::{self, PromptsRead};
use crate::skills::{self, SkillPlace, SkillTexts, SkillsRead};
use crate::thread::Conversation;
use crate::tools::{ImageFault, ImageJob};
use crate::wire::legacy::event::EventMsg;
use crate::wire::refusal::Refusal;
use crate::wire::v2::item::{ThreadItem, UserInput};

/// Inputs that are not accepted yet.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Inputs {
    /// The one that waits for what it names.
    reading: Option<Reading>,
    /// Those behind it.
    behind: Vec<Input>,
    /// All wait behind the history, which is made short first.
    is_held: bool,
}

#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Input {
    /// As it was typed.
    parts: Vec<UserInput>,
    /// As the model gets it, where prompts stand for what was typed.
    meant: Option<Vec<UserInput>>,
    /// It is what the turn began with.
    begins_turn: bool,
}

/// An input, and what was read for it so far.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Reading {
    input: Input,
    named: Named,
    /// Jobs that are not done.
    prompts: Option<CallId>,
    pictures: Option<CallId>,
    skills: Option<CallId>,
}

/// What an input names.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Named {
    /// Pictures in the order in which the input names them.
    pictures: Vec<Result<String, ImageFault>>,
    skills: SkillTexts,
    /// They could not be read, and nobody knows which.
    are_skills_lost: bool,
    /// Why prompts that were called are not there.
    prompt_faults: Vec<String>,
}

impl Inputs {
    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }
}

impl Turn {
    /// Whether one more input may wait for the model.
    pub(crate) fn check_room(&self) -> Result<(), Refusal> {
        if self.steered.len() + self.inputs.behind.len() < limits::PENDING_INPUTS_MAX {
            return Ok(());
        }
        Err(Refusal::invalid("too many inputs wait for the running turn"))
    }

    /// Input while the turn runs joins it (protocol.md §9 G9): its item is shown now, and the model
    /// sees it with the next request.
    pub(crate) fn steer(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        parts: Vec<UserInput>,
    ) {
        if !parts.is_empty() {
            self.take_input(out, conversation, Input { parts, meant: None, begins_turn: false });
        }
    }

    /// The input that the turn begins with.
    pub(super) fn begin_input(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        parts: Vec<UserInput>,
    ) -> Next {
        let input = Input { parts, meant: None, begins_turn: true };
        if conversation.is_over_limit() {
            self.inputs.is_held = true;
            self.inputs.behind.push(input);
            return self.begin_compaction(out, conversation);
        }
        self.take_input(out, conversation, input);
        self.sample_when_read(out, conversation)
    }

    /// The history is short: what the turn began with, if it waits for that, is taken up.
    pub(super) fn release_inputs(&mut self, out: &mut Outside, conversation: &mut Conversation) {
        if !std::mem::take(&mut self.inputs.is_held) {
            return;
        }
        conversation.mark_turn();
        for input in std::mem::take(&mut self.inputs.behind) {
            self.take_input(out, conversation, input);
        }
    }

    /// Asks the model, as soon as all that the user has said is there.
    pub(super) fn sample_when_read(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
    ) -> Next {
        if self.inputs.is_reading() {
            self.phase = Phase::Reading;
            return Next::Wait;
        }
        self.sample(out, conversation);
        Next::Freshen
    }

    fn take_input(&mut self, out: &mut Outside, conversation: &mut Conversation, input: Input) {
        if self.inputs.is_reading() || self.inputs.is_held {
            return self.inputs.behind.push(input);
        }
        let named = Named::default();
        match read_prompts(out, conversation, &input.parts) {
            None => self.read_named(out, conversation, input, named),
            prompts => {
                let (pictures, skills) = (None, None);
                self.inputs.reading = Some(Reading { input, named, prompts, pictures, skills });
            }
        }
    }

    /// Reads what an input names, now that its words are there.
    fn read_named(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        input: Input,
        named: Named,
    ) {
        let pictures = read_pictures(out, conversation, input.meant());
        let skills = read_skills(out, conversation, input.meant());
        if pictures.is_none() && skills.is_none() {
            return self.accept(out, conversation, input, named);
        }
        let prompts = None;
        self.inputs.reading = Some(Reading { input, named, prompts, pictures, skills });
    }

    /// Some of what an input names was read.
    pub(crate) fn on_named(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        call: CallId,
        outcome: Outcome<'_>,
    ) -> Next {
        let Some(reading) = &mut self.inputs.reading else { return Next::Wait };
        let was_prompts = reading.prompts == Some(call);
        reading.take(call, outcome);
        let Some(read) = self.inputs.reading.take_if(|reading| reading.is_done()) else {
            return Next::Wait;
        };
        if was_prompts {
            self.read_named(out, conversation, read.input, read.named);
            if self.inputs.is_reading() {
                return Next::Wait;
            }
        } else {
            self.accept(out, conversation, read.input, read.named);
        }
        for input in std::mem::take(&mut self.inputs.behind) {
            self.take_input(out, conversation, input);
        }
        match self.phase {
            Phase::Reading => self.sample_when_read(out, conversation),
            _ => Next::Wait,
        }
    }

    /// The turn ends: what was said is kept without what it names.
    pub(super) fn stop_reading(&mut self, out: &mut Outside, conversation: &mut Conversation) {
        let Inputs { reading, behind, is_held: _ } = std::mem::take(&mut self.inputs);
        let first = reading.map(|reading| {
            let Reading { input, prompts, pictures, skills, .. } = reading;
            [prompts, pictures, skills].into_iter().flatten().for_each(|call| out.cancel(call));
            input
        });
        for input in first.into_iter().chain(behind) {
            let unread = local_images(input.meant()).map(|_| Err(ImageFault::unread()));
            let named = Named { pictures: unread.collect(), ..Named::default() };
            self.accept(out, conversation, input, named);
        }
        if matches!(self.phase, Phase::Reading) {
            self.phase = Phase::Ready;
        }
    }

    /// Shows an input, and gives it to the model at the next opportunity, its skills behind it.
    fn accept(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        input: Input,
        named: Named,
    ) {
        let mut messages = vec![message_json(input.meant(), named.pictures.into_iter())];
        let mut warnings = named.prompt_faults;
        if named.are_skills_lost {
            warnings.push("The skills that were named could not be read.".to_owned());
        }
        for (SkillPlace { name, path }, text) in named.skills.0 {
            match text {
                Ok(text) => messages.push(context::skill_json(&name, &path, &text)),
                Err(error) => {
                    warnings.push(format!("Failed to load skill {name} at {path}: {error}"));
                }
            }
        }
        let Input { parts, begins_turn, .. } = input;
        if begins_turn {
            messages.into_iter().for_each(|message| conversation.record(out.now.wall, message));
            self.voice.raw_items(out, conversation);
        } else {
            self.steered.extend(messages);
        }
        for message in warnings {
            self.voice.event(out, "codex/event/warning", || EventMsg::Warning { message });
        }
        self.show_input(out, conversation, parts, begins_turn);
    }

    /// Shows what the user said. Only what begins a turn is an event in the thread's file.
    pub(super) fn show_input(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        parts: Vec<UserInput>,
        begins_turn: bool,
    ) {
        self.prompt_measured(out, conversation, &parts);
        if begins_turn {
            let event = EventMsg::UserMessage(legacy::user_message(&parts));
            conversation.store_event(out.now.wall, &event);
        }
        let id = out.rng.uuid_v4().to_string();
        self.items.add(out, &self.voice, ThreadItem::UserMessage { id, content: parts });
        self.items.store(conversation, &self.id, out.now.wall);
    }
}

impl Input {
    /// As the model gets it.
    fn meant(&self) -> &[UserInput] {
        self.meant.as_ref().unwrap_or(&self.parts)
    }
}

impl Reading {
    fn is_done(&self) -> bool {
        self.prompts.is_none() && self.pictures.is_none() && self.skills.is_none()
    }

    /// Takes what a job has read. One that failed has read nothing.
    fn take(&mut self, call: CallId, outcome: Outcome<'_>) {
        let answer = match outcome {
            Outcome::Files(answer) => Some(*answer),
            _ => None,
        };
        if self.prompts.take_if(|prompts| *prompts == call).is_some() {
            if let Some(FileAnswer::Prompts(texts)) = answer {
                let (meant, faults) = prompts::expanded(self.input.parts.clone(), &texts);
                self.input.meant = Some(meant);
                self.named.prompt_faults = faults;
            } else {
                let fault = "The prompts that were called could not be read.".to_owned();
                self.named.prompt_faults.push(fault);
            }
        } else if self.pictures.take_if(|pictures| *pictures == call).is_some() {
            if let Some(FileAnswer::Images(read)) = answer {
                self.named.pictures = read.0;
            }
        } else if self.skills.take_if(|skills| *skills == call).is_some() {
            match answer {
                Some(FileAnswer::Skills(texts)) => self.named.skills = texts,
                _ => self.named.are_skills_lost = true,
            }
        }
    }
}

/// Begins to read the prompts that an input calls, if it calls any.
fn read_prompts(
    out: &mut Outside,
    conversation: &Conversation,
    parts: &[UserInput],
) -> Option<CallId> {
    let names = prompts::called(parts);
    if names.is_empty() {
        return None;
    }
    let job = FileJob::Prompts(PromptsRead { home: conversation.home.to_path_buf(), names });
    Some(out.start(Call::Files(job), CallOwner::Input(conversation.id)))
}

/// Begins to read the pictures that an input names by path, if it names any.
fn read_pictures(
    out: &mut Outside,
    conversation: &Conversation,
    parts: &[UserInput],
) -> Option<CallId> {
    let paths: Vec<PathBuf> =
        local_images(parts).map(|path| conversation.settings.cwd.join(path)).collect();
    if paths.is_empty() {
        return None;
    }
    let job = FileJob::Images(ImageJob { paths });
    Some(out.start(Call::Files(job), CallOwner::Input(conversation.id)))
}

/// Begins to read the skills that an input names, if it names any.
fn read_skills(
    out: &mut Outside,
    conversation: &Conversation,
    parts: &[UserInput],
) -> Option<CallId> {
    let named = skills::named(parts, &conversation.skills).into_iter();
    let skills: Vec<SkillPlace> = named.take(limits::SKILLS_NAMED_MAX).cloned().collect();
    if skills.is_empty() {
        return None;
    }
    let job = FileJob::Skills(SkillsRead { skills });
    Some(out.start(Call::Files(job), CallOwner::Input(conversation.id)))
}

fn local_images(parts: &[UserInput]) -> impl Iterator<Item = &str> {
    parts.iter().filter_map(|part| match part {
        UserInput::LocalImage { path } => Some(path.as_str()),
        _ => None,
    })
}

/// Input without local pictures as the model gets it.
pub(super) fn user_message_json(parts: &[UserInput]) -> Arc<str> {
    message_json(parts, std::iter::empty())
}

/// The input as the model gets it. What skills it names comes behind it.
fn message_json(
    parts: &[UserInput],
    mut images: impl Iterator<Item = Result<String, ImageFault>>,
) -> Arc<str> {
    let mut read = |path: &str| {
        let image = images.next().unwrap_or_else(|| Err(ImageFault::lost()));
        image.map_err(|fault| fault.in_message(path))
    };
    let content: Vec<UserContent<'_>> = parts
        .iter()
        .filter_map(|part| match part {
            UserInput::Text { text, .. } => Some(UserContent::Text(text)),
            UserInput::Image { url } => Some(UserContent::Image(url)),
            UserInput::LocalImage { path } => Some(UserContent::LocalImage(read(path))),
            UserInput::Skill { .. } | UserInput::Mention { .. } => None,
        })
        .collect();
    context::user_message_json(&content)
}
