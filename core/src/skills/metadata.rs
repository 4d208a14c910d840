//! What may lie beside a skill in `agents/openai.yaml`: how to show it and what it needs
//! (config.md §7.2). Whatever does not fit is left out, and said in the log only.

use std::path::{Component, Path, PathBuf};

use super::head::{is_longer, one_line};
use super::yaml::{self, Node};
use crate::files::Files;
use crate::limits;
use crate::wire::v2::skills::{SkillDependencies, SkillInterface, SkillToolDependency};

/// How to show a skill and what it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) interface: Option<SkillInterface>,
    pub(super) dependencies: Option<SkillDependencies>,
}

/// Reads what lies beside the skill in `folder`.
pub(super) fn read(files: &dyn Files, folder: &Path) -> Metadata {
    let path = folder.join("agents/openai.yaml");
    let bytes = match files.read(&path, limits::SKILL_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Metadata::default(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a skill's metadata cannot be read");
            return Metadata::default();
        }
    };
    match yaml::read(&String::from_utf8_lossy(&bytes)) {
        Ok(found) => found.map_or_else(Metadata::default, |node| metadata(&node, folder)),
        Err(error) => {
            tracing::warn!(path = %path.display(), error, "a skill's metadata is no YAML");
            Metadata::default()
        }
    }
}

fn metadata(node: &Node, folder: &Path) -> Metadata {
    let interface = node.member("interface").map(|node| interface(node, folder));
    let tools = node.member("dependencies").and_then(|node| node.member("tools"));
    let tools: Vec<_> = tools.map_or(&[][..], Node::elements).iter().filter_map(tool).collect();
    Metadata {
        interface: interface.filter(|interface| *interface != SkillInterface::default()),
        dependencies: (!tools.is_empty()).then_some(SkillDependencies { tools }),
    }
}

fn interface(node: &Node, folder: &Path) -> SkillInterface {
    SkillInterface {
        display_name: text(node, "display_name", limits::SKILL_NAME_CHARS_MAX),
        short_description: text(node, "short_description", limits::SKILL_TEXT_CHARS_MAX),
        icon_small: icon(node, "icon_small", folder),
        icon_large: icon(node, "icon_large", folder),
        brand_color: text(node, "brand_color", 7).filter(|color| is_color(color)),
        default_prompt: text(node, "default_prompt", limits::SKILL_TEXT_CHARS_MAX),
    }
}

fn tool(node: &Node) -> Option<SkillToolDependency> {
    Some(SkillToolDependency {
        kind: text(node, "type", limits::SKILL_NAME_CHARS_MAX)?,
        value: text(node, "value", limits::SKILL_TEXT_CHARS_MAX)?,
        description: text(node, "description", limits::SKILL_TEXT_CHARS_MAX),
        transport: text(node, "transport", limits::SKILL_NAME_CHARS_MAX),
        command: text(node, "command", limits::SKILL_TEXT_CHARS_MAX),
        url: text(node, "url", limits::SKILL_TEXT_CHARS_MAX),
    })
}

fn text(node: &Node, key: &str, max: usize) -> Option<String> {
    let text = one_line(node.member(key)?.text()?);
    let fits = !text.is_empty() && !is_longer(&text, max);
    if !fits {
        tracing::warn!(key, "a member of a skill's metadata is left out");
    }
    fits.then_some(text)
}

/// A picture within the skill's own `assets`; whether it is there is not checked.
fn icon(node: &Node, key: &str, folder: &Path) -> Option<String> {
    let given = text(node, key, limits::SKILL_TEXT_CHARS_MAX)?;
    let mut inner = PathBuf::new();
    for part in Path::new(&given).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => inner.push(name),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let inside = inner.starts_with("assets") && inner.components().count() > 1;
    inside.then(|| folder.join(inner).to_string_lossy().into_owned())
}

fn is_color(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Metadata, read};
    use crate::files::MemoryFiles;

    fn beside(text: &str) -> Metadata {
        let files = MemoryFiles::new().with("/s/a/agents/openai.yaml", text);
        read(&files, Path::new("/s/a"))
    }

    #[test]
    fn what_fits_is_taken_and_the_rest_is_left_out() {
        let found = beside(
            "interface:\n  display_name: A  B\n  icon_small: ./assets/a.svg\n  icon_large: \
             ../assets/b.png\n  brand_color: '#12ab9F'\n  default_prompt: [x]\ndependencies:\n  \
             tools:\n    - {type: mcp, value: docs, url: 'http://x'}\n    - {type: env_var}\n",
        );
        let interface = found.interface.expect("an interface");
        assert_eq!(interface.display_name.as_deref(), Some("A B"));
        assert_eq!(interface.icon_small.as_deref(), Some("/s/a/assets/a.svg"));
        assert_eq!((interface.icon_large, interface.default_prompt), (None, None));
        assert_eq!(interface.brand_color.as_deref(), Some("#12ab9F"));
        let tools = found.dependencies.expect("a tool").tools;
        assert_eq!(tools.len(), 1);
        assert_eq!(tools[0].url.as_deref(), Some("http://x"));
    }

    #[test]
    fn nothing_usable_is_nothing() {
        for text in ["", "[", "interface: {brand_color: red, icon_small: /assets/x}", "x"] {
            assert_eq!(beside(text), Metadata::default(), "{text}");
        }
        assert_eq!(read(&MemoryFiles::new(), Path::new("/s/a")), Metadata::default());
    }
}
