//! Owns: programs that are run: each the leader of a session and process group of its own.
//!
//! Invariants: a program has the environment it was given and no descriptor of this process but
//! its standard streams. Whoever drops a [`Child`] has ended its whole group, and leaves no zombie.
//! Never: reads what a program says, or decides when it has run long enough; that is the runtime's
//! and the machine's.

mod child;
mod leader;
mod spawn;
mod terminal;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use understudy_core::{ProcessFailure, ProcessFailureKind, ProcessRequest};

use child::Kept;
pub use child::{Child, LeftBehind, Started, Streams};
pub(crate) use spawn::start_failure_kind;

/// Between two looks at programs that were killed and have not ended yet.
const BURY_EVERY: Duration = Duration::from_millis(10);

/// Starts programs, and reaps those that were killed, on one thread that lives as long as any
/// clone of this or any [`Child`] of it. The thread is started with the first program.
///
/// It has to be one that stays: the kernel kills a program when the *thread* that started it ends
/// (`PR_SET_PDEATHSIG`), and threads of a runtime come and go. Clone one for all sessions of a
/// process.
#[derive(Clone, Default)]
pub struct Programs {
    thread: Arc<Mutex<Option<(Sender<Errand>, JoinHandle<()>)>>>,
    helper: Option<PathBuf>,
}

/// What the thread is asked to do.
enum Errand {
    Start(Box<Order>),
    /// Reap one that was killed.
    Bury(Grave),
}

struct Order {
    request: ProcessRequest,
    helper: Option<PathBuf>,
    /// For the child, which outlives this.
    errands: Sender<Errand>,
    answer: Answer,
}

/// A program that was killed, and what was kept for it.
#[derive(Debug)]
struct Grave {
    killed: process::Child,
    _kept: Kept,
}

type Answer = Box<dyn FnOnce(Result<Started, ProcessFailure>) + Send>;

impl Programs {
    /// Programs without a sandbox: a request with a confinement that holds anything back fails with
    /// [`ProcessFailureKind::NoSandbox`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Programs that can be confined. `helper` is a program that calls
    /// [`sandbox::run_if_asked`](crate::sandbox::run_if_asked) first thing, mostly this one:
    /// [`sandbox::this_program`](crate::sandbox::this_program).
    pub fn with_helper(helper: impl Into<PathBuf>) -> Self {
        Self { helper: Some(helper.into()), ..Self::default() }
    }

    /// Starts a program; `answer` is called on another thread, and dropped if that panics. May be
    /// called where nothing may block.
    pub fn start(
        &self,
        request: ProcessRequest,
        answer: impl FnOnce(Result<Started, ProcessFailure>) + Send + 'static,
    ) {
        match self.errands() {
            Ok(errands) => {
                let (helper, answer) = (self.helper.clone(), Box::new(answer));
                let order = Order { request, helper, errands: errands.clone(), answer };
                // Without the thread the answer is dropped.
                let _over = errands.send(Errand::Start(Box::new(order)));
            }
            Err(error) => answer(Err(failure(ProcessFailureKind::Other, &error))),
        }
    }

    fn errands(&self) -> io::Result<Sender<Errand>> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        match &*thread {
            Some((errands, handle)) if !handle.is_finished() => Ok(errands.clone()),
            _ => {
                let (errands, todo) = channel();
                let begin = move || work(&todo);
                let handle = thread::Builder::new().name("programs".into()).spawn(begin)?;
                *thread = Some((errands.clone(), handle));
                Ok(errands)
            }
        }
    }
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Programs").field("helper", &self.helper).finish_non_exhaustive()
    }
}

fn work(todo: &Receiver<Errand>) {
    let mut graves: Vec<Grave> = Vec::new();
    loop {
        let errand = if graves.is_empty() {
            todo.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            todo.recv_timeout(BURY_EVERY)
        };
        match errand {
            Ok(Errand::Start(order)) => {
                let Order { request, helper, errands, answer } = *order;
                answer(spawn::spawn(&request, helper.as_deref(), errands));
            }
            Ok(Errand::Bury(grave)) => graves.push(grave),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if graves.is_empty() => return,
            Err(RecvTimeoutError::Disconnected) => thread::sleep(BURY_EVERY),
        }
        graves.retain_mut(|grave| matches!(grave.killed.try_wait(), Ok(None)));
    }
}

pub(crate) fn failure(kind: ProcessFailureKind, text: &dyn fmt::Display) -> ProcessFailure {
    ProcessFailure { kind, text: text.to_string() }
}
