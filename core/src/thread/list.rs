//! Lists of stored threads: which, in what order, page by page (protocol.md §3.2).
//!
//! A page by time of creation walks the dated folders from the cursor's day on and looks only at
//! the files that it shows. A page by time of change asks for the facts of every file, looks into
//! those that it shows, and remembers the order, so that those after it need not ask again.

mod order;
pub(super) mod walk;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::civil::DateTime;
use uuid::Uuid;

use self::order::ChangeOrder;
pub use self::order::KnownOrders;
use self::walk::{Candidate, Walk};
use super::index::ThreadIndex;
use super::rollout::head::Head;
use super::rollout::name::{TimeText, parse_time};
use super::stored::StoredThread;
use crate::files::{FileError, Files};
use crate::limits::{THREAD_PAGE_MAX, THREAD_SCAN_MAX};
use crate::wire::legacy::conversation::{SessionSource, SubAgentSource};
use crate::wire::v2::thread::{ThreadSortKey, ThreadSourceKind};

/// Asks for one page of stored threads.
#[derive(Clone, Debug)]
pub struct ThreadListJob {
    /// The state folder.
    pub home: PathBuf,
    /// The threads that were put away, instead of the others.
    pub archived: bool,
    /// Order, newest first.
    pub sort_key: ThreadSortKey,
    /// Most threads of a page; taken for the nearest of 1 to [`THREAD_PAGE_MAX`].
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Only threads of these providers; empty means all, none means `default_provider`.
    pub model_providers: Option<Vec<String>>,
    /// Only threads begun by these; empty means by people.
    pub sources: Vec<ThreadSourceKind>,
    /// The configured provider, which also owns threads that name none.
    pub default_provider: String,
    /// What earlier lists left behind: saves time, and is not used where it no longer holds.
    pub orders: KnownOrders,
}

/// One page of stored threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadListPage {
    /// The threads, in order.
    pub threads: Vec<StoredThread>,
    /// Where the next page begins, if there are files that this page did not look at. What they
    /// hold may belong on no page.
    pub next_cursor: Option<String>,
}

/// Why there is no page. The texts are what clients are told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThreadListError {
    /// The cursor is none that this server made; the client's fault.
    #[error("invalid cursor: {0}")]
    InvalidCursor(String),
    /// The folders could not be read.
    #[error("failed to list threads: {0}")]
    Files(#[from] FileError),
}

/// A place in a list: the time that it is sorted by, then the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Whole seconds.
    pub at: DateTime,
    /// The thread.
    pub id: Uuid,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", TimeText(self.at), self.id)
    }
}

impl FromStr for Cursor {
    type Err = ThreadListError;

    fn from_str(text: &str) -> Result<Self, ThreadListError> {
        let parts = text.split_once('|');
        parts
            .and_then(|(at, id)| Some(Self { at: parse_time(at)?, id: Uuid::try_parse(id).ok()? }))
            .ok_or_else(|| ThreadListError::InvalidCursor(text.to_owned()))
    }
}

impl ThreadListJob {
    /// Makes the page.
    pub fn run(&self, files: &dyn Files) -> Result<ThreadListPage, ThreadListError> {
        let cursor = self.cursor.as_deref().map(Cursor::from_str).transpose()?;
        let mut index = ThreadIndex::new(files, &self.home);
        let page = match self.sort_key {
            ThreadSortKey::CreatedAt => {
                let mut walk = Walk::by_creation(files, &self.home, self.archived, cursor);
                self.page(files, &mut walk, &mut index)
            }
            ThreadSortKey::UpdatedAt => self.page_by_change(files, cursor, &mut index),
        };
        index.save();
        page
    }

    fn page_by_change(
        &self,
        files: &dyn Files,
        cursor: Option<Cursor>,
        index: &mut ThreadIndex<'_>,
    ) -> Result<ThreadListPage, ThreadListError> {
        let known = self.orders.take(&self.home, self.archived);
        if let Some(page) =
            known.and_then(|order| self.page_by_known_order(files, order, cursor, index))
        {
            return Ok(page);
        }
        let order = ChangeOrder::find(files, &self.home, self.archived)?;
        let mut walk = Walk::by_change(files, order, cursor);
        let page = self.page(files, &mut walk, index)?;
        self.keep_order(walk, &page);
        Ok(page)
    }

    /// None if the order no longer holds.
    fn page_by_known_order(
        &self,
        files: &dyn Files,
        order: ChangeOrder,
        cursor: Option<Cursor>,
        index: &mut ThreadIndex<'_>,
    ) -> Option<ThreadListPage> {
        let mut walk = Walk::by_known_order(files, order, cursor)?;
        let page = self.page(files, &mut walk, index).ok()?;
        if walk.is_overtaken() {
            return None;
        }
        self.keep_order(walk, &page);
        Some(page)
    }

    fn keep_order(&self, walk: Walk<'_>, page: &ThreadListPage) {
        if let Some(order) = walk.into_order() {
            self.orders.keep(order, page.next_cursor.is_some());
        }
    }

    fn page(
        &self,
        files: &dyn Files,
        walk: &mut Walk<'_>,
        index: &mut ThreadIndex<'_>,
    ) -> Result<ThreadListPage, ThreadListError> {
        let limit = self.limit.clamp(1, THREAD_PAGE_MAX);
        let mut page = ThreadListPage::default();
        let mut seen: Option<Cursor> = None;
        for _ in 0..THREAD_SCAN_MAX {
            if page.threads.len() == limit {
                break;
            }
            let Some(candidate) = walk.next()? else { return Ok(page) };
            page.threads.extend(self.thread(files, index, &candidate));
            seen = Some(candidate.place);
        }
        if walk.next()?.is_some() {
            page.next_cursor = seen.map(|place| place.to_string());
        }
        Ok(page)
    }

    /// The thread of a file, if it is one that the list shows. A file that cannot be read, perhaps
    /// because it has just gone, is none.
    fn thread(
        &self,
        files: &dyn Files,
        index: &mut ThreadIndex<'_>,
        candidate: &Candidate,
    ) -> Option<StoredThread> {
        let Candidate { path, part, stat, .. } = candidate;
        let stat = stat.map_or_else(|| files.stat(path), Ok).ok()?;
        let head = index.head(part, path, stat).ok()??;
        self.shows(&head).then(|| StoredThread::new(path, stat, head, &self.default_provider))
    }

    fn shows(&self, head: &Head) -> bool {
        let provider = head.meta.model_provider.as_deref().unwrap_or(&self.default_provider);
        let by_provider = match &self.model_providers {
            None => provider == self.default_provider,
            Some(wanted) => wanted.is_empty() || wanted.iter().any(|wanted| wanted == provider),
        };
        let source = &head.meta.source;
        let by_source = if self.sources.is_empty() {
            matches!(source, SessionSource::Cli | SessionSource::VsCode)
        } else {
            self.sources.iter().any(|kind| is_of_kind(source, *kind))
        };
        head.is_listed && by_provider && by_source
    }
}

fn is_of_kind(source: &SessionSource, kind: ThreadSourceKind) -> bool {
    use SubAgentSource as Sub;
    match kind {
        ThreadSourceKind::Cli => *source == SessionSource::Cli,
        ThreadSourceKind::VsCode => *source == SessionSource::VsCode,
        ThreadSourceKind::Exec => *source == SessionSource::Exec,
        ThreadSourceKind::AppServer => *source == SessionSource::Mcp,
        ThreadSourceKind::Unknown => *source == SessionSource::Unknown,
        ThreadSourceKind::SubAgent => matches!(source, SessionSource::SubAgent(_)),
        ThreadSourceKind::SubAgentReview => *source == SessionSource::SubAgent(Sub::Review),
        ThreadSourceKind::SubAgentCompact => *source == SessionSource::SubAgent(Sub::Compact),
        ThreadSourceKind::SubAgentThreadSpawn => {
            matches!(source, SessionSource::SubAgent(Sub::ThreadSpawn { .. }))
        }
        ThreadSourceKind::SubAgentOther => {
            matches!(source, SessionSource::SubAgent(Sub::Other(_)))
        }
    }
}

#[cfg(test)]
mod tests;
