//! The first line of a rollout: what a thread is (engine.md §8.2).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::wire::legacy::conversation::{SessionSource, SubAgentSource};
use crate::wire::v2;
use crate::wire::v2::thread::DynamicToolSpec;

/// What a thread is. Payload of a `session_meta` line.
///
/// Reading wants an id and lets everything else be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionMeta {
    /// The thread.
    pub id: String,
    /// The thread that it was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from_id: Option<String>,
    /// When it began, RFC 3339 with milliseconds, UTC.
    #[serde(default)]
    pub timestamp: String,
    /// Its working directory.
    #[serde(default)]
    pub cwd: String,
    /// The client that began it.
    #[serde(default)]
    pub originator: String,
    /// Version of the server that began it.
    #[serde(default)]
    pub cli_version: String,
    /// Who began it.
    #[serde(default, deserialize_with = "known_source")]
    pub source: SessionSource,
    /// Where its model runs; absent in old files.
    #[serde(default)]
    pub model_provider: Option<String>,
    /// The instructions that every request of the thread carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_instructions: Option<BaseInstructions>,
    /// Tools that its client runs.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_tools")]
    pub dynamic_tools: Option<Vec<DynamicToolSpec>>,
    /// The repository it worked in when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitFacts>,
}

/// Instructions as the meta line holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseInstructions {
    /// The text.
    pub text: String,
}

/// The state of a repository, in the spelling of stored threads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitFacts {
    /// Commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_hash: Option<String>,
    /// Branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// URL of the remote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_url: Option<String>,
}

impl From<GitFacts> for v2::thread::GitInfo {
    fn from(git: GitFacts) -> Self {
        Self { sha: git.commit_hash, branch: git.branch, origin_url: git.repository_url }
    }
}

/// A source that is not known is no reason to lose the thread.
fn known_source<'de, D: Deserializer<'de>>(from: D) -> Result<SessionSource, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(serde_json::from_value(value).unwrap_or(SessionSource::Unknown))
}

/// Nor are tools in another form.
fn known_tools<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Vec<DynamicToolSpec>>, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// The source as newer methods spell it.
pub fn view_of_source(source: &SessionSource) -> v2::thread::SessionSource {
    use v2::thread::{SessionSource as View, SubAgentSource as SubView};
    match source {
        SessionSource::Cli => View::Cli,
        SessionSource::VsCode => View::VsCode,
        SessionSource::Exec => View::Exec,
        SessionSource::Mcp => View::AppServer,
        SessionSource::Unknown => View::Unknown,
        SessionSource::SubAgent(SubAgentSource::Review) => View::SubAgent(SubView::Review),
        SessionSource::SubAgent(SubAgentSource::Compact) => View::SubAgent(SubView::Compact),
        SessionSource::SubAgent(SubAgentSource::Other(why)) => {
            View::SubAgent(SubView::Other(why.clone()))
        }
        SessionSource::SubAgent(SubAgentSource::ThreadSpawn { parent_thread_id, depth }) => {
            View::SubAgent(SubView::ThreadSpawn {
                parent_thread_id: parent_thread_id.to_string(),
                depth: *depth,
            })
        }
    }
}
