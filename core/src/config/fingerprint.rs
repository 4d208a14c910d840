//! The version of a layer: a hash of its settings in one canonical spelling (config.md §4.1).

use std::collections::BTreeMap;
use std::fmt::Write;

use sha2::{Digest, Sha256};
use toml::{Table, Value};

/// `sha256:` and the hash, in hex, of the table as JSON with sorted keys. Comments, formatting and
/// the order of keys do not matter.
pub(crate) fn fingerprint(table: &Table) -> String {
    let mut json = String::new();
    write_table(&mut json, table);
    let mut out = String::from("sha256:");
    for byte in Sha256::digest(json.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn write_table(out: &mut String, table: &Table) {
    // Sorted here, because the order of `Table` depends on features of another crate.
    let sorted: BTreeMap<&String, &Value> = table.iter().collect();
    out.push('{');
    for (i, (key, value)) in sorted.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_text(out, key);
        out.push(':');
        write_value(out, value);
    }
    out.push('}');
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => write_text(out, text),
        Value::Integer(n) => {
            let _ = write!(out, "{n}");
        }
        // JSON of a float that is no number is `null`.
        Value::Float(n) => out.push_str(&serde_json::Value::from(*n).to_string()),
        Value::Boolean(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Datetime(time) => {
            out.push_str(r#"{"$__toml_private_datetime":"#);
            write_text(out, &time.to_string());
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Table(table) => write_table(out, table),
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::{fingerprint, write_table};

    fn canonical(text: &str) -> String {
        let mut out = String::new();
        write_table(&mut out, &toml::from_str(text).expect("TOML"));
        out
    }

    #[test]
    fn known_fingerprints() {
        let of = |text| fingerprint(&toml::from_str(text).expect("TOML"));
        let empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(of(""), empty);
        assert!(of("model = 'x'").starts_with("sha256:78b0e11c6754"));
        assert!(of("foo = 1.0").starts_with("sha256:50bf7ec16c4a"));
    }

    #[test]
    fn canonical_spelling() {
        let text = "b = [1, 2.5, inf]\na.z = \"\\u0001\\n/ü\"\na.d = 2024-01-01";
        let expected = concat!(
            r#"{"a":{"d":{"$__toml_private_datetime":"2024-01-01"},"#,
            r#""z":"\u0001\n/ü"},"b":[1,2.5,null]}"#
        );
        assert_eq!(canonical(text), expected);
    }
}
