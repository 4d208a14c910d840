//! All or nothing, whatever fails and whenever.

use super::{framed, planned};
use crate::files::{FileError, FileErrorKind, FileOp, MemoryFiles};

const SECTIONS: &str = "*** Add File: new/a\n+1\n*** Add File: b\n+2\n*** Delete File: c\n*** Update \
                        File: d\n@@\n-x\n+y\n*** Update File: e\n*** Move to: e2\n@@\n-x\n+y\n*** \
                        Update File: f\n*** Move to: b2\n*** Delete File: g";

fn world() -> MemoryFiles {
    let files = MemoryFiles::new().with("/w/b", "old").with("/w/b2", "old2").with("/w/c", [0xFF]);
    for name in ["d", "e", "f", "g"] {
        files.put(format!("/w/{name}"), "x\n");
    }
    files
}

fn contents(files: &MemoryFiles) -> Vec<(std::path::PathBuf, Option<Vec<u8>>)> {
    files.paths().into_iter().map(|path| (path.clone(), files.content(&path))).collect()
}

fn is_change(op: FileOp) -> bool {
    matches!(op, FileOp::Write | FileOp::Rename | FileOp::Remove)
}

/// Fails the operations for which `fails` says so, by their number.
fn break_changes(files: &MemoryFiles, mut fails: impl FnMut(usize) -> bool + Send + 'static) {
    let mut count = 0;
    files.inject(move |op, _| {
        if !is_change(op) {
            return None;
        }
        count += 1;
        let text = "No space left on device (os error 28)".to_owned();
        fails(count).then_some(FileError { kind: FileErrorKind::Other, text })
    });
}

#[test]
fn one_failure_anywhere_leaves_everything_as_it_was() {
    let mut fail_at = 1;
    loop {
        let files = world();
        let before = contents(&files);
        let plan = planned(&files, &framed(SECTIONS)).expect("fits");
        break_changes(&files, move |count| count == fail_at);
        let result = plan.commit(&files);
        files.heal();
        let Err(error) = result else { break };
        assert_eq!(contents(&files), before, "failed at change {fail_at}");
        assert!(error.unrestored.is_empty());
        let told = error.to_string();
        assert!(told.starts_with("Failed to "), "{told}");
        assert!(told.ends_with("(os error 28)\nNo files were modified.\n"), "{told}");
        fail_at += 1;
    }
    assert_eq!(fail_at, 10, "each of the nine changes failed once");
}

#[test]
fn what_cannot_be_put_back_is_told() {
    let files = world();
    let plan = planned(&files, &framed("*** Add File: b\n+2\n*** Delete File: c")).expect("fits");
    break_changes(&files, |count| count >= 2);
    let error = plan.commit(&files).expect_err("fails").to_string();
    let no_space = "No space left on device (os error 28)";
    let expected = format!(
        "Failed to delete file /w/c: {no_space}\nThese files were changed and could not be put \
         back:\n/w/b: {no_space}\n"
    );
    assert_eq!(error, expected);
}

/// The port cannot remove folders, so that one that was made in the place of a file stays.
#[test]
fn a_folder_in_the_place_of_a_file_is_made_last() {
    let sections = "*** Delete File: g\n*** Add File: g/h\n+3\n*** Add File: g/i\n+4";
    for (fail_at, unrestored) in [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 1)] {
        let files = world();
        let before = contents(&files);
        let patch = framed(&format!(
            "{sections}\n*** Add File: b\n+2\n*** Delete File: d\n*** Delete File: c"
        ));
        let plan = planned(&files, &patch).expect("fits");
        break_changes(&files, move |count| count == fail_at);
        let error = plan.commit(&files).expect_err("fails");
        assert_eq!(error.unrestored.len(), unrestored, "{fail_at}: {error}");
        assert_eq!(contents(&files) == before, unrestored == 0, "{fail_at}");
    }
}

#[test]
fn a_file_that_changed_since_the_plan_stops_it() {
    type Meddle = fn(&MemoryFiles);
    let cases: [(&str, Meddle); 5] = [
        ("/w/d", |files| files.put("/w/d", "z\n")),
        ("/w/new/a", |files| files.put("/w/new/a", "")),
        ("/w/c", |files| crate::files::Files::remove(files, "/w/c".as_ref()).expect("goes")),
        ("/w/e", |files| files.link("/w/e", "/w/d")),
        ("/w/new/a", |files| {
            files.folder("/elsewhere");
            files.link("/w/new", "/elsewhere");
        }),
    ];
    for (path, meddle) in cases {
        let files = world();
        let plan = planned(&files, &framed(SECTIONS)).expect("fits");
        meddle(&files);
        let before = contents(&files);
        let error = plan.commit(&files).expect_err("has changed").to_string();
        let expected =
            format!("{path} has changed since the patch was checked\nNo files were modified.\n");
        assert_eq!(error, expected);
        assert_eq!(contents(&files), before);
    }
}

#[test]
fn a_file_that_cannot_be_read_stops_the_plan() {
    let files = world();
    files.inject(|op, path| {
        let hit = op == FileOp::Read && path.ends_with("d");
        hit.then(|| FileError { kind: FileErrorKind::Denied, text: "Permission denied".to_owned() })
    });
    let error = planned(&files, &framed(SECTIONS)).expect_err("cannot be read");
    assert_eq!(error, "Failed to read file to update /w/d: Permission denied");
}
