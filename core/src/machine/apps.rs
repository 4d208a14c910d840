//! `app/list`: the apps in the account's directory (config.md §7.7). Which of them are connected is
//! known to the server of apps alone, which is not asked yet; none is said to be.

use serde::Deserialize;

use super::Machine;
use super::config::Question;
use super::errands::What;
use super::page::page;
use super::startup::config_ask;
use crate::effect::{HttpRequest, Method};
use crate::exchange::{Reply, Response};
use crate::limits;
use crate::model::headers::{self, AccountFacts};
use crate::model::request::{self, LoginKind};
use crate::pending::Ticket;
use crate::wire::refusal::Refusal;
use crate::wire::v2::account::PlanType;
use crate::wire::v2::apps::{AppInfo, AppsListParams, AppsListResponse};

/// A host that waits for the apps.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct AppsErrand {
    ticket: Ticket,
    params: AppsListParams,
    base: String,
    /// The page of the directory that is asked for.
    part: Part,
    /// The workspace's own apps are asked for behind those of everybody.
    wants_workspace: bool,
    pages: usize,
    found: Vec<AppInfo>,
}

/// A page of the directory.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
enum Part {
    Everybody(Option<String>),
    Workspace,
}

/// A page as the backend has it, in either spelling.
#[derive(Deserialize)]
struct Directory {
    apps: Vec<Listed>,
    #[serde(default, alias = "nextToken")]
    next_token: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, alias = "logoUrl")]
    logo_url: Option<String>,
    #[serde(default, alias = "logoUrlDark")]
    logo_url_dark: Option<String>,
    #[serde(default, alias = "distributionChannel")]
    distribution_channel: Option<String>,
    #[serde(default)]
    visibility: Option<String>,
}

impl Machine {
    /// `app/list`. The configuration is read again: whether there are apps is its word.
    pub(super) fn list_apps(&mut self, ticket: Ticket, params: AppsListParams) {
        self.ask_config(ticket, config_ask(&self.setup), Question::Apps(params));
    }

    /// Fetches the apps, which are switched on.
    pub(super) fn fetch_apps(&mut self, ticket: Ticket, params: AppsListParams, base: String) {
        if self.auth.login_kind() != LoginKind::ChatGpt {
            return self.out.refuse(ticket, &failed("ChatGPT token not available"));
        }
        let wants_workspace = matches!(
            self.auth.plan(),
            Some(PlanType::Team | PlanType::Business | PlanType::Enterprise | PlanType::Edu)
        );
        let part = Part::Everybody(None);
        let (pages, found) = (0, Vec::new());
        let errand = AppsErrand { ticket, params, base, part, wants_workspace, pages, found };
        self.run_errand(What::Apps(Box::new(errand)));
    }

    /// A page of the directory has come, or has not.
    pub(super) fn take_apps(&mut self, mut errand: AppsErrand, reply: Reply) {
        let page = reply.map_err(|failure| failure.text).and_then(|response| read(&response));
        match (page, &errand.part) {
            (Ok(page), part) => {
                let next = page.next_token.filter(|_| matches!(part, Part::Everybody(_)));
                errand.found.extend(page.apps.into_iter().filter_map(Listed::view));
                errand.pages += 1;
                if let Some(token) = next.filter(|_| errand.pages < limits::APP_PAGES_MAX) {
                    errand.part = Part::Everybody(Some(token));
                    return self.run_errand(What::Apps(Box::new(errand)));
                }
            }
            // Without those of the workspace the others are still there.
            (Err(error), Part::Workspace) => tracing::warn!(error, "no apps of the workspace"),
            (Err(error), Part::Everybody(_)) => {
                return self.out.refuse(errand.ticket, &failed(&error));
            }
        }
        if std::mem::take(&mut errand.wants_workspace) {
            errand.part = Part::Workspace;
            return self.run_errand(What::Apps(Box::new(errand)));
        }
        let AppsErrand { ticket, params, mut found, .. } = errand;
        found.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        found.dedup_by(|a, b| a.id == b.id);
        match page_of(found, &params) {
            Ok(response) => self.out.reply(ticket, response),
            Err(refusal) => self.out.refuse(ticket, &refusal),
        }
    }
}

/// The page that a client asks for. A cursor into no apps at all is not looked at (config.md §7.6).
pub(super) fn page_of(
    apps: Vec<AppInfo>,
    params: &AppsListParams,
) -> Result<AppsListResponse, Refusal> {
    let cursor = params.cursor.as_deref().filter(|_| !apps.is_empty());
    let (data, next_cursor) = page(apps, cursor, params.limit, "apps")?;
    Ok(AppsListResponse { data, next_cursor })
}

fn failed(detail: &str) -> Refusal {
    Refusal::internal(format!("failed to list apps: {detail}"))
}

fn read(response: &Response) -> Result<Directory, String> {
    if !response.is_success() {
        return Err(format!("the directory answered with status {}", response.head.status));
    }
    let text = response.text();
    serde_json::from_str(&text).map_err(|_| "the directory cannot be read".to_owned())
}

impl AppsErrand {
    pub(super) fn request(&self, facts: &AccountFacts<'_>) -> HttpRequest {
        let tier = [("tier", "categorized")].into_iter();
        let (path, token) = match &self.part {
            Part::Everybody(token) => ("connectors/directory/list", token.as_deref()),
            Part::Workspace => ("connectors/directory/list_workspace", None),
        };
        let tier = tier.filter(|_| matches!(self.part, Part::Everybody(_)));
        let params = tier.chain(token.map(|token| ("token", token)));
        let url = request::endpoint_url(&self.base, path, params);
        HttpRequest {
            method: Method::Get,
            url,
            headers: headers::plain_account_headers(facts),
            body: Vec::new(),
            head_limit: None,
            total_limit: Some(limits::APPS_LIMIT),
        }
    }
}

impl Listed {
    /// The app as clients see it; none if it is not for them.
    fn view(self) -> Option<AppInfo> {
        let is_hidden = self.visibility.as_deref() == Some("HIDDEN")
            || self.id.starts_with("connector_openai_")
            || self.id.starts_with("asdk_app_");
        if is_hidden {
            return None;
        }
        let name = filled(&self.name).unwrap_or(&self.id).to_owned();
        Some(AppInfo {
            install_url: Some(install_url(&self.name, &self.id)),
            name,
            description: self.description.as_deref().and_then(filled).map(str::to_owned),
            logo_url: self.logo_url,
            logo_url_dark: self.logo_url_dark,
            distribution_channel: self.distribution_channel,
            is_accessible: false,
            id: self.id,
        })
    }
}

fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// Where an app can be connected; its name is a part of the address.
fn install_url(name: &str, id: &str) -> String {
    let slug: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let slug = slug.trim_matches('-');
    let slug = if slug.is_empty() { "app" } else { slug };
    format!("https://chatgpt.com/apps/{slug}/{id}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Directory, install_url, page_of};
    use crate::files::MemoryFiles;
    use crate::machine::bench::Bench;
    use crate::wire::v2::apps::AppsListParams;

    #[test]
    fn without_the_feature_there_are_none_and_with_it_a_login_is_needed() {
        let mut bench = Bench::new();
        bench.ask(1, "app/list", json!({}));
        assert_eq!(bench.answered()[0]["result"], json!({"data": [], "nextCursor": null}));
        let files = MemoryFiles::new().with("/h/config.toml", "features.connectors = true");
        let mut bench = Bench::with(files);
        bench.ask(1, "app/list", json!({}));
        let text = "failed to list apps: ChatGPT token not available";
        let error = json!({"code": -32603, "message": text});
        assert_eq!(bench.answered()[0]["error"], error);
    }

    #[test]
    fn the_directory_is_read_in_either_spelling() {
        let text = r#"{"apps": [
            {"id": "c1", "name": " Mail ", "description": " ", "logo_url": "l"},
            {"id": "c2", "logoUrlDark": "d", "visibility": "VISIBLE"},
            {"id": "c3", "name": "x", "visibility": "HIDDEN"},
            {"id": "connector_openai_x", "name": "x"}
        ], "nextToken": "n"}"#;
        let page: Directory = serde_json::from_str(text).expect("a page");
        assert_eq!(page.next_token.as_deref(), Some("n"));
        let apps: Vec<_> = page.apps.into_iter().filter_map(super::Listed::view).collect();
        assert_eq!(apps.len(), 2);
        assert_eq!((apps[0].name.as_str(), &apps[0].description), ("Mail", &None));
        assert_eq!((apps[1].name.as_str(), apps[1].logo_url_dark.as_deref()), ("c2", Some("d")));
    }

    #[test]
    fn addresses_hold_the_name_in_plain_signs() {
        assert_eq!(install_url("Google Drive!", "c"), "https://chatgpt.com/apps/google-drive/c");
        assert_eq!(install_url("  ", "c"), "https://chatgpt.com/apps/app/c");
    }

    #[test]
    fn a_cursor_into_nothing_is_not_looked_at() {
        let params = AppsListParams { cursor: Some("x".to_owned()), limit: None };
        assert_eq!(page_of(Vec::new(), &params).map(|page| page.data.len()), Ok(0));
    }
}
