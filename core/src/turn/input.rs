//! What the user says in a turn: pictures that it names are read first, then it is shown and the
//! model gets it (engine.md §1.5).
//!
//! Invariants: inputs keep their order, also while one of them waits for its pictures. Nothing is
//! asked of the model meanwhile. A turn that ends before they are read keeps the words all the same.

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
use crate::thread::Conversation;
use crate::tools::{ImageFault, ImageJob};
use crate::wire::legacy::event::EventMsg;
use crate::wire::refusal::Refusal;
use crate::wire::v2::item::{ThreadItem, UserInput};

/// Inputs that are not accepted yet.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// The one whose pictures are being read.
    reading: Option<(CallId, Input)>,
    /// Those behind it.
    behind: Vec<Input>,
}

#[derive(Debug)]
struct Input {
    parts: Vec<UserInput>,
    /// It is what the turn began with.
    begins_turn: bool,
}

/// Pictures in the order in which the input names them.
type Images = std::vec::IntoIter<Result<String, ImageFault>>;

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
            self.take_input(out, conversation, Input { parts, begins_turn: false });
        }
    }

    /// The input that the turn begins with.
    pub(super) fn begin_input(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        parts: Vec<UserInput>,
    ) -> Next {
        self.take_input(out, conversation, Input { parts, begins_turn: true });
        self.sample_when_read(out, conversation)
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
        if self.inputs.is_reading() {
            return self.inputs.behind.push(input);
        }
        let paths: Vec<PathBuf> =
            local_images(&input.parts).map(|path| conversation.settings.cwd.join(path)).collect();
        if paths.is_empty() {
            return self.accept(out, conversation, input, Vec::new().into_iter());
        }
        let job = FileJob::Images(ImageJob { paths });
        let call = out.start(Call::Files(job), CallOwner::Input(conversation.id));
        self.inputs.reading = Some((call, input));
    }

    /// The pictures of an input were read.
    pub(crate) fn on_images(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        call: CallId,
        outcome: Outcome<'_>,
    ) -> Next {
        let Some((_, input)) = self.inputs.reading.take_if(|(reading, _)| *reading == call) else {
            return Next::Wait;
        };
        let images = match outcome {
            Outcome::Files(answer) => match *answer {
                FileAnswer::Images(read) => read.0,
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        self.accept(out, conversation, input, images.into_iter());
        for input in std::mem::take(&mut self.inputs.behind) {
            self.take_input(out, conversation, input);
        }
        match self.phase {
            Phase::Reading => self.sample_when_read(out, conversation),
            _ => Next::Wait,
        }
    }

    /// The turn ends: what was said is kept without its pictures.
    pub(super) fn stop_reading(&mut self, out: &mut Outside, conversation: &mut Conversation) {
        let Inputs { reading, behind } = std::mem::take(&mut self.inputs);
        let first = reading.map(|(call, input)| {
            out.cancel(call);
            input
        });
        for input in first.into_iter().chain(behind) {
            let unread = local_images(&input.parts).map(|_| Err(ImageFault::unread()));
            let unread: Vec<_> = unread.collect();
            self.accept(out, conversation, input, unread.into_iter());
        }
        if matches!(self.phase, Phase::Reading) {
            self.phase = Phase::Ready;
        }
    }

    /// Shows an input, and gives it to the model at the next opportunity.
    fn accept(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        Input { parts, begins_turn }: Input,
        images: Images,
    ) {
        let message = message_json(&parts, images);
        if begins_turn {
            conversation.record(out.now.wall, message);
            self.voice.raw_items(out, conversation);
        } else {
            self.steered.push_back(message);
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
        if begins_turn {
            let event = EventMsg::UserMessage(legacy::user_message(&parts));
            conversation.store_event(out.now.wall, &event);
        }
        let id = out.rng.uuid_v4().to_string();
        self.items.add(out, &self.voice, ThreadItem::UserMessage { id, content: parts });
        self.items.store(conversation, &self.id, out.now.wall);
    }
}

fn local_images(parts: &[UserInput]) -> impl Iterator<Item = &str> {
    parts.iter().filter_map(|part| match part {
        UserInput::LocalImage { path } => Some(path.as_str()),
        _ => None,
    })
}

/// Input without local pictures as the model gets it.
pub(super) fn user_message_json(parts: &[UserInput]) -> Arc<str> {
    message_json(parts, Vec::new().into_iter())
}

/// The input as the model gets it. Skills and mentions are for others.
fn message_json(parts: &[UserInput], mut images: Images) -> Arc<str> {
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
