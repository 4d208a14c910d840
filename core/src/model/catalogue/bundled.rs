//! Owns: the models that are known without asking anybody, and guesses by prefix (engine.md §9.2).

use std::borrow::Cow;

use super::{EffortOption, ModelRecord, PatchTool, ShellType, Truncation, Upgrade, Visibility};
use crate::config::kinds::{ReasoningEffort, Verbosity};

use ReasoningEffort::{High, Low, Medium, Minimal, XHigh};

/// What the listed models should be left for.
const NEWEST: &str = "gpt-5.2-codex";

/// A model, as data that needs no heap.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) slug: &'static str,
    description: &'static str,
    listed: bool,
    priority: i64,
    upgrade: bool,
    efforts: &'static [ReasoningEffort],
    default_effort: Option<ReasoningEffort>,
    shell: ShellType,
    patch: Option<PatchTool>,
    truncation: Truncation,
    parallel: bool,
    summaries: bool,
    verbosity: bool,
    default_verbosity: Option<Verbosity>,
    context_window: Option<i64>,
    tools: &'static [&'static str],
}

/// What all other rows differ from.
const DEFAULT: Row = Row {
    slug: "",
    description: "",
    listed: false,
    priority: 99,
    upgrade: false,
    efforts: &[Low, Medium, High],
    default_effort: None,
    shell: ShellType::Default,
    patch: None,
    truncation: Truncation::Bytes(10_000),
    parallel: false,
    summaries: false,
    verbosity: false,
    default_verbosity: None,
    context_window: Some(272_000),
    tools: &[],
};

/// A model made for this kind of agent.
const CODEX: Row = Row {
    upgrade: true,
    default_effort: Some(Medium),
    shell: ShellType::ShellCommand,
    patch: Some(PatchTool::Freeform),
    truncation: Truncation::Tokens(10_000),
    summaries: true,
    ..DEFAULT
};

/// A general model.
const GENERAL: Row = Row {
    truncation: Truncation::Bytes(10_000),
    parallel: true,
    verbosity: true,
    default_verbosity: Some(Verbosity::Low),
    ..CODEX
};

const GPT_5_2_CODEX: Row = Row {
    slug: NEWEST,
    description: "Latest frontier agentic coding model.",
    listed: true,
    priority: 1,
    upgrade: false,
    efforts: &[Low, Medium, High, XHigh],
    parallel: true,
    ..CODEX
};
const GPT_5_2: Row = Row {
    slug: "gpt-5.2",
    description: "Latest frontier model with improvements across knowledge, reasoning and coding",
    listed: true,
    priority: 2,
    efforts: &[Low, Medium, High, XHigh],
    ..GENERAL
};
const GPT_5_1_CODEX_MAX: Row = Row {
    slug: "gpt-5.1-codex-max",
    description: "Codex-optimized flagship for deep and fast reasoning.",
    listed: true,
    priority: 3,
    efforts: &[Low, Medium, High, XHigh],
    ..CODEX
};
const GPT_5_1_CODEX: Row = Row {
    slug: "gpt-5.1-codex",
    description: "Agentic coding model of the generation before.",
    priority: 4,
    ..CODEX
};
const GPT_5_1: Row = Row {
    slug: "gpt-5.1",
    description: "General model of the generation before, for code and other reasoning.",
    priority: 6,
    ..GENERAL
};
const GPT_5: Row = Row {
    slug: "gpt-5",
    description: "Early general model for code and other reasoning.",
    priority: 8,
    efforts: &[Minimal, Low, Medium, High],
    shell: ShellType::Default,
    patch: None,
    parallel: false,
    default_verbosity: None,
    ..GENERAL
};

/// The table, by priority; the first is the default model.
pub(super) const BUNDLED: [Row; 9] = [
    GPT_5_2_CODEX,
    GPT_5_2,
    GPT_5_1_CODEX_MAX,
    GPT_5_1_CODEX,
    Row {
        slug: "gpt-5.1-codex-mini",
        description: "Optimized for codex. Cheaper, faster, but less capable.",
        listed: true,
        priority: 5,
        efforts: &[Medium, High],
        ..CODEX
    },
    GPT_5_1,
    Row {
        slug: "gpt-5-codex",
        description: "Early agentic coding model.",
        priority: 7,
        ..CODEX
    },
    GPT_5,
    Row {
        slug: "gpt-5-codex-mini",
        description: "Early agentic coding model: cheaper and faster, but less capable.",
        priority: 9,
        efforts: &[Medium, High],
        ..CODEX
    },
];

/// What is guessed of names in no list: the first prefix that fits.
const FALLBACKS: [(&str, Row); 23] = [
    ("o3", O_SERIES),
    ("o4-mini", O_SERIES),
    (
        "codex-mini-latest",
        Row {
            shell: ShellType::Local,
            ..O_SERIES
        },
    ),
    (
        "gpt-4.1",
        Row {
            context_window: Some(1_047_576),
            ..DEFAULT
        },
    ),
    ("gpt-oss", OPEN_WEIGHTS),
    ("openai/gpt-oss", OPEN_WEIGHTS),
    (
        "gpt-4o",
        Row {
            context_window: Some(128_000),
            ..DEFAULT
        },
    ),
    (
        "gpt-3.5",
        Row {
            context_window: Some(16_385),
            ..DEFAULT
        },
    ),
    (
        "test-gpt-5",
        Row {
            shell: ShellType::ShellCommand,
            parallel: true,
            summaries: true,
            verbosity: true,
            truncation: Truncation::Tokens(10_000),
            tools: &["grep_files", "list_dir", "read_file"],
            ..DEFAULT
        },
    ),
    (
        "exp-codex",
        Row {
            efforts: &[Low, Medium, High],
            ..GPT_5_2_CODEX
        },
    ),
    (
        "codex-1p",
        Row {
            efforts: &[Low, Medium, High],
            ..GPT_5_2_CODEX
        },
    ),
    (
        "exp-",
        Row {
            shell: ShellType::UnifiedExec,
            patch: Some(PatchTool::Freeform),
            default_effort: Some(Medium),
            parallel: true,
            summaries: true,
            verbosity: true,
            default_verbosity: Some(Verbosity::Low),
            ..DEFAULT
        },
    ),
    ("gpt-5.2-codex", GPT_5_2_CODEX),
    ("bengalfox", GPT_5_2_CODEX),
    ("gpt-5.1-codex-max", GPT_5_1_CODEX_MAX),
    ("gpt-5-codex", GPT_5_1_CODEX),
    ("gpt-5.1-codex", GPT_5_1_CODEX),
    ("codex-", GPT_5_1_CODEX),
    ("gpt-5.2", GPT_5_2),
    ("boomslang", GPT_5_2),
    ("gpt-5.1", GPT_5_1),
    ("gpt-5", GPT_5),
    ("", UNKNOWN),
];

const O_SERIES: Row = Row {
    context_window: Some(200_000),
    summaries: true,
    ..DEFAULT
};
const OPEN_WEIGHTS: Row = Row {
    context_window: Some(96_000),
    patch: Some(PatchTool::Function),
    ..DEFAULT
};
const UNKNOWN: Row = Row {
    context_window: None,
    ..DEFAULT
};

/// A record for a name in no list, under that name, hidden and with no advice to leave it.
pub(super) fn fallback(slug: &str) -> ModelRecord {
    let row = FALLBACKS
        .iter()
        .find(|(prefix, _)| slug.starts_with(prefix))
        .map_or(&UNKNOWN, |(_, row)| row);
    if row.context_window.is_none() {
        tracing::warn!(slug, "model is not known; default settings are used");
    }
    ModelRecord {
        slug: Cow::Owned(slug.to_owned()),
        display_name: Cow::Owned(slug.to_owned()),
        description: None,
        visibility: Visibility::None,
        priority: DEFAULT.priority,
        upgrade: None,
        ..row.record()
    }
}

impl Row {
    /// The record; its only parts on the heap are two short lists.
    pub(super) fn record(&self) -> ModelRecord {
        let levels = self.efforts.iter().map(|&effort| EffortOption {
            effort,
            description: Cow::Borrowed(described(effort)),
        });
        ModelRecord {
            slug: Cow::Borrowed(self.slug),
            display_name: Cow::Borrowed(self.slug),
            description: Some(Cow::Borrowed(self.description)),
            default_reasoning_level: self.default_effort,
            supported_reasoning_levels: levels.collect(),
            shell_type: self.shell,
            visibility: if self.listed {
                Visibility::List
            } else {
                Visibility::Hide
            },
            supported_in_api: true,
            priority: self.priority,
            upgrade: self.upgrade.then_some(Upgrade {
                model: Cow::Borrowed(NEWEST),
                migration_markdown: Cow::Borrowed("A newer model is available: gpt-5.2-codex."),
            }),
            base_instructions: Cow::Borrowed(super::BASE_INSTRUCTIONS),
            model_instructions_template: None,
            supports_reasoning_summaries: self.summaries,
            support_verbosity: self.verbosity,
            default_verbosity: self.default_verbosity,
            apply_patch_tool_type: self.patch,
            truncation_policy: self.truncation,
            supports_parallel_tool_calls: self.parallel,
            context_window: self.context_window,
            auto_compact_token_limit: None,
            effective_context_window_percent: super::default_percent(),
            experimental_supported_tools: self.tools.iter().map(|&t| Cow::Borrowed(t)).collect(),
        }
    }
}

fn described(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::None => "Answers without reasoning",
        Minimal => "Hardly any reasoning, for the quickest answers",
        Low => "Quick answers with light reasoning",
        Medium => "Balances speed and depth for everyday work",
        High => "Deeper reasoning for hard problems",
        XHigh => "The deepest reasoning, for the hardest problems",
    }
}
