//! Which rows of which table of rules must be reached, and which cannot be.

use understudy_core::reached::{Row, Table};

use super::tally::Tally;
use crate::auth::marks;

/// So many sessions of each world reach everything that can be reached.
pub const ENOUGH: u64 = 10_000;

/// Rows that the worlds cannot reach, each with the reason. One that is reached after all fails the
/// run, so that this list stays true.
pub const UNREACHABLE: &[(Table, &str, &str)] = &[];

/// What the sessions of a world answer for.
pub fn tables(world: &str) -> &'static [Table] {
    match world {
        "auth" => &[Table::Blocking, Table::Credential],
        _ => &[Table::Command, Table::Patch, Table::Denial, Table::ModelError, Table::AfterError],
    }
}

/// How many rows of a table were reached, of how many that can be.
pub fn reached(tally: &Tally, table: Table) -> (usize, usize) {
    let reached = tally.rows.keys().filter(|row| row.0 == table).count();
    let unreachable = UNREACHABLE.iter().filter(|(of, ..)| *of == table).count();
    (reached, table.rows().len() - unreachable)
}

/// What is wrong with the coverage of these tables.
pub fn faults(tally: &Tally, tables: &[Table]) -> Vec<String> {
    let mut faults = Vec::new();
    for table in tables {
        for (place, name) in table.rows().iter().enumerate() {
            let is_reached = tally.rows.contains_key(&Row(*table, place));
            let excuse = UNREACHABLE.iter().find(|(of, row, _)| of == table && row == name);
            match (is_reached, excuse) {
                (false, None) => faults.push(format!("never reached: {}: {name}", table.title())),
                (true, Some((.., why))) => {
                    let title = table.title();
                    faults.push(format!("reached, though it cannot be ({why}): {title}: {name}"));
                }
                (true, None) | (false, Some(_)) => {}
            }
        }
    }
    faults
}

/// What is wrong with the coverage of the marks of the world of credentials.
pub fn mark_faults(tally: &Tally) -> Vec<String> {
    let wanted = marks::MARKS.iter().chain(marks::RARE);
    let missing = wanted.filter(|mark| !tally.marks.contains_key(**mark));
    missing.map(|mark| format!("never reached: {mark}")).collect()
}
