//! What clients see: the changes of an item, and the diff of a turn (engine.md §6.6).

use super::{framed, planned};
use crate::files::{FileError, FileErrorKind, FileOp, MemoryFiles};
use crate::limits;
use crate::tools::patch::TurnDiff;
use crate::tools::patch::diff::hunks;
use crate::wire::legacy::approval::FileChange;
use crate::wire::v2::item::{FileUpdateChange, PatchChangeKind};

#[test]
fn items_show_what_changes() {
    let files = MemoryFiles::new()
        .with("/w/a", "1\n2\n3\n4\n5\n6\n7\n")
        .with("/w/b", "x\ny")
        .with("/w/gone", "bye\n")
        .with("/w/bin", [0xFF]);
    let patch = framed(
        "*** Update File: a\n@@\n-2\n+two\n@@\n 6\n-7\n*** Update File: b\n*** Move to: c\n@@\n-x\n\
         +X\n*** Delete File: gone\n*** Delete File: bin\n*** Add File: 0\n+new",
    );
    let plan = planned(&files, &patch).expect("fits");
    let change = |path: &str, kind, diff: &str| FileUpdateChange {
        path: path.to_owned(),
        kind,
        diff: diff.to_owned(),
    };
    let update = |to: Option<&str>| PatchChangeKind::Update { move_path: to.map(str::to_owned) };
    let moved = "@@ -1,2 +1,2 @@\n-x\n+X\n y\n\\ No newline at end of file\n";
    let expected = [
        change("/w/0", PatchChangeKind::Add, "new\n"),
        change("/w/a", update(None), "@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\n@@ -6,2 +6 @@\n 6\n-7\n"),
        change("/w/b", update(Some("/w/c")), &format!("{moved}\n\nMoved to: /w/c")),
        change("/w/bin", PatchChangeKind::Delete, "Binary files differ\n"),
        change("/w/gone", PatchChangeKind::Delete, "bye\n"),
    ];
    assert_eq!(plan.item_changes(), expected);
    let legacy = plan.legacy_changes();
    let expected =
        FileChange::Update { unified_diff: moved.to_owned(), move_path: Some("/w/c".to_owned()) };
    assert_eq!(legacy.get("/w/b"), Some(&expected));
    assert_eq!(legacy.len(), 5);
}

#[test]
fn too_many_differences_are_one() {
    let lines = |word: &str| format!("{word}\nsame\n").repeat(limits::DIFF_LINES_MAX / 4);
    let (old, new) = (lines("old"), lines("new"));
    let with_ends = |middle: &str, more: &str| format!("1\n2\n{middle}{more}8\n9\n");
    let diff = |more: &str| {
        let (old, new) = (with_ends(&old, ""), with_ends(&new, more));
        hunks(old.as_bytes(), new.as_bytes(), 1)
    };
    let kept = |diff: &str| diff.lines().filter(|line| *line == " same").count();
    assert_eq!(kept(&diff("")), limits::DIFF_LINES_MAX / 4);
    let whole = diff("x\ny\n");
    assert_eq!((kept(&whole), whole.lines().next()), (0, Some("@@ -2,50002 +2,50004 @@")));
}

/// Applies sections as a turn does.
fn turn(diff: &mut TurnDiff, files: &MemoryFiles, sections: &str) {
    let plan = planned(files, &framed(sections)).expect("fits");
    diff.begin(&plan);
    plan.commit(files).expect("works");
    diff.applied(&plan);
}

#[test]
fn a_new_file_outside_of_a_checkout() {
    let files = MemoryFiles::new();
    let mut diff = TurnDiff::new();
    assert_eq!(diff.text(&files), "");
    turn(&mut diff, &files, "*** Add File: note.txt\n+hello\n+world");
    let expected = "diff --git a//w/note.txt b//w/note.txt\nnew file mode 100644\n\
        index 0000000000000000000000000000000000000000..94954abda49de8615a048f8d2e64b5de848e27a1\n\
        --- /dev/null\n+++ b//w/note.txt\n@@ -0,0 +1,2 @@\n+hello\n+world\n";
    assert_eq!(diff.text(&files), expected);
    turn(&mut diff, &files, "*** Delete File: note.txt");
    assert_eq!(diff.text(&files), "", "it came and went");
}

#[test]
fn patches_of_a_turn_add_up() {
    let files = MemoryFiles::new().with("/w/.git/HEAD", "").with("/w/src/a", "1\n2\n3\n4\n5\n6\n");
    files.put("/w/gone", "");
    files.put("/w/bin", [0xFF]);
    files.put("/w/moved", "m\n");
    files.put("/w/src/plain", "p\n");
    let mut diff = TurnDiff::new();
    turn(&mut diff, &files, "*** Update File: src/a\n@@\n-6\n+six");
    turn(&mut diff, &files, "*** Update File: src/a\n@@\n-six\n+SIX\n*** Delete File: gone");
    turn(&mut diff, &files, "*** Delete File: bin\n*** Update File: moved\n*** Move to: x");
    turn(&mut diff, &files, "*** Update File: x\n*** Move to: z\n@@\n-m\n+M");
    turn(&mut diff, &files, "*** Update File: src/plain\n*** Move to: src/simple");
    // A command of the shell changes a file that is tracked.
    files.put("/w/src/a", "1\n2\n3\n4\n5\n7\n");
    let none = "0".repeat(40);
    let expected = format!(
        "diff --git a/bin b/bin\ndeleted file mode 100644\n\
         index ce542efaa5124a0437f0c4db329d7ec4b7ba70a7..{none}\n\
         --- a/bin\n+++ /dev/null\nBinary files differ\n\
         diff --git a/gone b/gone\ndeleted file mode 100644\n\
         index e69de29bb2d1d6434b8b29ae775ad8c2e48c5391..{none}\n\
         diff --git a/src/a b/src/a\n\
         index b414108e81e5091fe0974a1858b4d0d22b107f70..119d9e8f8b4fb8073a99f66c2141686af2e17cdd\n\
         --- a/src/a\n+++ b/src/a\n@@ -3,4 +3,4 @@\n 3\n 4\n 5\n-6\n+7\n\
         diff --git a/src/plain b/src/simple\nsimilarity index 100%\n\
         rename from src/plain\nrename to src/simple\n\
         diff --git a/moved b/z\n\
         index 28ce6a8b26aa170e1de65536fe8abe1832bd3242..ab7768987ce64e0490e93767ca9a4bcd950c79f6\n\
         --- a/moved\n+++ b/z\n@@ -1 +1 @@\n-m\n+M\n"
    );
    assert_eq!(diff.text(&files), expected);
}

#[test]
fn a_move_over_a_file_is_a_change_and_a_deletion() {
    let files = MemoryFiles::new().with("/w/a", "a\n").with("/w/b", "b\n");
    let mut diff = TurnDiff::new();
    turn(&mut diff, &files, "*** Update File: a\n*** Move to: b");
    let text = diff.text(&files);
    let heads: Vec<_> = text.lines().filter(|line| !line.starts_with("index")).collect();
    let expected = [
        "diff --git a//w/a b//w/a",
        "deleted file mode 100644",
        "--- a//w/a",
        "+++ /dev/null",
        "@@ -1 +0,0 @@",
        "-a",
        "diff --git a//w/b b//w/b",
        "--- a//w/b",
        "+++ b//w/b",
        "@@ -1 +1 @@",
        "-b",
        "+a",
    ];
    assert_eq!(heads, expected);
}

#[test]
fn a_file_that_moves_away_and_back_only_changed() {
    let files = MemoryFiles::new().with("/w/a", "a\n");
    let mut diff = TurnDiff::new();
    turn(&mut diff, &files, "*** Update File: a\n*** Move to: b");
    turn(&mut diff, &files, "*** Add File: a\n+new\n*** Add File: c\n+c");
    let heads = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("diff")).map(str::to_owned).collect()
    };
    let both = ["diff --git a//w/a b//w/a", "diff --git a//w/a b//w/b", "diff --git a//w/c b//w/c"];
    assert_eq!(heads(&diff.text(&files)), both);
    turn(&mut diff, &files, "*** Delete File: a\n*** Update File: c\n*** Move to: d");
    turn(&mut diff, &files, "*** Update File: b\n*** Move to: a\n@@\n-a\n+A");
    let back = ["diff --git a//w/a b//w/a", "diff --git a//w/d b//w/d"];
    assert_eq!(heads(&diff.text(&files)), back);
}

#[test]
fn a_turn_keeps_only_so_much() {
    let files = MemoryFiles::new();
    let mut diff = TurnDiff::new();
    let mut sections = String::new();
    for at in 0..3 {
        files.put(format!("/w/{at}"), vec![0xFF; limits::TURN_DIFF_BYTES_MAX / 3 + 1]);
        sections += &format!("*** Delete File: {at}\n");
    }
    turn(&mut diff, &files, sections.trim_end());
    let text = diff.text(&files);
    assert_eq!(text.matches("diff --git").count(), 2);
}

#[test]
fn a_patch_that_fails_leaves_no_trace() {
    let files = MemoryFiles::new().with("/w/a", "a\n");
    let mut diff = TurnDiff::new();
    let plan = planned(&files, &framed("*** Add File: n\n+1\n*** Update File: a\n*** Move to: m"));
    let plan = plan.expect("fits");
    diff.begin(&plan);
    files.inject(|op, _| {
        let error = FileError { kind: FileErrorKind::Denied, text: "no".to_owned() };
        (op == FileOp::Rename).then_some(error)
    });
    plan.commit(&files).expect_err("fails");
    files.heal();
    assert_eq!(diff.text(&files), "");
}
