//! Requests about skills and prompts: each is a file job, like those about the configuration.

use std::path::{Path, PathBuf};

use super::Machine;
use super::config::Question;
use super::startup::config_ask;
use crate::pending::Ticket;
use crate::wire::v2::prompts::CustomPromptsListParams;
use crate::wire::v2::skills::{SkillsConfigWriteParams, SkillsListParams};

impl Machine {
    /// `skills/list`. Every listing reads the files, so there is nothing to force.
    pub(super) fn list_skills(&mut self, ticket: Ticket, params: SkillsListParams) {
        let ask = config_ask(&self.setup);
        let own = &self.setup.cwd;
        let mut cwds: Vec<(String, PathBuf)> = params
            .cwds
            .into_iter()
            .map(|cwd| {
                let absolute = ask.absolute(Path::new(&cwd), own);
                (cwd, absolute)
            })
            .collect();
        if cwds.is_empty() {
            cwds.push((own.to_string_lossy().into_owned(), own.clone()));
        }
        self.ask_config(ticket, ask, Question::Skills(cwds));
    }

    /// `customPrompts/list`
    pub(super) fn list_prompts(&mut self, ticket: Ticket, _: CustomPromptsListParams) {
        self.ask_config(ticket, config_ask(&self.setup), Question::Prompts);
    }

    /// `skills/config/write`
    pub(super) fn switch_skill(&mut self, ticket: Ticket, params: SkillsConfigWriteParams) {
        let ask = config_ask(&self.setup);
        let SkillsConfigWriteParams { path, enabled } = params;
        let path = ask.absolute(Path::new(&path), &self.setup.cwd);
        self.ask_config(ticket, ask, Question::SwitchSkill { path, enabled });
    }
}
