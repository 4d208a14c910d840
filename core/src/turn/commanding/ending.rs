//! How a command ends: what its item shows, and what the model is told.

use std::time::Duration;

use super::{Command, Running};
use crate::approval::COMMAND_DECLINED;
use crate::model::catalogue::Truncation;
use crate::outside::Outside;
use crate::thread::Conversation;
use crate::tools::{OutputForm, Report, SessionReport, found, timed_out_text, truncate};
use crate::turn::Turn;
use crate::turn::calls::{Begun, Progress};
use crate::turn::sessions::chunk;
use crate::turn::voice::CommandEvent;
use crate::wire::v2::item::{CommandExecutionStatus, ThreadItem};

/// The code of what did not run.
const NOT_RUN: i32 = -1;

/// How a command ended.
pub(in crate::turn) struct Ending {
    status: CommandExecutionStatus,
    /// What the item shows: nothing of these where nothing ran.
    exit_code: Option<i32>,
    took: Option<Duration>,
    output: String,
    event: CommandEvent,
}

impl Ending {
    /// The user said no, or nothing at all.
    pub(super) fn declined(status: CommandExecutionStatus) -> Self {
        let event = CommandEvent::not_run(COMMAND_DECLINED);
        Self { status, exit_code: None, took: None, output: String::new(), event }
    }

    /// The turn ended before it could run.
    pub(super) fn withdrawn(text: &str) -> Self {
        let event = CommandEvent::not_run(text);
        let status = CommandExecutionStatus::Failed;
        Self { status, exit_code: None, took: None, output: String::new(), event }
    }

    /// It did not run, and this is why.
    pub(super) fn refused(text: &str) -> Self {
        Self {
            status: CommandExecutionStatus::Failed,
            exit_code: Some(NOT_RUN),
            took: Some(Duration::ZERO),
            output: text.to_owned(),
            event: CommandEvent::not_run(text),
        }
    }

    /// It was killed while it ran.
    pub(in crate::turn) fn stopped(running: &Running, now: Duration) -> Self {
        let took = now.saturating_sub(running.since);
        let output = running.captured.aggregated();
        let event = running.event(NOT_RUN, took, output.clone());
        let status = CommandExecutionStatus::Failed;
        Self { status, exit_code: None, took: Some(took), output, event }
    }

    /// It ran to its end.
    pub(in crate::turn) fn ran(
        running: &Running,
        exit_code: i32,
        now: Duration,
        policy: Truncation,
    ) -> Self {
        let took = now.saturating_sub(running.since);
        let status = match exit_code {
            0 => CommandExecutionStatus::Completed,
            _ => CommandExecutionStatus::Failed,
        };
        let event = running.event(exit_code, took, truncate(&running.text(), policy));
        let output = running.captured.aggregated();
        Self { status, exit_code: Some(exit_code), took: Some(took), output, event }
    }
}

impl Running {
    /// What the model is told that it wrote.
    fn text(&self) -> String {
        let said = self.captured.aggregated();
        match self.is_too_late {
            true => timed_out_text(self.limit, &said),
            false => said,
        }
    }

    fn event(&self, exit_code: i32, took: Duration, formatted: String) -> CommandEvent {
        CommandEvent {
            stdout: self.captured.stdout(),
            stderr: self.captured.stderr(),
            aggregated: self.captured.aggregated(),
            exit_code,
            took,
            formatted,
        }
    }
}

impl CommandEvent {
    fn not_run(text: &str) -> Self {
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
        let policy = conversation.truncation();
        let ending = Ending::ran(running, exit_code, out.now.mono, policy);
        self.end_command(out, conversation, &begun.slot.call_id, command, ending);
        let took = out.now.mono.saturating_sub(running.since);
        if let OutputForm::Paths(limit) = command.call.form
            && let Some(paths) = found(exit_code, &running.captured.stdout(), limit)
        {
            return Progress::Ended(truncate(&paths, policy));
        }
        let text = running.text();
        Progress::Ended(match command.call.session {
            None => {
                let form = conversation.output_form(command.call.form);
                Report { exit_code, took, text: &text }.output(form, policy)
            }
            Some(wish) => {
                let (chunk, end) = (chunk(out), Ok(exit_code));
                SessionReport { chunk, took, end, text: &text, tokens: wish.tokens }.output()
            }
        })
    }

    /// Completes the item of the command.
    pub(in crate::turn) fn end_command(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        item_id: &str,
        command: &Command,
        ending: Ending,
    ) {
        let Ending { status, exit_code, took, output, event } = ending;
        self.judge_tool(item_id, status == CommandExecutionStatus::Completed);
        self.voice.command_ended(out, command.shown(item_id), event);
        self.close_command_item(out, item_id, status, exit_code, took, output);
        self.items.store(conversation, &self.id, out.now.wall);
    }

    /// Completes it, and no more: the program may still run.
    pub(in crate::turn) fn close_command_item(
        &mut self,
        out: &mut Outside,
        item_id: &str,
        ended: CommandExecutionStatus,
        code: Option<i32>,
        took: Option<Duration>,
        output: String,
    ) {
        self.items.close_tool(out, &self.voice, item_id, |item| {
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
    }
}
