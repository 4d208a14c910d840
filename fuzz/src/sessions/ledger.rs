//! What is known of threads, calls of the model and questions to the host: what was allowed, and what
//! was promised. Nothing here looks at a machine.

use std::collections::{BTreeMap, BTreeSet};

use super::reply::Tool;
use super::table::{Policy, Sandbox};

/// A thread, as far as anybody was told.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Its id.
    pub id: String,
    /// Where it is or may be open, and what its commands may do there: the last is what was said last,
    /// and the others may still hold.
    pub rights: BTreeMap<usize, Vec<Rights>>,
    /// It was put away.
    pub is_archived: bool,
    /// Something happened to it whose outcome nobody was told.
    pub is_uncertain: bool,
    /// Requests that may move or cut it, and that have no reply.
    pub moves: u32,
    /// Machines have it open, or may, that do not know of each other.
    pub is_shared: bool,
    /// Its turns that were announced as completed, in order.
    pub announced: Vec<Told>,
}

impl Thread {
    /// A thread that has just been opened.
    pub fn new(id: &str, desk: usize, rights: Rights) -> Self {
        Self {
            id: id.to_owned(),
            rights: BTreeMap::from([(desk, vec![rights])]),
            is_archived: false,
            is_uncertain: false,
            moves: 0,
            is_shared: false,
            announced: Vec::new(),
        }
    }

    /// Whether it is or may be open at a desk.
    pub fn is_at(&self, desk: usize) -> bool {
        self.rights.contains_key(&desk)
    }

    /// What may hold at a desk.
    pub fn rights_at(&self, desk: usize) -> &[Rights] {
        self.rights.get(&desk).map(Vec::as_slice).unwrap_or_default()
    }

    /// What was said last of its rights, there or elsewhere.
    pub fn last_rights(&self, desk: usize) -> Rights {
        let own = self.rights_at(desk).last();
        let any = own.or_else(|| self.rights.values().find_map(|all| all.last()));
        *any.expect("a thread is opened with rights")
    }

    /// A turn begins at a desk: what was said of its rights before holds from now on.
    pub fn settle_rights(&mut self, desk: usize) {
        if let Some(rights) = self.rights.get_mut(&desk) {
            rights.drain(..rights.len().saturating_sub(1));
        }
    }

    /// It is to be opened at another desk. No machine knows what the other does with its file: while
    /// it is moved or cut there is nothing to be said of it.
    pub fn share(&mut self, desk: usize) {
        let rights = self.last_rights(desk);
        self.rights.entry(desk).or_insert_with(|| vec![rights]);
        self.is_shared = true;
        self.is_uncertain |= self.is_unsettled();
    }

    /// It is to be moved or cut.
    pub fn begin_move(&mut self) {
        self.moves += 1;
        self.is_uncertain |= self.is_shared;
    }

    /// Turns of which it was said that they ended, and not that they could not be stored.
    pub fn promised(&self) -> Vec<Told> {
        match self.is_unsettled() {
            true => Vec::new(),
            false => self.announced.iter().filter(|turn| !turn.is_unstored).cloned().collect(),
        }
    }

    /// Nobody can say what is in its file, or where that is.
    pub fn is_unsettled(&self) -> bool {
        self.is_uncertain || self.is_archived || self.moves > 0
    }
}

/// What commands of a thread may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// When its user wants to be asked.
    pub policy: Policy,
    /// What holds its commands back.
    pub sandbox: Sandbox,
}

/// A turn that was announced as completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// How it ended.
    pub status: String,
    /// Its items: the kind and id of each.
    pub items: Vec<(String, String)>,
    /// Where it ran.
    pub desk: usize,
    /// It was said that it could not be stored.
    pub is_unstored: bool,
}

/// A call of a tool that the model has made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it asks for.
    pub tool: Tool,
    /// Its thread, and where it runs.
    pub place: (String, usize),
    /// What commands of its thread may do; more than one while that is being changed.
    pub rights: Vec<Rights>,
    /// Its turn, once its item was shown.
    pub turn: Option<String>,
    /// Its item is completed.
    pub is_over: bool,
    /// How often the user has agreed, to the first question about it and to another.
    pub agreed: [u32; 2],
    /// How often a program was started for it.
    pub started: u32,
}

/// What was allowed, and what was promised.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Every thread that there ever was.
    pub threads: Vec<Thread>,
    /// Every call of the model, by its number.
    pub plans: BTreeMap<usize, Plan>,
    /// The refresh token that the authority takes.
    pub good_token: usize,
    /// Those that it has taken.
    pub spent_tokens: BTreeSet<usize>,
    /// Writes that were torn: each leaves at most one line that is none.
    pub tears: usize,
    /// Tokens may have been lost on their way to the disk, and nobody is to blame.
    pub may_reuse: bool,
}

impl Ledger {
    /// Whether a turn may lie in two pieces, with another machine's lines between them: its first
    /// lines were written, the write was torn, and the rest came when the other had written. The
    /// rest is then shown as a turn of its own, for lines do not say whose they are.
    pub fn may_be_in_pieces(&self) -> bool {
        self.tears > 0 && self.threads.iter().any(|thread| thread.is_shared)
    }

    /// A thread by its id.
    pub fn thread(&mut self, id: &str) -> Option<&mut Thread> {
        self.threads.iter_mut().find(|thread| thread.id == id)
    }
}

/// A question to the host.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its id.
    pub id: i64,
    /// What it is about.
    pub about: About,
    /// The turn that it is of, if it names one; in the older dialect none does.
    pub turn: String,
    /// It is put in the older dialect, and so are its answers.
    pub is_legacy: bool,
    /// It has no answer, and what it is about is not over.
    pub is_open: bool,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A command or a patch; whether it is a second question about it.
    Plan(usize, bool),
    /// Something that the model wants to know.
    User,
    /// Tokens.
    Tokens,
    /// Something else.
    Other,
}
