//! Items in the older spelling: what `item_started` and `item_completed` carry.

use serde::{Deserialize, Serialize};

use crate::wire::response_item::WebSearchAction;
use crate::wire::v2;
use crate::wire::v2::common::ByteRange;

/// One part of a turn. Names of types begin with a capital on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type")]
pub enum TurnItem {
    /// What the user said.
    UserMessage {
        /// Item id.
        id: String,
        /// Its parts.
        content: Vec<UserInput>,
    },
    /// What the agent said.
    AgentMessage {
        /// Item id.
        id: String,
        /// Its parts.
        content: Vec<AgentMessageContent>,
    },
    /// A plan that the agent proposes.
    Plan {
        /// Item id.
        id: String,
        /// The plan.
        text: String,
    },
    /// What the agent thought.
    Reasoning {
        /// Item id.
        id: String,
        /// In short, by section.
        summary_text: Vec<String>,
        /// As the model wrote it.
        #[serde(default)]
        raw_content: Vec<String>,
    },
    /// A search in the web.
    WebSearch {
        /// Item id.
        id: String,
        /// What is looked for.
        query: String,
        /// What is done.
        action: WebSearchAction,
    },
    /// The history was made shorter.
    ContextCompaction {
        /// Item id.
        id: String,
    },
}

/// A part of what the agent said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type")]
pub enum AgentMessageContent {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
}

/// One part of what the user says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UserInput {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Pieces of it that a client draws in its own way.
        #[serde(default)]
        text_elements: Vec<TextElement>,
    },
    /// A picture by URL.
    Image {
        /// `https:` or `data:`.
        image_url: String,
    },
    /// A picture by path.
    LocalImage {
        /// Path.
        path: String,
    },
    /// A skill to be used.
    Skill {
        /// Its name.
        name: String,
        /// Path of its `SKILL.md`.
        path: String,
    },
    /// Something that the text talks about.
    Mention {
        /// Its name.
        name: String,
        /// Its path.
        path: String,
    },
}

/// A piece of a text that a client draws in its own way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TextElement {
    /// Which piece.
    pub byte_range: ByteRange,
    /// What is shown in its place.
    pub placeholder: Option<String>,
}

impl From<v2::item::TextElement> for TextElement {
    fn from(element: v2::item::TextElement) -> Self {
        Self { byte_range: element.byte_range, placeholder: element.placeholder }
    }
}

impl From<TextElement> for v2::item::TextElement {
    fn from(element: TextElement) -> Self {
        Self { byte_range: element.byte_range, placeholder: element.placeholder }
    }
}

impl From<v2::item::UserInput> for UserInput {
    fn from(input: v2::item::UserInput) -> Self {
        use v2::item::UserInput as V2;
        match input {
            V2::Text { text, text_elements } => Self::Text {
                text,
                text_elements: text_elements.into_iter().map(Into::into).collect(),
            },
            V2::Image { url } => Self::Image { image_url: url },
            V2::LocalImage { path } => Self::LocalImage { path },
            V2::Skill { name, path } => Self::Skill { name, path },
            V2::Mention { name, path } => Self::Mention { name, path },
        }
    }
}

impl From<UserInput> for v2::item::UserInput {
    fn from(input: UserInput) -> Self {
        match input {
            UserInput::Text { text, text_elements } => Self::Text {
                text,
                text_elements: text_elements.into_iter().map(Into::into).collect(),
            },
            UserInput::Image { image_url } => Self::Image { url: image_url },
            UserInput::LocalImage { path } => Self::LocalImage { path },
            UserInput::Skill { name, path } => Self::Skill { name, path },
            UserInput::Mention { name, path } => Self::Mention { name, path },
        }
    }
}
