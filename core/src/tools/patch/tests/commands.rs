//! Patches in commands: what is taken, and what is left to the shell (engine.md §6.5).

use super::framed;
use crate::tools::patch::{InCommand, in_command};

fn patch() -> String {
    framed("*** Add File: a\n+it costs 5")
}

fn taken(folder: Option<&str>) -> Option<InCommand> {
    Some(InCommand::Patch { text: patch(), folder: folder.map(Into::into) })
}

/// Text of a here document ends with a line feed.
fn taken_from_heredoc(folder: Option<&str>) -> Option<InCommand> {
    let text = format!("{}\n", patch());
    Some(InCommand::Patch { text, folder: folder.map(Into::into) })
}

fn argv(words: &[&str]) -> Option<InCommand> {
    in_command(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
}

fn in_script(script: &str) -> Option<InCommand> {
    argv(&["bash", "-lc", script])
}

#[test]
fn calls_without_a_shell() {
    for name in ["apply_patch", "applypatch"] {
        assert_eq!(argv(&[name, &patch()]), taken(None));
    }
    assert_eq!(argv(&[&patch()]), Some(InCommand::Bare));
    for words in
        [&["apply_patch"][..], &["apply_patch", "a", "b"], &["ls"], &["/x/apply_patch", "a"], &[]]
    {
        assert_eq!(argv(words), None, "{words:?}");
    }
}

#[test]
fn shells_that_are_known() {
    let script = format!("apply_patch <<'EOF'\n{}\nEOF\n", patch());
    for words in [
        &["bash", "-lc"][..],
        &["/bin/zsh", "-c"],
        &["sh", "-c"],
        &["pwsh", "-Command"],
        &["C:\\Windows\\PowerShell.EXE", "-NoProfile", "-Command"],
        &["cmd.exe", "/c"],
    ] {
        let words: Vec<&str> = words.iter().copied().chain([script.as_str()]).collect();
        assert_eq!(argv(&words), taken_from_heredoc(None), "{words:?}");
        let bare: Vec<String> = words[..words.len() - 1].iter().map(|w| (*w).to_owned()).collect();
        let bare = [bare, vec![patch()]].concat();
        assert_eq!(in_command(&bare), Some(InCommand::Bare));
    }
    for words in [&["fish", "-c"][..], &["bash", "-x"], &["bash", "-l", "-c"], &["python", "-c"]] {
        let words: Vec<&str> = words.iter().copied().chain([script.as_str()]).collect();
        assert_eq!(argv(&words), None, "{words:?}");
    }
    let quoted = format!("apply_patch '{}'", patch());
    assert_eq!(argv(&["pwsh", "-Command", &quoted]), None, "quotes differently");
}

#[test]
fn scripts_that_are_taken() {
    let patch = patch();
    let heredoc = |before: &str, mark: &str, end: &str| format!("{before}<<{mark}\n{patch}\n{end}");
    for (script, folder) in [
        (heredoc("apply_patch ", "EOF", "EOF"), None),
        (heredoc("apply_patch", "'EOF'", "EOF\n"), None),
        (heredoc("  applypatch  ", " \"PATCH_1\"", "PATCH_1\n\n"), None),
        (heredoc("cd a/b && apply_patch ", "EOF", "EOF"), Some("a/b")),
        (heredoc("cd 'a b' && apply_patch ", "EOF", "EOF"), Some("a b")),
        (heredoc("cd \"/a b\"&&apply_patch ", "EOF", "EOF"), Some("/a b")),
    ] {
        assert_eq!(in_script(&script), taken_from_heredoc(folder), "{script}");
    }
    let double = patch.replace("5", "\\$5 \\\\ \\\"x\\\" \\n");
    let meant = patch.replace("5", "$5 \\ \"x\" \\n");
    let found = in_script(&format!("apply_patch \"{double}\""));
    assert_eq!(found, Some(InCommand::Patch { text: meant, folder: None }));
    assert_eq!(in_script(&format!("cd x && apply_patch '{patch}'\n")), taken(Some("x")));
    assert_eq!(in_script(&patch), Some(InCommand::Bare));
}

#[test]
fn scripts_that_are_left_to_the_shell() {
    let patch = patch();
    let body = format!("<<'EOF'\n{patch}\nEOF");
    for script in [
        format!("ls && apply_patch {body}"),
        format!("apply_patch {body}\nls"),
        format!("apply_patch {body}; ls"),
        format!("apply_patch <<'EOF' && ls\n{patch}\nEOF"),
        format!("apply_patch <<'EOF' > out\n{patch}\nEOF"),
        format!("apply_patch <<-EOF\n{patch}\nEOF"),
        format!("apply_patch <<'EOF'\n{patch}"),
        format!("apply_patch <<'EOF'\n{patch}\n EOF"),
        format!("apply_patch <<''\n{patch}\n"),
        format!("apply_patch -v {body}"),
        format!("apply_patch2 {body}"),
        format!("cd $HOME && apply_patch {body}"),
        format!("cd ~/x && apply_patch {body}"),
        format!("cd - && apply_patch {body}"),
        format!("cd \"$X\" && apply_patch {body}"),
        format!("cd a b && apply_patch {body}"),
        format!("cd a; apply_patch {body}"),
        format!("cd a || apply_patch {body}"),
        format!("cd a && cd b && apply_patch {body}"),
        format!("cd && apply_patch {body}"),
        format!("apply_patch \"{patch} $(ls)\""),
        format!("apply_patch \"{patch} `ls`\""),
        format!("apply_patch \"{patch}\" \"x\""),
        format!("apply_patch '{patch}' 'x'"),
        format!("apply_patch '{patch}' && ls"),
        "apply_patch".to_owned(),
        "apply_patch < file".to_owned(),
        "cat <<EOF\nx\nEOF".to_owned(),
        String::new(),
    ] {
        assert_eq!(in_script(&script), None, "{script}");
    }
}
