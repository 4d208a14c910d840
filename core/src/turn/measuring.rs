//! What is measured of a turn: itself, its exchanges with the model, the tools that the model calls
//! and what is decided about them (config.md §6.3).
//!
//! Invariant: an exchange and a call of a tool are told once, when they end, whatever ends them.

use super::calls::Begun;
use super::{Phase, Turn};
use crate::model::request::LoginKind;
use crate::model::usage::TokenUsage;
use crate::outside::Outside;
use crate::secret::Secret;
use crate::telemetry::{
    CallEnd, Decision, Happening, Measure, ModelCall, ModelWish, Scope, ThreadOpened, Tokens,
    ToolEnd, TurnEnd, TurnPlace, Within, Work,
};
use crate::thread::Conversation;
use crate::wire::v2::common::SandboxPolicy;
use crate::wire::v2::item::UserInput;
use crate::wire::v2::turn::TurnStatus;

/// An exchange with the model that is measured.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Exchange {
    measure: Measure,
    wish: ModelWish,
    auth_mode: Option<&'static str>,
    attempt: u32,
    pub(super) status: Option<u16>,
    tokens: Option<Tokens>,
}

/// A call of a tool that is measured.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct ToolMeasure {
    measure: Measure,
    tool: String,
}

impl Turn {
    /// Names the turn among what is measured.
    pub(crate) fn scope(&self) -> Option<Scope> {
        self.measure.as_ref().map(Measure::scope)
    }

    fn place(&self, conversation: &Conversation) -> TurnPlace {
        TurnPlace {
            thread: conversation.id_text.clone(),
            turn: self.id.clone(),
            model: conversation.model_slug().to_owned(),
        }
    }

    /// The turn is over.
    pub(super) fn turn_measured(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
        status: TurnStatus,
    ) {
        let measure = self.measure.take();
        out.measured(measure, || Work::Turn {
            place: self.place(conversation),
            end: match status {
                TurnStatus::Completed | TurnStatus::InProgress => TurnEnd::Completed,
                TurnStatus::Interrupted => TurnEnd::Interrupted,
                TurnStatus::Failed => TurnEnd::Failed,
            },
        });
    }

    /// The user has said something.
    pub(super) fn prompt_measured(
        &self,
        out: &mut Outside,
        conversation: &Conversation,
        parts: &[UserInput],
    ) {
        out.happened(self.scope(), |has_prompts| {
            let texts = parts.iter().filter_map(|part| match part {
                UserInput::Text { text, .. } => Some(text.as_str()),
                _ => None,
            });
            let text = texts.collect::<Vec<_>>().join("\n");
            Happening::Prompt {
                place: self.place(conversation),
                chars: text.chars().count(),
                text: has_prompts.then(|| Secret::new(text)),
            }
        });
    }

    // --- exchanges with the model ---

    /// A request goes out.
    pub(super) fn measure_exchange(
        &self,
        out: &mut Outside,
        login: LoginKind,
        attempt: u32,
    ) -> Option<Box<Exchange>> {
        let measure = out.measure(Within::Work(self.scope()))?;
        Some(Box::new(Exchange {
            measure,
            wish: match self.compacting {
                Some(_) => ModelWish::Compact,
                None => ModelWish::Sample,
            },
            auth_mode: match login {
                LoginKind::ChatGpt => Some("chatgpt"),
                LoginKind::ApiKey => Some("apikey"),
                LoginKind::Nobody => None,
            },
            attempt,
            status: None,
            tokens: None,
        }))
    }

    /// The response has said what it cost.
    pub(super) fn note_tokens(&mut self, usage: Option<TokenUsage>) {
        if let (Some(exchange), Some(usage)) = (self.exchange(), usage) {
            exchange.tokens = Some(Tokens {
                input: usage.input_tokens,
                cached: usage.cached_input_tokens,
                output: usage.output_tokens,
                reasoning: usage.reasoning_output_tokens,
                total: usage.total_tokens,
            });
        }
    }

    /// The response has begun.
    pub(super) fn note_status(&mut self, status: u16) {
        if let Some(exchange) = self.exchange() {
            exchange.status = Some(status);
        }
    }

    fn exchange(&mut self) -> Option<&mut Exchange> {
        match &mut self.phase {
            Phase::Streaming(streaming) => streaming.exchange.as_deref_mut(),
            Phase::Ready
            | Phase::Reading
            | Phase::Backoff(_)
            | Phase::Working
            | Phase::Storing(..) => None,
        }
    }

    /// An exchange is over.
    pub(super) fn exchange_measured(
        &self,
        out: &mut Outside,
        conversation: &Conversation,
        exchange: Option<Box<Exchange>>,
        end: CallEnd,
    ) {
        let Some(exchange) = exchange else { return };
        let Exchange { measure, wish, auth_mode, attempt, status, tokens } = *exchange;
        out.measured(Some(measure), || {
            Work::ModelCall(Box::new(ModelCall {
                place: self.place(conversation),
                provider: conversation.config.provider_id.clone(),
                auth_mode,
                wish,
                attempt,
                status,
                tokens,
                end,
            }))
        });
    }

    // --- tools ---

    /// A tool is called.
    pub(super) fn measure_tool(&self, out: &mut Outside, tool: &str) -> Option<Box<ToolMeasure>> {
        let measure = out.measure(Within::Work(self.scope()))?;
        Some(Box::new(ToolMeasure { measure, tool: tool.to_owned() }))
    }

    /// A tool has done what it was called for, or not.
    pub(super) fn judge_tool(&mut self, call_id: &str, succeeded: bool) {
        if self.measure.is_some() {
            self.judged = Some((call_id.to_owned(), succeeded));
        }
    }

    /// A call of a tool is over.
    pub(super) fn tool_measured(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
        begun: &mut Begun,
        is_stopped: bool,
    ) {
        let Some(tool) = begun.tool.take() else { return };
        let ToolMeasure { measure, tool } = *tool;
        let call_id = begun.slot.call_id.clone();
        let end = match self.judged.take_if(|(judged, _)| *judged == call_id) {
            _ if is_stopped => ToolEnd::Stopped,
            Some((_, true)) => ToolEnd::Succeeded,
            Some((_, false)) => ToolEnd::Failed,
            None => ToolEnd::Answered,
        };
        let place = self.place(conversation);
        out.measured(Some(measure), || Work::Tool { place, tool, call_id, end });
    }

    /// It was decided about a call of a tool.
    pub(super) fn decided(
        &self,
        out: &mut Outside,
        conversation: &Conversation,
        begun: &Begun,
        decision: Decision,
        by_user: bool,
    ) {
        let Some(tool) = &begun.tool else { return };
        out.happened(Some(tool.measure.scope()), |_| Happening::ToolDecision {
            place: self.place(conversation),
            tool: tool.tool.clone(),
            call_id: begun.slot.call_id.clone(),
            decision,
            by_user,
        });
    }
}

/// A thread is there, with these settings.
pub(crate) fn thread_opened(out: &mut Outside, conversation: &Conversation) {
    out.happened(None, |_| {
        let config = &conversation.config;
        let settings = &conversation.settings;
        Happening::ThreadOpened(Box::new(ThreadOpened {
            thread: conversation.id_text.clone(),
            model: conversation.model_slug().to_owned(),
            provider: config.provider_id.clone(),
            effort: settings.effort.map(|effort| effort.as_str()),
            summary: settings.summary.as_str(),
            window: conversation.window(),
            compact_limit: conversation.compact_limit(),
            approval_policy: settings.approval_policy.as_str(),
            sandbox: match settings.sandbox {
                SandboxPolicy::DangerFullAccess => "danger-full-access",
                SandboxPolicy::ReadOnly => "read-only",
                SandboxPolicy::ExternalSandbox { .. } => "external-sandbox",
                SandboxPolicy::WorkspaceWrite { .. } => "workspace-write",
            },
            mcp_servers: config.mcp.servers.keys().cloned().collect(),
            profile: config.active_profile.clone(),
        }))
    });
}
