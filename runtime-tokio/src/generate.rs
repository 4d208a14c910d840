//! `generate-ts` and `generate-json-schema`: writes what core describes (config.md §1.5).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use understudy_core::schema::{Document, json_documents, typescript_documents};

use crate::cli::Generate;

/// Writes the files. What is there is written over, and what is stale stays.
pub(crate) fn run(wanted: &Generate) -> Result<(), String> {
    match wanted {
        Generate::GenerateJsonSchema { out } => write(out, json_documents()).map(drop),
        Generate::GenerateTs { out, prettier } => {
            let files = write(out, typescript_documents())?;
            prettier.as_deref().map_or(Ok(()), |prettier| format(prettier, &files))
        }
    }
}

fn write(out: &Path, documents: Vec<Document>) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for Document { path, text } in documents {
        let file = out.join(path);
        let folder = file.parent().unwrap_or(out);
        fs::create_dir_all(folder).map_err(|error| {
            format!("Failed to create output directory {}: {error}", folder.display())
        })?;
        fs::write(&file, text)
            .map_err(|error| format!("Failed to write {}: {error}", file.display()))?;
        files.push(file);
    }
    Ok(files)
}

fn format(prettier: &Path, files: &[PathBuf]) -> Result<(), String> {
    let mut command = Command::new(prettier);
    command.args(["--write", "--log-level", "warn"]).args(files);
    let status = command.status();
    let status =
        status.map_err(|_| format!("Failed to invoke Prettier at {}", prettier.display()))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("Prettier failed with status {status}"))
}
