//! What the host is told of commands.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Voice;
use crate::outside::Outside;
use crate::process::OutputStream;
use crate::wire::legacy::approval::ParsedCommand;
use crate::wire::legacy::event::EventMsg;
use crate::wire::legacy::event_part::{
    self, ExecApprovalRequestEvent, ExecCommandBeginEvent, ExecCommandEndEvent, ExecCommandSource,
    ExecOutputStream,
};
use crate::wire::v2::delta::{
    CommandExecutionOutputDeltaNotification, TerminalInteractionNotification,
};
use crate::wire::v2::item::CommandAction;

/// A command as the host is shown it.
#[derive(Clone, Copy, Debug)]
pub(in crate::turn) struct CommandShown<'a> {
    pub(in crate::turn) call_id: &'a str,
    pub(in crate::turn) argv: &'a [String],
    pub(in crate::turn) cwd: &'a str,
    pub(in crate::turn) actions: &'a [CommandAction],
    /// Its session, if it may stay open.
    pub(in crate::turn) session: Option<i32>,
}

/// How a command ended, in the older dialect.
#[derive(Clone, Debug, Default)]
pub(in crate::turn) struct CommandEvent {
    pub(in crate::turn) stdout: String,
    pub(in crate::turn) stderr: String,
    pub(in crate::turn) aggregated: String,
    pub(in crate::turn) exit_code: i32,
    pub(in crate::turn) took: Duration,
    pub(in crate::turn) formatted: String,
}

impl CommandShown<'_> {
    pub(in crate::turn) fn process_id(&self) -> Option<String> {
        self.session.map(|id| id.to_string())
    }

    fn source(&self) -> ExecCommandSource {
        match self.session {
            Some(_) => ExecCommandSource::UnifiedExecStartup,
            None => ExecCommandSource::Agent,
        }
    }

    /// What it does, in the older spelling.
    pub(in crate::turn) fn parsed(&self) -> Vec<ParsedCommand> {
        self.actions.iter().cloned().map(Into::into).collect()
    }
}

impl Voice {
    pub(in crate::turn) fn command_began(&self, out: &mut Outside, shown: CommandShown<'_>) {
        self.event(out, "codex/event/exec_command_begin", || {
            EventMsg::ExecCommandBegin(Box::new(ExecCommandBeginEvent {
                call_id: shown.call_id.to_owned(),
                process_id: shown.process_id(),
                turn_id: self.turn_id.to_string(),
                command: shown.argv.to_vec(),
                cwd: shown.cwd.to_owned(),
                parsed_cmd: shown.parsed(),
                source: shown.source(),
                interaction_input: None,
            }))
        });
    }

    pub(in crate::turn) fn command_asked(
        &self,
        out: &mut Outside,
        shown: CommandShown<'_>,
        reason: Option<&str>,
        amendment: Option<&[String]>,
    ) {
        self.event(out, "codex/event/exec_approval_request", || {
            EventMsg::ExecApprovalRequest(Box::new(ExecApprovalRequestEvent {
                call_id: shown.call_id.to_owned(),
                turn_id: self.turn_id.to_string(),
                command: shown.argv.to_vec(),
                cwd: shown.cwd.to_owned(),
                reason: reason.map(str::to_owned),
                proposed_execpolicy_amendment: amendment.map(<[String]>::to_vec),
                parsed_cmd: shown.parsed(),
            }))
        });
    }

    /// Some output: the bytes as they came for the older dialect, and `text` for today's.
    pub(in crate::turn) fn command_printed(
        &self,
        out: &mut Outside,
        item_id: &str,
        stream: OutputStream,
        bytes: &[u8],
        text: &str,
    ) {
        self.event(out, "codex/event/exec_command_output_delta", || {
            EventMsg::ExecCommandOutputDelta {
                call_id: Cow::Borrowed(item_id),
                stream: match stream {
                    OutputStream::Stdout => ExecOutputStream::Stdout,
                    OutputStream::Stderr => ExecOutputStream::Stderr,
                },
                chunk: Cow::Owned(STANDARD.encode(bytes)),
            }
        });
        self.command_text(out, item_id, text);
    }

    /// Output for today's dialect alone.
    pub(in crate::turn) fn command_text(&self, out: &mut Outside, item_id: &str, delta: &str) {
        if !delta.is_empty() {
            let (thread_id, turn_id) = self.ids();
            let params =
                CommandExecutionOutputDeltaNotification { thread_id, turn_id, item_id, delta };
            self.say(out, "item/commandExecution/outputDelta", params);
        }
    }

    pub(in crate::turn) fn command_ended(
        &self,
        out: &mut Outside,
        shown: CommandShown<'_>,
        end: CommandEvent,
    ) {
        self.event(out, "codex/event/exec_command_end", || {
            EventMsg::ExecCommandEnd(Box::new(ExecCommandEndEvent {
                call_id: shown.call_id.to_owned(),
                process_id: shown.process_id(),
                turn_id: self.turn_id.to_string(),
                command: shown.argv.to_vec(),
                cwd: shown.cwd.to_owned(),
                parsed_cmd: shown.parsed(),
                source: shown.source(),
                interaction_input: None,
                stdout: end.stdout,
                stderr: end.stderr,
                aggregated_output: end.aggregated,
                exit_code: end.exit_code,
                duration: event_part::Duration {
                    secs: end.took.as_secs(),
                    nanos: end.took.subsec_nanos(),
                },
                formatted_output: end.formatted,
            }))
        });
    }

    /// Something was typed into a program that was left running.
    pub(in crate::turn) fn typed(
        &self,
        out: &mut Outside,
        item_id: &str,
        process_id: &str,
        stdin: &str,
    ) {
        self.event(out, "codex/event/terminal_interaction", || EventMsg::TerminalInteraction {
            call_id: item_id.to_owned(),
            process_id: process_id.to_owned(),
            stdin: stdin.to_owned(),
        });
        let (thread_id, turn_id) = self.ids();
        let params =
            TerminalInteractionNotification { thread_id, turn_id, item_id, process_id, stdin };
        self.say(out, "item/commandExecution/terminalInteraction", params);
    }

    /// Something that the user should know; only the older dialect has words for it.
    pub(in crate::turn) fn warning(&self, out: &mut Outside, message: String) {
        self.event(out, "codex/event/warning", || EventMsg::Warning { message });
    }
}
