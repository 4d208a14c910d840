//! One sampling request: sent, answered, sent again (engine.md §2.1, §2.3, §2.4).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::voice::Changed;
use super::{Body, Next, Phase, Streaming, Turn, legacy};
use crate::auth::{CallCredential, Source};
use crate::config::Provider;
use crate::effect::{Call, HttpRequest, Method};
use crate::input::{HttpFailure, HttpFailureKind, HttpHead, Outcome};
use crate::limits;
use crate::model::errors::{self, Disconnect, ErrorInfo, ErrorScene, ModelError};
use crate::model::headers::{self, AccountFacts, RequestFacts};
use crate::model::items::OutputItem;
use crate::model::request::{self, LoginKind};
use crate::model::retry::{self, Budget};
use crate::model::rows::{self, AfterError};
use crate::model::sse::SseParser;
use crate::outside::Outside;
use crate::owner::{CallOwner, TimerOwner};
use crate::secret::Secret;
use crate::setup::Environment;
use crate::telemetry::CallEnd;
use crate::thread::Conversation;
use crate::wire::v2::turn::TurnStatus;
use crate::wire::v2::turn_error::TurnError;

/// A sampling request with what is left of its retries.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Sampling {
    /// Made once and sent again unchanged; its pieces are shared with the history.
    body: Vec<Arc<str>>,
    budget: Budget,
    /// How often it was sent.
    attempts: u32,
    /// Requests that were answered 401 since the last success (auth.md §13.1 I28, I29).
    unauthorized: u32,
    /// New tokens were waited for since the last success: another 401 is final.
    was_refreshed: bool,
    /// What the model has finished in this attempt, for the history once the response is whole. A
    /// retry forgets it: the model will say it again.
    pub(super) finished: Vec<OutputItem>,
    /// The backend's own report of a failure, which the end of the stream makes final.
    pub(super) failure: Option<ModelError>,
    pub(super) is_whole: bool,
}

impl Sampling {
    /// What is left of its retries, and what it has brought.
    #[cfg(feature = "sim")]
    pub(super) fn state(&self) -> impl std::fmt::Debug + '_ {
        let Self { budget, unauthorized, was_refreshed, finished, failure, is_whole, .. } = self;
        (budget, unauthorized, was_refreshed, finished.len(), failure, is_whole)
    }

    pub(super) fn new(body: Vec<Arc<str>>, provider: &Provider) -> Self {
        Self {
            body,
            budget: Budget::new(provider.request_max_retries, provider.stream_max_retries),
            attempts: 0,
            unauthorized: 0,
            was_refreshed: false,
            finished: Vec::new(),
            failure: None,
            is_whole: false,
        }
    }

    /// Puts what the model has finished into the history, each item behind the event that older
    /// readers go by (engine.md §8.4).
    pub(super) fn commit(&mut self, conversation: &mut Conversation, at: Timestamp) {
        for item in self.finished.drain(..) {
            for event in legacy::stored_events(&item, conversation.config.show_raw_agent_reasoning)
            {
                conversation.store_event(at, &event);
            }
            if let Some(json) = item.history_json() {
                conversation.record(at, json);
            }
        }
    }
}

/// What the machine knows and a request needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendFacts<'a> {
    pub(crate) originator: &'a str,
    pub(crate) user_agent: &'a str,
    pub(crate) env: &'a Environment,
    pub(crate) login: LoginKind,
}

impl Turn {
    /// Makes the next sampling request out of the history. Credentials come later.
    pub(super) fn sample(&mut self, out: &mut Outside, conversation: &mut Conversation) {
        for message in self.steered.drain(..) {
            conversation.keep_said(&message);
            conversation.record(out.now.wall, message);
        }
        self.voice.raw_items(out, conversation);
        let body = conversation.request_body(self.output_schema.as_ref());
        self.sampling = Some(Sampling::new(body, conversation.provider()));
        self.phase = Phase::Ready;
    }

    /// Sends the request with these credentials.
    pub(crate) fn send(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        credential: CallCredential,
        facts: SendFacts<'_>,
    ) -> Next {
        let is_remote = self.is_compacting_remotely();
        let Some(sampling) = &mut self.sampling else { return Next::Wait };
        sampling.finished.clear();
        self.calls.forget();
        if let Some(compacting) = &mut self.compacting {
            compacting.summary.clear();
        }
        sampling.failure = None;
        sampling.is_whole = false;
        sampling.attempts = sampling.attempts.saturating_add(1);
        let attempt = sampling.attempts;
        conversation.store_turn_context(out.now.wall, self.output_schema.as_ref());
        let provider = conversation.provider_facts();
        let params = provider.query_params.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let base = request::base_url(&provider, facts.login);
        let path = if is_remote { "responses/compact" } else { "responses" };
        let url = request::endpoint_url(base, path, params);
        let beta_features = conversation.beta_features();
        let request = RequestFacts {
            account: AccountFacts {
                originator: facts.originator,
                user_agent: facts.user_agent,
                bearer: credential.token.as_ref(),
                account_id: credential.account_id.as_deref(),
            },
            session_id: conversation.session_text(),
            subagent: conversation.subagent(),
            beta_features: &beta_features,
            web_search: conversation.may_search_web(),
            turn_state: self.turn_state.as_deref(),
        };
        let headers = match is_remote {
            true => headers::compact_headers(&provider, &request.account, facts.env),
            false => headers::model_headers(&provider, &request, facts.env),
        };
        let call = Call::Http(HttpRequest {
            method: Method::Post,
            url: url.clone(),
            headers,
            body: sampling.body.clone(),
            head_limit: None,
            total_limit: None,
        });
        let exchange = self.measure_exchange(out, facts.login, attempt);
        let call = out.start(call, CallOwner::Stream(conversation.id));
        let idle_limit = conversation.provider().stream_idle_timeout;
        let thread = &conversation.id_text;
        self.phase = Phase::Streaming(Streaming {
            _span: tracing::debug_span!("model_call", %thread, call = call.0),
            call,
            source: credential.source,
            bearer: credential.token,
            url,
            body: Body::Head,
            idle: out.start_timer(idle_limit, TimerOwner::StreamIdle(conversation.id)),
            heard: out.now.mono,
            exchange,
        });
        Next::Wait
    }

    /// A part of the response.
    pub(crate) fn on_outcome(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        outcome: Outcome<'_>,
    ) -> Next {
        let Phase::Streaming(streaming) = &mut self.phase else { return Next::Wait };
        streaming.heard = out.now.mono;
        match outcome {
            Outcome::HttpHead(head) => self.on_head(out, conversation, head),
            Outcome::HttpBytes(bytes) => self.on_bytes(out, conversation, bytes),
            Outcome::HttpEnd => self.on_end(out, conversation),
            Outcome::HttpFailed(failure) => self.on_failure(out, conversation, &failure),
            Outcome::Lost => self.on_failure(out, conversation, &HttpFailure::lost()),
            // A stream's call has no other answers; a runtime that gives one is in error.
            Outcome::Files(_)
            | Outcome::Listening
            | Outcome::ListenFailed(_)
            | Outcome::Visit(_)
            | Outcome::Held(_)
            | Outcome::ProcessOutput(..)
            | Outcome::ProcessExited(_)
            | Outcome::ProcessFailed(_)
            | Outcome::Found(_)
            | Outcome::Logs(_) => Next::Wait,
        }
    }

    fn on_head(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        head: HttpHead,
    ) -> Next {
        let is_remote = self.is_compacting_remotely();
        self.note_status(head.status);
        let Phase::Streaming(streaming) = &mut self.phase else { return Next::Wait };
        if !(200..300).contains(&head.status) {
            streaming.body = Body::Error(head, Vec::new());
            return Next::Wait;
        }
        streaming.body = match is_remote {
            true => Body::Whole(Vec::new()),
            false => Body::Events(SseParser::default()),
        };
        if let Some(sampling) = &mut self.sampling {
            sampling.unauthorized = 0;
            sampling.was_refreshed = false;
        }
        if self.turn_state.is_none() {
            self.turn_state = head.header("x-codex-turn-state").map(str::to_owned);
        }
        let changed =
            if conversation.take_rate_limits(&head) { Changed::Limits } else { Changed::Nothing };
        conversation.tell_tokens(out, &self.voice, changed);
        conversation.see_reasoning_header(&head);
        Next::Wait
    }

    fn on_bytes(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        bytes: &[u8],
    ) -> Next {
        let Phase::Streaming(streaming) = &mut self.phase else { return Next::Wait };
        match &mut streaming.body {
            Body::Head => Next::Wait,
            Body::Error(_, text) => {
                let room = limits::ERROR_BODY_BYTES_MAX.saturating_sub(text.len());
                text.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
                Next::Wait
            }
            Body::Whole(body) => {
                if body.len() + bytes.len() > limits::SSE_EVENT_BYTES_MAX {
                    self.stop_call(out, conversation, CallEnd::Refused);
                    let error = errors::malformed_stream("the answer is too long");
                    return self.on_error(out, conversation, error, None);
                }
                body.extend_from_slice(bytes);
                Next::Wait
            }
            Body::Events(parser) => {
                let mut parser = std::mem::take(parser);
                let fed = parser.feed(bytes, |data| self.on_event(out, conversation, data));
                if let Phase::Streaming(Streaming { body, .. }) = &mut self.phase {
                    *body = Body::Events(parser);
                }
                match fed {
                    Err(too_long) => {
                        let error = errors::malformed_stream(&too_long.to_string());
                        self.on_error(out, conversation, error, None)
                    }
                    Ok(()) => self.after_events(out, conversation),
                }
            }
        }
    }

    /// Ends the call as soon as the response is whole or has failed: what the backend keeps open
    /// after that is of no interest (engine.md §2.2).
    fn after_events(&mut self, out: &mut Outside, conversation: &mut Conversation) -> Next {
        let Some(sampling) = &mut self.sampling else { return Next::Wait };
        if sampling.is_whole {
            return self.on_whole(out, conversation);
        }
        match sampling.failure.take() {
            Some(error) => self.on_error(out, conversation, error, None),
            None => Next::Wait,
        }
    }

    fn on_end(&mut self, out: &mut Outside, conversation: &mut Conversation) -> Next {
        let Some(streaming) = self.call_is_over(out) else { return Next::Wait };
        let Streaming { source, bearer, url, body, exchange, .. } = streaming;
        let end = match &body {
            Body::Error(..) => CallEnd::Refused,
            Body::Whole(_) => CallEnd::Completed,
            Body::Head | Body::Events(_) => CallEnd::Disconnected,
        };
        self.exchange_measured(out, conversation, exchange, end);
        match body {
            Body::Error(head, text) => {
                let text = without(bearer.as_ref(), text);
                let scene = ErrorScene { url: &url, now: out.now.wall, zone: &conversation.zone };
                let error = errors::status(&head, &text, scene);
                self.on_error(out, conversation, error, Some((source, head.status)))
            }
            Body::Whole(body) => self.on_shorter(out, conversation, &body),
            Body::Head | Body::Events(_) => {
                let error = errors::disconnected(Disconnect::Closed);
                self.on_error(out, conversation, error, None)
            }
        }
    }

    fn on_failure(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        failure: &HttpFailure,
    ) -> Next {
        let streaming = self.call_is_over(out);
        let before_head =
            streaming.as_ref().is_some_and(|streaming| matches!(streaming.body, Body::Head));
        let exchange = streaming.and_then(|streaming| streaming.exchange);
        let end = match failure.kind {
            HttpFailureKind::Timeout => CallEnd::TimedOut,
            HttpFailureKind::Connect | HttpFailureKind::Body | HttpFailureKind::Request => {
                CallEnd::Disconnected
            }
        };
        self.exchange_measured(out, conversation, exchange, end);
        let error = errors::transport(failure);
        if before_head && error.retryable && self.retry_silently(out, conversation) {
            return Next::Wait;
        }
        self.on_error(out, conversation, error, None)
    }

    /// The stream has been silent for the provider's limit. While the host does not read, the
    /// stream is not read either, and that silence is not the backend's.
    pub(crate) fn on_idle(&mut self, out: &mut Outside, conversation: &mut Conversation) -> Next {
        let Phase::Streaming(streaming) = &mut self.phase else { return Next::Wait };
        let limit = conversation.provider().stream_idle_timeout;
        let since = streaming.heard.max(out.unblocked_at());
        let silent = if out.is_backed_up() { Duration::ZERO } else { out.now.mono - since };
        if silent < limit {
            let owner = TimerOwner::StreamIdle(conversation.id);
            streaming.idle = out.start_timer(limit - silent, owner);
            return Next::Wait;
        }
        self.stop_call(out, conversation, CallEnd::TimedOut);
        self.on_error(out, conversation, errors::disconnected(Disconnect::Idle), None)
    }

    /// The wait before another try is over.
    pub(crate) fn on_backoff_over(&mut self) -> Next {
        self.phase = Phase::Ready;
        Next::Freshen
    }

    /// A request failed. `answered` is set when a response said so, with its status.
    pub(super) fn on_error(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        error: ModelError,
        answered: Option<(Source, u16)>,
    ) -> Next {
        self.stop_call(out, conversation, CallEnd::Refused);
        self.items.stream_ended();
        out.reached(|| rows::error(&error));
        if let Some((source, 401)) = answered {
            return self.on_unauthorized(out, conversation, error, source);
        }
        let is_server_error = answered.is_some_and(|(_, s)| retry::is_retried_silently(s));
        if is_server_error && error.retryable && self.retry_silently(out, conversation) {
            return Next::Wait;
        }
        if error.info == ErrorInfo::ContextWindowExceeded {
            if self.sum_up_less(conversation) {
                return Next::Freshen;
            }
            conversation.fill_window();
            conversation.tell_tokens(out, &self.voice, Changed::Usage);
        }
        self.retry_openly(out, conversation, error)
    }

    /// What to do about a 401 is the credential room's to say, unless this turn has been given new
    /// tokens already and they were refused as well.
    fn on_unauthorized(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        error: ModelError,
        source: Source,
    ) -> Next {
        let Some(sampling) = &mut self.sampling else { return Next::Wait };
        sampling.unauthorized += 1;
        let is_final = sampling.was_refreshed
            || sampling.unauthorized >= limits::UNAUTHORIZED_REQUESTS_MAX
            || source == Source::Provider;
        if is_final {
            out.reached(|| AfterError::UnauthorizedFinal.row());
            return self.fail(out, conversation, error);
        }
        sampling.failure = Some(error);
        out.reached(|| AfterError::Unauthorized.row());
        Next::Unauthorized(source)
    }

    /// New tokens are being waited for.
    pub(crate) fn await_tokens(&mut self) {
        if let Some(sampling) = &mut self.sampling {
            sampling.was_refreshed = true;
        }
    }

    /// The tokens that came are another process's: if they are refused too, there is a refresh left.
    pub(crate) fn adopt_tokens(&mut self) {
        if let Some(sampling) = &mut self.sampling {
            sampling.was_refreshed = false;
        }
    }

    /// There are no new tokens: the turn fails for the `cause`, or with the backend's own words.
    pub(crate) fn fail_unauthorized(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        cause: Option<String>,
    ) -> Next {
        let said = self.sampling.as_mut().and_then(|sampling| sampling.failure.take());
        let error = match (cause, said) {
            (Some(cause), _) => ModelError::unauthorized(cause),
            (None, Some(said)) => said,
            (None, None) => ModelError::unauthorized("unexpected status 401 Unauthorized: "),
        };
        self.fail(out, conversation, error)
    }

    /// Tries again without telling anybody, if a retry of that kind is left.
    fn retry_silently(&mut self, out: &mut Outside, conversation: &Conversation) -> bool {
        let taken = self.sampling.as_mut().and_then(|sampling| sampling.budget.take_request());
        let Some(n) = taken else { return false };
        out.reached(|| AfterError::Silent.row());
        let delay = retry::request_delay(n, out.rng.jitter());
        self.back_off(out, conversation, delay);
        true
    }

    /// Tries again and says so, or fails.
    fn retry_openly(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
        error: ModelError,
    ) -> Next {
        let Some(sampling) = self.sampling.as_mut().filter(|_| error.retryable) else {
            out.reached(|| AfterError::Fatal.row());
            return self.fail(out, conversation, error);
        };
        let Some(n) = sampling.budget.take_stream() else {
            out.reached(|| AfterError::UsedUp.row());
            return self.fail(out, conversation, error);
        };
        out.reached(|| AfterError::Told.row());
        let notice = TurnError {
            message: retry::reconnecting(n, sampling.budget.stream_max()),
            codex_error_info: Some(error.retry_info().into()),
            additional_details: Some(error.message),
        };
        self.voice.error(out, &notice, true);
        let delay = retry::stream_delay(n, error.delay, out.rng.jitter());
        self.back_off(out, conversation, delay);
        Next::Wait
    }

    fn back_off(&mut self, out: &mut Outside, conversation: &Conversation, delay: Duration) {
        let timer = out.start_timer(delay, TimerOwner::Backoff(conversation.id));
        self.phase = Phase::Backoff(timer);
    }

    /// The response is whole: what it calls for is done, or what it was asked for.
    fn on_whole(&mut self, out: &mut Outside, conversation: &mut Conversation) -> Next {
        self.stop_call(out, conversation, CallEnd::Completed);
        match self.compacting.take() {
            Some(compacting) => self.on_summary(out, conversation, compacting),
            None => self.run_calls(out, conversation),
        }
    }

    /// The calls of a response have their outputs: the model gets them, or has said it all.
    pub(super) fn after_calls(
        &mut self,
        out: &mut Outside,
        conversation: &mut Conversation,
    ) -> Next {
        let called = !self.calls.is_empty();
        self.keep_finished_items(out, conversation);
        self.voice.raw_items(out, conversation);
        if called || !self.steered.is_empty() || self.inputs.is_reading() {
            if conversation.is_over_limit() && !self.is_compaction_vain {
                return self.begin_compaction(out, conversation);
            }
            return self.sample_when_read(out, conversation);
        }
        self.notify(out, conversation);
        self.complete(out, conversation, TurnStatus::Completed, None)
    }

    /// Finished items stay in the history also when the turn ends early, each call with its output.
    pub(super) fn keep_finished_items(&mut self, out: &Outside, conversation: &mut Conversation) {
        let Some(mut sampling) = self.sampling.take() else { return };
        sampling.commit(conversation, out.now.wall);
        for output in self.calls.take_outputs() {
            conversation.record(out.now.wall, output);
        }
    }

    /// Leaves the request or the wait behind: whatever still comes of it finds nobody.
    pub(super) fn stop_call(
        &mut self,
        out: &mut Outside,
        conversation: &Conversation,
        end: CallEnd,
    ) {
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Ready | Phase::Reading => {}
            Phase::Streaming(streaming) => {
                out.cancel(streaming.call);
                out.cancel_timer(streaming.idle);
                self.exchange_measured(out, conversation, streaming.exchange, end);
            }
            Phase::Backoff(timer) => out.cancel_timer(timer),
            Phase::Working | Phase::Storing(..) => {
                debug_assert!(false, "a turn that is this far has no call");
            }
        }
    }

    pub(super) fn is_compacting_remotely(&self) -> bool {
        self.compacting.as_ref().is_some_and(|compacting| compacting.is_remote)
    }

    /// The call has had its last answer. None if there is no call.
    fn call_is_over(&mut self, out: &mut Outside) -> Option<Streaming> {
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Streaming(streaming) => {
                out.cancel_timer(streaming.idle);
                Some(streaming)
            }
            other @ (Phase::Ready
            | Phase::Reading
            | Phase::Backoff(_)
            | Phase::Working
            | Phase::Storing(..)) => {
                self.phase = other;
                None
            }
        }
    }
}

/// An error's text, with the bearer hidden: it reaches the host and the stored thread.
fn without(bearer: Option<&Secret>, text: Vec<u8>) -> Vec<u8> {
    match bearer {
        None => text,
        Some(bearer) => bearer.hidden_in(&String::from_utf8_lossy(&text)).into_bytes(),
    }
}
