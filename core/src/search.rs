//! The search for files by their names (protocol.md §8): data of [`Call::Search`](crate::Call), and
//! the order of what was found.
//!
//! Owns: the searches that run and wait. Invariants: at most [`limits::SEARCHES_MAX`] run; a search
//! that another one with the same token follows is answered at once, with nothing.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use crate::effect::{Call, CallId};
use crate::limits;
use crate::outside::Outside;
use crate::owner::CallOwner;
use crate::pending::Ticket;
use crate::wire::v2::command::{FuzzyFileSearchResponse, FuzzyFileSearchResult};

/// What a backend is to look for. It looks at every file below the roots, hidden ones included and
/// through links, but for those that ignore files name, inside of repositories or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchRequest {
    /// Characters that a path below its root has to have in this order; capitals in it count.
    pub query: String,
    /// Where to look: as the client wrote it, and absolute. One that cannot be read has nothing.
    pub roots: Vec<(String, PathBuf)>,
    /// The most that is found below one root: those with the highest score, then the first by path.
    pub per_root_max: usize,
}

/// A search of the host.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
struct Search {
    ticket: Ticket,
    token: Option<String>,
}

/// The searches that are not answered.
#[derive(Debug, Default)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Searches {
    running: BTreeMap<CallId, Search>,
    waiting: VecDeque<(Search, SearchRequest)>,
}

impl Searches {
    /// Takes on a search. The earlier ones with its token are over.
    pub(crate) fn start(
        &mut self,
        out: &mut Outside,
        ticket: Ticket,
        token: Option<String>,
        request: SearchRequest,
    ) {
        if let Some(token) = &token {
            self.replace(out, token);
        }
        if request.query.is_empty() || request.roots.is_empty() {
            return out.reply(ticket, FuzzyFileSearchResponse { files: Vec::new() });
        }
        self.waiting.push_back((Search { ticket, token }, request));
        self.begin(out);
    }

    fn replace(&mut self, out: &mut Outside, token: &str) {
        let has = |search: &Search| search.token.as_deref() == Some(token);
        let ids: Vec<CallId> =
            self.running.iter().filter(|(_, search)| has(search)).map(|(id, _)| *id).collect();
        for id in ids {
            out.cancel(id);
            if let Some(search) = self.running.remove(&id) {
                out.reply(search.ticket, FuzzyFileSearchResponse { files: Vec::new() });
            }
        }
        for (search, request) in std::mem::take(&mut self.waiting) {
            if has(&search) {
                out.reply(search.ticket, FuzzyFileSearchResponse { files: Vec::new() });
            } else {
                self.waiting.push_back((search, request));
            }
        }
    }

    fn begin(&mut self, out: &mut Outside) {
        while self.running.len() < limits::SEARCHES_MAX {
            let Some((search, request)) = self.waiting.pop_front() else { return };
            let call = out.start(Call::Search(Box::new(request)), CallOwner::Search);
            self.running.insert(call, search);
        }
    }

    /// A search is done; nothing was found if the backend failed.
    pub(crate) fn done(
        &mut self,
        out: &mut Outside,
        call: CallId,
        mut files: Vec<FuzzyFileSearchResult>,
    ) {
        if let Some(search) = self.running.remove(&call) {
            files.sort_by(|a, b| (b.score, &a.path, &a.root).cmp(&(a.score, &b.path, &b.root)));
            out.reply(search.ticket, FuzzyFileSearchResponse { files });
        }
        self.begin(out);
    }

    /// The process ends: nobody waits for a search.
    pub(crate) fn close(&mut self, out: &mut Outside) {
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|(search, _)| search);
        for (id, search) in std::mem::take(&mut self.running) {
            out.cancel(id);
            out.reply(search.ticket, FuzzyFileSearchResponse { files: Vec::new() });
        }
        for search in waiting {
            out.reply(search.ticket, FuzzyFileSearchResponse { files: Vec::new() });
        }
    }
}
