//! Owns: the page with the chart of a session: one file, nothing else is loaded.
//!
//! Everything of the session is data in one JSON text, which no `<` can end; the script builds the
//! page from it as text nodes. So nothing that a model, a page or a person said is taken for code.

use serde_json::{Value, json};
use understudy_core::trace::{End, Recording};

use super::Verdict;
use super::chart::{Entry, Party};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page.
pub(super) fn page(recording: &Recording, entries: &[Entry], verdict: &Verdict) -> String {
    let data = data(recording, entries, verdict).to_string().replace('<', "\\u003c");
    let parts = [("{{style}}", STYLE), ("{{script}}", SCRIPT), ("{{data}}", &data)];
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + data.len());
    let mut rest = PAGE;
    for (mark, part) in parts {
        let (before, behind) = rest.split_once(mark).unwrap_or((rest, ""));
        page.push_str(before);
        page.push_str(part);
        rest = behind;
    }
    page.push_str(rest);
    page
}

fn data(recording: &Recording, entries: &[Entry], verdict: &Verdict) -> Value {
    let place = |party: Party| Party::ALL.iter().position(|other| *other == party);
    let rows = entries.iter().map(|entry| {
        json!([
            entry.step,
            u64::try_from(entry.at.as_micros()).unwrap_or(u64::MAX),
            place(entry.from),
            place(entry.to),
            entry.sort.name(),
            entry.title,
            entry.detail,
            entry.thread,
            entry.difference,
        ])
    });
    let end = match recording.end() {
        End::Over => None,
        End::Early(reason) => Some(format!("recorded in part: {reason}")),
        End::Torn => Some("the end is missing".to_owned()),
    };
    json!({
        "version": recording.version(),
        "begun": recording.begun().wall.to_string(),
        "steps": recording.len(),
        "played": verdict.played,
        "end": end,
        "difference": verdict.difference.as_ref().map(|(step, what)| (step, what.to_string())),
        "parties": Party::ALL.map(Party::name),
        "rows": rows.collect::<Vec<_>>(),
    })
}
