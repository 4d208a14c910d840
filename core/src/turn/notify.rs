//! The user's own program that is told of each turn that was completed (engine.md §10.7). What
//! becomes of it is of no interest.

use serde::Serialize;

use super::Turn;
use crate::effect::Call;
use crate::outside::Outside;
use crate::owner::CallOwner;
use crate::thread::Conversation;

/// What it is told, as its last argument.
#[derive(Serialize)]
#[serde(tag = "type", rename = "agent-turn-complete", rename_all = "kebab-case")]
struct TurnComplete<'a> {
    thread_id: &'a str,
    turn_id: &'a str,
    cwd: &'a str,
    /// What the user has said, as the model was given it.
    input_messages: Vec<String>,
    last_assistant_message: Option<&'a str>,
}

impl Turn {
    /// Tells it, if there is one. A reviewer's turn is not over yet when the reviewer has answered.
    pub(super) fn notify(&self, out: &mut Outside, conversation: &Conversation) {
        let Some(argv) = &conversation.config.notify else { return };
        if conversation.subagent().is_some() {
            return;
        }
        let told = TurnComplete {
            thread_id: &self.voice.thread_id,
            turn_id: &self.id,
            cwd: &conversation.settings.cwd.to_string_lossy(),
            input_messages: conversation.user_texts(),
            last_assistant_message: self.last_agent_message.as_deref(),
        };
        let Ok(told) = serde_json::to_string(&told) else { return };
        let argv: Vec<String> = argv.iter().cloned().chain([told]).collect();
        if argv.len() > 1 {
            let program = Call::Process(Box::new(conversation.users_own_process(argv)));
            out.start(program, CallOwner::Notify);
        }
    }
}
