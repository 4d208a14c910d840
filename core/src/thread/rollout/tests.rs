//! Rollouts written and read back: byte for byte, torn, and at random against a plain model.

mod acts;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;

use self::acts::{Model, act};
use super::line::*;
use super::meta::{BaseInstructions, GitFacts, SessionMeta};
use super::read::{Line, LineReader, append, append_again};
use super::rebuild::{RebuildError, RebuildJob, Rebuilt};
use crate::files::{Files, IfMissing, MemoryFiles};
use crate::wire::legacy::conversation::SessionSource;
use crate::wire::legacy::event::{EventMsg, TurnAbortReason, UserMessageEvent};
use crate::wire::legacy::policy::SandboxPolicy;
use crate::wire::legacy::rate_limit::{TokenUsage, TokenUsageInfo};
use crate::wire::response_item::{ContentItem, ResponseItem};
use crate::wire::v2::common::{
    AskForApproval, CollaborationMode, ModeKind, Personality, ReasoningSummary, Settings,
};
use crate::wire::v2::item::{CommandExecutionStatus, ThreadItem, UserInput};
use crate::wire::v2::turn::{Turn, TurnStatus};
use crate::wire::v2::turn_error::TurnError;

const PATH: &str = "/h/sessions/2026/01/29/\
                    rollout-2026-01-29T10-00-00-019c0a11-0000-7000-8000-000000000001.jsonl";

fn at() -> Timestamp {
    "2026-01-29T10:00:00.1019Z".parse().expect("a time")
}

fn written(line: NewLine<'_>) -> String {
    let mut out = Vec::new();
    line.write(at(), &mut out);
    String::from_utf8(out).expect("text")
}

fn meta() -> SessionMeta {
    SessionMeta {
        id: "019c0a11-0000-7000-8000-000000000001".into(),
        timestamp: "2026-01-29T10:00:00.099Z".into(),
        cwd: "/w".into(),
        originator: "my_client".into(),
        cli_version: "0.94.0".into(),
        source: SessionSource::VsCode,
        model_provider: Some("mock".into()),
        base_instructions: Some(BaseInstructions { text: "Be\nkind.".into() }),
        ..SessionMeta::default()
    }
}

fn message(role: &str, text: &str) -> ResponseItem {
    let text = text.to_owned();
    let part = match role {
        "assistant" => ContentItem::OutputText { text },
        _ => ContentItem::InputText { text },
    };
    let (id, end_turn, phase) = (None, None, None);
    ResponseItem::Message { id, role: role.into(), content: vec![part], end_turn, phase }
}

fn input(text: &str) -> EventMsg<'static> {
    EventMsg::UserMessage(UserMessageEvent {
        message: text.into(),
        images: Some(Vec::new()),
        local_images: Vec::new(),
        text_elements: Vec::new(),
    })
}

/// What every line begins with here, but for its type.
macro_rules! line {
    ($kind:literal, $payload:expr) => {
        concat!(
            r#"{"timestamp":"2026-01-29T10:00:00.101Z","type":""#,
            $kind,
            r#"","payload":"#,
            $payload,
            "}\n"
        )
    };
}

#[test]
fn the_meta_line() {
    let bare = line!(
        "session_meta",
        concat!(
            r#"{"id":"019c0a11-0000-7000-8000-000000000001","timestamp":"2026-01-29T10:00:00.099Z","#,
            r#""cwd":"/w","originator":"my_client","cli_version":"0.94.0","source":"vscode","#,
            r#""model_provider":"mock","base_instructions":{"text":"Be\nkind."}}"#
        )
    );
    assert_eq!(written(NewLine::SessionMeta(&meta())), bare);
    let forked = SessionMeta {
        forked_from_id: Some("019c0a11-0000-7000-8000-000000000002".into()),
        base_instructions: None,
        git: Some(GitFacts { branch: Some("main".into()), ..GitFacts::default() }),
        ..meta()
    };
    let full = line!(
        "session_meta",
        concat!(
            r#"{"id":"019c0a11-0000-7000-8000-000000000001","#,
            r#""forked_from_id":"019c0a11-0000-7000-8000-000000000002","#,
            r#""timestamp":"2026-01-29T10:00:00.099Z","#,
            r#""cwd":"/w","originator":"my_client","cli_version":"0.94.0","source":"vscode","#,
            r#""model_provider":"mock","git":{"branch":"main"}}"#
        )
    );
    assert_eq!(written(NewLine::SessionMeta(&forked)), full);
}

#[test]
fn items_and_events() {
    let item = message("user", "hi");
    let expected = line!(
        "response_item",
        r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}"#
    );
    assert_eq!(written(NewLine::ResponseItem(&item)), expected);
    let raw = "{\"type\":\"message\",\n\"role\":\"user\",\r\n\"content\":[]}";
    let expected = line!("response_item", r#"{"type":"message", "role":"user",  "content":[]}"#);
    assert_eq!(written(NewLine::RawItem(raw)), expected);
    let expected = line!(
        "event_msg",
        concat!(
            r#"{"type":"user_message","message":"hi","images":[],"#,
            r#""local_images":[],"text_elements":[]}"#
        )
    );
    assert_eq!(written(NewLine::Event(&input("hi"))), expected);
    let aborted = EventMsg::TurnAborted { reason: TurnAbortReason::Interrupted };
    let expected = line!("event_msg", r#"{"type":"turn_aborted","reason":"interrupted"}"#);
    assert_eq!(written(NewLine::Event(&aborted)), expected);
    let back = EventMsg::ThreadRolledBack { num_turns: 1 };
    let expected = line!("event_msg", r#"{"type":"thread_rolled_back","num_turns":1}"#);
    assert_eq!(written(NewLine::Event(&back)), expected);
}

#[test]
fn the_turn_context() {
    let policy = SandboxPolicy::WorkspaceWrite {
        writable_roots: Vec::new(),
        network_access: false,
        exclude_tmpdir_env_var: false,
        exclude_slash_tmp: false,
    };
    let mode = CollaborationMode {
        mode: ModeKind::Custom,
        settings: Settings {
            model: "m".into(),
            reasoning_effort: None,
            developer_instructions: None,
        },
    };
    let context = TurnContext {
        cwd: "/w",
        approval_policy: AskForApproval::OnRequest,
        sandbox_policy: &policy,
        model: "m",
        personality: Some(Personality::Friendly),
        collaboration_mode: Some(&mode),
        effort: None,
        summary: ReasoningSummary::Auto,
        user_instructions: Some("u"),
        developer_instructions: None,
        final_output_json_schema: None,
        truncation_policy: Some(TruncationPolicy { mode: TruncationMode::Tokens, limit: 10_000 }),
    };
    let expected = line!(
        "turn_context",
        concat!(
            r#"{"cwd":"/w","approval_policy":"on-request","sandbox_policy":{"type":"workspace-write","#,
            r#""network_access":false,"exclude_tmpdir_env_var":false,"exclude_slash_tmp":false},"#,
            r#""model":"m","personality":"friendly","collaboration_mode":{"mode":"custom","settings":"#,
            r#"{"model":"m","reasoning_effort":null,"developer_instructions":null}},"summary":"auto","#,
            r#""user_instructions":"u","truncation_policy":{"mode":"tokens","limit":10000}}"#
        )
    );
    assert_eq!(written(NewLine::TurnContext(&context)), expected);
}

#[test]
fn a_shortened_history() {
    let line = NewLine::Compacted { message: "s\n", replacement: None };
    assert_eq!(written(line), line!("compacted", r#"{"message":"s\n"}"#));
    let items: [Arc<str>; 2] = ["{\"a\":1}".into(), "{\"b\":2}".into()];
    let line = NewLine::Compacted { message: "", replacement: Some(&items) };
    let expected = line!("compacted", r#"{"message":"","replacement_history":[{"a":1},{"b":2}]}"#);
    assert_eq!(written(line), expected);
}

#[test]
fn notes() {
    let error =
        TurnError { message: "no".into(), codex_error_info: None, additional_details: None };
    let item = ThreadItem::Plan { id: "p".into(), text: "do".into() };
    for (note, expected) in [
        (
            Note::TurnStarted { turn_id: "t" },
            line!("understudy", r#"{"type":"turn_started","turn_id":"t"}"#),
        ),
        (
            Note::ItemCompleted { turn_id: "t", item: &item },
            line!(
                "understudy",
                concat!(
                    r#"{"type":"item_completed","turn_id":"t","#,
                    r#""item":{"type":"plan","id":"p","text":"do"}}"#
                )
            ),
        ),
        (
            Note::TurnCompleted { turn_id: "t", status: TurnStatus::Completed, error: None },
            line!("understudy", r#"{"type":"turn_completed","turn_id":"t","status":"completed"}"#),
        ),
        (
            Note::TurnCompleted { turn_id: "t", status: TurnStatus::Failed, error: Some(&error) },
            line!(
                "understudy",
                concat!(
                    r#"{"type":"turn_completed","turn_id":"t","status":"failed","error":"#,
                    r#"{"message":"no","codexErrorInfo":null,"additionalDetails":null}}"#
                )
            ),
        ),
        (
            Note::TurnsRolledBack { num_turns: 2 },
            line!("understudy", r#"{"type":"turns_rolled_back","num_turns":2}"#),
        ),
    ] {
        assert_eq!(written(NewLine::Note(&note)), expected);
    }
}

fn rebuild(files: &MemoryFiles) -> Result<Rebuilt, RebuildError> {
    let job = RebuildJob {
        path: PATH.into(),
        initial_context: vec![context()],
        default_provider: "p".into(),
        wants_history: true,
        wants_turns: true,
        wants_events: true,
    };
    job.run(files, |_| {})
}

fn context() -> Arc<str> {
    text_of(&message("developer", "context")).into()
}

fn text_of(item: &ResponseItem) -> String {
    serde_json::to_string(item).expect("an item")
}

fn rebuilt(text: &str) -> Result<Rebuilt, RebuildError> {
    rebuild(&MemoryFiles::new().with(PATH, text))
}

#[test]
fn files_that_are_none() {
    let missing = rebuild(&MemoryFiles::new()).expect_err("missing");
    assert_eq!(missing.to_string(), "No such file or directory (os error 2)");
    for (text, expected) in [
        ("", "empty session file"),
        (" \n\n", "empty session file"),
        ("{}\n", "failed to parse thread ID from rollout file"),
        ("\u{0}\u{0}", "failed to parse thread ID from rollout file"),
        (
            line!("event_msg", r#"{"type":"context_compacted"}"#),
            "failed to parse thread ID from rollout file",
        ),
    ] {
        assert_eq!(rebuilt(text).expect_err("no thread").to_string(), expected);
    }
}

/// A file is cut at every byte, read, and appended to: what was whole before the cut is read, and so
/// is what was appended.
#[test]
fn a_file_cut_anywhere_is_read_and_appended_to() {
    let meta = written(NewLine::SessionMeta(&meta()));
    let lines: Vec<String> = ["one", "two \u{fc}", "three"]
        .map(|text| written(NewLine::ResponseItem(&message("user", text))))
        .into();
    let whole = format!("{meta}{}", lines.concat());
    let more = written(NewLine::ResponseItem(&message("user", "four")));
    for cut in meta.len()..=whole.len() {
        let files = MemoryFiles::new().with(PATH, &whole.as_bytes()[..cut]);
        let is_whole = whole.as_bytes()[cut - 1] == b'\n';
        let lines_in = |lines: &[String]| {
            let mut end = meta.len();
            let ends = lines.iter().map(|line| {
                end += line.len();
                end
            });
            // A line that lacks nothing but its end is there.
            ends.filter(|end| end - 1 <= cut).count()
        };
        let before = rebuild(&files).expect("a thread");
        assert_eq!(before.history.len(), lines_in(&lines), "cut at {cut}");
        assert_eq!(before.ends_torn, !is_whole, "cut at {cut}");
        append(&files, Path::new(PATH), more.as_bytes(), IfMissing::Fail).expect("appended");
        let after = rebuild(&files).expect("a thread");
        assert_eq!(after.history.len(), before.history.len() + 1, "cut at {cut}");
        assert_eq!(after.history[..before.history.len()], before.history);
        assert!(!after.ends_torn);
        assert_eq!(after.undecodable, before.undecodable);
    }
}

#[test]
fn what_is_not_understood_is_counted_and_left_out() {
    let text = [
        written(NewLine::SessionMeta(&meta())),
        "not json\n".into(),
        line!("response_item", r#"{"type":"message","role":"user"}"#).into(),
        line!("response_item", r#"{"type":"from_the_future","x":1}"#).into(),
        line!("response_item", r#"{"type":"message","role":"system","content":[]}"#).into(),
        line!("from_the_future", "{}").into(),
        line!("understudy", r#"{"type":"from_the_future"}"#).into(),
        line!("event_msg", r#"{"type":"from_the_future"}"#).into(),
        line!("event_msg", "7").into(),
        "\n".into(),
        written(NewLine::ResponseItem(&message("user", "hi"))),
    ]
    .concat();
    let thread = rebuilt(&text).expect("a thread");
    assert_eq!(thread.history, [text_of(&message("user", "hi")).into()] as [Arc<str>; 1]);
    // Not JSON; an item that lacks its content; an event that is a number. An event from the future
    // cannot be handed on, which `wants_events` asks for.
    assert_eq!(thread.undecodable, 4);
    assert_eq!(thread.meta, meta());
}

#[test]
fn ids_of_the_backend_do_not_come_back() {
    let item = r#"{"id":"msg_1", "type": "message","role":"assistant","content":[]}"#;
    let text = written(NewLine::SessionMeta(&meta())) + &written(NewLine::RawItem(item));
    let history = rebuilt(&text).expect("a thread").history;
    let expected = r#"{"type":"message","role":"assistant","content":[]}"#;
    assert_eq!(history, [expected.into()] as [Arc<str>; 1]);
}

#[test]
fn the_last_of_each_kind_counts() {
    let usage = |total| TokenUsage { total_tokens: total, ..TokenUsage::default() };
    let info = |total| TokenUsageInfo {
        total_token_usage: usage(total),
        last_token_usage: usage(1),
        model_context_window: Some(258_400),
    };
    let count = |info| EventMsg::TokenCount { info, rate_limits: None };
    let text = [
        written(NewLine::SessionMeta(&meta())),
        line!("turn_context", r#"{"model":"a"}"#).into(),
        written(NewLine::Event(&count(Some(info(7))))),
        line!("turn_context", r#"{"model":"b"}"#).into(),
        written(NewLine::Event(&count(Some(info(8))))),
        written(NewLine::Event(&count(None))),
        written(NewLine::SessionMeta(&SessionMeta { id: "source".into(), ..meta() })),
    ]
    .concat();
    let thread = rebuilt(&text).expect("a thread");
    assert_eq!(thread.token_info, Some(info(8)));
    assert_eq!(thread.last_model.as_deref(), Some("b"));
    assert_eq!(thread.meta, meta());
    assert_eq!(thread.events.len(), 3);
}

/// The reference's own shortened histories name no replacement (engine.md §7.2).
#[test]
fn a_history_that_the_reference_made_short() {
    let mark = "<turn_aborted>\nx\n</turn_aborted>";
    let long = "\u{fc}".repeat(50_000);
    let text = [
        written(NewLine::SessionMeta(&meta())),
        written(NewLine::ResponseItem(&message("user", "<environment_context>"))),
        written(NewLine::ResponseItem(&message("user", &long))),
        written(NewLine::ResponseItem(&message("assistant", "a"))),
        written(NewLine::ResponseItem(&message("user", mark))),
        written(NewLine::Compacted { message: "first", replacement: None }),
        written(NewLine::ResponseItem(&message("user", "two"))),
        written(NewLine::Compacted { message: "second", replacement: None }),
        written(NewLine::ResponseItem(&message("user", "three"))),
    ]
    .concat();
    let history = rebuilt(&text).expect("a thread").history;
    // Of the long message stay 20,000 tokens without those of the mark, and once more without those
    // of the second message: the middle goes, whole characters only.
    let cut = |kept: usize, len: usize, text: &str| {
        let (budget, half) = (kept * 4, kept * 2);
        let left: String = text
            .chars()
            .scan(0, |at, c| {
                *at += c.len_utf8();
                (*at <= half).then_some(c)
            })
            .collect();
        let from = len - (budget - half);
        let right: String =
            text.char_indices().filter(|(at, _)| *at >= from).map(|(_, c)| c).collect();
        format!("{left}\u{2026}{} tokens truncated\u{2026}{right}", (len - budget).div_ceil(4))
    };
    let once = cut(20_000 - mark.len().div_ceil(4), long.len(), &long);
    let twice = cut(20_000 - 1 - mark.len().div_ceil(4), once.len(), &once);
    let expected = ["developer:context"]
        .into_iter()
        .map(|_| context())
        .chain(
            [twice.as_str(), mark, "two", "second", "three"]
                .map(|text| text_of(&message("user", text)).into()),
        )
        .collect::<Vec<Arc<str>>>();
    assert_eq!(history, expected);
}

/// As the specification shows it (protocol.md §7).
#[test]
fn turns_that_only_events_tell_of() {
    let agent = |text: &'static str| EventMsg::AgentMessage { message: text.into() };
    let aborted = EventMsg::TurnAborted { reason: TurnAbortReason::Interrupted };
    let events = [
        input("go"),
        aborted.clone(),
        input("next"),
        EventMsg::AgentReasoning { text: "a".into() },
        EventMsg::AgentReasoning { text: "b".into() },
        EventMsg::AgentReasoningRawContent { text: "c".into() },
        agent(""),
        agent("two"),
        input("gone"),
        EventMsg::ThreadRolledBack { num_turns: 1 },
        input(" "),
        aborted,
    ];
    let text: String = events.iter().map(|event| written(NewLine::Event(event))).collect();
    let thread = rebuilt(&(written(NewLine::SessionMeta(&meta())) + &text)).expect("a thread");
    let user = |id: &str, text: &str| ThreadItem::UserMessage {
        id: id.into(),
        content: vec![UserInput::Text { text: text.into(), text_elements: Vec::new() }],
    };
    let turn = |id: &str, status, items| Turn { id: id.into(), items, status, error: None };
    let reasoning = ThreadItem::Reasoning {
        id: "item-3".into(),
        summary: vec!["a".into(), "b".into()],
        content: vec!["c".into()],
    };
    let said = ThreadItem::AgentMessage { id: "item-4".into(), text: "two".into(), phase: None };
    let blank = ThreadItem::UserMessage { id: "item-5".into(), content: Vec::new() };
    assert_eq!(
        thread.turns,
        [
            turn("turn-1", TurnStatus::Interrupted, vec![user("item-1", "go")]),
            turn("turn-2", TurnStatus::Completed, vec![user("item-2", "next"), reasoning, said]),
            turn("turn-3", TurnStatus::Interrupted, vec![blank]),
        ]
    );
}

/// This server stopped within a turn, and the reference went on.
#[test]
fn another_program_goes_on_after_a_turn_that_never_ended() {
    let text = [
        written(NewLine::SessionMeta(&meta())),
        written(NewLine::Note(&Note::TurnStarted { turn_id: "t" })),
        written(NewLine::Event(&input("ours"))),
        written(NewLine::Event(&input("theirs"))),
    ]
    .concat();
    let turns = rebuilt(&text).expect("a thread").turns;
    let shown: Vec<_> =
        turns.iter().map(|turn| (&*turn.id, turn.status, turn.items.len())).collect();
    let expected = [("t", TurnStatus::Interrupted, 0), ("turn-1", TurnStatus::Completed, 1)];
    assert_eq!(shown, expected);
}

/// Wherever an append was torn, twice, and whoever has written since: each line is there once, and
/// what is torn besides stands alone.
#[test]
fn what_is_appended_again_is_there_once() {
    let lines = ["{\"a\":1}\n", "{\"b\":2}\n", "{\"c\":3}\n"];
    let (all, older, theirs) = (lines.concat(), "{\"o\":0}\n", "{\"t\":0}\n");
    for at in 0..=all.len() {
        for (others, more) in [(false, 0), (true, 0), (false, 4), (true, 4), (true, 11)] {
            let files = MemoryFiles::new().with(PATH, older);
            let path = Path::new(PATH);
            files.append(path, &all.as_bytes()[..at], IfMissing::Fail).expect("torn");
            if others {
                append(&files, path, theirs.as_bytes(), IfMissing::Fail).expect("appended");
            }
            // Torn once more: so much of what was missing is written.
            let before = files.content(PATH).expect("a file").len();
            append_again(&files, path, all.as_bytes(), IfMissing::Fail).expect("appended");
            let whole = files.content(PATH).expect("a file");
            if more > 0 {
                files.put(PATH, &whole[..whole.len().min(before + more)]);
                append_again(&files, path, all.as_bytes(), IfMissing::Fail).expect("appended");
            }
            let content = files.content(PATH).expect("a file");
            let content = String::from_utf8(content).expect("text");
            let found: Vec<&str> = content.split_inclusive('\n').collect();
            let is_known = |line: &&&str| lines.contains(line);
            let ours: Vec<&str> = found.iter().filter(is_known).copied().collect();
            assert_eq!(ours, lines, "torn at {at}, {others}, {more}: {content}");
            let torn = found.len() - lines.len() - 1 - usize::from(others);
            assert!(torn <= usize::from(others), "torn at {at}, {others}, {more}: {content}");
        }
    }
}

/// Two servers have a thread open: their turns come back each as it was, and what one of them wrote
/// again after an append that failed is there once.
#[test]
fn turns_of_two_servers_stand_between_each_other() {
    let begun = |id| written(NewLine::Note(&Note::TurnStarted { turn_id: id }));
    let heard = |text: &str| written(NewLine::Event(&input(text)));
    let answer = || written(NewLine::Event(&EventMsg::AgentMessage { message: "so".into() }));
    let item =
        |id: &str| ThreadItem::AgentMessage { id: id.into(), text: "so".into(), phase: None };
    let done = |turn_id, id: &str| {
        written(NewLine::Note(&Note::ItemCompleted { turn_id, item: &item(id) }))
    };
    let ended = |turn_id| {
        let status = TurnStatus::Completed;
        written(NewLine::Note(&Note::TurnCompleted { turn_id, status, error: None }))
    };
    let text = [
        written(NewLine::SessionMeta(&meta())),
        begun("a") + &begun("b") + &heard("b") + &heard("a"),
        answer() + &done("b", "1") + &ended("b"),
        answer() + &done("a", "1"),
        // Again, and on.
        begun("a") + &heard("a") + &answer() + &done("a", "1") + &done("a", "2") + &ended("a"),
    ]
    .concat();
    let turns = rebuilt(&text).expect("a thread").turns;
    let shown: Vec<_> =
        turns.iter().map(|turn| (&*turn.id, turn.status, turn.items.len())).collect();
    let expected = [("a", TurnStatus::Completed, 2), ("b", TurnStatus::Completed, 1)];
    assert_eq!(shown, expected);
}

proptest! {
    /// Whatever the size of the pieces, the lines are those of the text.
    #[test]
    fn lines_do_not_depend_on_pieces(text in "[ab\n]{0,60}", piece in 1..9_usize) {
        let files = MemoryFiles::new().with(PATH, &text);
        let mut reader = LineReader::new(&files, Path::new(PATH), piece);
        let mut again = String::new();
        let mut rests = 0;
        while let Some(line) = reader.next_line().expect("read") {
            let (bytes, end) = match line {
                Line::Whole(bytes) => (bytes, "\n"),
                Line::Rest(bytes) => (bytes, ""),
                Line::TooLong => panic!("no long lines here"),
            };
            prop_assert!(rests == 0 && !bytes.contains(&b'\n'));
            rests += usize::from(end.is_empty());
            again += std::str::from_utf8(bytes).expect("text");
            again += end;
        }
        prop_assert_eq!(again, text);
    }

    /// What turns, rollbacks and shortened histories leave is what a plain model of them leaves.
    #[test]
    fn a_thread_comes_back_as_it_was(acts in proptest::collection::vec(act(), 0..30)) {
        let mut model = Model::default();
        for act in &acts {
            model.take(act);
        }
        let thread = rebuilt(&model.text()).expect("a thread");
        let history: Vec<_> = model.history.iter().map(|(item, _)| item.as_str()).collect();
        let again: Vec<_> = thread.history.iter().map(AsRef::as_ref).collect();
        prop_assert_eq!(again, history);
        prop_assert_eq!(thread.turns, model.turns);
        prop_assert_eq!(thread.undecodable, 0);
    }
}
