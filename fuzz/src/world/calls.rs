//! Calls in a world: responses arrive in pieces, file jobs are run, when and how they are told to.

use understudy_core::files::{Disk, FaultHook, FileAnswer, FileError, FileErrorKind, FileOp};
use understudy_core::{CallId, HttpFailure, HttpFailureKind, HttpHead, Input, Outcome};

use super::backend::{Answering, HttpCall, Response};
use super::fact::{Fact, Job, Part, Purpose};
use super::{Fault, FileCall, World};

impl World {
    /// HTTP calls that have not ended, oldest first.
    pub fn http(&self) -> &[HttpCall] {
        &self.http
    }

    /// The head of a response arrives.
    pub fn head(&mut self, call: CallId, response: Response) {
        let n = self.responses + 1;
        let purpose = |http: &HttpCall| http.sent.purpose;
        let found = self.http.iter().find(|http| http.call == call);
        let Some(purpose) = found.filter(|http| http.answer.is_none()).map(purpose) else { return };
        let (status, headers) = (response.status(), response.headers());
        self.begin(call, status, headers, response.body(n, purpose));
    }

    /// A whole answer with this body arrives; whether it could.
    pub fn answer(&mut self, call: CallId, status: u16, body: String) -> bool {
        let has_begun = self.begin(call, status, Vec::new(), body);
        if has_begun {
            self.finish(call, usize::MAX >> 1);
        }
        has_begun
    }

    /// The head of a response with this body arrives; whether it could.
    pub fn begin(
        &mut self,
        call: CallId,
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    ) -> bool {
        if !self.accepts_parts() {
            return false;
        }
        let Some(http) = self.http.iter_mut().find(|http| http.call == call) else { return false };
        if http.answer.is_some() {
            return false;
        }
        self.responses += 1;
        http.answer = Some(Answering { body, done: 0 });
        self.facts.push(Fact::Backend(call, Part::Head(status)));
        self.input(Input::Done(call, Outcome::HttpHead(HttpHead { status, headers })));
        true
    }

    /// At most `len` bytes of the body arrive.
    pub fn body(&mut self, call: CallId, len: usize) {
        if !self.accepts_parts() {
            return;
        }
        let Some(http) = self.http.iter_mut().find(|http| http.call == call) else { return };
        let Some(answer) = &mut http.answer else { return };
        let from = answer.done;
        let end = (from + len).min(answer.body.len());
        if from == end {
            return;
        }
        answer.done = end;
        let bytes = answer.body.as_bytes()[from..end].to_vec();
        self.facts.push(Fact::Backend(call, Part::Bytes(bytes.len())));
        self.input(Input::Done(call, Outcome::HttpBytes(&bytes)));
    }

    /// The rest of the body arrives in pieces of `piece` bytes, then its end. While the machine
    /// wants no more, the rest stays behind.
    pub fn finish(&mut self, call: CallId, piece: usize) {
        loop {
            let open = self.http.iter().find(|http| http.call == call);
            let Some(answer) = open.and_then(|http| http.answer.as_ref()) else { return };
            if answer.done == answer.body.len() {
                break;
            }
            if !self.accepts_parts() {
                return;
            }
            self.body(call, piece.max(1));
        }
        self.facts.push(Fact::Backend(call, Part::End));
        self.close_http(call);
        self.input(Input::Done(call, Outcome::HttpEnd));
    }

    /// The exchange fails.
    pub fn fail(&mut self, call: CallId, kind: HttpFailureKind) {
        if self.close_http(call) {
            self.facts.push(Fact::Backend(call, Part::Failed(kind)));
            let failure = HttpFailure { kind, text: "scripted failure".to_owned() };
            self.input(Input::Done(call, Outcome::HttpFailed(failure)));
        }
    }

    /// The runtime loses the exchange.
    pub fn lose(&mut self, call: CallId) {
        if self.close_http(call) {
            self.facts.push(Fact::Backend(call, Part::Lost));
            self.input(Input::Done(call, Outcome::Lost));
        }
    }

    /// A whole response arrives for a call that was cancelled.
    pub fn answer_stale(&mut self, nth: usize, response: Response) {
        let count = self.stale_calls.len();
        if count == 0 || self.exit.is_some() {
            return;
        }
        let call = self.stale_calls[nth % count];
        let (status, headers) = (response.status(), response.headers());
        self.input(Input::Done(call, Outcome::HttpHead(HttpHead { status, headers })));
        let body = response.body(0, Purpose::Turn);
        self.input(Input::Done(call, Outcome::HttpBytes(body.as_bytes())));
        self.input(Input::Done(call, Outcome::HttpEnd));
    }

    pub(super) fn accepts_parts(&self) -> bool {
        self.exit.is_none() && self.machine.wants_input()
    }

    fn close_http(&mut self, call: CallId) -> bool {
        let before = self.http.len();
        self.http.retain(|http| http.call != call);
        self.exit.is_none() && self.http.len() < before
    }

    /// File jobs that wait to be run, oldest first.
    pub fn jobs(&self) -> impl ExactSizeIterator<Item = (CallId, Job)> {
        self.jobs.iter().map(|job| (job.call, job.kind))
    }

    /// Nobody waits for a job any more: it is not run; in a whole world it is, as in the runtimes.
    pub(super) fn drop_job(&mut self, call: CallId) {
        let is_whole = self.is_whole;
        self.jobs.retain_mut(|job| {
            job.is_dropped |= job.call == call;
            is_whole || !job.is_dropped
        });
    }

    /// Runs a file job, with a fault.
    pub fn run_job(&mut self, call: CallId, fault: Fault) {
        let Some(at) = self.jobs.iter().position(|job| job.call == call) else { return };
        let FileCall { job, kind, .. } = self.jobs.remove(at);
        if self.exit.is_some() {
            return;
        }
        match fault {
            Fault::Op(op) => self.files.inject(failing(op, kind)),
            Fault::Keyring => self.keyring.set_failing(true),
            Fault::None | Fault::Lost => {}
        }
        let outcome = match fault {
            Fault::Lost => Outcome::Lost,
            Fault::None | Fault::Op(_) | Fault::Keyring => {
                let disk = Disk { files: &self.files, keyring: &self.keyring };
                Outcome::Files(Box::new(job.run(disk)))
            }
        };
        self.files.heal();
        self.keyring.set_failing(false);
        let done = match &outcome {
            Outcome::Files(answer) => match &**answer {
                FileAnswer::Written(done) => done.is_ok(),
                FileAnswer::Credentials(done) => done.is_done(),
                _ => true,
            },
            _ => false,
        };
        self.facts.push(Fact::Filed(call, kind, fault, done));
        self.input(Input::Done(call, outcome));
    }
}

fn failing(op: FileOp, kind: Job) -> FaultHook {
    Box::new(move |asked, path| {
        // Reading fails for secrets and for what a thread must know. A process without its
        // settings is another one than the scenario is about.
        let needed = if kind == Job::Thread { "config.toml" } else { "auth.json" };
        let is_meant = op != FileOp::Read || path.ends_with(needed);
        let text = "scripted fault (os error 5)".to_owned();
        (asked == op && is_meant).then_some(FileError { kind: FileErrorKind::Other, text })
    })
}
