//! Owns: from a plan to the places that are mounted: with their links resolved.
//!
//! A confined program can replace anything in a writable root by a link. So a root of the plan that
//! is reached through another one is not made writable on its own: where it really lies in that
//! one it is writable anyway, and otherwise somebody turned it into a link to elsewhere.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;
use understudy_core::approval::WritableRoot;

use super::stand_in::StandIn;

/// Links on the way to one place that are followed; as many as the kernel follows.
const LINKS_MAX: usize = 40;

/// What the file system looks like to a confined program. All paths are absolute and free of
/// links, but that the last part of a read-only place may be one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Beneath these it may write.
    pub(super) writable: Vec<PathBuf>,
    /// Folders on the way from there to a read-only place, which must not be moved out of the way.
    pub(super) pinned: Vec<PathBuf>,
    /// Beneath these it may not, though they lie in a writable one.
    pub(super) read_only: Vec<PathBuf>,
}

impl View {
    /// Looks for the places of a plan, and makes something to stand in for protected ones that are
    /// not there. Roots that do not exist are left out.
    ///
    /// # Errors
    ///
    /// A place cannot be looked at, or nothing can stand in for it.
    pub(super) fn new(roots: &[WritableRoot]) -> io::Result<(Self, Vec<StandIn>)> {
        let mut view = Self { writable: writable(roots)?, ..Self::default() };
        let mut stand_ins = Vec::new();
        for place in roots.iter().flat_map(|root| &root.read_only) {
            view.protect(place, &mut stand_ins)?;
        }
        view.read_only.sort();
        view.read_only.dedup();
        // What lies in a read-only place is read-only.
        let all = view.read_only.clone();
        view.read_only.retain(|place| !all.iter().any(|o| o != place && place.starts_with(o)));
        view.pin();
        Ok((view, stand_ins))
    }

    pub(super) fn lists(&self) -> [&[PathBuf]; 3] {
        [&self.writable, &self.pinned, &self.read_only]
    }

    fn holds(&self, path: &Path) -> bool {
        self.writable.iter().any(|root| path.starts_with(root))
    }

    /// Notes a protected place: what is there, or the first folder on the way to it that is not, and
    /// the links on the way, which could be replaced.
    fn protect(&mut self, place: &Path, stand_ins: &mut Vec<StandIn>) -> io::Result<()> {
        let way = way(place)?;
        let links = way.steps.iter().filter(|step| step.is_link).map(|step| &step.path);
        let links: Vec<_> = links.filter(|link| self.holds(link)).cloned().collect();
        self.read_only.extend(links);
        if !self.holds(&way.end) {
            return Ok(());
        }
        // Another program may have something standing in for the folder of what is missing here.
        let folder = way.end.parent().filter(|folder| way.is_missing && self.holds(folder));
        if let Some(folder) = folder
            && let Some(stand_in) = StandIn::new(folder, false)?
        {
            stand_ins.push(stand_in);
            self.read_only.push(folder.to_owned());
            return Ok(());
        }
        match StandIn::new(&way.end, way.is_missing)? {
            Some(stand_in) => stand_ins.push(stand_in),
            // Nobody with our rights can make anything there, or somebody just has.
            None if !way.end.exists() => return Ok(()),
            None => {}
        }
        self.read_only.push(way.end);
        Ok(())
    }

    fn pin(&mut self) {
        for place in &self.read_only {
            for folder in place.ancestors().skip(1) {
                let in_root = |root: &PathBuf| folder.starts_with(root) && folder != root;
                let is_root = self.writable.iter().any(|root| root == folder);
                if !is_root && self.writable.iter().any(in_root) {
                    self.pinned.push(folder.to_owned());
                }
            }
        }
        self.pinned.sort();
        self.pinned.dedup();
    }
}

/// The roots that may be made writable, each once, without their links.
fn writable(roots: &[WritableRoot]) -> io::Result<Vec<PathBuf>> {
    let mut ways = Vec::new();
    for root in roots {
        let way = way(&root.path)?;
        if !way.is_missing {
            ways.push(way);
        }
    }
    let leads_through_another = |way: &Way| {
        let others = ways.iter().filter(|other| other.end != way.end);
        others.into_iter().any(|other| way.steps.iter().any(|s| s.path.starts_with(&other.end)))
    };
    let clean = ways.iter().filter(|way| !leads_through_another(way));
    let mut writable: Vec<_> = clean.map(|way| way.end.clone()).collect();
    writable.sort();
    writable.dedup();
    Ok(writable)
}

/// How a path is reached.
struct Way {
    steps: Vec<Step>,
    /// Where it ends: free of links. Something that is missing, or a file that is no folder, may
    /// come before the end of the path.
    end: PathBuf,
    is_missing: bool,
}

/// A file, folder or link on the way.
struct Step {
    path: PathBuf,
    is_link: bool,
}

/// Follows a path as the kernel would.
fn way(path: &Path) -> io::Result<Way> {
    let mut way = Way { steps: Vec::new(), end: PathBuf::from("/"), is_missing: false };
    let mut rest: VecDeque<OsString> = parts(path).collect();
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            way.end.pop();
            continue;
        }
        let next = way.end.join(part);
        let facts = match fs::symlink_metadata(&next) {
            Ok(facts) => facts,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Way { end: next, is_missing: true, ..way });
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(way),
            Err(error) => return Err(error),
        };
        way.steps.push(Step { path: next.clone(), is_link: facts.is_symlink() });
        if facts.is_symlink() {
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::LOOP.into());
            }
            let target = fs::read_link(&next)?;
            if target.is_absolute() {
                way.end = PathBuf::from("/");
            }
            for part in parts(&target).rev() {
                rest.push_front(part);
            }
        } else {
            way.end = next;
        }
    }
    Ok(way)
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn root(path: PathBuf, read_only: &[&str]) -> WritableRoot {
        let read_only = read_only.iter().map(|name| path.join(name)).collect();
        WritableRoot { path, read_only }
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let real = folder.path().canonicalize().expect("resolved");
        (folder, real)
    }

    fn make(path: &Path) -> PathBuf {
        fs::create_dir_all(path).expect("made");
        path.to_owned()
    }

    #[test]
    fn roots_are_writable_once_and_only_where_nobody_could_turn_them_into_links() {
        let (_held, at) = folder();
        let (work, outside) = (make(&at.join("work")), make(&at.join("outside")));
        let inner = make(&work.join("inner"));
        symlink(&outside, work.join("planted")).expect("linked");
        symlink(&work, at.join("by-link")).expect("linked");
        let plan = [
            root(work.join("planted"), &[]),
            root(inner, &[]),
            root(work.clone(), &[]),
            root(at.join("by-link"), &[]),
            root(at.join("none"), &[]),
        ];
        assert_eq!(View::new(&plan).expect("a view").0.writable, [work]);
    }

    #[test]
    fn protected_places_are_found_where_they_really_are() {
        let (_held, at) = folder();
        let work = make(&at.join("work"));
        let deep = make(&work.join("a/b/store"));
        make(&deep.join("inside"));
        symlink("a/b/store", work.join(".git")).expect("linked");
        let places = [".git", ".git/inside", "a/b/store/inside", "../elsewhere"];
        let (view, held) = View::new(&[root(work.clone(), &places)]).expect("a view");
        assert_eq!(view.read_only, [work.join(".git"), deep]);
        assert_eq!(view.pinned, [work.join("a"), work.join("a/b")]);
        assert!(held.is_empty());
    }

    #[test]
    fn something_stands_in_for_what_is_missing_while_it_is_needed() {
        let (_held, at) = folder();
        let places = [".git", "gone/store"];
        let (view, held) = View::new(&[root(at.clone(), &places)]).expect("a view");
        let wanted = [at.join(".git"), at.join("gone")];
        assert_eq!(view.read_only, wanted);
        assert!(wanted.iter().all(|place| place.is_dir()));
        let (again, held_again) = View::new(&[root(at.clone(), &places)]).expect("a view");
        assert_eq!(again, view);
        drop(held);
        assert!(wanted.iter().all(|place| place.is_dir()));
        drop(held_again);
        assert!(!wanted.iter().any(|place| place.exists()));
    }

    #[test]
    fn links_in_circles_are_refused() {
        let (_held, at) = folder();
        symlink("one", at.join("two")).expect("linked");
        symlink("two", at.join("one")).expect("linked");
        assert!(View::new(&[root(at.join("one"), &[])]).is_err());
    }
}
