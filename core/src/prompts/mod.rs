//! Custom prompts: what users say often, kept in files (engine.md §10.4).
//!
//! Owns: where they are looked for, what their heads say, which of them an input calls, and what
//! the model is told in its place.
//!
//! Invariants: whatever lies on the disk, a listing comes. An input that calls no prompt which can
//! be read goes to the model as it was typed. Nothing is kept between two listings.
//!
//! Never: changes what the user is shown of the input; see the turn.

mod call;
mod head;

use std::path::{Path, PathBuf};

use crate::files::{FileErrorKind, Files};
use crate::limits;
use crate::wire::v2::prompts::{CustomPrompt, CustomPromptError, CustomPromptsListResponse};
pub(crate) use call::{called, expanded};

/// Reads prompts that the user called. Data for a thread that may block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptsRead {
    /// The state folder.
    pub home: PathBuf,
    /// Their names.
    pub names: Vec<String>,
}

/// What a [`PromptsRead`] found: for each prompt that there is its text without its head, or why
/// that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptTexts(pub Vec<(String, Result<String, String>)>);

impl PromptsRead {
    pub(crate) fn run(self, files: &dyn Files) -> PromptTexts {
        let folder = folder(&self.home);
        let read = |name: String| {
            let text = read_text(files, &folder.join(format!("{name}.md")))?;
            Some((name, text.map(|text| head::split(&text).1.to_owned())))
        };
        PromptTexts(self.names.into_iter().filter_map(read).collect())
    }
}

/// The answer to `customPrompts/list`.
pub(crate) fn list(files: &dyn Files, home: &Path) -> CustomPromptsListResponse {
    let folder = folder(home);
    let mut found = CustomPromptsListResponse { data: Vec::new(), errors: Vec::new() };
    let entries = match files.list(&folder) {
        Ok(entries) => entries,
        Err(error) if error.is_not_found() => return found,
        Err(error) => {
            let path = folder.to_string_lossy().into_owned();
            found.errors.push(CustomPromptError { path, message: error.text });
            return found;
        }
    };
    let names = entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name);
    let mut names: Vec<String> =
        names.filter_map(|name| Some(name.strip_suffix(".md")?.to_owned())).collect();
    names.retain(|name| call::is_name(name));
    names.sort_unstable();
    if names.len() > limits::PROMPTS_MAX {
        tracing::warn!(folder = %folder.display(), "too many prompts; the last are left out");
        names.truncate(limits::PROMPTS_MAX);
    }
    let mut bytes_left = limits::PROMPTS_BYTES_MAX;
    for name in names {
        let path = folder.join(format!("{name}.md"));
        let Some(text) = read_text(files, &path) else { continue };
        let path = path.to_string_lossy().into_owned();
        match text.and_then(|text| room_for(&mut bytes_left, text)) {
            Ok(text) => found.data.push(prompt(name, path, &text)),
            Err(message) => found.errors.push(CustomPromptError { path, message }),
        }
    }
    found
}

fn folder(home: &Path) -> PathBuf {
    home.join("prompts")
}

fn prompt(name: String, path: String, text: &str) -> CustomPrompt {
    let (head, content) = head::split(text);
    let head::Head { description, argument_hint } = head;
    CustomPrompt { name, path, description, argument_hint, content: content.to_owned() }
}

fn room_for(bytes_left: &mut usize, text: String) -> Result<String, String> {
    *bytes_left = bytes_left
        .checked_sub(text.len())
        .ok_or_else(|| format!("more than {} bytes of prompts", limits::PROMPTS_BYTES_MAX))?;
    Ok(text)
}

/// The text of a prompt's file, or why there is none; none if there is no such file.
fn read_text(files: &dyn Files, path: &Path) -> Option<Result<String, String>> {
    let bytes = match files.read(path, limits::PROMPT_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) => match error.kind {
            FileErrorKind::NotFound => return None,
            FileErrorKind::TooLarge => {
                return Some(Err(format!("larger than {} bytes", limits::PROMPT_BYTES_MAX)));
            }
            FileErrorKind::Denied | FileErrorKind::Other => return Some(Err(error.text)),
        },
    };
    let text = String::from_utf8(bytes);
    Some(text.map_err(|_| "stream did not contain valid UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{FileError, FileOp, MemoryFiles};

    #[test]
    fn prompts_are_listed_by_name_and_faults_beside_them() {
        let files = MemoryFiles::new()
            .with(
                "/h/prompts/b.md",
                "---\ndescription: \"says b\"\nargument-hint: [x]\n---\nB $1\n",
            )
            .with("/h/prompts/a.md", "plain")
            .with("/h/prompts/notes.txt", "no prompt")
            .with("/h/prompts/.hidden.md", "no prompt")
            .with("/h/prompts/bad.md", [0xff])
            .with("/h/prompts/closed.md", "")
            .with("/h/prompts/large.md", vec![b'x'; 1 << 20 | 1])
            .with("/h/prompts/folder.md/in.md", "elsewhere");
        files.inject(|op, path| {
            let hit = op == FileOp::Read && path.ends_with("closed.md");
            let error = FileError { kind: FileErrorKind::Denied, text: "no".to_owned() };
            hit.then_some(error)
        });
        let found = list(&files, Path::new("/h"));
        let plain = CustomPrompt {
            name: "a".into(),
            path: "/h/prompts/a.md".into(),
            description: None,
            argument_hint: None,
            content: "plain".into(),
        };
        let with_head = CustomPrompt {
            name: "b".into(),
            path: "/h/prompts/b.md".into(),
            description: Some("says b".into()),
            argument_hint: Some("[x]".into()),
            content: "B $1\n".into(),
        };
        assert_eq!(found.data, [plain, with_head]);
        let errors: Vec<_> =
            found.errors.iter().map(|error| (&*error.path, &*error.message)).collect();
        assert_eq!(
            errors,
            [
                ("/h/prompts/bad.md", "stream did not contain valid UTF-8"),
                ("/h/prompts/closed.md", "no"),
                ("/h/prompts/large.md", "larger than 1048576 bytes"),
            ]
        );
        assert_eq!(list(&MemoryFiles::new(), Path::new("/h")).errors, []);
    }

    #[test]
    fn a_list_is_bounded_in_number_and_size() {
        let files = MemoryFiles::new();
        for n in 0..limits::PROMPTS_MAX + 9 {
            files.put(format!("/h/prompts/{n:04}.md"), "x");
        }
        assert_eq!(list(&files, Path::new("/h")).data.len(), limits::PROMPTS_MAX);
        for n in 0..10 {
            files.put(format!("/h/prompts/{n:04}.md"), "x".repeat(1 << 20));
        }
        let found = list(&files, Path::new("/h"));
        assert_eq!(found.errors[0].message, "more than 8388608 bytes of prompts");
        assert_eq!(found.errors.len(), 2 + limits::PROMPTS_MAX - 10);
    }
}
