//! Facts of all files of one folder, of which there may be a hundred thousand.
//!
//! Each is asked for by its name in the open folder, which is a fraction of the work of finding it
//! by its whole path, and large folders by several threads: all the time goes into the kernel.

use std::ffi::CString;
use std::io;
use std::num::NonZero;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::thread;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use understudy_core::files::Stat;

/// Threads that ask for the facts of one folder; more would only keep others from their work.
const THREADS_MAX: usize = 4;

/// Files for which it is worth starting a thread, which takes as long as asking for twenty.
const FILES_FOR_A_THREAD: usize = 256;

/// A file, with what is known of it.
pub(super) struct FileFacts {
    pub(super) name: String,
    /// None for a link that leads to no file.
    pub(super) stat: Option<Stat>,
    /// It is an entry of this folder and of no other, so whoever changes it does so here.
    pub(super) is_only_here: bool,
}

/// The files of a folder, in no order; not its folders, nor those whose names are no text.
pub(super) fn list(path: &Path) -> io::Result<Vec<FileFacts>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder = Dir::new(openat(CWD, path, flags, Mode::empty())?)?;
    let mut names = Vec::new();
    while let Some(entry) = folder.read() {
        let entry = entry?;
        if entry.file_type() != FileType::Directory {
            names.push(entry.file_name().to_owned());
        }
    }
    let folder = folder.fd()?;
    let threads = threads_for(names.len());
    if threads < 2 {
        return Ok(all(folder, &names));
    }
    Ok(thread::scope(|scope| {
        let (mine, others) = names.split_at(names.len() / threads);
        let chunks = others.chunks(others.len().div_ceil(threads - 1));
        let others: Vec<_> =
            chunks.map(|names| (scope.spawn(move || all(folder, names)), names)).collect();
        let mut found = all(folder, mine);
        for (thread, names) in others {
            // It cannot panic; if it did, its work would be left to do.
            found.extend(thread.join().unwrap_or_else(|_| all(folder, names)));
        }
        found
    }))
}

/// The facts of one file; none if it is a folder.
pub(super) fn of(folder: BorrowedFd<'_>, name: &str) -> io::Result<Option<FileFacts>> {
    Ok(facts(folder, &CString::new(name)?)?)
}

fn threads_for(files: usize) -> usize {
    if files < 2 * FILES_FOR_A_THREAD {
        return 1;
    }
    let there_are = thread::available_parallelism().map_or(1, NonZero::get);
    there_are.min(THREADS_MAX).min(files / FILES_FOR_A_THREAD)
}

/// One that has gone meanwhile is no file.
fn all(folder: BorrowedFd<'_>, names: &[CString]) -> Vec<FileFacts> {
    names.iter().filter_map(|name| facts(folder, name).ok().flatten()).collect()
}

fn facts(folder: BorrowedFd<'_>, name: &CString) -> rustix::io::Result<Option<FileFacts>> {
    let Ok(text) = name.to_str() else { return Ok(None) };
    let facts = statat(folder, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW)?;
    let (stat, is_only_here) = match FileType::from_raw_mode(facts.st_mode) {
        FileType::Directory => return Ok(None),
        FileType::Symlink => {
            let target = statat(folder, name.as_c_str(), AtFlags::empty()).ok();
            let is_folder = |facts: &rustix::fs::Stat| {
                FileType::from_raw_mode(facts.st_mode) == FileType::Directory
            };
            (target.filter(|facts| !is_folder(facts)).as_ref().map(stat), false)
        }
        _ => (Some(stat(&facts)), facts.st_nlink == 1),
    };
    Ok(Some(FileFacts { name: text.to_owned(), stat, is_only_here }))
}

fn stat(facts: &rustix::fs::Stat) -> Stat {
    let modified_ns = i128::from(facts.st_mtime) * 1_000_000_000 + i128::from(facts.st_mtime_nsec);
    Stat { len: u64::try_from(facts.st_size).unwrap_or(0), is_dir: false, modified_ns }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_large_folder_is_listed_whole_by_several_threads() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let files = 5 * FILES_FOR_A_THREAD + 3;
        for n in 0..files {
            fs::write(path.join(n.to_string()), vec![0; n]).expect("written");
        }
        fs::create_dir(path.join("folder")).expect("made");
        let mut found = list(path).expect("listed");
        found.sort_by_key(|file| file.stat.map(|stat| stat.len));
        assert_eq!(found.len(), files);
        for (n, file) in found.iter().enumerate() {
            let facts = fs::metadata(path.join(&file.name)).expect("facts");
            assert_eq!(file.name, n.to_string());
            assert_eq!(file.stat, Some(super::super::stat(&facts)));
            assert!(file.is_only_here);
        }
    }

    #[test]
    fn links_are_files_that_are_elsewhere_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        fs::create_dir(path.join("d")).expect("made");
        fs::write(path.join("f"), "four").expect("written");
        fs::hard_link(path.join("f"), path.join("d/hard")).expect("linked");
        symlink(path.join("f"), path.join("d/soft")).expect("linked");
        symlink(path.join("d"), path.join("d/folder")).expect("linked");
        symlink(path.join("none"), path.join("d/none")).expect("linked");
        fs::write(path.join("d/own"), "1").expect("written");
        let mut found = list(&path.join("d")).expect("listed");
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let len = |stat: Option<Stat>| stat.map(|stat| stat.len);
        let found = found.iter().map(|file| (&*file.name, len(file.stat), file.is_only_here));
        let expected = [
            ("folder", None, false),
            ("hard", Some(4), false),
            ("none", None, false),
            ("own", Some(1), true),
            ("soft", Some(4), false),
        ];
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert!(list(&path.join("f")).is_err());
    }
}
