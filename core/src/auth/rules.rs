//! Which logins are allowed when: the blocking rules, once (auth.md §3.11).

use crate::wire::refusal::Refusal;

/// What a client may ask to sign in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginKind {
    ApiKey,
    ChatGpt,
    External,
}

/// `forced_login_method` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForcedMethod {
    ApiKey,
    ChatGpt,
}

/// Why a login is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// E1: the host's tokens are in force, and only the host may replace them.
    ExternalActive,
    /// E2: the configuration wants ChatGPT.
    ApiKeyDisabled,
    /// E3: the configuration wants an API key.
    ChatGptDisabled,
    /// E4: the configuration wants an API key.
    ExternalDisabled,
}

/// One row: a login of `kind` is blocked when the two conditions hold. `None` means "in any case".
struct Rule {
    kind: LoginKind,
    external_active: Option<bool>,
    forced: Option<ForcedMethod>,
    blocked: Blocked,
}

/// First match wins: "external tokens are active" outranks the forced method (E1 before E2, E3).
const RULES: &[Rule] = &[
    rule(LoginKind::ApiKey, Some(true), None, Blocked::ExternalActive),
    rule(LoginKind::ChatGpt, Some(true), None, Blocked::ExternalActive),
    rule(LoginKind::ApiKey, None, Some(ForcedMethod::ChatGpt), Blocked::ApiKeyDisabled),
    rule(LoginKind::ChatGpt, None, Some(ForcedMethod::ApiKey), Blocked::ChatGptDisabled),
    rule(LoginKind::External, None, Some(ForcedMethod::ApiKey), Blocked::ExternalDisabled),
];

const fn rule(
    kind: LoginKind,
    external_active: Option<bool>,
    forced: Option<ForcedMethod>,
    blocked: Blocked,
) -> Rule {
    Rule { kind, external_active, forced, blocked }
}

/// Why a login of this kind is not allowed now, if it is not.
pub(crate) fn blocked(
    kind: LoginKind,
    external_active: bool,
    forced: Option<ForcedMethod>,
) -> Option<Blocked> {
    RULES.get(place(kind, external_active, forced)).map(|rule| rule.blocked)
}

/// The place of the first row that fits; beyond the last one if none does.
pub(crate) fn place(kind: LoginKind, external_active: bool, forced: Option<ForcedMethod>) -> usize {
    let fits = |rule: &Rule| {
        rule.kind == kind
            && rule.external_active.is_none_or(|wanted| wanted == external_active)
            && (rule.forced.is_none() || rule.forced == forced)
    };
    RULES.iter().position(fits).unwrap_or(RULES.len())
}

/// What each row says, in a few words.
#[cfg(feature = "sim")]
pub(crate) fn row_names() -> Vec<String> {
    RULES.iter().map(|rule| format!("{:?}: {:?}", rule.kind, rule.blocked)).collect()
}

impl Blocked {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Blocked::ExternalActive => {
                "External auth is active. Use account/login/start (chatgptAuthTokens) to update it \
                 or account/logout to clear it."
            }
            Blocked::ApiKeyDisabled => "API key login is disabled. Use ChatGPT login instead.",
            Blocked::ChatGptDisabled => "ChatGPT login is disabled. Use API key login instead.",
            Blocked::ExternalDisabled => {
                "External ChatGPT auth is disabled. Use API key login instead."
            }
        }
    }

    pub(crate) fn refusal(self) -> Refusal {
        Refusal::invalid(self.text())
    }
}

/// The rules as a Markdown table, for the documentation.
#[cfg(test)]
pub(crate) fn markdown() -> String {
    let mut out = String::from(
        "| login | while external tokens are active | forced method | answer |\n\
         | --- | --- | --- | --- |\n",
    );
    for rule in RULES {
        let external = match rule.external_active {
            Some(true) => "yes",
            Some(false) => "no",
            None => "any",
        };
        let forced = rule.forced.map_or("any".to_owned(), |forced| format!("{forced:?}"));
        let row =
            format!("| {:?} | {external} | {forced} | {} |\n", rule.kind, rule.blocked.text());
        out.push_str(&row);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Blocked, ForcedMethod, LoginKind, blocked};

    /// The matrix of auth.md §3.11, written out independently of the table.
    fn expected(kind: LoginKind, external: bool, forced: Option<ForcedMethod>) -> Option<Blocked> {
        match (kind, external, forced) {
            (LoginKind::ApiKey | LoginKind::ChatGpt, true, _) => Some(Blocked::ExternalActive),
            (LoginKind::ApiKey, false, Some(ForcedMethod::ChatGpt)) => {
                Some(Blocked::ApiKeyDisabled)
            }
            (LoginKind::ChatGpt, false, Some(ForcedMethod::ApiKey)) => {
                Some(Blocked::ChatGptDisabled)
            }
            (LoginKind::External, _, Some(ForcedMethod::ApiKey)) => Some(Blocked::ExternalDisabled),
            _ => None,
        }
    }

    #[test]
    fn i17_and_i18_every_login_in_every_state() {
        for kind in [LoginKind::ApiKey, LoginKind::ChatGpt, LoginKind::External] {
            for external in [false, true] {
                for forced in [None, Some(ForcedMethod::ApiKey), Some(ForcedMethod::ChatGpt)] {
                    let want = expected(kind, external, forced);
                    let got = blocked(kind, external, forced);
                    assert_eq!(got, want, "{kind:?} external={external} forced={forced:?}");
                }
            }
        }
    }
}
