//! Reading one file of the configuration, and saying exactly what is wrong with it
//! (config.md §2.2, §2.12).

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Table;

use super::error::ConfigError;
use crate::files::{FileError, Files};
use crate::limits;

/// A file of settings, as read.
pub(super) struct Source {
    pub path: PathBuf,
    pub text: String,
    pub value: Table,
}

impl Source {
    /// What is wrong with the file when it is read as a `T`, at its place.
    pub(super) fn decode_error<T: DeserializeOwned>(&self) -> ConfigError {
        match self.check::<T>() {
            Some(error) => error,
            None => ConfigError::plain("invalid value"),
        }
    }

    /// What is wrong with the file when it is read as a `T`, at its place; nothing if it is right.
    pub(super) fn check<T: DeserializeOwned>(&self) -> Option<ConfigError> {
        let error = toml::from_str::<T>(&self.text).err()?;
        Some(located(&self.path, &self.text, &error))
    }
}

/// Why a file that is there has no text for us.
#[derive(Debug, thiserror::Error)]
pub(super) enum TextError {
    /// What the operating system says.
    #[error("{0}")]
    Unread(FileError),
    /// It was read.
    #[error("stream did not contain valid UTF-8")]
    NotText,
}

impl TextError {
    /// The error about the settings in the file, in these words and those of the reason.
    fn of_settings(self, what: &str, path: &Path) -> ConfigError {
        let error = ConfigError::plain(format!("Failed to read {what} {}: {self}", path.display()));
        match self {
            Self::Unread(_) => error.unread(),
            Self::NotText => error,
        }
    }
}

/// The text of a file, if there is one.
pub(super) fn text(files: &dyn Files, path: &Path) -> Result<Option<String>, TextError> {
    match files.read(path, limits::SMALL_FILE_BYTES_MAX) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(TextError::NotText),
        },
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(TextError::Unread(error)),
    }
}

/// The settings of the system's, the user's or the managed file.
pub(super) fn settings(files: &dyn Files, path: &Path) -> Result<Option<Source>, ConfigError> {
    let text = text(files, path).map_err(|error| error.of_settings("config file", path))?;
    text.map(|text| parse(path, text)).transpose()
}

/// The settings of a project's file.
pub(super) fn project(files: &dyn Files, path: &Path) -> Result<ProjectFile, ConfigError> {
    let text = text(files, path).map_err(|error| error.of_settings("project config file", path))?;
    let Some(text) = text else {
        return Ok(ProjectFile::Missing);
    };
    Ok(match toml::from_str(&text) {
        Ok(value) => ProjectFile::Parsed(Source { path: path.to_owned(), text, value }),
        Err(error) => {
            let intro = format!("Error parsing project config file {}: ", path.display());
            ProjectFile::Broken(with_place(path, &text, &error, &intro))
        }
    })
}

/// What a project's `config.toml` turned out to be.
pub(super) enum ProjectFile {
    Missing,
    Parsed(Source),
    /// It matters only if the project is trusted.
    Broken(ConfigError),
}

fn parse(path: &Path, text: String) -> Result<Source, ConfigError> {
    match toml::from_str(&text) {
        Ok(value) => Ok(Source { path: path.to_owned(), text, value }),
        Err(error) => Err(located(path, &text, &error)),
    }
}

fn located(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let message = without_strings(error.message());
    ConfigError::located(path, text, error.span().unwrap_or(0..0), &message)
}

/// The decoder's text without the string that stood where something else should: it may be a key
/// that was put in the wrong place.
pub(super) fn without_strings(message: &str) -> Cow<'_, str> {
    let kinds = ["invalid type: string", "invalid value: string"];
    let kind = kinds.into_iter().find(|kind| message.starts_with(&format!("{kind} \"")));
    match (kind, message.rfind("\", expected ")) {
        (Some(kind), Some(end)) => {
            let rest = message.get(end + 1..).unwrap_or_default();
            Cow::Owned(format!("{kind}{rest}"))
        }
        _ => Cow::Borrowed(message),
    }
}

/// An error with other words before it. Unlike the library's own text it does not quote the line at
/// fault, which may hold a key.
pub(super) fn with_place(
    path: &Path,
    text: &str,
    error: &toml::de::Error,
    intro: &str,
) -> ConfigError {
    let located = located(path, text, error);
    let start = located.range().map(|range| range.start);
    let at = start.map_or_else(String::new, |at| {
        format!("TOML parse error at line {}, column {}\n", at.line, at.column)
    });
    let message = without_strings(error.message());
    located.with_message(format!("{intro}{at}{message}\n"))
}
