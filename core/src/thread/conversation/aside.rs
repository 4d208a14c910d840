//! A reviewer works in the thread's place: the turn runs as ever, but in a history of its own, with
//! instructions, model and tools of its own (engine.md §10.6).
//!
//! Invariant: what is put by comes back unchanged, but for settings that the user changed meanwhile
//! and for what the user said, which belongs to the thread.

use std::sync::Arc;

use uuid::Uuid;

use super::Conversation;
use crate::config::Config;
use crate::config::kinds::WebSearchMode;
use crate::model::catalogue::{Catalogue, ModelRecord};
use crate::model::review;

/// What of a conversation is put by.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Aside {
    /// Names the reviewer to the backend.
    session: Arc<str>,
    config: Arc<Config>,
    model: Arc<ModelRecord>,
    instructions: Arc<str>,
    history: Vec<Arc<str>>,
    /// What the user said to the reviewer.
    said: Vec<Arc<str>>,
}

impl Aside {
    /// The user changed the model: that is for what comes after the review.
    pub(super) fn follow(&mut self, slug: &str, catalogue: &Catalogue) {
        if *self.model.slug != *slug {
            self.model = catalogue.find(slug);
        }
    }
}

impl Conversation {
    /// A reviewer begins, asked by the message `prompt`.
    pub(crate) fn step_aside(&mut self, session: Uuid, model: Arc<ModelRecord>, prompt: Arc<str>) {
        let mut config = Config::clone(&self.config);
        // What is reviewed lies here, and what it says must not send the reviewer elsewhere.
        config.web_search = Some(WebSearchMode::Disabled);
        // A mode is how the thread's own model works with its user.
        let mut history = self.context_with(None);
        history.push(prompt);
        let put_by = Aside {
            session: session.to_string().into(),
            config: std::mem::replace(&mut self.config, config.into()),
            model: std::mem::replace(&mut self.model, model),
            instructions: std::mem::replace(&mut self.instructions, review::instructions_json()),
            history: std::mem::replace(&mut self.history, history),
            said: Vec::new(),
        };
        self.aside = Some(Box::new(put_by));
        // The client's tools are for the thread's own model.
        self.tools = self.own_tools();
    }

    /// Takes over settings and configuration of the thread whose review this one is for.
    pub(crate) fn follow(&mut self, other: &Self) {
        self.settings.clone_from(&other.settings);
        self.told.clone_from(&other.settings);
        self.config = other.config.clone();
        self.model = other.model.clone();
        self.offer_tools();
    }

    /// The reviewer is done. Gives what the user said to it; none if there was no reviewer.
    pub(crate) fn come_back(&mut self) -> Option<Vec<Arc<str>>> {
        let Aside { session: _, config, model, instructions, history, said } =
            *self.aside.take()?;
        self.config = config;
        self.model = model;
        self.instructions = instructions;
        self.history = history;
        self.offer_tools();
        Some(said)
    }

    /// The user said something to the reviewer.
    pub(crate) fn keep_said(&mut self, message: &Arc<str>) {
        if let Some(aside) = &mut self.aside {
            aside.said.push(message.clone());
        }
    }

    /// Names whoever works here to the backend, which keeps apart what it remembers of them.
    pub(crate) fn session_text(&self) -> &Arc<str> {
        self.aside.as_ref().map_or(&self.id_text, |aside| &aside.session)
    }

    /// What kind of helper works in the thread's place, as the backend is told.
    pub(crate) fn subagent(&self) -> Option<&'static str> {
        self.aside.as_ref().map(|_| "review")
    }
}
