//! How a command ends: what its item shows, and what the model is told.

use std::time::Duration;

use super::{Command, Running};
use crate::approval::COMMAND_DECLINED;
use crate::outside::Outside;
use crate::thread::Conversation;
use crate::tools::{Report, timed_out_text, truncate};
use crate::turn::Turn;
use crate::turn::calls::{Begun, Progress};
use crate::turn::voice::CommandEvent;
use crate::wire::v2::item::{CommandExecutionStatus, ThreadItem};

/// The code of what did not run.
const NOT_RUN: i32 = -1;

/// How a command ended.
pub(super) struct Ending {
    pub(super) status: CommandExecutionStatus,
    /// What the item shows: nothing of these where nothing ran.
    pub(super) exit_code: Option<i32>,
    pub(super) took: Option<Duration>,
    pub(super) output: String,
    pub(super) event: CommandEvent,
}

impl Ending {
    /// The user said no, or nothing at all.
    pub(super) fn declined(status: CommandExecutionStatus) -> Self {
        let event = CommandEvent::not_run(COMMAND_DECLINED);
        Self { status, exit_code: None, took: None, output: String::new(), event }
    }

    /// It did not run, and this is why.
    pub(super) fn refused(text: &str) -> Self {
        let event = CommandEvent::not_run(text);
        Self {
            status: CommandExecutionStatus::Failed,
            exit_code: Some(NOT_RUN),
            took: Some(Duration::ZERO),
            output: text.to_owned(),
            event,
        }
    }
}

impl CommandEvent {
    pub(super) fn not_run(text: &str) -> Self {
        Self {
            stderr: text.to_owned(),
            aggregated: text.to_owned(),
            exit_code: NOT_RUN,
            formatted: text.to_owned(),
            ..Self::default()
        }
    }
}

impl Turn {
    /// A command has run to its end.
    pub(super) fn on_exit(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        command: &Command,
        running: &Running,
        exit_code: i32,
    ) -> Progress {
        let took = out.now.mono.saturating_sub(running.since);
        let aggregated = running.captured.aggregated();
        let text = match running.is_too_late {
            true => timed_out_text(command.call.limit, &aggregated),
            false => aggregated.clone(),
        };
        let policy = conversation.truncation();
        let status = match exit_code {
            0 => CommandExecutionStatus::Completed,
            _ => CommandExecutionStatus::Failed,
        };
        let event = CommandEvent {
            stdout: running.captured.stdout(),
            stderr: running.captured.stderr(),
            aggregated: aggregated.clone(),
            exit_code,
            took,
            formatted: truncate(&text, policy),
        };
        let (exit_shown, took_shown) = (Some(exit_code), Some(took));
        let ending =
            Ending { status, exit_code: exit_shown, took: took_shown, output: aggregated, event };
        self.end_command(out, conversation, begun, command, ending);
        let form = conversation.output_form(command.call.form);
        Progress::Ended(Report { exit_code, took, text: &text }.output(form, policy))
    }

    /// Completes the item of the command.
    pub(super) fn end_command(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        command: &Command,
        ending: Ending,
    ) {
        let Ending { status: ended, exit_code: code, took, output, event } = ending;
        self.voice.command_ended(out, command.shown(begun), event);
        self.items.close_tool(out, &self.voice, &begun.slot.call_id, |item| {
            if let ThreadItem::CommandExecution {
                status,
                aggregated_output,
                exit_code,
                duration_ms,
                ..
            } = item
            {
                *status = ended;
                *aggregated_output = Some(output).filter(|output| !output.is_empty());
                *exit_code = code;
                *duration_ms = took.and_then(|took| i64::try_from(took.as_millis()).ok());
            }
        });
        self.items.store(conversation, &self.id, out.now.wall);
    }
}
