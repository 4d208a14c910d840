//! Owns: a recording that is played again, in the machine alone and as fast as it goes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::deed::{Deed, Lane, step_digest};
use super::journal::{Answer, Replayed, Strayed};
use super::line::{AnswerLine, FreshLine, GivenLine, OpLine, ToldLine};
use super::note::{Topic, Wrote};
use super::read::{Given, Recording, Step};
use super::short::shown_digest;
use crate::clock::Now;
use crate::effect::{AskId, Call, CallId, Effect, TimerId};
use crate::files::{Disk, FileJob};
use crate::input::{FreshTokens, Input, Outcome};
use crate::machine::Machine;
use crate::secret::Secret;
use crate::setup::Setup;

/// A machine that is told what another one was told.
#[derive(Debug)]
pub struct Replay<'a> {
    recording: &'a Recording,
    machine: Machine,
    next: usize,
    /// Calls without a last answer.
    calls: BTreeMap<CallId, Open>,
    timers: BTreeMap<TimerId, Duration>,
    /// How much of the pending output was looked at.
    noted: usize,
}

#[derive(Debug)]
struct Open {
    kind: Kind,
    title: String,
    /// The job, until it is done.
    job: Option<FileJob>,
}

/// What a call may be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Files,
    Listen,
    Hold,
    Process,
    Logs,
    Search,
}

/// One step that was played.
#[derive(Debug)]
pub struct Played {
    /// Its number, from 0.
    pub step: usize,
    /// When it happened.
    pub now: Now,
    /// The input, in the words of a [`Deed`].
    pub given: Deed,
    /// The bytes for the host that it added.
    pub output: Vec<u8>,
    /// The effects that it led to.
    pub deeds: Vec<Deed>,
    /// What is other than it was.
    pub difference: Option<Difference>,
}

/// How a replay is other than its recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// Other bytes or effects came out.
    #[error("what came out is not what was recorded ({})", digests(.recorded, .played))]
    Output {
        /// The digest of what was recorded, if there was anything.
        recorded: Option<u32>,
        /// The digest of what came out, if anything did.
        played: Option<u32>,
    },
    /// A file job did something else.
    #[error("operation {} of the file job: {}", .0.op, strayed(.0))]
    Files(Strayed),
    /// The recording answers a call that was not made, or that was another kind of call.
    #[error("call {0} is answered, and was not made like that")]
    Unasked(u64),
    /// The recording says that more was written than there was.
    #[error("{recorded} bytes were written, and there are {pending}")]
    Written {
        /// So many bytes were written.
        recorded: usize,
        /// So many there are.
        pending: usize,
    },
}

fn digests(recorded: &Option<u32>, played: &Option<u32>) -> String {
    let shown = |digest: &Option<u32>| match digest {
        Some(digest) => shown_digest(*digest),
        None => "nothing".to_owned(),
    };
    format!("{}, now {}", shown(recorded), shown(played))
}

fn strayed(strayed: &Strayed) -> String {
    let shown = |line: &Option<String>| line.clone().unwrap_or_else(|| "its end".to_owned());
    format!("{}, now {}", shown(&strayed.recorded), shown(&strayed.asked))
}

impl<'a> Replay<'a> {
    /// A machine that has been told nothing yet.
    pub fn new(recording: &'a Recording) -> Self {
        let machine = Machine::new(recording.setup.clone(), recording.seed, recording.begun);
        let (calls, timers) = (BTreeMap::new(), BTreeMap::new());
        Self { recording, machine, next: 0, calls, timers, noted: 0 }
    }

    /// Plays the next step; none when all are played.
    pub fn play(&mut self) -> Option<Played> {
        let step = self.recording.steps.get(self.next)?;
        let number = self.next;
        self.next += 1;
        let given = match &step.given {
            Given::Piece(topic, said) => self.shown_piece(*topic, said),
            Given::Whole(GivenLine::Setup) => shown_setup(&self.recording.setup),
            Given::Whole(given) => shown(given, &self.calls),
        };
        let told = self.tell(step);
        let deeds = self.drain();
        let pending = self.machine.pending_output();
        let output = pending.get(self.noted..).unwrap_or_default().to_vec();
        self.noted = pending.len();
        let has_come = !output.is_empty() || !deeds.is_empty();
        let played = has_come.then(|| step_digest(&output, &deeds));
        let recorded = step.digest;
        let output_differs =
            (played != recorded).then_some(Difference::Output { recorded, played });
        let difference = told.err().or(output_differs);
        Some(Played { step: number, now: step.now, given, output, deeds, difference })
    }

    /// What is open, one line each: calls without their last answer, timers.
    pub fn open(&self) -> Vec<String> {
        let calls =
            self.calls.iter().map(|(call, open)| format!("call {}: {}", call.0, open.title));
        let timers = self.timers.iter();
        let timers = timers.map(|(timer, delay)| format!("timer {} of {delay:?}", timer.0));
        calls.chain(timers).collect()
    }

    // --- what goes in ---

    fn tell(&mut self, step: &Step) -> Result<(), Difference> {
        let now = step.now;
        let given = match &step.given {
            Given::Piece(topic, said) => return self.tell_piece(now, *topic, said),
            Given::Whole(given) => given,
        };
        match given {
            GivenLine::Setup => {}
            GivenLine::Eof => self.machine.handle(now, Input::Eof),
            GivenLine::Timer(timer) => {
                self.timers.remove(&TimerId(*timer));
                self.machine.handle(now, Input::TimerFired(TimerId(*timer)));
            }
            GivenLine::Signal(signal) => self.machine.handle(now, Input::Signal(*signal)),
            GivenLine::Refreshed(ask, tokens) => {
                let answer = Ok(fresh_tokens(tokens));
                self.machine.handle(now, Input::AuthRefreshed(AskId(*ask), answer));
            }
            GivenLine::Denied(ask, denied) => {
                let answer = Err(denied.clone());
                self.machine.handle(now, Input::AuthRefreshed(AskId(*ask), answer));
            }
            GivenLine::Done(call, told) => return self.answer(now, CallId(*call), told),
        }
        Ok(())
    }

    fn tell_piece(&mut self, now: Now, topic: Topic, said: &[u8]) -> Result<(), Difference> {
        let (call, kind, outcome) = match topic {
            Topic::Wrote(wrote) => return self.wrote(wrote),
            Topic::Bytes => {
                self.machine.handle(now, Input::Bytes(said));
                return Ok(());
            }
            Topic::Body(call) => (call, Kind::Http, Outcome::HttpBytes(said)),
            Topic::Output(stream, call) => {
                (call, Kind::Process, Outcome::ProcessOutput(stream, said))
            }
        };
        if self.calls.get(&call).is_none_or(|open| open.kind != kind) {
            return Err(Difference::Unasked(call.0));
        }
        self.machine.handle(now, Input::Done(call, outcome));
        Ok(())
    }

    fn wrote(&mut self, wrote: Wrote) -> Result<(), Difference> {
        let pending = self.machine.pending_output().len();
        let recorded = match wrote {
            Wrote::All => pending,
            Wrote::Bytes(n) => n,
        };
        let n = recorded.min(pending);
        self.machine.wrote(n);
        self.noted = self.noted.saturating_sub(n);
        if recorded > pending {
            return Err(Difference::Written { recorded, pending });
        }
        Ok(())
    }

    fn answer(&mut self, now: Now, call: CallId, told: &ToldLine) -> Result<(), Difference> {
        let open = self.calls.get_mut(&call);
        let Some(open) = open.filter(|open| open.kind.fits(told)) else {
            return Err(Difference::Unasked(call.0));
        };
        let job = open.job.take();
        let outcome = match told {
            ToldLine::Files(ops) => {
                let job = job.ok_or(Difference::Unasked(call.0))?;
                self.calls.remove(&call);
                return self.run(now, call, job, ops);
            }
            other => outcome(other),
        };
        if outcome.is_last() {
            self.calls.remove(&call);
        }
        self.machine.handle(now, Input::Done(call, outcome));
        Ok(())
    }

    /// Runs a file job on what its operations answered then.
    fn run(
        &mut self,
        now: Now,
        call: CallId,
        job: FileJob,
        ops: &[OpLine],
    ) -> Result<(), Difference> {
        let ops: Vec<(String, Answer)> =
            ops.iter().map(|OpLine(asked, line)| (asked.clone(), answer(line))).collect();
        let replayed = Replayed::new(&ops);
        let found = job.run(Disk { files: &replayed, keyring: &replayed });
        self.machine.handle(now, Input::Done(call, Outcome::Files(Box::new(found))));
        match replayed.strayed() {
            Some(strayed) => Err(Difference::Files(strayed)),
            None => Ok(()),
        }
    }

    /// The piece in words.
    fn shown_piece(&self, topic: Topic, said: &[u8]) -> Deed {
        let len = said.len();
        let (title, call) = match topic {
            Topic::Wrote(Wrote::All) => ("took all".to_owned(), None),
            Topic::Wrote(Wrote::Bytes(n)) => (format!("took {n} bytes"), None),
            Topic::Bytes => (format!("{len} bytes"), None),
            Topic::Body(call) => (format!("{len} bytes"), Some(call)),
            Topic::Output(stream, call) => (format!("{stream:?}, {len} bytes"), Some(call)),
        };
        let lane = match call {
            Some(call) => self.calls.get(&call).map_or(Lane::Machine, |open| open.kind.lane()),
            None => Lane::Host,
        };
        let call = call.map(|call| call.0);
        Deed { call, body: said.to_vec(), ..Deed::new(lane, title) }
    }

    // --- what comes out ---

    fn drain(&mut self) -> Vec<Deed> {
        let mut deeds = Vec::new();
        while let Some(effect) = self.machine.poll_effect() {
            deeds.extend(Deed::of(&effect));
            let title = deeds.last().map(|deed| deed.title.clone()).unwrap_or_default();
            match effect {
                Effect::Start(id, call) => {
                    self.calls.insert(id, Open::new(*call, title));
                }
                Effect::StartTimer(timer, delay) => {
                    self.timers.insert(timer, delay);
                }
                Effect::CancelTimer(timer) => {
                    self.timers.remove(&timer);
                }
                // A call that was cancelled may answer all the same.
                Effect::Cancel(_)
                | Effect::Send
                | Effect::RefreshAuth(..)
                | Effect::Feed(..)
                | Effect::Telemetry(_)
                | Effect::Exit(_) => {}
            }
        }
        deeds
    }
}

impl Open {
    fn new(call: Call, title: String) -> Self {
        let (kind, job) = match call {
            Call::Http(_) => (Kind::Http, None),
            Call::Files(job) => (Kind::Files, Some(job)),
            Call::Listen(_) => (Kind::Listen, None),
            Call::Hold(_) => (Kind::Hold, None),
            Call::Process(_) => (Kind::Process, None),
            Call::Logs => (Kind::Logs, None),
            Call::Search(_) => (Kind::Search, None),
        };
        Self { kind, title, job }
    }
}

impl Kind {
    fn fits(self, told: &ToldLine) -> bool {
        let kind = match told {
            ToldLine::Head(_) | ToldLine::End | ToldLine::Failed(_) => Kind::Http,
            ToldLine::Files(_) => Kind::Files,
            ToldLine::Listening | ToldLine::ListenFailed(_) | ToldLine::Visit(_) => Kind::Listen,
            ToldLine::Held | ToldLine::NotHeld(_) => Kind::Hold,
            ToldLine::Exited(_) | ToldLine::NotStarted(_) => Kind::Process,
            ToldLine::Logs(_) => Kind::Logs,
            ToldLine::Found(_) => Kind::Search,
            ToldLine::Lost => return true,
        };
        self == kind
    }

    fn lane(self) -> Lane {
        match self {
            Kind::Http => Lane::Backend,
            Kind::Files | Kind::Hold | Kind::Logs | Kind::Search => Lane::Files,
            Kind::Listen => Lane::Browser,
            Kind::Process => Lane::Processes,
        }
    }
}

fn fresh_tokens(line: &FreshLine) -> FreshTokens {
    FreshTokens {
        access_token: Secret::new(&line.access_token),
        id_token: line.id_token.as_ref().map(Secret::new),
        account_id: line.account_id.clone(),
        plan_type: line.plan_type.clone(),
    }
}

fn outcome(told: &ToldLine) -> Outcome<'_> {
    match told {
        ToldLine::Head(head) => Outcome::HttpHead(head.clone()),
        ToldLine::End => Outcome::HttpEnd,
        ToldLine::Failed(failure) => Outcome::HttpFailed(failure.clone()),
        ToldLine::Listening => Outcome::Listening,
        ToldLine::ListenFailed(failure) => Outcome::ListenFailed(failure.clone()),
        ToldLine::Visit(visit) => Outcome::Visit(visit.clone()),
        ToldLine::Held => Outcome::Held(Ok(())),
        ToldLine::NotHeld(error) => Outcome::Held(Err(error.clone())),
        ToldLine::Exited(exit) => Outcome::ProcessExited(*exit),
        ToldLine::NotStarted(failure) => Outcome::ProcessFailed(failure.clone()),
        ToldLine::Logs(text) => Outcome::Logs(text.clone()),
        ToldLine::Found(files) => Outcome::Found(files.clone()),
        // Its job is run instead.
        ToldLine::Files(_) | ToldLine::Lost => Outcome::Lost,
    }
}

fn answer(line: &AnswerLine) -> Answer {
    match line {
        AnswerLine::Done => Answer::Done,
        AnswerLine::Bytes(text) => Answer::Bytes(text.0.to_vec()),
        // Those were found when the recording was read.
        AnswerLine::Same(_) => Answer::Bytes(Vec::new()),
        AnswerLine::Entries(entries) => Answer::Entries(entries.clone()),
        AnswerLine::Files(files) => Answer::Files(files.clone()),
        AnswerLine::Stat(stat) => Answer::Stat(*stat),
        AnswerLine::Path(path) => Answer::Path(path.into()),
        AnswerLine::Secret(secret) => Answer::Secret(secret.as_ref().map(Secret::new)),
        AnswerLine::Flag(flag) => Answer::Flag(*flag),
        AnswerLine::Failed(error) => Answer::Failed(error.clone()),
        AnswerLine::NoKeyring(refused) => Answer::NoKeyring(refused.clone()),
    }
}

// --- inputs in words ---

fn shown_setup(setup: &Setup) -> Deed {
    let mut deed = Deed::new(Lane::Machine, "setup".to_owned());
    let path = |path: &Path| path.display().to_string();
    let named = [
        ("home", path(&setup.home)),
        ("folder", path(&setup.cwd)),
        ("system", format!("{} {}", setup.host.os, setup.host.os_version)),
        ("processor", setup.host.arch.clone()),
        ("terminal", setup.host.terminal.clone()),
        ("shell", setup.host.shell_path.clone()),
    ];
    let (settings, ..) = setup.overrides.given();
    let settings = settings.iter().map(|setting| ("-c", setting.clone()));
    let vars = setup.env.iter().map(|(name, value)| (name, value.to_owned()));
    let all = named.into_iter().chain(settings).chain(vars);
    let all: Vec<_> = all.map(|(name, value)| (name.to_owned(), value)).collect();
    deed.add_plain_fields(&all);
    deed
}

fn shown(given: &GivenLine, calls: &BTreeMap<CallId, Open>) -> Deed {
    let machine = |title: String| Deed::new(Lane::Machine, title);
    let host = |title: String| Deed::new(Lane::Host, title);
    match given {
        GivenLine::Setup => machine("setup".to_owned()),
        GivenLine::Eof => host("end of input".to_owned()),
        GivenLine::Timer(timer) => machine(format!("timer {timer} fired")),
        GivenLine::Signal(signal) => machine(format!("signal {signal:?}")),
        GivenLine::Refreshed(ask, _) => host(format!("tokens for question {ask}")),
        GivenLine::Denied(ask, denied) => {
            host(format!("no tokens for question {ask}: {}", denied.message))
        }
        GivenLine::Done(call, told) => {
            let lane = calls.get(&CallId(*call)).map_or(Lane::Machine, |open| open.kind.lane());
            Deed { lane, ..shown_told(told) }.of_call(*call)
        }
    }
}

fn shown_told(told: &ToldLine) -> Deed {
    let plain = |title: String| Deed::new(Lane::Machine, title);
    let with = |title: String, body: &[u8]| Deed { body: body.to_vec(), ..plain(title) };
    match told {
        ToldLine::Head(head) => {
            let mut deed = plain(format!("status {}", head.status));
            deed.add_plain_fields(&head.headers);
            deed
        }
        ToldLine::End => plain("end".to_owned()),
        ToldLine::Failed(failure) => {
            plain(format!("failed ({:?}): {}", failure.kind, failure.text))
        }
        ToldLine::Files(ops) => {
            let lines = ops.iter().map(|OpLine(asked, answer)| match answer {
                AnswerLine::Done => format!("{asked}: done\n"),
                AnswerLine::Bytes(text) => format!("{asked}: {} bytes\n", text.0.len()),
                AnswerLine::Entries(entries) => format!("{asked}: {} entries\n", entries.len()),
                AnswerLine::Files(files) => format!("{asked}: {} files\n", files.len()),
                AnswerLine::Failed(error) => format!("{asked}: {error}\n"),
                AnswerLine::Secret(secret) => format!("{asked}: {}\n", secret.is_some()),
                other => format!("{asked}: {other:?}\n"),
            });
            let count = match ops.len() {
                1 => "1 operation".to_owned(),
                many => format!("{many} operations"),
            };
            with(count, lines.collect::<String>().as_bytes())
        }
        ToldLine::Listening => plain("listening".to_owned()),
        ToldLine::ListenFailed(failure) => plain(format!("no listener: {}", failure.text)),
        ToldLine::Visit(visit) => plain(format!("{} {}", visit.method, visit.target)),
        ToldLine::Held => plain("held".to_owned()),
        ToldLine::NotHeld(error) => plain(format!("not held: {error}")),
        ToldLine::Exited(exit) => plain(format!("exited: {exit:?}")),
        ToldLine::NotStarted(failure) => plain(format!("not started: {}", failure.text)),
        ToldLine::Logs(text) => with(format!("{} bytes", text.len()), text.as_bytes()),
        ToldLine::Found(files) => plain(format!("{} files", files.len())),
        ToldLine::Lost => plain("lost".to_owned()),
    }
}
