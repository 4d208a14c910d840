//! Items and events in the older dialect (protocol.md §5).

use std::borrow::Cow;

use super::voice::Voice;
use crate::model::items::OutputItem;
use crate::wire::legacy::event::{EventMsg, EventNotification, UserMessageEvent};
use crate::wire::legacy::event_part::{RequestUserInputQuestion, RequestUserInputQuestionOption};
use crate::wire::legacy::turn_item::{AgentMessageContent, TurnItem};
use crate::wire::response_item::WebSearchAction;
use crate::wire::v2::approval::{ToolRequestUserInputOption, ToolRequestUserInputQuestion};
use crate::wire::v2::item::{ThreadItem, UserInput, WebSearchAction as ShownAction};

/// An event with what it belongs to.
pub(super) fn notification<'a>(voice: &'a Voice, msg: &'a EventMsg<'a>) -> EventNotification<'a> {
    EventNotification { id: &voice.turn_id, msg, conversation_id: &voice.thread_id }
}

pub(super) fn item_started<'a>(voice: &Voice, item: &ThreadItem) -> Option<EventMsg<'a>> {
    Some(EventMsg::ItemStarted {
        thread_id: Cow::Owned(voice.thread_id.to_string()),
        turn_id: Cow::Owned(voice.turn_id.to_string()),
        item: Cow::Owned(older(item)?),
    })
}

pub(super) fn item_completed<'a>(voice: &Voice, item: &ThreadItem) -> Option<EventMsg<'a>> {
    Some(EventMsg::ItemCompleted {
        thread_id: Cow::Owned(voice.thread_id.to_string()),
        turn_id: Cow::Owned(voice.turn_id.to_string()),
        item: Cow::Owned(older(item)?),
    })
}

/// The events that clients older still go by; they follow the item's completion.
pub(super) fn afterwards(
    item: &ThreadItem,
    shows_raw: bool,
) -> Vec<(&'static str, EventMsg<'static>)> {
    match item {
        ThreadItem::UserMessage { content, .. } => {
            vec![("codex/event/user_message", EventMsg::UserMessage(user_message(content)))]
        }
        ThreadItem::AgentMessage { text, .. } => {
            let message = Cow::Owned(text.clone());
            vec![("codex/event/agent_message", EventMsg::AgentMessage { message })]
        }
        ThreadItem::Reasoning { summary, content, .. } => {
            let owned = |text: &String| Cow::Owned(text.clone());
            let summaries = summary.iter().map(|text| {
                ("codex/event/agent_reasoning", EventMsg::AgentReasoning { text: owned(text) })
            });
            let raw = content.iter().filter(|_| shows_raw).map(|text| {
                let event = EventMsg::AgentReasoningRawContent { text: owned(text) };
                ("codex/event/agent_reasoning_raw_content", event)
            });
            summaries.chain(raw).collect()
        }
        ThreadItem::WebSearch { id, query, action } => {
            let (call_id, query) = (id.clone(), query.clone());
            let action = older_action(action.as_ref());
            let event = EventMsg::WebSearchEnd { call_id, query, action };
            vec![("codex/event/web_search_end", event)]
        }
        _ => Vec::new(),
    }
}

/// The events that stand for an item in a thread's file (engine.md §8.2).
pub(super) fn stored_events(item: &OutputItem, shows_raw: bool) -> Vec<EventMsg<'_>> {
    match item {
        OutputItem::Message(message) if message.role == "assistant" => message
            .output_texts()
            .map(|text| EventMsg::AgentMessage { message: Cow::Borrowed(text) })
            .collect(),
        OutputItem::Reasoning(reasoning) => {
            let summaries = reasoning
                .summary_texts()
                .map(|text| EventMsg::AgentReasoning { text: Cow::Borrowed(text) });
            let raw = reasoning
                .content_texts()
                .filter(|_| shows_raw)
                .map(|text| EventMsg::AgentReasoningRawContent { text: Cow::Borrowed(text) });
            summaries.chain(raw).collect()
        }
        _ => Vec::new(),
    }
}

/// What the user said, in one piece.
pub(crate) fn user_message(content: &[UserInput]) -> UserMessageEvent {
    let mut event = UserMessageEvent { images: Some(Vec::new()), ..UserMessageEvent::default() };
    for part in content {
        match part {
            UserInput::Text { text, text_elements } => {
                let before = event.message.len();
                event.message.push_str(text);
                event.text_elements.extend(text_elements.iter().cloned().map(|mut element| {
                    // Places are in the whole message.
                    element.byte_range.start += before;
                    element.byte_range.end += before;
                    element.into()
                }));
            }
            UserInput::Image { url } => event.images.get_or_insert_default().push(url.clone()),
            UserInput::LocalImage { path } => event.local_images.push(path.clone()),
            UserInput::Skill { .. } | UserInput::Mention { .. } => {}
        }
    }
    event
}

/// The item in the older spelling, where it has one; the others have events of their own.
fn older(item: &ThreadItem) -> Option<TurnItem> {
    Some(match item {
        ThreadItem::UserMessage { id, content } => TurnItem::UserMessage {
            id: id.clone(),
            content: content.iter().cloned().map(Into::into).collect(),
        },
        ThreadItem::AgentMessage { id, text, .. } => TurnItem::AgentMessage {
            id: id.clone(),
            content: vec![AgentMessageContent::Text { text: text.clone() }],
        },
        ThreadItem::Reasoning { id, summary, content } => TurnItem::Reasoning {
            id: id.clone(),
            summary_text: summary.clone(),
            raw_content: content.clone(),
        },
        ThreadItem::WebSearch { id, query, action } => TurnItem::WebSearch {
            id: id.clone(),
            query: query.clone(),
            action: older_action(action.as_ref()),
        },
        ThreadItem::Plan { id, text } => TurnItem::Plan { id: id.clone(), text: text.clone() },
        ThreadItem::ContextCompaction { id } => TurnItem::ContextCompaction { id: id.clone() },
        _ => return None,
    })
}

/// A question to the user.
pub(super) fn question(asked: &ToolRequestUserInputQuestion) -> RequestUserInputQuestion {
    let option = |option: &ToolRequestUserInputOption| RequestUserInputQuestionOption {
        label: option.label.clone(),
        description: option.description.clone(),
    };
    RequestUserInputQuestion {
        id: asked.id.clone(),
        header: asked.header.clone(),
        question: asked.question.clone(),
        is_other: asked.is_other,
        is_secret: asked.is_secret,
        options: asked.options.as_ref().map(|options| options.iter().map(option).collect()),
    }
}

fn older_action(action: Option<&ShownAction>) -> WebSearchAction {
    match action.cloned() {
        Some(ShownAction::Search { query, queries }) => WebSearchAction::Search { query, queries },
        Some(ShownAction::OpenPage { url }) => WebSearchAction::OpenPage { url },
        Some(ShownAction::FindInPage { url, pattern }) => {
            WebSearchAction::FindInPage { url, pattern }
        }
        Some(ShownAction::Other) | None => WebSearchAction::Other,
    }
}
