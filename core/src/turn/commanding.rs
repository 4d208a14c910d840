//! The command of a call: ruled on, asked about, run to its end (engine.md §3.3, §4).
//!
//! Invariants: a command runs with the rights that the decision table gave, or that the user was
//! asked for, and no others; to run it again without a sandbox is always a question of its own
//! (engine.md §13, 4). Its item is started before anybody is asked, and completed once. When the
//! turn ends first, its whole process group is killed.

mod ending;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::Turn;
use super::calls::{Begun, Dialect, Doing, Progress, ToolInput};
use super::sessions::code;
use super::voice::CommandShown;
use crate::approval::{
    COMMAND_DECLINED, CommandKey, CommandRuling, RETRY_REASON, Retry, Rights, after_denial,
    looks_denied, rows,
};
use crate::effect::{AskId, Call, CallId, Feed, TimerId};
use crate::files::{FileAnswer, FileJob};
use crate::input::Outcome;
use crate::limits;
use crate::model::context;
use crate::outside::Outside;
use crate::owner::{CallOwner, TimerOwner};
use crate::pending::AskOwner;
use crate::process::{OutputStream, ProcessFailure, ProcessFailureKind};
use crate::telemetry;
use crate::thread::Conversation;
use crate::tools::command::{actions, one_line};
use crate::tools::{BARE_PATCH, Captured, Decoder, InCommand, SessionWish, ShellCall, in_command};
use crate::wire::decode;
use crate::wire::legacy::approval::{
    ExecCommandApprovalParams, ExecCommandApprovalResponse, ReviewDecision,
};
use crate::wire::legacy::id::ThreadId as LegacyThreadId;
use crate::wire::v2::approval::{
    CommandExecutionApprovalDecision as Decision, CommandExecutionRequestApprovalParams,
    CommandExecutionRequestApprovalResponse,
};
use crate::wire::v2::item::{CommandAction, CommandExecutionStatus, ThreadItem};
pub(super) use ending::Ending;

/// What the model is told when nobody knows what became of a command.
const LOST: &str = "the process backend failed; the command may have run";

/// The code of a command that ran for too long, as `timeout` has it.
const TIMED_OUT: i32 = 124;

/// A command that is open.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Commanding {
    command: Arc<Command>,
    stage: Stage,
}

/// What does not change while it is open.
#[derive(Debug)]
pub(super) struct Command {
    call: ShellCall,
    cwd: PathBuf,
    cwd_text: String,
    actions: Vec<CommandAction>,
    /// The session that it has if it stays open.
    session: Option<i32>,
    /// The rule to propose when the user is asked.
    amendment: Option<Vec<String>>,
}

/// How far it is.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
enum Stage {
    /// The user is asked whether it may run with these rights.
    Asking(AskId, Dialect, Rights),
    /// It may run; what the user allowed from now on is saved first.
    Amending(CallId, Vec<String>, Rights),
    /// It runs.
    Running(Box<Running>),
}

/// A program that runs.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Running {
    pub(super) call: CallId,
    timer: TimerId,
    /// When it was started, in time since the runtime's start.
    pub(super) since: Duration,
    limit: Duration,
    rights: Rights,
    pub(super) captured: Captured,
    stdout: Told,
    stderr: Told,
    is_too_late: bool,
}

/// What the host was told of one stream.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Told {
    decoder: Decoder,
    deltas: u32,
}

impl Command {
    fn shown<'a>(&'a self, call_id: &'a str) -> CommandShown<'a> {
        CommandShown {
            call_id,
            session: self.session,
            argv: &self.call.argv,
            cwd: &self.cwd_text,
            actions: &self.actions,
        }
    }

    /// How it is to stay open, and as which session.
    pub(super) fn session(&self) -> Option<(SessionWish, i32)> {
        self.call.session.zip(self.session)
    }

    fn key(&self, rights: Rights) -> CommandKey {
        CommandKey {
            argv: self.call.argv.clone(),
            cwd: self.cwd.clone(),
            tty: self.call.session.is_some_and(|wish| wish.tty),
            escalation: self.call.escalation,
            rights,
        }
    }
}

impl Commanding {
    pub(super) fn waits_for(&self, input: &ToolInput<'_>) -> bool {
        match (&self.stage, input) {
            (Stage::Asking(ask, ..), ToolInput::Answer(id, _)) => ask == id,
            (Stage::Amending(call, ..), ToolInput::Outcome(id, _)) => call == id,
            (Stage::Running(running), ToolInput::Outcome(id, _)) => running.call == *id,
            (Stage::Running(running), ToolInput::Timer(id)) => running.timer == *id,
            (Stage::Asking(..), ToolInput::Outcome(..) | ToolInput::Timer(_))
            | (Stage::Amending(..), ToolInput::Answer(..) | ToolInput::Timer(_))
            | (Stage::Running(_), ToolInput::Answer(..))
            | (_, ToolInput::Ended(_)) => false,
        }
    }
}

impl Turn {
    /// A command is refused, taken for a patch, asked about, or run.
    pub(super) fn begin_command(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        call: ShellCall,
    ) -> Progress {
        out.reached(|| rows::command(conversation.case(&call)));
        let ruling = conversation.ruling(&call);
        if let CommandRuling::Refuse { text, item: false } = ruling {
            self.decided(out, conversation, begun, telemetry::Decision::Denied, false);
            return Progress::Ended(text);
        }
        let cwd = call.cwd(&conversation.settings.cwd);
        match in_command(&call.argv) {
            Some(InCommand::Bare) => return Progress::Ended(BARE_PATCH.to_owned()),
            Some(InCommand::Patch { text, folder }) => {
                let warning = format!(
                    "Warning: apply_patch was requested via {}. Use the apply_patch tool instead \
                     of exec_command.",
                    call.tool
                );
                // The developer says it: what the user says counts as a turn (engine.md §10.8).
                conversation.record(out.now.wall, context::developer_json(&warning));
                let cwd = folder.map_or(cwd.clone(), |folder| cwd.join(folder));
                return self.begin_patch(out, conversation, text, cwd);
            }
            None => {}
        }
        let (asks, amendment) = match ruling {
            CommandRuling::Run { rights, amendment } => (Ok((rights, None)), amendment),
            CommandRuling::Ask { rights, reason, amendment } => {
                (Ok((rights, Some(reason))), amendment)
            }
            CommandRuling::Refuse { text, .. } => (Err(text), None),
        };
        let command = Arc::new(Command {
            cwd_text: cwd.to_string_lossy().into_owned(),
            cwd,
            actions: actions(&call.argv),
            session: call.session.map(|_| conversation.sessions.reserve(out)),
            call,
            amendment,
        });
        self.show_command(out, begun, &command);
        match asks {
            Err(text) => {
                self.decided(out, conversation, begun, telemetry::Decision::Denied, false);
                self.refuse_command(out, conversation, begun, &command, text)
            }
            Ok((rights, None)) => {
                self.decided(out, conversation, begun, telemetry::Decision::Approved, false);
                run(out, conversation, command, rights)
            }
            Ok((rights, Some(_))) if conversation.approvals.has_command(&command.key(rights)) => {
                let decision = telemetry::Decision::ApprovedForSession;
                self.decided(out, conversation, begun, decision, true);
                run(out, conversation, command, rights)
            }
            Ok((rights, Some(reason))) => {
                self.ask_about_command(out, conversation, begun, command, rights, reason)
            }
        }
    }

    fn show_command(&mut self, out: &mut Outside, begun: &Begun, command: &Command) {
        self.voice.command_began(out, command.shown(&begun.slot.call_id));
        let item = ThreadItem::CommandExecution {
            id: begun.slot.call_id.clone(),
            command: one_line(&command.call.argv),
            cwd: command.cwd_text.clone(),
            process_id: command.session.map(|id| id.to_string()),
            status: CommandExecutionStatus::InProgress,
            command_actions: command.actions.clone(),
            aggregated_output: None,
            exit_code: None,
            duration_ms: None,
        };
        self.items.open(out, &self.voice, item);
    }

    fn ask_about_command(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
        begun: &Begun,
        command: Arc<Command>,
        rights: Rights,
        reason: Option<String>,
    ) -> Progress {
        let shown = command.shown(&begun.slot.call_id);
        let amendment = command.amendment.as_deref();
        self.voice.command_asked(out, shown, reason.as_deref(), amendment);
        let owner = AskOwner::Tool(conversation.id);
        let dialect = self.voice.dialect();
        let ask = match dialect {
            Dialect::Legacy => {
                let params = ExecCommandApprovalParams {
                    conversation_id: LegacyThreadId(conversation.id.0),
                    call_id: begun.slot.call_id.clone(),
                    command: command.call.argv.clone(),
                    cwd: command.cwd_text.clone(),
                    reason,
                    parsed_cmd: shown.parsed(),
                };
                out.ask(owner, "execCommandApproval", params, None)
            }
            Dialect::V2 => {
                let params = CommandExecutionRequestApprovalParams {
                    thread_id: self.voice.thread_id.to_string(),
                    turn_id: self.id.to_string(),
                    item_id: begun.slot.call_id.clone(),
                    started_at_ms: out.now.unix_ms(),
                    reason,
                    command: Some(one_line(&command.call.argv)),
                    cwd: Some(command.cwd_text.clone()),
                    command_actions: Some(command.actions.clone()),
                    proposed_execpolicy_amendment: command.amendment.clone(),
                };
                out.ask(owner, "item/commandExecution/requestApproval", params, None)
            }
        };
        open(command, Stage::Asking(ask, dialect, rights))
    }

    /// Something has come that the command waits for.
    pub(super) fn on_command_input(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        commanding: Commanding,
        input: ToolInput<'_>,
    ) -> Progress {
        let Commanding { command, stage } = commanding;
        match (stage, input) {
            (Stage::Asking(_, dialect, rights), ToolInput::Answer(_, answer)) => {
                self.on_decision(out, conversation, begun, command, dialect, rights, answer)
            }
            (Stage::Amending(_, words, rights), ToolInput::Outcome(_, outcome)) => {
                self.on_amended(out, conversation, &words, outcome);
                run(out, conversation, command, rights)
            }
            (Stage::Running(mut running), ToolInput::Timer(_)) => {
                if let Some(kept) = command.session() {
                    return self.leave_running(out, conversation, begun, command, running, kept);
                }
                running.is_too_late = true;
                out.feed(running.call, Feed::Kill);
                open(command, Stage::Running(running))
            }
            (Stage::Running(running), ToolInput::Outcome(_, outcome)) => {
                self.on_process(out, conversation, begun, command, running, outcome)
            }
            (stage, _) => open(command, stage),
        }
    }

    /// The user has answered. What is no answer counts as a no (protocol.md §6).
    #[expect(clippy::too_many_arguments, reason = "a step with all that it is about")]
    fn on_decision(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        command: Arc<Command>,
        dialect: Dialect,
        rights: Rights,
        answer: Result<&RawValue, &RawValue>,
    ) -> Progress {
        let (decision, no) = match answer {
            Ok(answer) => (decision(dialect, answer), CommandExecutionStatus::Declined),
            Err(_) => (Decision::Decline, CommandExecutionStatus::Failed),
        };
        self.decided(out, conversation, begun, measured(&decision), true);
        match decision {
            Decision::Accept => run(out, conversation, command, rights),
            Decision::AcceptForSession => {
                conversation.approvals.approve_command(command.key(rights));
                run(out, conversation, command, rights)
            }
            Decision::AcceptWithExecpolicyAmendment { execpolicy_amendment: words } => {
                let job = FileJob::Amend(conversation.allow(words.clone()));
                let call = out.start(Call::Files(job), CallOwner::Amend(conversation.id));
                open(command, Stage::Amending(call, words, rights))
            }
            Decision::Decline | Decision::Cancel => {
                self.end_command(
                    out,
                    conversation,
                    &begun.slot.call_id,
                    &command,
                    Ending::declined(no),
                );
                let output = COMMAND_DECLINED.to_owned();
                match decision {
                    Decision::Cancel => Progress::EndedTurn(output),
                    _ => Progress::Ended(output),
                }
            }
        }
    }

    /// A rule of the user's was saved, or could not be; it holds for this thread either way.
    fn on_amended(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        words: &[String],
        outcome: Outcome<'_>,
    ) {
        let saved = match outcome {
            Outcome::Files(answer) => match *answer {
                FileAnswer::Amended(saved) => saved.map_err(|error| error.to_string()),
                other => Err(format!("no answer but {other:?}")),
            },
            _ => Err("the file backend failed".to_owned()),
        };
        match saved {
            Err(error) => {
                let text = format!("Failed to apply execpolicy amendment: {error}");
                self.voice.warning(out, text);
            }
            Ok(()) => {
                let text = format!("Approved command prefix saved:\n- {words:?}");
                conversation.record(out.now.wall, context::developer_json(&text));
            }
        }
    }

    /// The program has said something, or has ended.
    fn on_process(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        command: Arc<Command>,
        mut running: Box<Running>,
        outcome: Outcome<'_>,
    ) -> Progress {
        let exit_code = match outcome {
            Outcome::ProcessOutput(stream, bytes) => {
                self.on_output(out, &begun.slot.call_id, &mut running, stream, bytes);
                return open(command, Stage::Running(running));
            }
            Outcome::ProcessExited(exit) => Ok(match exit {
                _ if running.is_too_late => TIMED_OUT,
                exit => code(exit),
            }),
            Outcome::ProcessFailed(failure) => Err(failure),
            _ => Err(ProcessFailure { kind: ProcessFailureKind::Other, text: LOST.to_owned() }),
        };
        out.cancel_timer(running.timer);
        self.tell_rest(out, &begun.slot.call_id, &mut running);
        let was_denied = was_denied(&running, &exit_code);
        let policy = conversation.settings.approval_policy;
        if was_denied {
            out.reached(|| rows::denial(policy));
        }
        if was_denied && after_denial(policy) == Retry::Ask {
            let rights = Rights::Free;
            if conversation.approvals.has_command(&command.key(rights)) {
                return run(out, conversation, command, rights);
            }
            let reason = Some(RETRY_REASON.to_owned());
            return self.ask_about_command(out, conversation, begun, command, rights, reason);
        }
        match exit_code {
            Err(failure) => {
                let text = format!("execution error: {}", failure.text);
                self.refuse_command(out, conversation, begun, &command, text)
            }
            Ok(code) => self.on_exit(out, conversation, begun, &command, &running, code),
        }
    }

    /// The command does not run: its item fails, and the model is told why.
    fn refuse_command(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        command: &Command,
        text: String,
    ) -> Progress {
        let call_id = &begun.slot.call_id;
        self.end_command(out, conversation, call_id, command, Ending::refused(&text));
        Progress::Ended(text)
    }

    /// Tells and keeps some output.
    pub(super) fn on_output(
        &self,
        out: &mut Outside,
        item_id: &str,
        running: &mut Running,
        stream: OutputStream,
        bytes: &[u8],
    ) {
        running.captured.push(stream, bytes);
        let told = match stream {
            OutputStream::Stdout => &mut running.stdout,
            OutputStream::Stderr => &mut running.stderr,
        };
        if told.deltas < limits::SHELL_DELTAS_MAX {
            told.deltas += 1;
            let text = told.decoder.feed(bytes);
            self.voice.command_printed(out, item_id, stream, bytes, &text);
        }
    }

    /// Tells what the streams broke off in.
    pub(super) fn tell_rest(&self, out: &mut Outside, item_id: &str, running: &mut Running) {
        for told in [&mut running.stdout, &mut running.stderr] {
            let rest = told.decoder.finish();
            self.voice.command_text(out, item_id, &rest);
        }
    }

    /// The turn ends: what the command waits for is withdrawn, and what runs is killed. Gives what
    /// the model is told.
    pub(super) fn abort_command(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        begun: &Begun,
        commanding: Commanding,
    ) -> String {
        let Commanding { command, stage } = commanding;
        let text = match command.session {
            Some(_) => begun.aborted_text(out.now.mono),
            None => {
                format!("Wall time: {:.1} seconds\naborted by user", begun.seconds(out.now.mono))
            }
        };
        let ending = match stage {
            Stage::Asking(ask, ..) => {
                out.close_ask(ask);
                Ending::withdrawn(&text)
            }
            // What the user allowed is saved all the same.
            Stage::Amending(..) => Ending::withdrawn(&text),
            Stage::Running(mut running) => {
                out.cancel_timer(running.timer);
                out.cancel(running.call);
                self.tell_rest(out, &begun.slot.call_id, &mut running);
                Ending::stopped(&running, out.now.mono)
            }
        };
        self.end_command(out, conversation, &begun.slot.call_id, &command, ending);
        text
    }
}

fn open(command: Arc<Command>, stage: Stage) -> Progress {
    Progress::Open(Doing::Command(Commanding { command, stage }))
}

/// Runs a command with just these rights.
fn run(
    out: &mut Outside,
    conversation: &Conversation,
    command: Arc<Command>,
    rights: Rights,
) -> Progress {
    let request = conversation.process(&command.call, command.cwd.clone(), rights);
    let call = Call::Process(Box::new(request));
    let call = out.start(call, CallOwner::Process(conversation.id));
    let timer = out.start_timer(command.call.limit, TimerOwner::Tool(conversation.id));
    let running = Running {
        call,
        timer,
        since: out.now.mono,
        limit: command.call.limit,
        rights,
        captured: Captured::default(),
        stdout: Told::default(),
        stderr: Told::default(),
        is_too_late: false,
    };
    open(command, Stage::Running(Box::new(running)))
}

/// Whether the sandbox seems to have stopped the command, or could not be had.
fn was_denied(running: &Running, end: &Result<i32, ProcessFailure>) -> bool {
    if running.rights == Rights::Free || running.is_too_late {
        return false;
    }
    match end {
        Ok(code) => looks_denied(*code, running.captured.aggregated().as_bytes()),
        Err(failure) => failure.kind == ProcessFailureKind::NoSandbox,
    }
}

/// The decision as it is measured.
fn measured(decision: &Decision) -> telemetry::Decision {
    match decision {
        Decision::Accept => telemetry::Decision::Approved,
        Decision::AcceptForSession => telemetry::Decision::ApprovedForSession,
        Decision::AcceptWithExecpolicyAmendment { .. } => telemetry::Decision::ApprovedByRule,
        Decision::Decline => telemetry::Decision::Denied,
        Decision::Cancel => telemetry::Decision::Abort,
    }
}

/// The decision in an answer.
fn decision(dialect: Dialect, answer: &RawValue) -> Decision {
    match dialect {
        Dialect::V2 => decode::value::<CommandExecutionRequestApprovalResponse>(answer)
            .map_or(Decision::Decline, |answer| answer.decision),
        Dialect::Legacy => match decode::value::<ExecCommandApprovalResponse>(answer) {
            Err(_) => Decision::Decline,
            Ok(answer) => match answer.decision {
                ReviewDecision::Approved => Decision::Accept,
                ReviewDecision::ApprovedExecpolicyAmendment { proposed_execpolicy_amendment } => {
                    Decision::AcceptWithExecpolicyAmendment {
                        execpolicy_amendment: proposed_execpolicy_amendment,
                    }
                }
                ReviewDecision::ApprovedForSession => Decision::AcceptForSession,
                ReviewDecision::Denied => Decision::Decline,
                ReviewDecision::Abort => Decision::Cancel,
            },
        },
    }
}
