//! What tools need to know of the settings in force: how a call is read, whether a command may run
//! and with what rights, and how the model is told what came of it.

use std::path::PathBuf;

use super::Conversation;
use super::ItemPeek;
use crate::approval::{
    Case, CommandRequest, CommandRuling, CommandTool, Rights, command_case, command_ruling,
    sandbox_kind,
};
use crate::config::features::Feature;
use crate::model::catalogue::Truncation;
use crate::process::{ChildEnv, Confinement, ProcessRequest, Stdio, child_env};
use crate::rules::Amendment;
use crate::tools::{
    OutputForm, PLAIN_TERMINAL, PatchCheck, SessionWish, ShellCall, ToolFacts, has_sessions,
    has_shell, offers_freeform_patch,
};

impl Conversation {
    /// The model that is asked.
    pub(crate) fn model_slug(&self) -> &str {
        &self.model.slug
    }

    /// What decides how a call of a tool is read.
    pub(crate) fn tool_facts(&self) -> ToolFacts<'_> {
        let has_shell = has_shell(&self.model, self.config.features);
        ToolFacts {
            shell: has_shell.then_some(&*self.shell_path),
            has_sessions: has_sessions(&self.model, self.config.features),
            more: &self.model.experimental_supported_tools,
            cwd: &self.settings.cwd,
            dynamic: &self.dynamic_tools,
        }
    }

    /// The job that checks a patch whose paths begin in `cwd`, under the settings in force.
    pub(crate) fn patch_check(&self, text: String, cwd: PathBuf) -> PatchCheck {
        let policy = self.settings.sandbox.clone();
        PatchCheck { text, cwd, policy, env: self.env.clone() }
    }

    /// How the model is told what came of a command: it reads text where it writes patches as text.
    pub(crate) fn output_form(&self, form: OutputForm) -> OutputForm {
        match offers_freeform_patch(&self.model, &self.config) {
            true => OutputForm::Text,
            false => form,
        }
    }

    /// How much of a tool's output the model is given.
    pub(crate) fn truncation(&self) -> Truncation {
        let limit = self.config.model.tool_output_token_limit;
        match limit.and_then(|limit| u64::try_from(limit).ok()) {
            Some(limit) => Truncation::Tokens(limit),
            None => self.model.truncation_policy,
        }
    }

    /// What becomes of a command under the settings and rules in force.
    pub(crate) fn ruling(&self, call: &ShellCall) -> CommandRuling {
        command_ruling(self.wish(call), &self.rules)
    }

    /// What the table is asked about it.
    pub(crate) fn case(&self, call: &ShellCall) -> Case {
        command_case(self.wish(call), &self.rules)
    }

    fn wish<'a>(&'a self, call: &'a ShellCall) -> CommandRequest<'a> {
        CommandRequest {
            argv: &call.argv,
            shell: &self.shell_path,
            tool: match call.session {
                Some(_) => CommandTool::UnifiedExec,
                None => CommandTool::Shell,
            },
            policy: self.settings.approval_policy,
            sandbox: sandbox_kind(&self.settings.sandbox),
            escalation: call.escalation,
            justification: call.justification.as_deref(),
            prefix: call.prefix.as_deref().filter(|_| self.has_prefix_rules()),
        }
    }

    pub(super) fn has_prefix_rules(&self) -> bool {
        self.config.features.has(Feature::RequestRule)
    }

    /// The program of a command, with just these rights.
    pub(crate) fn process(&self, call: &ShellCall, cwd: PathBuf, rights: Rights) -> ProcessRequest {
        let policy = &self.settings.sandbox;
        let confinement = (rights == Rights::Sandboxed).then(|| Confinement {
            policy: policy.clone(),
            cwd: self.settings.cwd.clone(),
            env: self.env.clone(),
        });
        let mut env = child_env(&self.config.shell_environment, &self.env, policy.has_network());
        let stdio = match call.session {
            Some(SessionWish { tty: true, .. }) => Stdio::Terminal { rows: 24, columns: 80 },
            Some(_) | None => Stdio::Pipes,
        };
        if call.session.is_some() {
            let vars = PLAIN_TERMINAL.iter();
            env.0.extend(vars.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        }
        ProcessRequest { argv: call.argv.clone(), cwd, env, stdio, confinement }
    }

    /// A program that the user has chosen: it may do what the server may.
    pub(crate) fn users_own_process(&self, argv: Vec<String>) -> ProcessRequest {
        let vars = self.env.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        ProcessRequest {
            argv,
            cwd: self.settings.cwd.clone(),
            env: ChildEnv(vars.collect()),
            stdio: Stdio::Pipes,
            confinement: None,
        }
    }

    /// What the user has said to the model, as far as it is still in the history.
    pub(crate) fn user_texts(&self) -> Vec<String> {
        let items = self.history.iter().filter_map(|item| ItemPeek::new(item));
        items.filter_map(|item| item.user_text()).collect()
    }

    /// Allows what begins with these words from now on, and gives what saves that.
    pub(crate) fn allow(&mut self, words: Vec<String>) -> Amendment {
        self.rules.allow(&words);
        Amendment { home: self.home.to_path_buf(), words }
    }
}
