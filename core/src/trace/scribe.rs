//! Owns: notes into lines.
//!
//! A note becomes a line when its input has been looked through for secrets (`hold`), and lines come
//! in the order of the notes. What came out is only digested, with the stand-ins of that moment in
//! it, so that a replay, whose inputs have stand-ins, comes to the same digest.
//!
//! Invariant: what waits is bounded by [`limits::TRACE_HELD_BYTES_MAX`]; then the recording ends.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::clock::{Moment, Tick};
use super::deed::{Deed, FieldKind, step_digest};
use super::finder;
use super::hold::{Kind, Piece, Stream};
use super::journal::{Answer, Asked, Op, Verb};
use super::line::{
    AnswerLine, EndLine, FreshLine, GivenLine, Head, HostLine, OpLine, SetupLine, StepLine, Text,
    ToldLine, VERSION,
};
use super::note::{Fact, Given, Lengths, Note, Notes, Told, Topic, Whole, Wrote};
use super::secrets::Secrets;
use super::short::{Short, shown_digest};
use crate::clock::Now;
use crate::config::Overrides;
use crate::effect::CallId;
use crate::files::FileError;
use crate::input::{FreshTokens, HttpFailure, HttpHead};
use crate::limits;
use crate::process::OutputStream;
use crate::secret::Secret;
use crate::setup::{Refresh, Setup};

/// Contents that are shorter are written again each time.
const SHARED_BYTES_MIN: usize = 64;

/// Writes a recording: takes notes, gives lines.
#[derive(Debug)]
pub struct Scribe {
    secrets: Secrets,
    /// Variables of the setup as they are.
    env: BTreeMap<String, Secret>,
    at: Moment,
    /// Notes that wait, the first of them with this number.
    held: VecDeque<Held>,
    first: u64,
    held_bytes: usize,
    host: Stream,
    calls: BTreeMap<(CallId, Option<OutputStream>), Stream>,
    /// The numbers of contents that are in the recording, by their hash.
    contents: BTreeMap<[u8; 32], usize>,
    contents_count: usize,
    lines: Vec<u8>,
    ended: bool,
}

/// A note that waits.
struct Held {
    fact: Fact,
    /// Of what was said, that which was looked through.
    said: Vec<u8>,
    output: Vec<u8>,
    /// About how much memory it takes, in bytes.
    size: usize,
    /// Not all that was said was looked through.
    waits: bool,
}

/// It holds secrets.
impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("size", &self.size).finish_non_exhaustive()
    }
}

/// What was seen at a glance of the bytes of the notes that are left.
#[derive(Default)]
struct Glance {
    /// So many of them are clean.
    clean: usize,
    /// With so many texts looked for; none if it is time for another one.
    searched: Option<usize>,
}

impl Glance {
    /// Whether the next `len` bytes of `rest` are clean. Goes on behind them.
    fn is_clean(&mut self, rest: &[u8], len: usize, secrets: &mut Secrets) -> bool {
        if self.searched != Some(secrets.searched_count()) {
            self.clean = secrets.clean_len(rest);
            self.searched = Some(secrets.searched_count());
        }
        if len > self.clean {
            self.searched = None;
            return false;
        }
        self.clean -= len;
        true
    }
}

impl Scribe {
    /// Begins the recording of a machine that is made with these. `key` is random; whoever has it
    /// can try whether a guess is the secret behind a stand-in.
    pub fn new(setup: &Setup, seed: [u8; 32], now: Now, key: [u8; 32]) -> Self {
        let mut secrets = Secrets::new(key);
        let at = Moment::of(now);
        let head = Head {
            trace: VERSION,
            understudy: env!("CARGO_PKG_VERSION").to_owned(),
            seed: seed.iter().map(|byte| format!("{byte:02x}")).collect(),
            at,
            setup: setup_line(setup, now, &mut secrets),
        };
        let env = setup.env.iter().map(|(name, value)| (name.to_owned(), Secret::new(value)));
        let mut scribe = Self {
            secrets,
            env: env.collect(),
            at,
            held: VecDeque::new(),
            first: 0,
            held_bytes: 0,
            host: Stream::new(Kind::Messages),
            calls: BTreeMap::new(),
            contents: BTreeMap::new(),
            contents_count: 0,
            lines: Vec::new(),
            ended: false,
        };
        scribe.write(&head);
        scribe
    }

    /// Takes the next notes; `notes` is empty then.
    pub fn take(&mut self, notes: &mut Notes) {
        let mut glance = Glance::default();
        let mut rest = &notes.bytes[..];
        for (fact, Lengths { said, output }) in notes.facts.drain(..) {
            let is_clean = glance.is_clean(rest, said + output, &mut self.secrets);
            let (said, behind) = rest.split_at(said);
            let (output, behind) = behind.split_at(output);
            rest = behind;
            self.take_note(Note { fact, said, output }, is_clean);
        }
        notes.clear();
    }

    /// Takes one, whose bytes may be known to be clean.
    fn take_note(&mut self, note: Note<'_>, is_clean: bool) {
        if self.ended {
            return;
        }
        if self.held.is_empty() && self.lets_pass(&note, is_clean) {
            self.first += 1;
            let Note { fact, said, output } = note;
            return self.write_note(fact, said, output, is_clean);
        }
        let step = self.first + self.held.len() as u64;
        let size = note.size();
        let Note { fact, said, output } = note;
        self.held_bytes += size;
        let (output, waits) = (output.to_vec(), false);
        self.held.push_back(Held { fact, said: Vec::new(), output, size, waits });
        let pieces = self.look_through(step, said);
        self.settle(pieces);
        if self.held_bytes > limits::TRACE_HELD_BYTES_MAX {
            self.stop(Some("more waits for the end of a line or a body than is held"));
        }
    }

    /// The lines that are there; they are given out once.
    pub fn lines(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.lines)
    }

    /// The same in a buffer that is used again; what was in it is gone.
    pub fn lines_into(&mut self, buffer: &mut Vec<u8>) {
        buffer.clear();
        std::mem::swap(&mut self.lines, buffer);
    }

    /// Ends the recording, as far as its notes were whole. A reason says that the session went on.
    pub fn end(&mut self, reason: Option<&str>) {
        if self.ended {
            return;
        }
        let waiting = std::mem::replace(&mut self.host, Stream::new(Kind::Messages));
        let mut pieces = waiting.finish(&mut self.secrets);
        for (_, stream) in std::mem::take(&mut self.calls) {
            pieces.extend(stream.finish(&mut self.secrets));
        }
        self.settle(pieces);
        self.stop(reason);
    }

    fn stop(&mut self, reason: Option<&str>) {
        self.ended = true;
        self.held.clear();
        self.write(&EndLine { end: reason.map(str::to_owned) });
    }

    fn write(&mut self, line: &impl Serialize) {
        // Writing to a vector cannot fail, and a line has no keys but strings.
        if serde_json::to_writer(&mut self.lines, line).is_ok() {
            self.lines.push(b'\n');
        }
    }

    // --- what comes in pieces ---

    /// Whether a note is a piece that may be written as it is. If no note waits, no stream does.
    fn lets_pass(&mut self, note: &Note<'_>, is_clean: bool) -> bool {
        let stream = match note.fact.given {
            Given::Piece(Topic::Wrote(_)) => return note.fact.deeds.is_empty(),
            Given::Piece(Topic::Bytes) => Some(&self.host),
            Given::Piece(Topic::Body(call)) => self.calls.get(&(call, None)),
            Given::Piece(Topic::Output(stream, call)) => self.calls.get(&(call, Some(stream))),
            Given::Whole(_) => None,
        };
        let cancels = note.fact.deeds.iter().any(|deed| deed.title == Deed::CANCEL);
        !cancels
            && stream.is_some_and(|stream| stream.lets_pass(note.said))
            && (is_clean || self.secrets.is_clean(note.said))
    }

    /// Looks through the newest note, as far as it can be, and what it ends.
    fn look_through(&mut self, step: u64, said: &[u8]) -> Vec<Piece> {
        let Some(held) = self.held.back_mut() else { return Vec::new() };
        let (now, secrets) = (held.fact.now.mono, &mut self.secrets);
        let pieces = match &held.fact.given {
            Given::Piece(Topic::Wrote(_)) => Vec::new(),
            Given::Piece(Topic::Bytes) => {
                held.waits = true;
                self.host.take(step, now, said, secrets)
            }
            Given::Piece(Topic::Body(call)) => {
                held.waits = true;
                let stream = self.calls.entry((*call, None));
                stream.or_insert_with(|| Stream::new(Kind::Body)).take(step, now, said, secrets)
            }
            Given::Piece(Topic::Output(stream, call)) => {
                held.waits = true;
                let stream = self.calls.entry((*call, Some(*stream)));
                stream.or_insert_with(|| Stream::new(Kind::Output)).take(step, now, said, secrets)
            }
            Given::Whole(whole) => match &**whole {
                Whole::Eof => {
                    let host = std::mem::replace(&mut self.host, Stream::new(Kind::Messages));
                    host.finish(secrets)
                }
                Whole::Done(call, Told::Head(head)) => {
                    self.calls.insert((*call, None), Stream::new(body_kind(head)));
                    Vec::new()
                }
                Whole::Done(call, told) if told.is_last() => {
                    let call = *call;
                    self.finish_call(call)
                }
                _ => Vec::new(),
            },
        };
        let others = self.finish_cancelled().into_iter().chain(self.wait_no_longer());
        pieces.into_iter().chain(others).collect()
    }

    /// What programs have said a while ago.
    fn wait_no_longer(&mut self) -> Vec<Piece> {
        let Some(held) = self.held.back() else { return Vec::new() };
        let (now, secrets) = (held.fact.now.mono, &mut self.secrets);
        let calls = self.calls.values_mut();
        calls.flat_map(|stream| stream.wait_until(now, secrets)).collect()
    }

    /// Streams of calls that the newest note has cancelled.
    fn finish_cancelled(&mut self) -> Vec<Piece> {
        let Some(held) = self.held.back() else { return Vec::new() };
        let cancelled = held.fact.deeds.iter().filter(|deed| deed.title == Deed::CANCEL);
        let calls: Vec<CallId> = cancelled.filter_map(|deed| deed.call.map(CallId)).collect();
        calls.into_iter().flat_map(|call| self.finish_call(call)).collect()
    }

    fn finish_call(&mut self, call: CallId) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for key in [None, Some(OutputStream::Stdout), Some(OutputStream::Stderr)] {
            if let Some(stream) = self.calls.remove(&(call, key)) {
                pieces.extend(stream.finish(&mut self.secrets));
            }
        }
        pieces
    }

    /// Puts pieces to their notes, and writes those that wait for nothing.
    fn settle(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            let at = piece.step.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
            if let Some(held) = at.and_then(|at| self.held.get_mut(at)) {
                if held.said.is_empty() {
                    held.said = piece.bytes;
                } else {
                    held.said.extend_from_slice(&piece.bytes);
                }
                held.waits = !piece.is_last;
            }
        }
        while self.held.front().is_some_and(|held| !held.waits)
            && let Some(held) = self.held.pop_front()
        {
            self.first += 1;
            self.held_bytes = self.held_bytes.saturating_sub(held.size);
            self.write_note(held.fact, &held.said, &held.output, false);
        }
    }

    // --- one line ---

    fn write_note(&mut self, fact: Fact, said: &[u8], output: &[u8], is_clean: bool) {
        if let Some(wrote) = fact.wrote {
            self.write_wrote(wrote);
        }
        let moment = Moment::of(fact.now);
        let tick = self.at.to(moment);
        self.at = moment;
        match fact.given {
            Given::Piece(topic) => {
                let digest = match (output, &fact.deeds[..]) {
                    ([], []) => None,
                    (output, []) if is_clean => Some(step_digest(output, &[])),
                    _ => self.digest(output, fact.deeds),
                };
                Short { topic, tick, digest }.write(said, &mut self.lines);
            }
            Given::Whole(whole) => {
                // First, since it may tell of new secrets.
                let given = self.given_line(*whole);
                let digest = self.digest(output, fact.deeds).map(shown_digest);
                let (passed_us, jump_us) = (tick.passed_us, tick.jump_us);
                self.write(&StepLine { passed_us, jump_us, given, digest });
            }
        }
    }

    /// The step before a note: nothing came of it, and it was at the time of the one before.
    fn write_wrote(&mut self, wrote: Wrote) {
        let topic = Topic::Wrote(wrote);
        Short { topic, tick: Tick::default(), digest: None }.write(&[], &mut self.lines);
    }

    /// Stands for what came out, with stand-ins in it.
    fn digest(&mut self, output: &[u8], mut deeds: Vec<Deed>) -> Option<u32> {
        if output.is_empty() && deeds.is_empty() {
            return None;
        }
        let output = self.secrets.replaced(output);
        for deed in &mut deeds {
            deed.title = self.secrets.replaced_text(&deed.title);
            deed.body = self.secrets.replaced(&deed.body).into_owned();
            for field in &mut deed.fields {
                let value = match field.kind {
                    FieldKind::Plain => None,
                    FieldKind::SecretHeader => self.secrets.known_value(&field.value),
                    FieldKind::Variable => self.variable(&field.name, &field.value),
                };
                field.value = match value {
                    Some(value) => value,
                    None => self.secrets.replaced_text(&field.value),
                };
            }
        }
        Some(step_digest(&output, &deeds))
    }

    /// What a program's variable is in a replay, if it comes from the server's environment.
    fn variable(&self, name: &str, value: &str) -> Option<String> {
        let own = self.env.get(name).filter(|own| own.expose() == value)?;
        if finder::is_plain_variable(name) {
            return None;
        }
        self.secrets.whole(own.expose())
    }

    fn given_line(&mut self, given: Whole) -> GivenLine {
        match given {
            Whole::Setup => GivenLine::Setup,
            Whole::Eof => GivenLine::Eof,
            Whole::Timer(timer) => GivenLine::Timer(timer.0),
            Whole::Signal(signal) => GivenLine::Signal(signal),
            Whole::Refreshed(ask, Ok(tokens)) => {
                GivenLine::Refreshed(ask.0, self.fresh_line(&tokens))
            }
            Whole::Refreshed(ask, Err(mut denied)) => {
                denied.message = self.secrets.replaced_text(&denied.message);
                GivenLine::Denied(ask.0, denied)
            }
            Whole::Done(call, told) => GivenLine::Done(call.0, self.told_line(told)),
        }
    }

    fn fresh_line(&mut self, tokens: &FreshTokens) -> FreshLine {
        let secrets = &mut self.secrets;
        FreshLine {
            access_token: secrets.stand_in(tokens.access_token.expose()),
            id_token: tokens.id_token.as_ref().map(|token| secrets.stand_in(token.expose())),
            account_id: tokens.account_id.as_deref().map(|id| secrets.stand_in(id)),
            plan_type: tokens.plan_type.clone(),
        }
    }

    fn told_line(&mut self, told: Told) -> ToldLine {
        let secrets = &mut self.secrets;
        match told {
            Told::Head(HttpHead { status, headers }) => {
                let headers = headers.into_iter().map(|(name, value)| {
                    let value = finder::header_replaced(&name, &value, secrets);
                    (name, value)
                });
                ToldLine::Head(HttpHead { status, headers: headers.collect() })
            }
            Told::End => ToldLine::End,
            Told::Failed(HttpFailure { kind, text }) => {
                ToldLine::Failed(HttpFailure { kind, text: secrets.replaced_text(&text) })
            }
            Told::Files(ops) => {
                ToldLine::Files(ops.into_iter().map(|op| self.op_line(op)).collect())
            }
            Told::Listening => ToldLine::Listening,
            Told::ListenFailed(failure) => ToldLine::ListenFailed(failure),
            Told::Visit(mut visit) => {
                visit.target = finder::target_replaced(&visit.target, secrets);
                ToldLine::Visit(visit)
            }
            Told::Held(Ok(())) => ToldLine::Held,
            Told::Held(Err(error)) => ToldLine::NotHeld(error),
            Told::Exited(exit) => ToldLine::Exited(exit),
            Told::NotStarted(failure) => ToldLine::NotStarted(failure),
            Told::Logs(text) => {
                finder::learn_shapes(text.as_bytes(), secrets);
                ToldLine::Logs(secrets.replaced_text(&text))
            }
            Told::Found(files) => ToldLine::Found(files),
            Told::Lost => ToldLine::Lost,
        }
    }

    // --- files ---

    fn op_line(&mut self, op: Op) -> OpLine {
        let Op { mut asked, answer } = op;
        if let Some(written) = asked.written.take() {
            let said = self.content(&asked, &written);
            asked.written = Some(said);
        }
        let answer = match answer {
            Answer::Done => AnswerLine::Done,
            Answer::Bytes(bytes) => self.bytes_line(&asked, &bytes),
            Answer::Entries(entries) => AnswerLine::Entries(entries),
            Answer::Files(files) => AnswerLine::Files(files),
            Answer::Stat(stat) => AnswerLine::Stat(stat),
            Answer::Path(path) => AnswerLine::Path(path.to_string_lossy().into_owned()),
            Answer::Secret(secret) => AnswerLine::Secret(secret.map(|secret| {
                let said = self.content(&asked, secret.expose().as_bytes());
                String::from_utf8_lossy(&said).into_owned()
            })),
            Answer::Flag(flag) => AnswerLine::Flag(flag),
            Answer::Failed(FileError { kind, text }) => {
                AnswerLine::Failed(FileError { kind, text: self.secrets.replaced_text(&text) })
            }
            Answer::NoKeyring(refused) => AnswerLine::NoKeyring(refused),
        };
        asked.path = self.secrets.replaced_text(&asked.path);
        OpLine(asked.shown(), answer)
    }

    /// What was read, or its number where it was read before.
    fn bytes_line(&mut self, asked: &Asked, bytes: &[u8]) -> AnswerLine {
        if bytes.len() < SHARED_BYTES_MIN {
            return self.new_content(asked, bytes);
        }
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        if let Some(number) = self.contents.get(&hash) {
            return AnswerLine::Same(*number);
        }
        if self.contents.len() < limits::TRACE_CONTENTS_MAX {
            self.contents.insert(hash, self.contents_count);
        }
        self.new_content(asked, bytes)
    }

    fn new_content(&mut self, asked: &Asked, bytes: &[u8]) -> AnswerLine {
        self.contents_count += 1;
        AnswerLine::Bytes(Text(Arc::from(self.content(asked, bytes))))
    }

    /// The contents of a file with stand-ins for the secrets that such a file holds.
    fn content(&mut self, asked: &Asked, bytes: &[u8]) -> Vec<u8> {
        let is_keyring = matches!(asked.verb, Verb::KeyringGet | Verb::KeyringSet);
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.secrets.replaced(bytes).into_owned();
        };
        finder::learn_shapes(bytes, &mut self.secrets);
        if asked.path.ends_with(".toml") {
            finder::learn_toml(text, &mut self.secrets);
        }
        if is_keyring || asked.path.ends_with("auth.json") {
            let said = finder::json_replaced(text, &mut self.secrets);
            return self.secrets.replaced(said.as_bytes()).into_owned();
        }
        self.secrets.replaced(bytes).into_owned()
    }
}

fn body_kind(head: &HttpHead) -> Kind {
    let is_stream = head.header("content-type").is_some_and(|kind| {
        kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream")
    });
    if is_stream { Kind::Events } else { Kind::Body }
}

fn setup_line(setup: &Setup, now: Now, secrets: &mut Secrets) -> SetupLine {
    let vars = setup
        .env
        .iter()
        .map(|(name, value)| (name.to_owned(), finder::variable_replaced(name, value, secrets)));
    let env = vars.collect();
    let (settings, enabled, disabled) = setup.overrides.given();
    let overrides = settings.iter().map(|setting| finder::setting_replaced(setting, secrets));
    let overrides: Vec<String> = overrides.collect();
    if let Ok(others) = Overrides::parse(&overrides) {
        secrets.pair(&setup.overrides.fingerprint(), &others.fingerprint());
    }
    let host = &setup.host;
    SetupLine {
        home: setup.home.to_string_lossy().into_owned(),
        cwd: setup.cwd.to_string_lossy().into_owned(),
        env,
        overrides,
        enabled: enabled.to_vec(),
        disabled: disabled.to_vec(),
        host: HostLine {
            os: host.os.clone(),
            os_version: host.os_version.clone(),
            arch: host.arch.clone(),
            terminal: host.terminal.clone(),
            shell: host.shell.clone(),
            shell_path: host.shell_path.clone(),
        },
        zone: setup.zone.iana_name().map(str::to_owned),
        zone_offset: setup.zone.to_offset(now.wall).seconds(),
        refresh_by_embedder: setup.refresh == Refresh::Embedder,
        refresh_limit_ms: u64::try_from(setup.refresh_limit.as_millis()).unwrap_or(u64::MAX),
    }
}
