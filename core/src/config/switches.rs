//! Features and web search from all the settings that switch them, and what to say of old settings
//! (config.md §3.5).

use std::collections::BTreeMap;
use std::path::Path;

use super::Choices;
use super::document::Document;
use super::features::{self, Feature, Features, Stage};
use super::kinds::WebSearchMode;
use super::settings::Deprecation;

/// What the switches amount to.
pub(super) struct Switches {
    pub features: Features,
    pub web_search: Option<WebSearchMode>,
    pub deprecations: Vec<Deprecation>,
    pub unstable_warning: Option<String>,
}

/// Applies the switches in order; later ones win.
pub(super) fn switches(doc: &Document, choices: &Choices, user_file: &Path) -> Switches {
    let mut features = Features::default();
    let mut told = BTreeMap::new();
    let mut old = |key: &str, on: Option<bool>, feature: Feature| {
        if let Some(on) = on {
            features.set(feature, on);
            told.insert(key.to_owned(), renamed(key, feature));
        }
    };
    old(
        "experimental_use_freeform_apply_patch",
        doc.experimental_use_freeform_apply_patch,
        Feature::ApplyPatchFreeform,
    );
    old(
        "experimental_use_unified_exec_tool",
        doc.experimental_use_unified_exec_tool,
        Feature::UnifiedExec,
    );
    if let Some(on) = doc.tools.as_ref().and_then(|tools| tools.web_search) {
        features.set(Feature::WebSearchRequest, on);
        told.insert(
            "tools.web_search".to_owned(),
            web_search_moved("[tools].web_search"),
        );
    }
    let mut unstable = Vec::new();
    for (key, on) in &doc.features {
        let Some((feature, is_alias)) = features::by_name(key) else {
            tracing::warn!("unknown feature key in config: {key}");
            continue;
        };
        features.set(feature, *on);
        if matches!(
            feature,
            Feature::WebSearchRequest | Feature::WebSearchCached
        ) {
            told.insert(
                format!("features.{key}"),
                web_search_moved(&format!("[features].{key}")),
            );
        } else if is_alias {
            told.insert(key.clone(), renamed(key, feature));
        } else if *on && feature.row().stage == Stage::UnderDevelopment {
            unstable.push(key.as_str());
        }
    }
    if let Some(on) = choices.include_apply_patch_tool {
        features.set(Feature::ApplyPatchFreeform, on);
    }
    let quiet = doc.suppress_unstable_features_warning.unwrap_or(false) || unstable.is_empty();
    let mut deprecations: Vec<Deprecation> = told.into_values().collect();
    deprecations.extend(
        doc.experimental_instructions_file
            .is_some()
            .then(instructions_moved),
    );
    Switches {
        web_search: doc.web_search.or_else(|| web_search(features)),
        features,
        deprecations,
        unstable_warning: (!quiet).then(|| unstable_warning(&unstable.join(", "), user_file)),
    }
}

/// What the old features say of web search.
fn web_search(features: Features) -> Option<WebSearchMode> {
    if features.has(Feature::WebSearchCached) {
        Some(WebSearchMode::Cached)
    } else {
        features
            .has(Feature::WebSearchRequest)
            .then_some(WebSearchMode::Live)
    }
}

fn renamed(alias: &str, feature: Feature) -> Deprecation {
    let key = feature.row().key;
    Deprecation {
        summary: format!("`{alias}` is deprecated. Use `[features].{key}` instead."),
        details: Some(format!(
            "Enable it with `--enable {key}` or `[features].{key}` in config.toml. See \
             https://github.com/openai/codex/blob/main/docs/config.md#feature-flags for details."
        )),
    }
}

fn web_search_moved(label: &str) -> Deprecation {
    Deprecation {
        summary: format!("`{label}` is deprecated. Use `web_search` instead."),
        details: Some(
            "Set `web_search` to `\"live\"`, `\"cached\"`, or `\"disabled\"` in config.toml."
                .to_owned(),
        ),
    }
}

fn instructions_moved() -> Deprecation {
    Deprecation {
        summary: "`experimental_instructions_file` is deprecated and ignored. Use \
                  `model_instructions_file` instead."
            .to_owned(),
        details: Some("Rename the setting in config.toml; the file can stay as it is.".to_owned()),
    }
}

fn unstable_warning(features: &str, user_file: &Path) -> String {
    format!(
        "Under-development features enabled: {features}. Under-development features are incomplete \
         and may behave unpredictably. To suppress this warning, set \
         `suppress_unstable_features_warning = true` in {}.",
        user_file.display()
    )
}

#[cfg(test)]
mod tests {
    use super::{Switches, switches};
    use crate::config::Choices;
    use crate::config::features::Feature;
    use crate::config::kinds::WebSearchMode;

    fn of(text: &str) -> Switches {
        let doc = toml::from_str(text).expect("settings");
        switches(&doc, &Choices::default(), "/h/config.toml".as_ref())
    }

    #[test]
    fn the_table_beats_the_old_switches_and_old_names_are_told() {
        let found = of("experimental_use_unified_exec_tool = true\n\
                        [features]\nunified_exec = false\nconnectors = true\nzzz = true");
        assert!(!found.features.has(Feature::UnifiedExec) && found.features.has(Feature::Apps));
        let told: Vec<_> = found
            .deprecations
            .iter()
            .map(|d| d.summary.as_str())
            .collect();
        assert_eq!(
            told,
            [
                "`connectors` is deprecated. Use `[features].apps` instead.",
                "`experimental_use_unified_exec_tool` is deprecated. \
                 Use `[features].unified_exec` instead.",
            ]
        );
    }

    #[test]
    fn web_search_has_a_setting_of_its_own() {
        assert_eq!(of("").web_search, None);
        assert_eq!(
            of("tools.web_search = true").web_search,
            Some(WebSearchMode::Live)
        );
        let both = "[features]\nweb_search_cached = true\nweb_search_request = true";
        assert_eq!(of(both).web_search, Some(WebSearchMode::Cached));
        let off = format!("web_search = 'disabled'\n{both}");
        assert_eq!(of(&off).web_search, Some(WebSearchMode::Disabled));
        assert_eq!(of(both).deprecations.len(), 2);
    }

    #[test]
    fn unfinished_features_are_warned_about() {
        let warned = of("[features]\nsqlite = true\ncollab = true\nundo = true").unstable_warning;
        let warned = warned.expect("a warning");
        assert!(warned.starts_with("Under-development features enabled: collab, sqlite. "));
        assert!(warned.ends_with("in /h/config.toml."));
        let quiet = "suppress_unstable_features_warning = true\n[features]\nsqlite = true";
        assert_eq!(of(quiet).unstable_warning, None);
    }
}
