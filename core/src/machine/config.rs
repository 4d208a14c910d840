//! Requests about the configuration: each is one file job, and its answer is the reply.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::startup::config_ask;
use super::{Machine, apps, mcp};
use crate::config::write::{self, Changes, WriteError};
use crate::config::{self, Config, ConfigAsk, Feature, shown};
use crate::effect::{Call, CallId};
use crate::files::{FileError, FileJob, Files};
use crate::owner::CallOwner;
use crate::pending::Ticket;
use crate::prompts;
use crate::skills;
use crate::wire::legacy::config::GetUserSavedConfigResponse;
use crate::wire::legacy::conversation::{SetDefaultModelParams, SetDefaultModelResponse};
use crate::wire::refusal::Refusal;
use crate::wire::v2::apps::{AppsListParams, AppsListResponse};
use crate::wire::v2::common::Empty;
use crate::wire::v2::config::{
    ConfigBatchWriteParams, ConfigEdit, ConfigReadParams, ConfigReadResponse,
    ConfigRequirementsReadResponse, ConfigValueWriteParams, ConfigWriteResponse, MergeStrategy,
};
use crate::wire::v2::mcp::{ListMcpServerStatusParams, ListMcpServerStatusResponse};
use crate::wire::v2::prompts::CustomPromptsListResponse;
use crate::wire::v2::skills::{SkillsConfigWriteResponse, SkillsListResponse};

/// Reads the configuration for a client, or changes it. `Debug` does not show to what.
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct ConfigJob {
    ask: ConfigAsk,
    question: Question,
}

/// What a client wants of the configuration.
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) enum Question {
    Read {
        with_layers: bool,
    },
    Requirements,
    Saved,
    Write(Changes),
    SetModel(SetDefaultModelParams),
    /// For these folders, each as the client wrote it and absolute.
    Skills(Vec<(String, PathBuf)>),
    SwitchSkill {
        path: PathBuf,
        enabled: bool,
    },
    Prompts,
    McpServers(ListMcpServerStatusParams),
    /// At the server of this name.
    McpLogin(String),
    McpReload,
    Apps(AppsListParams),
}

/// The reply to a request about the configuration. `Debug` does not show it: it may hold keys.
pub struct ConfigFound(Result<Answer, Refusal>);

/// What a request about the configuration leads to.
enum Answer {
    Reply(Reply),
    /// Apps are switched on; the directory is below this address.
    FetchApps(AppsListParams, String),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Reply {
    Read(Box<ConfigReadResponse>),
    Requirements(ConfigRequirementsReadResponse),
    Saved(Box<GetUserSavedConfigResponse>),
    Written(Box<ConfigWriteResponse>),
    Done(SetDefaultModelResponse),
    Skills(SkillsListResponse),
    SkillSwitched(SkillsConfigWriteResponse),
    Prompts(CustomPromptsListResponse),
    McpServers(ListMcpServerStatusResponse),
    Reloaded(Empty),
    Apps(AppsListResponse),
}

impl ConfigJob {
    pub(crate) fn run(self, files: &dyn Files) -> ConfigFound {
        let Self { ask, question } = self;
        let reply = match question {
            Question::Read { with_layers } => shown::read(files, &ask, with_layers)
                .map(|found| Reply::Read(Box::new(found)))
                .map_err(Refusal::internal),
            Question::Requirements => {
                shown::required(files, &ask).map(Reply::Requirements).map_err(Refusal::internal)
            }
            Question::Saved => shown::saved(files, &ask)
                .map(|found| Reply::Saved(Box::new(found)))
                .map_err(Refusal::internal),
            Question::Write(changes) => write::write(files, &ask, &changes)
                .map(|done| Reply::Written(Box::new(done)))
                .map_err(|error| refusal(&error)),
            Question::SetModel(SetDefaultModelParams { model, reasoning_effort }) => {
                write::set_default_model(files, &ask, model.as_deref(), reasoning_effort)
                    .map(|()| Reply::Done(SetDefaultModelResponse {}))
                    .map_err(Refusal::internal)
            }
            Question::Skills(cwds) => Ok(Reply::Skills(skills::list(files, &ask, cwds))),
            Question::SwitchSkill { path, enabled } => {
                write::switch_skill(files, &ask, &path, enabled)
                    .map(|effective_enabled| {
                        Reply::SkillSwitched(SkillsConfigWriteResponse { effective_enabled })
                    })
                    .map_err(Refusal::internal)
            }
            Question::Prompts => Ok(Reply::Prompts(prompts::list(files, &ask.home))),
            Question::McpServers(params) => loaded(files, &ask)
                .and_then(|config| mcp::listed(&config, &params))
                .map(Reply::McpServers),
            Question::McpLogin(name) => {
                loaded(files, &ask).and_then(|config| Err(mcp::login_refusal(&config, &name)))
            }
            Question::McpReload => loaded(files, &ask).map(|_| Reply::Reloaded(Empty {})),
            Question::Apps(params) => match loaded(files, &ask) {
                Ok(config) if config.features.has(Feature::Apps) => {
                    let base = config.login.chatgpt_base_url.clone();
                    return ConfigFound(Ok(Answer::FetchApps(params, base)));
                }
                Ok(_) => apps::page_of(Vec::new(), &params).map(Reply::Apps),
                Err(refusal) => Err(refusal),
            },
        };
        ConfigFound(reply.map(Answer::Reply))
    }
}

/// The configuration of the server's own folder, for requests that need all of it to be right.
fn loaded(files: &dyn Files, ask: &ConfigAsk) -> Result<Arc<Config>, Refusal> {
    let loaded = config::load(files, ask).map_err(|error| mcp::unloadable(&error))?;
    Ok(loaded.config)
}

fn refusal(error: &WriteError) -> Refusal {
    match error.code() {
        Some(code) => Refusal::unwritable(code, error.to_string()),
        None => Refusal::internal(error.to_string()),
    }
}

impl fmt::Debug for ConfigJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigJob").field("ask", &self.ask).finish_non_exhaustive()
    }
}

impl ConfigFound {
    /// The backend failed before it could answer.
    pub(super) fn lost() -> Self {
        Self(Err(Refusal::internal(FileError::lost().text)))
    }
}

impl fmt::Debug for ConfigFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConfigFound").field(&self.0.as_ref().map(|_| "***")).finish()
    }
}

impl Machine {
    /// `config/read`
    pub(super) fn read_config(&mut self, ticket: Ticket, params: ConfigReadParams) {
        let mut ask = config_ask(&self.setup);
        ask.cwd = params.cwd.map(|cwd| ask.absolute(Path::new(&cwd), &self.setup.cwd));
        self.ask_config(ticket, ask, Question::Read { with_layers: params.include_layers });
    }

    /// `configRequirements/read`
    pub(super) fn read_requirements(&mut self, ticket: Ticket) {
        self.ask_config(ticket, config_ask(&self.setup), Question::Requirements);
    }

    /// `getUserSavedConfig`
    pub(super) fn read_saved_config(&mut self, ticket: Ticket) {
        self.ask_config(ticket, config_ask(&self.setup), Question::Saved);
    }

    /// `config/value/write`
    pub(super) fn write_config_value(&mut self, ticket: Ticket, params: ConfigValueWriteParams) {
        let ConfigValueWriteParams { key_path, value, merge_strategy, file_path, expected_version } =
            params;
        let edits = vec![ConfigEdit { key_path, value, merge_strategy }];
        self.write_config(ticket, ConfigBatchWriteParams { edits, file_path, expected_version });
    }

    /// `config/batchWrite`
    pub(super) fn write_config(&mut self, ticket: Ticket, params: ConfigBatchWriteParams) {
        let ask = config_ask(&self.setup);
        let edit = |edit: ConfigEdit| {
            (edit.key_path, edit.value, edit.merge_strategy == MergeStrategy::Upsert)
        };
        let changes = Changes {
            edits: params.edits.into_iter().map(edit).collect(),
            file: params.file_path.map(|file| ask.absolute(Path::new(&file), &self.setup.cwd)),
            expected_version: params.expected_version,
        };
        self.ask_config(ticket, ask, Question::Write(changes));
    }

    /// `setDefaultModel`
    pub(super) fn set_default_model(&mut self, ticket: Ticket, params: SetDefaultModelParams) {
        self.ask_config(ticket, config_ask(&self.setup), Question::SetModel(params));
    }

    pub(super) fn ask_config(&mut self, ticket: Ticket, ask: ConfigAsk, question: Question) {
        let job = FileJob::Config(Box::new(ConfigJob { ask, question }));
        let call = self.out.start(Call::Files(job), CallOwner::Config);
        self.config_asked.insert(call, ticket);
    }

    pub(super) fn on_config(&mut self, call: CallId, found: ConfigFound) {
        let Some(ticket) = self.config_asked.remove(&call) else { return };
        match found.0 {
            Ok(Answer::Reply(reply)) => self.out.reply(ticket, reply),
            Ok(Answer::FetchApps(params, base)) => self.fetch_apps(ticket, params, base),
            Err(refusal) => self.out.refuse(ticket, &refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::files::{Disk, MemoryFiles, NoKeyring};
    use crate::{Call, Effect, Input, Machine, Now, Outcome, Setup};

    const HELLO: &str =
        r#"{"id":0,"method":"initialize","params":{"clientInfo":{"name":"t","version":"1"}}}"#;

    fn now() -> Now {
        Now::new(Duration::ZERO, jiff::Timestamp::UNIX_EPOCH)
    }

    /// Does what the machine asks for; file jobs get lost where `lost` says so. What the host reads.
    fn drive(machine: &mut Machine, files: &MemoryFiles, lost: bool) -> Vec<Value> {
        let disk = Disk { files, keyring: &NoKeyring };
        let mut host = Vec::new();
        let mut done = VecDeque::new();
        loop {
            match machine.poll_effect() {
                Some(Effect::Send) => {
                    let bytes = machine.pending_output().to_vec();
                    machine.wrote(bytes.len());
                    host.extend(bytes);
                }
                Some(Effect::Start(id, call)) => match *call {
                    Call::Files(job) if !lost => {
                        done.push_back((id, Outcome::Files(Box::new(job.run(disk)))));
                    }
                    _ => done.push_back((id, Outcome::Lost)),
                },
                Some(_) => {}
                None => match done.pop_front() {
                    Some((id, outcome)) => machine.handle(now(), Input::Done(id, outcome)),
                    None => break,
                },
            }
        }
        let lines = host.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect()
    }

    /// What the host reads after its hello, and then after the request.
    fn told(files: &MemoryFiles, method: &str, params: Value, lost: bool) -> (Vec<Value>, Value) {
        let mut machine = Machine::new(Setup::new("/h", "/w"), [7; 32], now());
        drive(&mut machine, files, false);
        machine.handle(now(), Input::Bytes(format!("{HELLO}\n").as_bytes()));
        let hello = drive(&mut machine, files, false);
        let line = json!({"id": 1, "method": method, "params": params});
        machine.handle(now(), Input::Bytes(format!("{line}\n").as_bytes()));
        let mut answers = drive(&mut machine, files, lost);
        assert_eq!(answers.len(), 1, "{answers:?}");
        (hello, answers.remove(0))
    }

    fn result(files: &MemoryFiles, method: &str, params: Value) -> Value {
        told(files, method, params, false).1["result"].clone()
    }

    #[test]
    fn a_request_is_answered_from_the_files_as_they_are() {
        let files = MemoryFiles::new()
            .with("/h/config.toml", "model = 'a'\nprojects.'/w/p'.trust_level = 'trusted'")
            .with("/w/p/.codex/config.toml", "model = 'project'");
        let found = result(&files, "config/read", json!({}));
        assert_eq!((&found["config"]["model"], &found["layers"]), (&json!("a"), &Value::Null));
        let found = result(&files, "config/read", json!({"cwd": "p", "includeLayers": true}));
        assert_eq!(found["config"]["model"], "project");
        assert_eq!(found["layers"][0]["name"]["dotCodexFolder"], "/w/p/.codex");
        let found = result(&files, "configRequirements/read", json!({}));
        assert_eq!(found, json!({"requirements": null}));
        assert_eq!(result(&files, "getUserSavedConfig", Value::Null)["config"]["model"], "a");
    }

    #[test]
    fn a_broken_file_and_a_broken_backend_are_refusals() {
        let files = MemoryFiles::new().with("/h/config.toml", "model = ");
        let error = &told(&files, "config/read", json!({}), false).1["error"];
        assert_eq!(error["code"], -32603);
        let files = MemoryFiles::new();
        for method in ["config/read", "configRequirements/read", "getUserSavedConfig"] {
            let error = &told(&files, method, json!({}), true).1["error"];
            assert_eq!(error, &json!({"code": -32603, "message": "the file backend failed"}));
        }
    }

    #[test]
    fn rules_that_do_not_parse_are_warned_about_before_the_rest() {
        let files = MemoryFiles::new()
            .with("/h/rules/a.rules", "prefix_rule(\n")
            .with("/w/.codex/config.toml", "model = 'project'");
        let (hello, _) = told(&files, "config/read", json!({}), false);
        let of: Vec<_> = hello.iter().skip(1).map(|line| &line["method"]).collect();
        assert_eq!(of, ["configWarning", "configWarning"]);
        assert_eq!(hello[1]["params"]["path"], "/h/rules/a.rules");
        assert_eq!(hello[2]["params"]["details"], Value::Null);
    }

    #[test]
    fn a_write_is_answered_with_the_word_for_what_is_wrong() {
        let files = MemoryFiles::new().with("/h/config.toml", "# c\n");
        let edit = json!({"keyPath": "model", "value": "a", "mergeStrategy": "replace"});
        let found = result(&files, "config/value/write", edit.clone());
        assert_eq!(
            (&found["status"], &found["filePath"]),
            (&json!("ok"), &json!("/h/config.toml"))
        );
        let stale = json!({"edits": [edit], "expectedVersion": "sha256:0"});
        let error = &told(&files, "config/batchWrite", stale.clone(), false).1["error"];
        assert_eq!(error["code"], -32600);
        assert_eq!(error["data"], json!({"config_write_error_code": "configVersionConflict"}));
        let error = &told(&files, "config/batchWrite", stale, true).1["error"];
        assert_eq!(error, &json!({"code": -32603, "message": "the file backend failed"}));
        assert_eq!(result(&files, "setDefaultModel", json!({"model": "b"})), json!({}));
        let text = files.content("/h/config.toml").unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&text), "model = \"b\"\n# c\n");
    }

    #[test]
    fn modes_are_offered_in_order() {
        let found = result(&MemoryFiles::new(), "collaborationMode/list", json!({}));
        let modes: Vec<_> = found["data"].as_array().into_iter().flatten().collect();
        let modes: Vec<_> = modes.iter().map(|mode| mode["mode"].clone()).collect();
        assert_eq!(modes, ["plan", "code", "pair_programming", "execute"]);
    }
}
