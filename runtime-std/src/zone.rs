//! Owns: the time zone of the system.
//!
//! jiff can find it too, but lists every folder of the zone database first, and that is most of
//! the time a server takes to start. One zone is one file.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use understudy_core::Environment;

const LOCAL: &str = "/etc/localtime";
const DATABASE: &str = "/usr/share/zoneinfo";

/// The zone that `TZ` names, else that of the system, else UTC.
pub fn zone(env: &Environment) -> TimeZone {
    let named = env.filled("TZ").and_then(by_variable);
    named.or_else(|| by_file(Path::new(LOCAL))).unwrap_or(TimeZone::UTC)
}

/// `TZ` is the name of a zone or file, with or without a colon before it, or a POSIX rule.
fn by_variable(text: &str) -> Option<TimeZone> {
    let name = text.strip_prefix(':').unwrap_or(text);
    by_file(&Path::new(DATABASE).join(name)).or_else(|| TimeZone::posix(name).ok())
}

fn by_file(path: &Path) -> Option<TimeZone> {
    TimeZone::tzif(&name_of(path), &fs::read(path).ok()?).ok()
}

/// The zone's name is where its file lies in the database, be it through a link.
fn name_of(path: &Path) -> String {
    let real = fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    let named = [path, &real]
        .into_iter()
        .find_map(|path| path.to_str()?.rsplit_once("zoneinfo/").map(|(_, name)| name.to_owned()));
    named.unwrap_or_else(|| "Local".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(tz: &str) -> i32 {
        let env = [("TZ".to_owned(), tz.to_owned())].into_iter().collect();
        zone(&env).to_offset(jiff::Timestamp::UNIX_EPOCH).seconds()
    }

    #[test]
    fn rules_and_names_are_understood() {
        assert_eq!(offset("CET-1CEST,M3.5.0,M10.5.0/3"), 3600);
        assert_eq!(offset("UTC0"), 0);
        if Path::new(DATABASE).join("Asia/Tokyo").exists() {
            assert_eq!(offset("Asia/Tokyo"), 9 * 3600);
            assert_eq!(offset(":Asia/Tokyo"), 9 * 3600);
            let named = by_variable("Asia/Tokyo").expect("a zone");
            assert_eq!(named.iana_name(), Some("Asia/Tokyo"));
        }
    }

    #[test]
    fn nonsense_is_the_systems_zone() {
        let system = zone(&Environment::default());
        let now = jiff::Timestamp::UNIX_EPOCH;
        let offset_of_system = system.to_offset(now).seconds();
        assert_eq!(offset("No/Such/Zone"), offset_of_system);
    }
}
