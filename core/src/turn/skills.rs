//! Skills that the user's words name: read, then told to the model behind those words
//! (engine.md §10.2).

use super::{Next, Phase, Turn};
use crate::effect::{Call, CallId};
use crate::files::FileJob;
use crate::limits;
use crate::model::context;
use crate::outside::Outside;
use crate::owner::CallOwner;
use crate::skills::{self, SkillPlace, SkillTexts, SkillsRead};
use crate::thread::Conversation;
use crate::wire::legacy::event::EventMsg;
use crate::wire::v2::item::UserInput;

/// Begins to read the skills that an input names, if it names any.
pub(super) fn read_named(
    out: &mut Outside,
    conversation: &Conversation,
    input: &[UserInput],
) -> Option<CallId> {
    let named = skills::named(input, &conversation.skills).into_iter();
    let skills: Vec<SkillPlace> = named.take(limits::SKILLS_NAMED_MAX).cloned().collect();
    if skills.is_empty() {
        return None;
    }
    let job = FileJob::Skills(SkillsRead { skills });
    Some(out.start(Call::Files(job), CallOwner::Skills(conversation.id)))
}

impl Turn {
    /// Skills were read: those of the input that began the turn let it go on, those of a later one
    /// wait with it.
    pub(crate) fn on_skills(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        call: CallId,
        texts: SkillTexts,
    ) -> Next {
        let begins = matches!(&self.phase, Phase::Reading(reading) if *reading == call);
        for (skill, text) in texts.0 {
            let SkillPlace { name, path } = &skill;
            match text {
                Ok(text) => {
                    let message = context::skill_json(name, path, &text);
                    match begins {
                        true => conversation.record(out.now.wall, message),
                        false => self.steered.push_back(message),
                    }
                }
                Err(error) => {
                    let message = format!("Failed to load skill {name} at {path}: {error}");
                    self.voice.event(out, "codex/event/warning", || EventMsg::Warning { message });
                }
            }
        }
        self.go_on(out, conversation, begins)
    }

    /// The backend failed before it could read them.
    pub(crate) fn on_skills_lost(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        call: CallId,
    ) -> Next {
        let begins = matches!(&self.phase, Phase::Reading(reading) if *reading == call);
        let message = "The skills that were named could not be read.".to_owned();
        self.voice.event(out, "codex/event/warning", || EventMsg::Warning { message });
        self.go_on(out, conversation, begins)
    }

    fn go_on(&mut self, out: &mut Outside, conversation: &mut Conversation, begins: bool) -> Next {
        if !begins {
            return Next::Wait;
        }
        self.sample(out, conversation);
        Next::Freshen
    }
}
