//! The server inside a program of plain threads: no async runtime, no `Driver`.
//!
//!     cargo run -p understudy-std --example threads
//!
//! [`Session`] is the part to copy: it owns a machine, its timers and the threads that carry out
//! its calls, and everything comes back on one channel. The loop in `play` is the program's own,
//! with the program's own events beside those of the session. When the backend refuses the user's
//! tokens, a callback gets new ones; no JSON is made for that.
//!
//! The program, the backend and the tokens are pretended (`examples/pretended`). It says what
//! happens, and fails if that is not what should.

#[path = "../../examples/pretended/backend.rs"]
mod backend;
#[path = "../../examples/pretended/product.rs"]
mod product;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use understudy_core::driver::Refreshed;
use understudy_core::files::{Disk, FileError, FileErrorKind, FileJob, NoKeyring};
use understudy_core::{
    AskId, Call, CallId, Effect, ExitStatus, HttpFailure, HttpFailureKind, HttpHead, HttpRequest,
    Input, ListenFailure, Machine, Method, Now, Outcome, ProcessFailure, ProcessFailureKind,
    Refresh, RefreshAuth, Setup, TimerId,
};
use understudy_std::OsFiles;

use backend::Backend;
use product::Product;

/// What happens to the program. A real one has its own events here too: a click, a request.
enum Event {
    /// The product has something to say to the server.
    Said(Vec<u8>),
    Done(CallId, Answer),
    Refreshed(AskId, Refreshed),
}

/// An [`Outcome`] that can travel between threads.
enum Answer {
    Whole(Outcome<'static>),
    Bytes(Vec<u8>),
}

/// Events that wait for the loop. A thread that has one more waits, and so does the backend behind
/// it: this is all the back-pressure that is needed where output is taken at once.
const EVENTS_WAITING_MAX: usize = 64;

/// A connection to a backend, where the request sets no limit of its own.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// One machine with its timers and calls.
struct Session {
    machine: Machine,
    timers: BTreeMap<TimerId, Instant>,
    events: SyncSender<Event>,
    /// File jobs go to one thread, because two writes to a file must not change places.
    jobs: Sender<(CallId, FileJob)>,
    http: ureq::Agent,
    refresh: Arc<dyn Fn(RefreshAuth) -> Refreshed + Send + Sync>,
    began: Instant,
    exit: Option<ExitStatus>,
}

impl Session {
    fn new(
        setup: Setup,
        events: SyncSender<Event>,
        refresh: impl Fn(RefreshAuth) -> Refreshed + Send + Sync + 'static,
    ) -> Result<Self, Box<dyn Error>> {
        let now = Now::new(Duration::ZERO, Timestamp::now());
        Ok(Self {
            machine: Machine::new(setup, understudy_std::seed()?, now),
            timers: BTreeMap::new(),
            jobs: file_thread(events.clone()),
            events,
            http: http_client(),
            refresh: Arc::new(refresh),
            began: Instant::now(),
            exit: None,
        })
    }

    /// Tells the machine what happened, and does what it wants done. `output` is what it says to
    /// its host.
    fn handle(&mut self, input: Input<'_>, output: &mut Vec<u8>) {
        let now = Now::new(self.began.elapsed(), Timestamp::now());
        self.machine.handle(now, input);
        self.carry_out(output);
    }

    /// Does what the machine wants done: after each input, and once at the beginning.
    fn carry_out(&mut self, output: &mut Vec<u8>) {
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Send => {
                    let pending = self.machine.pending_output();
                    output.extend_from_slice(pending);
                    let n = pending.len();
                    self.machine.wrote(n);
                }
                Effect::StartTimer(id, delay) => {
                    self.timers.insert(id, Instant::now() + delay);
                }
                Effect::CancelTimer(id) => {
                    self.timers.remove(&id);
                }
                Effect::RefreshAuth(ask, question) => self.start_refresh(ask, question),
                Effect::Start(id, call) => self.start(id, *call),
                // A thread in a blocking call cannot be stopped: it ends by its own limits, and
                // what it still answers the machine drops.
                Effect::Cancel(_) => {}
                // Nothing that could be fed is started here, and nobody collects measurements.
                Effect::Feed(..) | Effect::Telemetry(_) => {}
                Effect::Exit(status) => self.exit = Some(status),
            }
        }
    }

    /// The callback may block, for instance on a question to an identity service, so it has a
    /// thread to itself. The machine has its own time limit, and drops what comes too late.
    fn start_refresh(&self, ask: AskId, question: RefreshAuth) {
        let (events, refresh) = (self.events.clone(), Arc::clone(&self.refresh));
        thread::spawn(move || events.send(Event::Refreshed(ask, refresh(question))));
    }

    fn start(&self, id: CallId, call: Call) {
        let refusal = "not in this program".to_owned();
        let answer = match call {
            Call::Http(request) => {
                let (events, http) = (self.events.clone(), self.http.clone());
                thread::spawn(move || exchange(&http, id, request, &events));
                return;
            }
            Call::Files(job) => {
                // The thread is there as long as the session.
                let _over = self.jobs.send((id, job));
                return;
            }
            // Every call must be answered, also those that a program does not want to serve. This
            // one runs no programs (`understudy_std::program::Programs` would), and its users sign
            // in elsewhere.
            Call::Process(_) => Outcome::ProcessFailed(ProcessFailure {
                kind: ProcessFailureKind::Other,
                text: refusal,
            }),
            Call::Listen(_) => {
                Outcome::ListenFailed(ListenFailure { is_in_use: false, text: refusal })
            }
            // The lock is for tokens that the server refreshes on its own, which are not used here.
            Call::Hold(_) => {
                Outcome::Held(Err(FileError { kind: FileErrorKind::Other, text: refusal }))
            }
            Call::Search(_) => Outcome::Found(Vec::new()),
            Call::Logs => Outcome::Logs(String::new()),
        };
        // Not from this thread into a queue that only this thread empties: it may be full.
        let events = self.events.clone();
        thread::spawn(move || events.send(Event::Done(id, Answer::Whole(answer))));
    }

    /// How long nothing need be done unless something happens.
    fn rest(&self) -> Duration {
        let next = self.timers.values().min();
        next.map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now()))
    }

    fn fire_timers(&mut self, output: &mut Vec<u8>) {
        let now = Instant::now();
        let due: Vec<_> = self.timers.iter().filter(|(_, due)| **due <= now).collect();
        let due: Vec<TimerId> = due.into_iter().map(|(id, _)| *id).collect();
        for id in due {
            // One that was cancelled by the one before does no harm.
            self.timers.remove(&id);
            self.handle(Input::TimerFired(id), output);
        }
    }
}

fn file_thread(events: SyncSender<Event>) -> Sender<(CallId, FileJob)> {
    let (jobs, todo) = mpsc::channel::<(CallId, FileJob)>();
    thread::spawn(move || {
        let disk = Disk { files: &OsFiles, keyring: &NoKeyring };
        for (id, job) in todo {
            let done = catch_unwind(AssertUnwindSafe(|| job.run(disk)));
            let answer = done.map_or(Outcome::Lost, |answer| Outcome::Files(Box::new(answer)));
            if events.send(Event::Done(id, Answer::Whole(answer))).is_err() {
                return;
            }
        }
    });
    jobs
}

/// A client that does what it is told and nothing of its own: the machine decides about statuses,
/// redirects and retries.
fn http_client() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT_LIMIT));
    config.build().into()
}

fn exchange(http: &ureq::Agent, id: CallId, request: HttpRequest, events: &SyncSender<Event>) {
    let send = |answer| events.send(Event::Done(id, answer)).map_err(|_| None);
    let failed = |error: ureq::Error| Some(failure(&error));
    let exchanged = || -> Result<(), Option<HttpFailure>> {
        let response = respond(http, request).map_err(failed)?;
        let headers = response.headers().iter();
        let text =
            headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?)));
        let headers = text.map(|(name, value)| (name, value.to_owned())).collect();
        let head = HttpHead { status: response.status().as_u16(), headers };
        send(Answer::Whole(Outcome::HttpHead(head)))?;
        let mut body = response.into_body().into_reader();
        let mut chunk = vec![0; 16 << 10];
        loop {
            match body.read(&mut chunk) {
                Ok(0) => return send(Answer::Whole(Outcome::HttpEnd)),
                Ok(n) => send(Answer::Bytes(chunk[..n].to_vec()))?,
                Err(error) => return Err(failed(error.into())),
            }
        }
    };
    if let Err(Some(failure)) = exchanged() {
        // The session may be over.
        let _over = send(Answer::Whole(Outcome::HttpFailed(failure)));
    }
}

type Response = ureq::http::Response<ureq::Body>;

fn respond(http: &ureq::Agent, request: HttpRequest) -> Result<Response, ureq::Error> {
    let method = request.method.as_str();
    let mut builder = ureq::http::Request::builder().method(method).uri(&request.url);
    for (name, value) in &request.headers {
        builder = builder.header(name, value.expose());
    }
    let limits = (request.head_limit, request.total_limit);
    match request.method {
        Method::Get => send(http, builder.body(())?, limits),
        Method::Post => send(http, builder.body(request.body.concat())?, limits),
    }
}

fn send<B: ureq::AsSendBody>(
    http: &ureq::Agent,
    request: ureq::http::Request<B>,
    (head, total): (Option<Duration>, Option<Duration>),
) -> Result<Response, ureq::Error> {
    let limited = http.configure_request(request).timeout_recv_response(head);
    http.run(limited.timeout_global(total).build())
}

/// Nothing of the request is in the text: it might be a secret.
fn failure(error: &ureq::Error) -> HttpFailure {
    let kind = match error {
        ureq::Error::Timeout(_) => HttpFailureKind::Timeout,
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::Tls(_) => {
            HttpFailureKind::Connect
        }
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => HttpFailureKind::Request,
        _ => HttpFailureKind::Body,
    };
    HttpFailure { kind, text: error.to_string() }
}

fn main() -> ExitCode {
    match play() {
        Ok(()) => {
            println!("ok: the turn went on with new tokens, and no message was made for that");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play() -> Result<(), Box<dyn Error>> {
    let backend = Backend::start()?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("config.toml"), backend.config())?;
    let setup = Setup { refresh: Refresh::Embedder, ..Setup::new(folder.path(), folder.path()) };

    let (events, happened) = mpsc::sync_channel(EVENTS_WAITING_MAX);
    let user = events.clone();
    let mut session = Session::new(setup, events, |question| {
        Ok(Product::refreshed(question.previous_account_id.as_deref()))
    })?;
    let mut product = Product::new(folder.path().to_owned());
    // Stands for a user who presses a button.
    let hello = product.hello();
    thread::spawn(move || user.send(Event::Said(hello)));
    run(&mut session, &mut product, &happened)?;
    product.verdict(&backend.bearers())?;
    Ok(())
}

/// The program's own loop.
fn run(
    session: &mut Session,
    product: &mut Product,
    happened: &Receiver<Event>,
) -> Result<(), Box<dyn Error>> {
    let mut output = Vec::new();
    // What the session was not ready for.
    let mut said = Vec::new();
    let mut is_closing = false;
    session.carry_out(&mut output);
    while session.exit.is_none() {
        if !output.is_empty() {
            said.extend(product.hear(&std::mem::take(&mut output)));
            continue;
        }
        if product.is_done() && !is_closing {
            is_closing = true;
            session.handle(Input::Eof, &mut output);
            continue;
        }
        if !said.is_empty() && session.machine.wants_input() {
            session.handle(Input::Bytes(&std::mem::take(&mut said)), &mut output);
            continue;
        }
        let rest = session.rest();
        if rest.is_zero() {
            // However much else happens.
            session.fire_timers(&mut output);
            continue;
        }
        match happened.recv_timeout(rest) {
            Ok(Event::Said(bytes)) => said.extend(bytes),
            Ok(Event::Refreshed(ask, answer)) => {
                session.handle(Input::AuthRefreshed(ask, answer), &mut output);
            }
            Ok(Event::Done(id, Answer::Whole(outcome))) => {
                session.handle(Input::Done(id, outcome), &mut output);
            }
            Ok(Event::Done(id, Answer::Bytes(bytes))) => {
                session.handle(Input::Done(id, Outcome::HttpBytes(&bytes)), &mut output);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err("nobody is left to speak".into()),
        }
    }
    Ok(())
}
