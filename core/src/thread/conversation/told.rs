//! What the model is told besides what the user says: the context that a history begins with, and
//! settings that have changed.
//!
//! Invariant: the model is told of a changed setting once, before the next input (engine.md §1.4).

use std::sync::Arc;

use jiff::Timestamp;

use super::Conversation;
use crate::config::kinds::SandboxMode;
use crate::model::context::{self, PermissionFacts};
use crate::wire::v2::common::SandboxPolicy;

impl Conversation {
    /// A turn of the user begins: the model is told what it does not know yet, the whole context or
    /// the settings that have changed.
    pub(crate) fn begin_turn(&mut self, at: Timestamp) {
        self.mark_turn();
        let before = std::mem::replace(&mut self.told, self.settings.clone());
        if std::mem::take(&mut self.is_context_due) {
            return self.record_context(at);
        }
        let now = &self.settings;
        let mut messages = Vec::new();
        if before.cwd != now.cwd {
            messages.push(self.environment());
        }
        if (&before.sandbox, before.approval_policy) != (&now.sandbox, now.approval_policy) {
            messages.push(self.permissions());
        }
        if before.mode != now.mode {
            messages.extend(self.mode_message());
        }
        if before.personality != now.personality
            && let Some(words) =
                now.personality.and_then(|p| self.model.personality_words(p.as_str()))
        {
            messages.push(context::personality_json(words));
        }
        for message in messages {
            self.record(at, message);
        }
    }

    /// Records the context now, for a thread that is new.
    pub(crate) fn record_context(&mut self, at: Timestamp) {
        self.is_context_due = false;
        for message in self.context() {
            self.record(at, message);
        }
    }

    /// The messages that a history begins with, in the order of engine.md §1.2.
    pub(crate) fn context(&self) -> Vec<Arc<str>> {
        self.context_with(self.mode_message())
    }

    pub(super) fn context_with(&self, mode: Option<Arc<str>>) -> Vec<Arc<str>> {
        let mut messages = vec![self.permissions()];
        let developer = self.config.instructions.developer.as_deref();
        messages.extend(developer.map(context::developer_json));
        messages.extend(mode);
        if !self.user_instructions.is_empty() {
            let cwd = self.cwd_text();
            messages.push(context::user_instructions_json(&cwd, &self.user_instructions));
        }
        messages.push(self.environment());
        messages
    }

    fn cwd_text(&self) -> String {
        self.settings.cwd.to_string_lossy().into_owned()
    }

    fn environment(&self) -> Arc<str> {
        context::environment_json(&self.cwd_text(), &self.shell)
    }

    fn mode_message(&self) -> Option<Arc<str>> {
        let text = self.settings.mode.as_ref()?.settings.developer_instructions.as_deref()?;
        context::mode_json(text)
    }

    fn permissions(&self) -> Arc<str> {
        let sandbox = match &self.settings.sandbox {
            SandboxPolicy::ReadOnly => SandboxMode::ReadOnly,
            SandboxPolicy::DangerFullAccess | SandboxPolicy::ExternalSandbox { .. } => {
                SandboxMode::DangerFullAccess
            }
            SandboxPolicy::WorkspaceWrite { .. } => SandboxMode::WorkspaceWrite,
        };
        let prefixes: Vec<String> = self.rules.allowed_prefixes().collect();
        context::permissions_json(&PermissionFacts {
            sandbox,
            network: self.settings.sandbox.has_network(),
            approval: self.settings.approval_policy,
            writable_roots: &self.writable_roots(),
            prefix_rules: self.has_prefix_rules(),
            allowed_prefixes: &prefixes,
        })
    }

    /// Where commands may write: the configured roots, the working folder, `/tmp`, `$TMPDIR`.
    fn writable_roots(&self) -> Vec<String> {
        let SandboxPolicy::WorkspaceWrite {
            writable_roots,
            exclude_tmpdir_env_var,
            exclude_slash_tmp,
            ..
        } = &self.settings.sandbox
        else {
            return Vec::new();
        };
        let mut roots: Vec<String> =
            writable_roots.iter().map(|root| root.as_str().to_owned()).collect();
        roots.push(self.cwd_text());
        roots.extend((!exclude_slash_tmp).then(|| "/tmp".to_owned()));
        let tmpdir = self.env.filled("TMPDIR").filter(|_| !exclude_tmpdir_env_var);
        roots.extend(tmpdir.map(str::to_owned));
        roots
    }
}
