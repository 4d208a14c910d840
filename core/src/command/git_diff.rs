//! Owns: what a working tree has that no remote has (protocol.md §3.3), found out by running git.
//!
//! Each step is one run of git, as if nobody were there to be asked: it does not use the network, takes no lock that
//! others could notice, and runs none of the programs that a project's settings name for
//! differences, hooks and watching files. Filters that attributes name do run: without them, what
//! they keep (such as large files) would seem changed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::limits;
use crate::process::{ChildEnv, Ended, Job, Kept, ProcessExit, ProcessRequest, Stdio};
use crate::setup::Environment;
use crate::wire::legacy::conversation::GitDiffToRemoteResponse;

/// What every run begins with.
const GIT: &[&str] = &[
    "git",
    "--no-pager",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "protocol.allow=never",
];

/// How differences are made, whatever the user likes to look at.
const DIFF: &[&str] = &[
    "diff",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-relative",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--ignore-submodules=dirty",
];

/// Variables of git that a run keeps: where its own files and settings are. The others name a
/// repository, or programs to run.
const KEPT_VARIABLES: &[&str] = &[
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
];

/// What a run is told.
const TOLD: &[(&str, &str)] =
    &[("GIT_NO_LAZY_FETCH", "1"), ("GIT_OPTIONAL_LOCKS", "0"), ("GIT_TERMINAL_PROMPT", "0")];

/// The work that is under way.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct GitDiff {
    env: ChildEnv,
    /// The folder that was asked about, then the top of its working tree.
    cwd: PathBuf,
    /// The commit that is current, then the nearest that a remote has.
    sha: String,
    diff: String,
    step: Step,
}

/// What runs.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
enum Step {
    /// Where the working tree begins, and which commit is current.
    Place,
    /// Which commits no remote has, and those just before them that one has.
    Unshared,
    /// Which of several shared commits come after the others.
    Latest,
    /// What changed in files that git knows.
    Changes,
    /// Which files it does not know.
    Untracked,
    /// The difference that each of these makes, the first one's being worked out.
    Additions(VecDeque<String>),
}

/// What follows a step.
#[derive(Debug)]
pub(super) enum Next {
    Run(Job),
    Done(GitDiffToRemoteResponse),
}

impl GitDiff {
    /// The work for a folder, with the run that begins it.
    pub(super) fn begin(cwd: PathBuf, server: &Environment) -> (Self, Job) {
        let env = environment(server);
        let diff = Self { env, cwd, sha: String::new(), diff: String::new(), step: Step::Place };
        let job = diff.git(&["rev-parse", "--show-toplevel", "HEAD"]);
        (diff, job)
    }

    /// A run has ended. None: the difference cannot be had.
    pub(super) fn on(&mut self, ended: Ended) -> Option<Next> {
        let Ended::Exited { exit: ProcessExit::Code(code), stdout, .. } = ended else {
            return None;
        };
        let differs = matches!(self.step, Step::Changes | Step::Additions(_)) && code == 1;
        if let Step::Additions(files) = &mut self.step {
            files.pop_front();
            if code == 0 || differs {
                self.add(&stdout)?;
            }
            return self.next_addition();
        }
        if stdout.is_cut() || !(code == 0 || differs) {
            return None;
        }
        let job = match self.step {
            Step::Place => self.on_place(std::str::from_utf8(stdout.bytes()).ok()?)?,
            Step::Unshared => self.on_unshared(std::str::from_utf8(stdout.bytes()).ok()?)?,
            Step::Latest => {
                let latest = std::str::from_utf8(stdout.bytes()).ok()?.lines().next()?;
                self.changes_since(latest.to_owned())
            }
            Step::Changes => {
                self.diff = std::str::from_utf8(stdout.bytes()).ok()?.to_owned();
                self.step = Step::Untracked;
                self.git(&["ls-files", "--others", "--exclude-standard", "-z"])
            }
            Step::Untracked => {
                self.step = Step::Additions(names(&stdout)?);
                return self.next_addition();
            }
            Step::Additions(_) => return None,
        };
        Some(Next::Run(job))
    }

    fn on_place(&mut self, told: &str) -> Option<Job> {
        let (top, sha) = told.trim_end().rsplit_once('\n')?;
        self.cwd = Path::new(top).is_absolute().then(|| PathBuf::from(top))?;
        self.sha = sha.to_owned();
        self.step = Step::Unshared;
        Some(self.git(&["rev-list", "--boundary", "HEAD", "--not", "--remotes"]))
    }

    /// Nearer than the reference, which takes the tip of a remote branch also where that has
    /// commits that are not here, and would show them as taken back.
    fn on_unshared(&mut self, told: &str) -> Option<Job> {
        if told.is_empty() {
            let current = std::mem::take(&mut self.sha);
            return Some(self.changes_since(current));
        }
        let shared = told.lines().filter_map(|line| line.strip_prefix('-'));
        let shared: Vec<_> = shared.take(limits::GIT_SHARED_COMMITS_MAX).collect();
        match shared.as_slice() {
            // No remote has anything of it.
            [] => None,
            [only] => Some(self.changes_since((*only).to_owned())),
            several => {
                self.step = Step::Latest;
                Some(self.git(&[&["merge-base", "--independent"], several].concat()))
            }
        }
    }

    fn changes_since(&mut self, sha: String) -> Job {
        self.step = Step::Changes;
        self.sha = sha;
        self.git(&[DIFF, &[&self.sha, "--"]].concat())
    }

    fn next_addition(&mut self) -> Option<Next> {
        let Step::Additions(files) = &self.step else { return None };
        Some(match files.front() {
            Some(file) => {
                let ends = ["--binary", "--no-index", "--", "/dev/null", file];
                Next::Run(self.git(&[DIFF, &ends].concat()))
            }
            None => Next::Done(GitDiffToRemoteResponse {
                sha: std::mem::take(&mut self.sha),
                diff: std::mem::take(&mut self.diff),
            }),
        })
    }

    /// Adds the difference that a new file makes. One that is no text is left out, as in the
    /// reference.
    fn add(&mut self, stdout: &Kept) -> Option<()> {
        if stdout.is_cut() || self.diff.len() + stdout.bytes().len() > limits::GIT_DIFF_BYTES_MAX {
            return None;
        }
        match std::str::from_utf8(stdout.bytes()) {
            Ok(text) => self.diff.push_str(text),
            Err(_) => tracing::warn!("a new file that is no text is left out of a difference"),
        }
        Some(())
    }

    fn git(&self, args: &[&str]) -> Job {
        let request = ProcessRequest {
            argv: GIT.iter().chain(args).map(|arg| (*arg).to_owned()).collect(),
            cwd: self.cwd.clone(),
            env: self.env.clone(),
            stdio: Stdio::Pipes,
            confinement: None,
        };
        Job { request, limit: limits::GIT_LIMIT, bytes_max: limits::GIT_DIFF_BYTES_MAX }
    }
}

/// The server's own environment without what would lead git elsewhere.
fn environment(server: &Environment) -> ChildEnv {
    let keeps = |name: &str| !name.starts_with("GIT_") || KEPT_VARIABLES.contains(&name);
    let inherited = server.iter().filter(|(name, _)| keeps(name));
    let vars = inherited.chain(TOLD.iter().copied());
    ChildEnv(vars.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The files of a list that ends each with a NUL: none if they are too many. A name that is no text
/// cannot be passed on, and a folder is another repository; both are left out.
fn names(told: &Kept) -> Option<VecDeque<String>> {
    let names = told.bytes().split(|byte| *byte == 0).filter_map(|name| str::from_utf8(name).ok());
    let files: VecDeque<String> = names
        .filter(|name| !name.is_empty() && !name.ends_with('/'))
        .map(str::to_owned)
        .take(limits::GIT_UNTRACKED_MAX + 1)
        .collect();
    (files.len() <= limits::GIT_UNTRACKED_MAX).then_some(files)
}
