//! The search for files: walks the folders of a [`SearchRequest`] and scores every path
//! (protocol.md §8). Blocking; for a thread of its own.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ignore::{DirEntry, WalkBuilder};
use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use understudy_core::SearchRequest;
use understudy_core::wire::v2::command::FuzzyFileSearchResult;

/// Looks for files until it has seen all of them or `stop` is set, which it then gives up with what
/// it has.
pub fn search(request: &SearchRequest, stop: &AtomicBool) -> Vec<FuzzyFileSearchResult> {
    let mut scorer = Scorer::new(&request.query, request.per_root_max);
    let mut found = Vec::new();
    for (named, root) in &request.roots {
        for entry in walk(root) {
            if stop.load(Ordering::Relaxed) {
                return found;
            }
            if let Some(path) = entry.as_ref().and_then(|entry| path_of(entry, root)) {
                scorer.see(path);
            }
        }
        found.extend(scorer.best(named));
    }
    found
}

/// Everything below a folder that no ignore file names. What cannot be read is left out.
fn walk(root: &Path) -> impl Iterator<Item = Option<DirEntry>> {
    let mut builder = WalkBuilder::new(root);
    builder.hidden(false).follow_links(true).require_git(false);
    builder.build().map(Result::ok)
}

/// The path below the root, if it is a file's and text.
fn path_of<'e>(entry: &'e DirEntry, root: &Path) -> Option<&'e str> {
    if entry.file_type().is_none_or(|kind| kind.is_dir()) {
        return None;
    }
    entry.path().strip_prefix(root).ok()?.to_str().filter(|path| !path.is_empty())
}

/// Scores paths and keeps the best.
struct Scorer {
    pattern: Pattern,
    matcher: Matcher,
    chars: Vec<char>,
    /// The best of this root so far; the last one is the worst.
    best: BTreeMap<(Reverse<u32>, String), ()>,
    max: usize,
}

impl Scorer {
    fn new(query: &str, max: usize) -> Self {
        Self {
            pattern: Pattern::new(
                query,
                CaseMatching::Smart,
                Normalization::Smart,
                AtomKind::Fuzzy,
            ),
            matcher: Matcher::new(Config::DEFAULT.match_paths()),
            chars: Vec::new(),
            best: BTreeMap::new(),
            max,
        }
    }

    fn see(&mut self, path: &str) {
        let text = Utf32Str::new(path, &mut self.chars);
        let Some(score) = self.pattern.score(text, &mut self.matcher) else { return };
        let score = Reverse(score);
        if self.best.len() >= self.max {
            let is_worse = |((worst, last), ()): (&(Reverse<u32>, String), &())| {
                (score, path) >= (*worst, last.as_str())
            };
            if self.best.last_key_value().is_none_or(is_worse) {
                return;
            }
            self.best.pop_last();
        }
        self.best.insert((score, path.to_owned()), ());
    }

    /// The best of a root, with the places that match; the next root begins anew.
    fn best(&mut self, root: &str) -> Vec<FuzzyFileSearchResult> {
        let best = std::mem::take(&mut self.best);
        let result = |((Reverse(score), path), ()): ((Reverse<u32>, String), ())| {
            let mut indices = Vec::new();
            let text = Utf32Str::new(&path, &mut self.chars);
            self.pattern.indices(text, &mut self.matcher, &mut indices);
            indices.sort_unstable();
            indices.dedup();
            let name = Path::new(&path).file_name().and_then(|name| name.to_str());
            FuzzyFileSearchResult {
                root: root.to_owned(),
                file_name: name.unwrap_or(&path).to_owned(),
                path,
                score,
                indices: Some(indices),
            }
        };
        best.into_iter().map(result).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn tree(paths: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in paths {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        folder
    }

    fn found(query: &str, root: &Path, max: usize) -> Vec<FuzzyFileSearchResult> {
        let roots = vec![("given".to_owned(), root.to_owned())];
        let request = SearchRequest { query: query.to_owned(), roots, per_root_max: max };
        search(&request, &AtomicBool::new(false))
    }

    fn paths(found: &[FuzzyFileSearchResult]) -> Vec<&str> {
        found.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn scores_and_places_are_the_references() {
        let tree =
            tree(&[("abc.txt", ""), ("abcde.txt", ""), ("sub/zabc.rs", ""), ("xyz.txt", "")]);
        let found = found("abc", tree.path(), 50);
        let facts: Vec<_> = found.iter().map(|f| (&*f.path, f.score, f.indices.clone())).collect();
        let at = |places: [u32; 3]| Some(places.to_vec());
        assert_eq!(
            facts,
            [
                ("abc.txt", 84, at([0, 1, 2])),
                ("abcde.txt", 84, at([0, 1, 2])),
                ("sub/zabc.rs", 56, at([5, 6, 7])),
            ]
        );
        assert_eq!((found[2].root.as_str(), found[2].file_name.as_str()), ("given", "zabc.rs"));
    }

    #[test]
    fn hidden_files_count_and_ignored_ones_do_not_outside_of_repositories_too() {
        let tree = tree(&[
            (".gitignore", "skip*\n"),
            (".hidden/ab", ""),
            ("skipped/ab", ""),
            ("ab", ""),
            ("Ab", ""),
        ]);
        std::os::unix::fs::symlink(tree.path().join(".hidden"), tree.path().join("link"))
            .expect("linked");
        assert_eq!(paths(&found("ab", tree.path(), 50)), [".hidden/ab", "Ab", "ab", "link/ab"]);
        assert_eq!(paths(&found("Ab", tree.path(), 50)), ["Ab"]);
    }

    #[test]
    fn only_the_best_are_kept() {
        let tree = tree(&[("z/x/a/b", ""), ("b-ab", ""), ("ab2", ""), ("ab1", "")]);
        assert_eq!(paths(&found("ab", tree.path(), 2)), ["ab1", "ab2"]);
        assert!(found("ab", &PathBuf::from("/no/such/folder"), 2).is_empty());
    }

    #[test]
    fn a_search_that_is_stopped_looks_no_further() {
        let tree = tree(&[("a", "")]);
        let roots = vec![("r".to_owned(), tree.path().to_owned())];
        let request = SearchRequest { query: "a".to_owned(), roots, per_root_max: 9 };
        assert!(search(&request, &AtomicBool::new(true)).is_empty());
    }
}
