//! Requests that run programs outside of threads.

use super::Machine;
use crate::command::Exec;
use crate::pending::Ticket;
use crate::wire::legacy::conversation::GitDiffToRemoteParams;
use crate::wire::refusal::Refusal;

impl Machine {
    /// `command/exec` and `execOneOffCommand`
    pub(super) fn exec_command<P: Into<Exec>>(&mut self, ticket: Ticket, params: P) {
        let Some(config) = &self.config else {
            return self.out.refuse(ticket, &Refusal::internal("the configuration is not loaded"));
        };
        self.commands.exec(&mut self.out, (&self.setup, config), ticket, params.into());
    }

    /// `gitDiffToRemote`
    pub(super) fn git_diff_to_remote(&mut self, ticket: Ticket, params: GitDiffToRemoteParams) {
        self.commands.git_diff(&mut self.out, &self.setup, ticket, params);
    }
}
