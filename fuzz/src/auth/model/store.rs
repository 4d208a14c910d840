//! The reference model's stores: what is in the file and in the keyring, and what a job on them
//! comes to when something fails (auth.md §4.4–4.7).

use std::borrow::Cow;
use std::rc::Rc;

use serde::Deserialize;
use understudy_core::files::FileOp;

use crate::auth::setting::Keeping;
use crate::auth::tokens::{Kind, Login};
use crate::world::Fault;

/// A stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// There is none.
    Nothing,
    /// It cannot be used.
    Broken,
    /// A login.
    Of(Rc<Login>),
}

/// What is looked at of a stored record (auth.md §4.4).
#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow, default, rename = "auth_mode")]
    mode: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "OPENAI_API_KEY")]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tokens: Option<StoredTokens<'a>>,
    #[serde(borrow, default, rename = "last_refresh")]
    refreshed_at: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct StoredTokens<'a> {
    #[serde(borrow, rename = "access_token")]
    access: Cow<'a, str>,
    #[serde(borrow, rename = "refresh_token")]
    refresh: Cow<'a, str>,
    #[serde(borrow, default, rename = "account_id")]
    account: Option<Cow<'a, str>>,
}

impl Record {
    /// What can be told of it from its text.
    pub fn shape(&self) -> String {
        match self {
            Record::Nothing => "nothing".to_owned(),
            Record::Broken => "broken".to_owned(),
            Record::Of(login) => match &login.own {
                None => format!("key {}", login.token),
                Some(own) => {
                    let account = login.account.as_deref().unwrap_or_default();
                    format!("tokens {} {} {account} {}", login.token, own.refresh, own.issued)
                }
            },
        }
    }

    /// The same of a text.
    pub fn shape_of(text: Option<&str>) -> String {
        let Some(text) = text else { return "nothing".to_owned() };
        let Ok(stored) = serde_json::from_str::<Stored<'_>>(text) else {
            return "broken".to_owned();
        };
        match (stored.mode.as_deref(), &stored) {
            (Some("chatgpt"), Stored { tokens: Some(tokens), refreshed_at: Some(at), .. }) => {
                let StoredTokens { access, refresh, account } = tokens;
                // An account may have no id.
                format!("tokens {access} {refresh} {} {at}", account.as_deref().unwrap_or_default())
            }
            (Some("apikey") | None, Stored { key: Some(key), .. }) => format!("key {key}"),
            _ => "broken".to_owned(),
        }
    }

    /// The account and kind of a text, for those who compare without the model.
    pub fn owner_of(text: Option<&str>) -> String {
        let shape = Self::shape_of(text);
        let mut words = shape.split(' ');
        let kind = words.next().unwrap_or_default();
        format!("{kind} {}", if kind == "tokens" { words.nth(2).unwrap_or_default() } else { "" })
    }
}

/// A store that cannot be read, or holds what cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread;

/// Both stores.
#[derive(Clone, Debug)]
pub struct Stores {
    keeping: Keeping,
    has_keyring: bool,
    /// `auth.json`
    pub file: Record,
    /// This server wrote it last.
    pub file_is_ours: bool,
    /// The entry in the keyring.
    pub keyring: Record,
}

/// What became of tokens that were to be put into the record they came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// They are there.
    Done,
    /// The record is somebody else's.
    NotTheirs,
    /// The store failed.
    Failed,
}

impl Stores {
    /// The stores as they are at the start.
    pub fn new(keeping: Keeping, has_keyring: bool, record: Record) -> Self {
        let mut stores = Self {
            keeping,
            has_keyring,
            file: Record::Nothing,
            file_is_ours: false,
            keyring: Record::Nothing,
        };
        stores.put(record);
        stores
    }

    /// Whether others of this kind keep their record in the keyring.
    pub fn is_in_keyring(&self) -> bool {
        self.has_keyring && matches!(self.keeping, Keeping::Keyring | Keeping::Auto)
    }

    /// Somebody else writes a record, or takes it away.
    pub fn put(&mut self, record: Record) {
        if self.is_in_keyring() {
            self.keyring = record;
        } else {
            self.file = record;
            self.file_is_ours = false;
        }
    }

    fn reads_keyring(&self, fault: Fault) -> Result<&Record, Unread> {
        if self.has_keyring && fault != Fault::Keyring { Ok(&self.keyring) } else { Err(Unread) }
    }

    fn read_file(&self, fault: Fault) -> Result<&Record, Unread> {
        if fault == Fault::Op(FileOp::Read) { Err(Unread) } else { Ok(&self.file) }
    }

    fn find(&self, fault: Fault) -> Result<&Record, Unread> {
        match self.keeping {
            _ if fault == Fault::Lost => Err(Unread),
            Keeping::Memory => Ok(&Record::Nothing),
            Keeping::File => self.read_file(fault),
            Keeping::Keyring => self.reads_keyring(fault),
            Keeping::Auto => match self.reads_keyring(fault) {
                Ok(Record::Nothing) => self.read_file(fault),
                Ok(found) => Ok(found),
                // What cannot be read is not "nobody is signed in".
                Err(Unread) => match self.read_file(fault)? {
                    Record::Nothing if self.has_keyring => Err(Unread),
                    found => Ok(found),
                },
            },
        }
    }

    /// What is read; an error if it cannot be, or cannot be used.
    pub fn load(&self, fault: Fault) -> Result<Record, Unread> {
        match self.find(fault)? {
            Record::Broken => Err(Unread),
            found => Ok(found.clone()),
        }
    }

    /// Saves a login; whether it was done.
    pub fn save(&mut self, login: Rc<Login>, fault: Fault) -> bool {
        let record = Record::Of(login);
        if fault == Fault::Lost || self.is_locked_out(fault) {
            return false;
        }
        match self.keeping {
            Keeping::Memory => true,
            Keeping::File => self.write_file(record, fault),
            Keeping::Keyring => self.write_keyring(record, fault),
            Keeping::Auto => {
                self.write_keyring(record.clone(), fault) || self.write_file(record, fault)
            }
        }
    }

    /// The lock around every change cannot be had.
    fn is_locked_out(&self, fault: Fault) -> bool {
        self.keeping != Keeping::Memory && fault == Fault::Op(FileOp::Lock)
    }

    fn write_file(&mut self, record: Record, fault: Fault) -> bool {
        if fault == Fault::Op(FileOp::Write) {
            return false;
        }
        self.file = record;
        self.file_is_ours = true;
        true
    }

    fn write_keyring(&mut self, record: Record, fault: Fault) -> bool {
        if self.reads_keyring(fault).is_err() {
            return false;
        }
        self.keyring = record;
        if fault != Fault::Op(FileOp::Remove) {
            self.file = Record::Nothing;
        }
        true
    }

    /// Saves what became of an older login by a refresh.
    pub fn save_refreshed(&mut self, origin: &Login, fresh: Rc<Login>, fault: Fault) -> Saved {
        if self.is_locked_out(fault) {
            return Saved::Failed;
        }
        let is_theirs = match self.find(fault) {
            Err(Unread) | Ok(Record::Broken) => return Saved::Failed,
            Ok(Record::Nothing) => false,
            Ok(Record::Of(found)) => found.kind == Kind::Managed && found.account == origin.account,
        };
        if !is_theirs {
            return Saved::NotTheirs;
        }
        if self.save(fresh, fault) { Saved::Done } else { Saved::Failed }
    }

    /// Deletes the record wherever it may be; whether all of it is gone.
    pub fn delete(&mut self, fault: Fault) -> bool {
        if fault == Fault::Lost {
            return false;
        }
        let mut is_done = fault != Fault::Op(FileOp::Remove);
        if is_done {
            self.file = Record::Nothing;
        }
        if matches!(self.keeping, Keeping::Keyring | Keeping::Auto) {
            if self.reads_keyring(fault).is_ok() {
                self.keyring = Record::Nothing;
            } else {
                is_done &= self.keeping == Keeping::Auto && !self.has_keyring;
            }
        }
        is_done
    }
}
