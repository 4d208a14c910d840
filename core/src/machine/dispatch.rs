//! Which room serves which method: one arm each.

use serde_json::value::RawValue;

use super::Machine;
use crate::auth::{AccountRequest, Dialect, Identity};
use crate::pending::Ticket;
use crate::reached::{Row, Table};
use crate::session::OptOuts;
use crate::wire::legacy::auth::{CancelLoginChatGptParams, GetAuthStatusParams, LoginApiKeyParams};
use crate::wire::legacy::conversation::ExecOneOffCommandParams;
use crate::wire::methods::{self, Method};
use crate::wire::refusal::Refusal;
use crate::wire::v2::account::{CancelLoginAccountParams, GetAccountParams, LoginAccountParams};
use crate::wire::v2::command::CommandExecParams;
use crate::wire::v2::initialize::{InitializeParams, InitializeResponse};

impl Machine {
    /// Serves a request, or says why not.
    pub(super) fn dispatch(&mut self, ticket: Ticket, name: &str, params: Option<&RawValue>) {
        let Some(row) = methods::find(name) else {
            let refusal = Refusal::undecodable(&methods::unknown(name));
            return self.out.refuse(ticket, &refusal);
        };
        self.out.reached(|| Row(Table::Method, row.method as usize));
        match row.method {
            Method::Initialize => self.initialize(ticket, params),
            Method::GetUserAgent => self.without_params(ticket, params, Self::get_user_agent),

            Method::ThreadStart => self.with_params(ticket, params, Self::start_thread),
            Method::ThreadResume => self.with_params(ticket, params, Self::resume_thread),
            Method::ThreadFork => self.with_params(ticket, params, Self::fork_thread),
            Method::ThreadArchive => self.with_params(ticket, params, Self::archive_thread),
            Method::ThreadNameSet => self.with_params(ticket, params, Self::set_thread_name),
            Method::ThreadUnarchive => self.with_params(ticket, params, Self::unarchive_thread),
            Method::ThreadRollback => self.with_params(ticket, params, Self::roll_back_thread),
            Method::ThreadList => self.with_params(ticket, params, Self::list_threads),
            Method::ThreadRead => self.with_params(ticket, params, Self::read_thread),
            Method::NewConversation => self.with_params(ticket, params, Self::new_conversation),
            Method::GetConversationSummary => {
                self.with_params(ticket, params, Self::conversation_summary);
            }
            Method::ListConversations => {
                self.with_params(ticket, params, Self::list_conversations);
            }
            Method::ResumeConversation => {
                self.with_params(ticket, params, Self::resume_conversation);
            }
            Method::ForkConversation => self.with_params(ticket, params, Self::fork_conversation),
            Method::ArchiveConversation => {
                self.with_params(ticket, params, Self::archive_conversation);
            }
            Method::SendUserMessage => self.with_params(ticket, params, Self::send_user_message),
            Method::SendUserTurn => self.with_params(ticket, params, Self::send_user_turn),
            Method::InterruptConversation => {
                self.with_params(ticket, params, Self::interrupt_conversation);
            }
            Method::AddConversationListener => {
                self.with_params(ticket, params, Self::add_listener);
            }
            Method::RemoveConversationListener => {
                self.with_params(ticket, params, Self::remove_listener);
            }
            Method::ThreadLoadedList => {
                self.with_params(ticket, params, Self::list_loaded_threads);
            }
            Method::TurnStart => self.with_params(ticket, params, Self::start_turn),
            Method::ReviewStart => self.with_params(ticket, params, Self::start_review),
            Method::TurnInterrupt => self.with_params(ticket, params, Self::interrupt),
            Method::ModelList => self.with_params(ticket, params, Self::list_models),

            Method::AccountLoginStart => self.with_params(ticket, params, Self::login),
            Method::AccountLoginCancel => {
                self.with_params(ticket, params, |machine, ticket, p: CancelLoginAccountParams| {
                    let (login_id, dialect) = (p.login_id, Dialect::V2);
                    machine.account(ticket, AccountRequest::CancelLogin { login_id, dialect });
                });
            }
            Method::AccountLogout => self.without_params(ticket, params, |machine, ticket| {
                machine.account(ticket, AccountRequest::Logout { dialect: Dialect::V2 });
            }),
            Method::AccountRead => {
                self.with_params(ticket, params, |machine, ticket, p: GetAccountParams| {
                    let refresh = p.refresh_token;
                    machine.account(ticket, AccountRequest::Read { refresh });
                });
            }
            Method::AccountRateLimitsRead => {
                self.without_params(ticket, params, |machine, ticket| {
                    machine.account(ticket, AccountRequest::RateLimits);
                });
            }
            Method::LoginApiKey => {
                self.with_params(ticket, params, |machine, ticket, p: LoginApiKeyParams| {
                    let (key, dialect) = (p.api_key, Dialect::Legacy);
                    machine.account(ticket, AccountRequest::LoginApiKey { key, dialect });
                });
            }
            Method::LoginChatGpt => self.without_params(ticket, params, |machine, ticket| {
                machine.account(ticket, AccountRequest::LoginChatGpt { dialect: Dialect::Legacy });
            }),
            Method::CancelLoginChatGpt => {
                self.with_params(ticket, params, |machine, ticket, p: CancelLoginChatGptParams| {
                    let (login_id, dialect) = (p.login_id.to_string(), Dialect::Legacy);
                    machine.account(ticket, AccountRequest::CancelLogin { login_id, dialect });
                });
            }
            Method::LogoutChatGpt => self.without_params(ticket, params, |machine, ticket| {
                machine.account(ticket, AccountRequest::Logout { dialect: Dialect::Legacy });
            }),
            Method::GetAuthStatus => {
                self.with_params(ticket, params, |machine, ticket, p: GetAuthStatusParams| {
                    let include_token = p.include_token.unwrap_or(false);
                    let refresh = p.refresh_token.unwrap_or(false);
                    machine.account(ticket, AccountRequest::Status { include_token, refresh });
                });
            }
            Method::UserInfo => self.without_params(ticket, params, |machine, ticket| {
                machine.account(ticket, AccountRequest::UserInfo);
            }),

            Method::ConfigRead => self.with_params(ticket, params, Self::read_config),
            Method::ConfigRequirementsRead => {
                self.without_params(ticket, params, Self::read_requirements);
            }
            Method::GetUserSavedConfig => {
                self.without_params(ticket, params, Self::read_saved_config);
            }
            Method::ConfigValueWrite => self.with_params(ticket, params, Self::write_config_value),
            Method::ConfigBatchWrite => self.with_params(ticket, params, Self::write_config),
            Method::SetDefaultModel => self.with_params(ticket, params, Self::set_default_model),
            Method::CollaborationModeList => self.with_params(ticket, params, Self::list_modes),

            Method::CommandExec => {
                self.with_params(ticket, params, Self::exec_command::<CommandExecParams>);
            }
            Method::ExecOneOffCommand => {
                self.with_params(ticket, params, Self::exec_command::<ExecOneOffCommandParams>);
            }
            Method::GitDiffToRemote => {
                self.with_params(ticket, params, Self::git_diff_to_remote);
            }

            Method::FuzzyFileSearch => self.with_params(ticket, params, Self::search_files),
            Method::SkillsList => self.with_params(ticket, params, Self::list_skills),
            Method::SkillsConfigWrite => self.with_params(ticket, params, Self::switch_skill),
            Method::CustomPromptsList => self.with_params(ticket, params, Self::list_prompts),
            Method::McpServerStatusList => self.with_params(ticket, params, Self::list_mcp_servers),
            Method::McpServerOauthLogin => self.with_params(ticket, params, Self::mcp_login),
            Method::ConfigMcpServerReload => {
                self.without_params(ticket, params, Self::reload_mcp_servers);
            }

            Method::AppList => self.with_params(ticket, params, Self::list_apps),
            Method::FeedbackUpload => self.with_params(ticket, params, Self::upload_feedback),
        }
    }

    fn initialize(&mut self, ticket: Ticket, params: Option<&RawValue>) {
        let params = match crate::wire::decode::params::<InitializeParams>(params) {
            Ok(params) => params,
            Err(detail) => return self.out.refuse(ticket, &Refusal::undecodable(&detail)),
        };
        let opt_outs = params.capabilities.opt_out_notification_methods.clone();
        match self.session.initialize(&self.setup, params) {
            Err(refusal) => self.out.refuse(ticket, &refusal),
            Ok(user_agent) => {
                let user_agent = user_agent.to_owned();
                self.out.set_opt_outs(OptOuts::new(opt_outs));
                self.auth.introduce(Identity {
                    originator: self.session.originator().to_owned(),
                    user_agent: user_agent.clone(),
                });
                self.out.reply(ticket, InitializeResponse { user_agent });
                for warning in std::mem::take(&mut self.warnings) {
                    self.out.notify("configWarning", warning);
                }
            }
        }
    }

    fn get_user_agent(&mut self, ticket: Ticket) {
        let user_agent = self.session.user_agent().to_owned();
        self.out.reply(ticket, InitializeResponse { user_agent });
    }

    fn account(&mut self, ticket: Ticket, request: AccountRequest) {
        self.auth.request(&mut self.out, ticket, request);
    }

    fn login(&mut self, ticket: Ticket, params: LoginAccountParams) {
        let request = match params {
            LoginAccountParams::ApiKey { api_key } => {
                AccountRequest::LoginApiKey { key: api_key, dialect: Dialect::V2 }
            }
            LoginAccountParams::Chatgpt => AccountRequest::LoginChatGpt { dialect: Dialect::V2 },
            LoginAccountParams::ChatgptAuthTokens(tokens) => {
                AccountRequest::LoginExternal(tokens.into())
            }
            LoginAccountParams::ChatgptDeviceCode => AccountRequest::LoginDevice,
        };
        self.account(ticket, request);
    }
}
