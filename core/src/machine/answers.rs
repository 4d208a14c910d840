//! Answers of the host to our questions, routed at once whatever else is going on
//! (auth.md §12 G4).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Machine;
use crate::effect::AskId;
use crate::input::{FreshTokens, RefreshDenied};
use crate::limits;
use crate::pending::AskOwner;
use crate::turn::ToolInput;
use crate::wire::RequestId;
use crate::wire::decode;
use crate::wire::v2::account::ExternalTokens;

/// An error as the host writes it.
#[derive(Deserialize)]
struct HostError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl Machine {
    /// A response or an error of the host. Late, duplicate and unknown ones find nobody; the id's
    /// JSON type matters (auth.md §1.2).
    pub(super) fn on_answer(&mut self, id: &RequestId, answer: Result<&RawValue, &RawValue>) {
        let RequestId::Number(id) = id else { return };
        let ask = AskId(*id);
        match self.out.close_ask(ask) {
            None => tracing::debug!(id, "an answer to no open question"),
            Some(AskOwner::Tool(thread)) => {
                self.with_turn(thread, |turn, out, conversation| {
                    turn.on_tool_input(out, conversation, ToolInput::Answer(ask, answer))
                });
            }
            Some(AskOwner::AuthRefresh) => {
                let tokens = match answer {
                    Ok(result) => decode::value::<ExternalTokens>(result)
                        .map(FreshTokens::from)
                        .map_err(|text| format!("auth refresh response is invalid: {text}")),
                    Err(error) => Err(denied(error)),
                };
                self.auth.refreshed(&mut self.out, tokens);
            }
        }
    }

    /// The program that embeds the machine answers in process.
    pub(super) fn on_embedder_refresh(
        &mut self,
        ask: AskId,
        answer: Result<FreshTokens, RefreshDenied>,
    ) {
        if self.out.close_ask(ask) == Some(AskOwner::AuthRefresh) {
            let tokens = answer.map_err(|denied| denied_text(denied.code, &denied.message));
            self.auth.refreshed(&mut self.out, tokens);
        }
    }

    pub(super) fn on_ask_expired(&mut self, ask: AskId) {
        match self.out.close_ask(ask) {
            // Tools' questions have no time limit (protocol.md §6).
            None | Some(AskOwner::Tool(_)) => {}
            Some(AskOwner::AuthRefresh) => self.auth.refresh_expired(&mut self.out),
        }
    }
}

fn denied(error: &RawValue) -> String {
    match serde_json::from_str::<HostError>(error.get()) {
        Ok(error) => denied_text(error.code, &error.message),
        Err(_) => "auth refresh request failed: the error is not an error object".to_owned(),
    }
}

/// The host's words, cut to a bound: they end in the turn's error (auth.md §14.1).
fn denied_text(code: i64, message: &str) -> String {
    let message: String = message.chars().take(limits::HOST_ERROR_CHARS_MAX).collect();
    format!("auth refresh request failed: code={code} message={message}")
}
