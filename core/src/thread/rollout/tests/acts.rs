//! What happens to a thread, and a plain model of what that leaves.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

/// What happens to a thread.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// A turn that this server ran.
    Ours { steered: bool, runs: bool, fails: bool },
    /// A turn that the reference ran.
    Theirs { is_aborted: bool },
    /// Turns are taken back by this server, or by the reference.
    RollBack { turns: u8, by_us: bool },
    /// This server makes the history short.
    Compact,
}

pub(super) fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => any::<(bool, bool, bool)>()
            .prop_map(|(steered, runs, fails)| Act::Ours { steered, runs, fails }),
        3 => any::<bool>().prop_map(|is_aborted| Act::Theirs { is_aborted }),
        2 => (1..4_u8, any::<bool>()).prop_map(|(turns, by_us)| Act::RollBack { turns, by_us }),
        1 => Just(Act::Compact),
    ]
}

/// What a thread holds, kept beside the lines.
#[derive(Default)]
pub(super) struct Model {
    lines: String,
    /// Items, and whether a turn of the user begins there.
    pub(super) history: Vec<(String, bool)>,
    pub(super) turns: Vec<Turn>,
    /// Messages of the user in each turn.
    said: Vec<usize>,
    next_turn: usize,
    next_item: usize,
    acts: usize,
}

impl Model {
    pub(super) fn text(&self) -> String {
        written(NewLine::SessionMeta(&meta())) + &self.lines
    }

    fn line(&mut self, line: NewLine<'_>) {
        self.lines += &written(line);
    }

    fn item(&mut self, item: &ResponseItem, begins_turn: bool) {
        self.line(NewLine::ResponseItem(item));
        self.history.push((text_of(item), begins_turn));
    }

    pub(super) fn take(&mut self, act: &Act) {
        self.acts += 1;
        match act {
            Act::Ours { steered, runs, fails } => self.ours(*steered, *runs, *fails),
            Act::Theirs { is_aborted } => self.theirs(*is_aborted),
            Act::RollBack { turns, by_us } => self.roll_back(usize::from(*turns), *by_us),
            Act::Compact => {
                let items = vec![text_of(&message("user", "summary"))];
                let shared: Vec<Arc<str>> = items.iter().map(|item| item.as_str().into()).collect();
                let line = NewLine::Compacted { message: "summary", replacement: Some(&shared) };
                self.line(line);
                self.history = items.into_iter().map(|item| (item, true)).collect();
            }
        }
    }

    fn ours(&mut self, steered: bool, runs: bool, fails: bool) {
        let text = format!("ours {}", self.acts);
        let id = format!("t{}", self.acts);
        let user = |id: &str, text: &str| ThreadItem::UserMessage {
            id: id.into(),
            content: vec![UserInput::Text { text: text.into(), text_elements: Vec::new() }],
        };
        let mut items = vec![user("u", &text)];
        self.line(NewLine::Note(&Note::TurnStarted { turn_id: &id }));
        self.item(&message("user", &text), true);
        self.line(NewLine::Event(&input(&text)));
        if runs {
            items.push(ThreadItem::CommandExecution {
                id: "c".into(),
                command: "ls".into(),
                cwd: "/w".into(),
                process_id: None,
                status: CommandExecutionStatus::Completed,
                command_actions: Vec::new(),
                aggregated_output: Some("a\n".into()),
                exit_code: Some(0),
                duration_ms: Some(7),
            });
        }
        if steered {
            items.push(user("s", "more"));
            self.item(&message("user", "more"), true);
        }
        self.line(NewLine::Event(&EventMsg::AgentMessage { message: "answer".into() }));
        self.item(&message("assistant", "answer"), false);
        for item in &items {
            self.line(NewLine::Note(&Note::ItemCompleted { turn_id: &id, item }));
        }
        let error = fails.then(|| TurnError {
            message: "no".into(),
            codex_error_info: None,
            additional_details: None,
        });
        let status = if fails { TurnStatus::Failed } else { TurnStatus::Completed };
        let end = Note::TurnCompleted { turn_id: &id, status, error: error.as_ref() };
        self.line(NewLine::Note(&end));
        self.turns.push(Turn { id, items, status, error });
        self.said.push(1 + usize::from(steered));
    }

    fn theirs(&mut self, is_aborted: bool) {
        let text = format!("theirs {}", self.acts);
        self.next_turn += 1;
        self.item(&message("developer", "context"), false);
        self.item(&message("user", &text), true);
        self.line(NewLine::Event(&input(&text)));
        self.line(NewLine::Event(&EventMsg::AgentMessage { message: "answer".into() }));
        self.item(&message("assistant", "answer"), false);
        if is_aborted {
            self.item(&message("user", "<turn_aborted>\nx\n</turn_aborted>"), false);
            let reason = TurnAbortReason::Interrupted;
            self.line(NewLine::Event(&EventMsg::TurnAborted { reason }));
        }
        let content = vec![UserInput::Text { text, text_elements: Vec::new() }];
        let ids = [self.next_item + 1, self.next_item + 2].map(|at| format!("item-{at}"));
        self.next_item += 2;
        let [id, answer] = ids;
        let items = vec![
            ThreadItem::UserMessage { id, content },
            ThreadItem::AgentMessage { id: answer, text: "answer".into(), phase: None },
        ];
        let status = if is_aborted { TurnStatus::Interrupted } else { TurnStatus::Completed };
        self.turns.push(Turn {
            id: format!("turn-{}", self.next_turn),
            items,
            status,
            error: None,
        });
        self.said.push(1);
    }

    fn roll_back(&mut self, turns: usize, by_us: bool) {
        let left = self.turns.len().saturating_sub(turns);
        let said = if by_us { self.said[left..].iter().sum() } else { turns };
        if by_us {
            let num_turns = u32::try_from(turns).expect("few");
            self.line(NewLine::Note(&Note::TurnsRolledBack { num_turns }));
        }
        let num_turns = u32::try_from(said).expect("few");
        self.line(NewLine::Event(&EventMsg::ThreadRolledBack { num_turns }));
        self.turns.truncate(left);
        self.said.truncate(left);
        self.next_turn = left;
        self.next_item = self.turns.iter().map(|turn| turn.items.len()).sum();
        for _ in 0..said {
            let Some(cut) = self.history.iter().rposition(|(_, begins)| *begins) else { break };
            self.history.truncate(cut);
        }
    }
}
