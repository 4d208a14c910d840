//! Small cases, one rule each (engine.md §6.3–6.4).

use super::{apply, framed, planned, text};
use crate::files::MemoryFiles;
use crate::limits;
use crate::tools::patch::edit::{Misfit, edit};
use crate::tools::patch::parse;
use crate::tools::patch::parse::{Chunk, Line, Mark, Section};
use crate::tools::patch::seek::Effort;
use crate::tools::patch::{touched, verification_failed};

/// A file before, the sections for it, and the file after or the error.
fn check(cases: &[(&str, &str, Result<&str, &str>)]) {
    for (before, chunks, expected) in cases {
        let files = MemoryFiles::new().with("/w/f", before);
        let found = apply(&files, &format!("*** Update File: f\n{chunks}"));
        let found = found.map(|_| text(&files, "/w/f").expect("is there"));
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(found, expected, "{before:?} with {chunks:?}");
    }
}

#[test]
fn texts_that_are_no_patch() {
    let first = "invalid patch: The first line of the patch must be '*** Begin Patch'";
    let last = "invalid patch: The last line of the patch must be '*** End Patch'";
    let header = |line: usize, text: &str| {
        format!(
            "invalid hunk at line {line}, '{text}' is not a valid hunk header. Valid hunk headers: \
             '*** Add File: {{path}}', '*** Delete File: {{path}}', '*** Update File: {{path}}'"
        )
    };
    let unexpected = |line: usize, text: &str| {
        format!(
            "invalid hunk at line {line}, Unexpected line found in update hunk: '{text}'. Every \
             line should start with ' ' (context line), '+' (added line), or '-' (removed line)"
        )
    };
    let none = "Update hunk does not contain any lines";
    let begin = "*** Begin Patch";
    let cases = [
        (String::new(), first.to_owned()),
        ("hello".to_owned(), first.to_owned()),
        (begin.to_owned(), last.to_owned()),
        (format!("{begin}\n*** Add File: a\n+b"), last.to_owned()),
        (framed("bad"), header(2, "bad")),
        (framed("*** Add File: a\n+b\n\n*** Delete File: c"), header(4, "")),
        (framed("*** Add File:"), header(2, "*** Add File:")),
        (
            framed("*** Update File: a"),
            "invalid hunk at line 2, Update file hunk for path 'a' is empty".to_owned(),
        ),
        (framed("*** Update File: a\n@@"), format!("invalid hunk at line 4, {none}")),
        (
            framed("*** Update File: a\n@@ x\n*** End of File"),
            format!("invalid hunk at line 4, {none}"),
        ),
        (framed("*** Update File: a\n@@\nbad"), unexpected(4, "bad")),
        (framed("*** Update File: a\nbad"), unexpected(3, "bad")),
        (
            framed("*** Update File: a\n+x\nbad"),
            "invalid hunk at line 4, Expected update hunk to start with a @@ context marker, got: \
             'bad'"
                .to_owned(),
        ),
    ];
    for (patch, expected) in cases {
        let found = parse(&patch).map_err(|error| error.to_string());
        assert_eq!(found, Err(expected), "{patch:?}");
    }
    assert_eq!(parse(&framed("")).map_err(|e| e.to_string()), Err(header(2, "")));
    let told = parse("x").map_err(|error| verification_failed(&error));
    assert_eq!(told, Err(format!("apply_patch verification failed: {first}")));
    let empty = parse("*** Begin Patch\n*** End Patch").expect("is legal");
    assert!(empty.is_empty());
}

#[test]
fn every_kind_of_section_is_read() {
    let patch = parse(&framed(
        "*** Add File: a b.txt \n+one\n++two\n+\n  *** Delete File: c\n*** Update File: d\n*** Move \
         to: e\n\n@@ class A\n@@ fn b\n x\n-y\n+z\n\n*** End of File\n@@\n+w",
    ));
    let line = |mark, text: &str| Line { mark, text: text.to_owned() };
    let placed = Chunk {
        contexts: vec!["class A".to_owned(), "fn b".to_owned()],
        lines: vec![
            line(Mark::Keep, "x"),
            line(Mark::Remove, "y"),
            line(Mark::Add, "z"),
            line(Mark::Keep, ""),
        ],
        at_end: true,
    };
    let added = Chunk { lines: vec![line(Mark::Add, "w")], ..Chunk::default() };
    let sections = vec![
        Section::Add { path: "a b.txt".to_owned(), content: "one\n+two\n\n".to_owned() },
        Section::Delete { path: "c".to_owned() },
        Section::Update {
            path: "d".to_owned(),
            move_to: Some("e".to_owned()),
            chunks: vec![placed, added],
        },
    ];
    assert_eq!(patch.map(|patch| patch.sections), Ok(sections));
}

#[test]
fn wrappings_are_taken_off() {
    let patch = framed("*** Delete File: a");
    let plain = parse(&patch).expect("is a patch");
    for wrapped in [
        format!("\n\n  {patch}\n  \n"),
        format!("<<EOF\n{patch}\nEOF"),
        format!("<<'EOF'\n{patch}\nEOF\n"),
        format!("<<\"EOF\"\n{patch}\nxEOF"),
        format!("```\n{patch}\n```"),
        format!("```diff\n{patch}\n```"),
        patch.replace('\n', "\r\n"),
    ] {
        assert_eq!(parse(&wrapped).as_ref(), Ok(&plain), "{wrapped:?}");
    }
    for wrapped in [format!("<<X\n{patch}\nX"), format!("EOF\n{patch}\nEOF"), format!("a\n{patch}")]
    {
        assert!(parse(&wrapped).is_err(), "{wrapped:?}");
    }
}

#[test]
fn chunks_find_their_places() {
    check(&[
        ("a\nb\nc\n", "@@\n a\n-b\n+B\n c", Ok("a\nB\nc\n")),
        // Below the context line, and each below the last.
        ("x\nf\nx\nx\n", "@@ f\n-x\n+y", Ok("x\nf\ny\nx\n")),
        ("f\nx\nclass\nf\nx\n", "@@ class\n@@ f\n-x\n+y", Ok("f\nx\nclass\nf\ny\n")),
        ("x\nx\nx\n", "@@\n-x\n+1\n@@\n-x\n+2", Ok("1\n2\nx\n")),
        // At the end only.
        ("x\nx\n", "@@\n-x\n+y\n*** End of File", Ok("x\ny\n")),
        // What only adds goes to the end, or below its context line.
        ("a\nb\n", "@@\n+c\n@@\n-a\n+A", Ok("A\nb\nc\n")),
        ("a\nb\n", "@@ a\n+c", Ok("a\nc\nb\n")),
        ("a\nb\n", "@@ a\n+c\n*** End of File", Ok("a\nb\nc\n")),
        ("", "@@\n+c", Ok("c\n")),
        ("a\n", "@@\n-a", Ok("")),
        // An empty line at the end of a chunk may stand for the end of the file.
        ("a\nb\n", "@@\n a\n-b\n+c\n\n", Ok("a\nc\n")),
        ("a\nb\n", "@@\n-b\n-\n+c\n+", Ok("a\nc\n")),
        ("a\n", "@@ x\n-a", Err("Failed to find context 'x' in /w/f")),
        ("a\n", "@@\n-b\n c\n+d", Err("Failed to find expected lines in /w/f:\nb\nc")),
        ("a\nb\n", "@@\n-a\n@@\n-a", Err("Failed to find expected lines in /w/f:\na")),
        // Not above where the last chunk ended.
        (
            "a\nb\n",
            "@@\n-b\n+c\n@@\n-b\n*** End of File",
            Err("Failed to find expected lines in /w/f:\nb"),
        ),
        ("a\nb\n", "@@\n-a\n*** End of File", Err("Failed to find expected lines in /w/f:\na")),
    ]);
}

#[test]
fn misquoted_lines_are_found_and_what_stays_stays_as_it_is() {
    check(&[
        ("a  \nb\n", "@@\n a\n-b\n+c", Ok("a  \nc\n")),
        ("\ta\nb\n", "@@\n a\n-b \n+c", Ok("\ta\nc\n")),
        (
            "a \u{2013} \u{201C}b\u{201D}\nc\n",
            "@@\n a - \"b\"\n-c\n+d",
            Ok("a \u{2013} \u{201C}b\u{201D}\nd\n"),
        ),
        ("a\u{00A0}b\n", "@@\n-a b\n+c", Ok("c\n")),
        // The stricter way wins, though it is further down.
        (" a\na\n", "@@\n-a\n+b", Ok(" a\nb\n")),
        (" a\na \n", "@@\n-a\n+b", Ok(" a\nb\n")),
        ("\u{FEFF}a\nb\n", "@@\n-a\n+c", Ok("\u{FEFF}c\nb\n")),
    ]);
}

#[test]
fn line_ends_are_kept() {
    check(&[
        ("a\r\nb\r\n", "@@\n a\n-b\n+c\n+d", Ok("a\r\nc\r\nd\r\n")),
        ("a\r\nb\r\n", "@@\n+c", Ok("a\r\nb\r\nc\r\n")),
        ("a\r\nb\r\n", "@@\n+c\n a", Ok("c\r\na\r\nb\r\n")),
        // Mixed: each its own, a new one as the one it replaces or as the one above.
        ("a\r\nb\nc\r\n", "@@\n-a\n-b\n+1\n+2\n+3\n c", Ok("1\r\n2\n3\nc\r\n")),
        ("a\r\nb\nc\r\n", "@@\n a\n+x\n b", Ok("a\r\nx\r\nb\nc\r\n")),
        // A line that stays as it is without an end, stays without.
        ("a\nb", "@@\n-a\n+A", Ok("A\nb")),
        ("a\nb", "@@\n-a\n+A\n b\n*** End of File", Ok("A\nb")),
        ("a\nb", "@@\n-b\n+c", Ok("a\nc\n")),
        ("a\nb", "@@\n+c", Ok("a\nb\nc\n")),
        ("a\r\nb", "@@\n+c", Ok("a\r\nb\r\nc\r\n")),
        ("a\nb", "@@\n-b", Ok("a\n")),
        ("a\n\n\n", "@@\n-a\n+b", Ok("b\n\n\n")),
        ("a\rb\nc\n", "@@\n-c\n+d", Ok("a\rb\nd\n")),
    ]);
}

#[test]
fn files_are_added_deleted_and_moved() {
    let files = MemoryFiles::new()
        .with("/w/old", "1\n")
        .with("/w/gone", [0xFF, 0])
        .with("/w/from", "a\nb\n")
        .with("/w/picture", [0xFF, 1])
        .with("/else/x", "x\n");
    let report = apply(
        &files,
        "*** Delete File: gone\n*** Add File: new/deep\n+n\n*** Add File: old\n+2\n*** Add File: \
         empty\n*** Update File: from\n*** Move to: to/there\n@@\n-b\n+c\n*** Update File: \
         ./picture\n*** Move to: art\n*** Update File: ../else/x\n@@\n-x\n+y\n*** Update File: \
         /else/x\n@@\n-y\n+z",
    );
    let expected = "Success. Updated the following files:\nA new/deep\nA old\nA empty\nM to/there\nM \
                    art\nM ../else/x\nM /else/x\nD gone\n";
    assert_eq!(report, Ok(expected.to_owned()));
    let paths: Vec<_> = files.paths();
    let named = ["/else/x", "/w/art", "/w/empty", "/w/new/deep", "/w/old", "/w/to/there"];
    assert_eq!(paths, named.map(std::path::PathBuf::from));
    assert_eq!(text(&files, "/w/new/deep").as_deref(), Some("n\n"));
    assert_eq!(text(&files, "/w/old").as_deref(), Some("2\n"));
    assert_eq!(text(&files, "/w/empty").as_deref(), Some(""));
    assert_eq!(text(&files, "/w/to/there").as_deref(), Some("a\nc\n"));
    assert_eq!(files.content("/w/art"), Some(vec![0xFF, 1]));
    assert_eq!(text(&files, "/else/x").as_deref(), Some("z\n"));
}

#[test]
fn sections_of_one_file_add_up() {
    let cases: [(&str, &[(&str, &str)]); 7] = [
        ("*** Update File: f\n@@\n-a\n+b\n*** Update File: f\n@@\n-b\n+c", &[("/w/f", "c\n")]),
        ("*** Update File: f\n*** Move to: f\n@@\n-a\n+b", &[("/w/f", "b\n")]),
        (
            "*** Update File: f\n*** Move to: g\n*** Update File: g\n*** Move to: h\n@@\n-a\n+b",
            &[("/w/h", "b\n")],
        ),
        ("*** Add File: g\n+1\n*** Delete File: g", &[("/w/f", "a\n")]),
        (
            "*** Update File: f\n*** Move to: g\n*** Add File: f\n+n",
            &[("/w/f", "n\n"), ("/w/g", "a\n")],
        ),
        // A folder takes the place of a file.
        ("*** Delete File: f\n*** Add File: f/mod\n+1", &[("/w/f/mod", "1\n")]),
        ("*** Update File: f\n*** Move to: f/g/mod\n@@\n-a\n+b", &[("/w/f/g/mod", "b\n")]),
    ];
    for (sections, expected) in cases {
        let files = MemoryFiles::new().with("/w/f", "a\n");
        apply(&files, sections).expect(sections);
        let found: Vec<_> = files.paths();
        let found: Vec<_> = found
            .iter()
            .map(|p| (p.to_str().expect("is text"), text(&files, p.to_str().expect("is text"))))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(p, t)| (*p, Some((*t).to_owned()))).collect();
        assert_eq!(found, expected, "{sections}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is() {
    let files = MemoryFiles::new().with("/w/f", "a\n").with("/w/d/x", "").with("/w/bin", [0xFF]);
    files.link("/w/same", "/w/f");
    let gone = "No such file or directory (os error 2)";
    let cases = [
        ("*** Delete File: no", format!("Failed to read /w/no: {gone}")),
        ("*** Update File: no\n@@\n+x", format!("Failed to read file to update /w/no: {gone}")),
        (
            "*** Delete File: f\n*** Update File: f\n@@\n+x",
            format!("Failed to read file to update /w/f: {gone}"),
        ),
        (
            "*** Update File: bin\n@@\n+x",
            "Failed to read file to update /w/bin: stream did not contain valid UTF-8".to_owned(),
        ),
        (
            "*** Add File: d\n+x",
            "Failed to write file /w/d: Is a directory (os error 21)".to_owned(),
        ),
        (
            "*** Add File: f/x\n+x",
            "Failed to write file /w/f/x: Not a directory (os error 20)".to_owned(),
        ),
        (
            "*** Add File: n\n+x\n*** Add File: n/x\n+x",
            "Failed to write file /w/n/x: Not a directory (os error 20)".to_owned(),
        ),
        (
            "*** Update File: f\n@@\n+x\n*** Update File: same\n@@\n+y",
            "Failed to write file /w/same: it is the same file as /w/f".to_owned(),
        ),
    ];
    let before = files.paths();
    for (sections, expected) in cases {
        let patch = format!("*** Add File: first\n+1\n{sections}");
        assert_eq!(apply(&files, &patch), Err(expected), "{sections}");
        assert_eq!(files.paths(), before);
    }
}

#[test]
fn links_are_followed_where_they_lead() {
    let files = MemoryFiles::new().with("/real/f", "a\n").with("/real/g", "b\n").with("/w/x", "");
    files.link("/w/dir", "/real");
    files.link("/w/link", "/real/g");
    let patch = framed(
        "*** Update File: dir/f\n@@\n-a\n+A\n*** Delete File: link\n*** Add File: dir/new/file\n+n",
    );
    let plan = planned(&files, &patch).expect("fits");
    let paths = ["/real/f", "/real/g", "/real/new/file", "/w/link"];
    assert_eq!(touched(&plan), paths.map(std::path::PathBuf::from));
    let named = plan.named();
    assert!(named.contains(&"/w/dir/new/file".into()), "{named:?}");
    plan.commit(&files).expect("works");
    assert_eq!(text(&files, "/real/f").as_deref(), Some("A\n"));
    assert_eq!(text(&files, "/real/g").as_deref(), Some("b\n"), "the link went, not its target");
    assert_eq!(text(&files, "/real/new/file").as_deref(), Some("n\n"));
    assert_eq!(files.content("/w/link"), None);
}

#[test]
fn bounds_refuse() {
    let many = "*** Delete File: a\n".repeat(limits::PATCH_SECTIONS_MAX + 1);
    assert!(parse(&framed(many.trim_end())).is_err());
    assert!(parse(&framed(&" ".repeat(limits::PATCH_BYTES_MAX))).is_err());
    let files = MemoryFiles::new();
    files.put("/w/f", vec![b'a'; usize::try_from(limits::PATCH_FILE_BYTES_MAX).expect("fits") + 1]);
    let refused = apply(&files, "*** Update File: f\n@@\n+x");
    assert!(refused.is_err_and(|text| text.contains("File too large")));
}

/// Every line but the last is like the pattern, so that a search compares again and again.
#[test]
fn a_search_that_takes_too_long_ends() {
    let file = "a\n".repeat(1_000);
    let lines: Vec<Line> = (0..500)
        .map(|_| Line { mark: Mark::Keep, text: "a".to_owned() })
        .chain([Line { mark: Mark::Keep, text: "b".to_owned() }])
        .collect();
    let chunks = [Chunk { lines, ..Chunk::default() }];
    let with = |steps| edit(&file, &chunks, &mut Effort::new(steps));
    assert_eq!(with(900_000), Err(Misfit::Exhausted));
    assert!(matches!(with(1_100_000), Err(Misfit::Lines(_))));
}
