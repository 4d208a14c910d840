//! The two jobs on files of a patch: what it would do, and doing it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::patch::{self, Plan, TurnDiff, touched, verification_failed};
use crate::approval::{PatchReach, SandboxPlan, Writes};
use crate::files::Files;
use crate::setup::Environment;
use crate::wire::v2::common::SandboxPolicy;

/// Works out what a patch would do, and whether that stays within the sandbox.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct PatchCheck {
    pub(crate) text: String,
    /// Where its relative paths begin.
    pub(crate) cwd: PathBuf,
    pub(crate) policy: SandboxPolicy,
    /// For the temporary folder.
    pub(crate) env: Arc<Environment>,
}

/// What a [`PatchCheck`] found: the plan, or what the model is told.
#[derive(Debug)]
pub struct CheckedPatch(pub(crate) Result<(Arc<Plan>, PatchReach), String>);

/// Carries a plan out, and adds it to what the turn changed.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub struct PatchCommit {
    pub(crate) plan: Arc<Plan>,
    pub(crate) diff: TurnDiff,
}

/// What became of a [`PatchCommit`].
#[derive(Debug)]
pub struct CommittedPatch {
    /// The report, or what went wrong; both for the model.
    pub(crate) result: Result<String, String>,
    pub(crate) diff: TurnDiff,
    /// All changes of the turn as they are now.
    pub(crate) diff_text: String,
}

impl PatchCheck {
    pub(crate) fn run(self, files: &dyn Files) -> CheckedPatch {
        CheckedPatch(self.check(files))
    }

    fn check(&self, files: &dyn Files) -> Result<(Arc<Plan>, PatchReach), String> {
        let patch = patch::parse(&self.text).map_err(|error| verification_failed(&error))?;
        let plan =
            patch::plan(files, &self.cwd, &patch).map_err(|error| verification_failed(&error))?;
        let reach = match patch.is_empty() {
            true => PatchReach::Nothing,
            false if self.holds(&plan, files) => PatchReach::Within,
            false => PatchReach::Beyond,
        };
        Ok((Arc::new(plan), reach))
    }

    /// Whether the plan writes only where commands may write.
    fn holds(&self, plan: &Plan, files: &dyn Files) -> bool {
        let mut sandbox = SandboxPlan::new(&self.policy, &self.cwd, &self.env, files);
        // The plan's paths are where files really are, and so must be those that they lie in.
        if let Writes::Within(roots) = &mut sandbox.writes {
            for root in roots {
                root.path = real(files, &root.path);
                let places: Vec<_> = root.read_only.iter().map(|path| real(files, path)).collect();
                root.read_only.extend(places);
            }
        }
        touched(plan).iter().all(|path| sandbox.may_write(path))
    }
}

fn real(files: &dyn Files, path: &Path) -> PathBuf {
    files.real_path(path).unwrap_or_else(|_| path.to_owned())
}

impl PatchCommit {
    pub(crate) fn run(self, files: &dyn Files) -> CommittedPatch {
        let Self { plan, mut diff } = self;
        diff.begin(&plan);
        let result = match plan.commit(files) {
            Ok(report) => {
                diff.applied(&plan);
                Ok(report.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let diff_text = diff.text(files);
        CommittedPatch { result, diff, diff_text }
    }
}
