//! UUIDs as peers write them, and the texts that say what is wrong with one.
//!
//! Clients match on these texts (protocol.md §1.3), which are not those of the library in use.

use uuid::Uuid;

/// Lengths of the groups of a hyphenated UUID, and where each begins.
const GROUPS: [(usize, usize); 5] = [(0, 8), (9, 4), (14, 4), (19, 4), (24, 12)];

/// Why a text is no UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UuidError {
    /// A character that no UUID has; places count from 1.
    #[error(
        "invalid character: expected an optional prefix of `urn:uuid:` \
         followed by [0-9a-fA-F-], found `{0}` at {1}"
    )]
    Character(char, usize),
    /// No hyphens, and not 32 digits.
    #[error("invalid length: expected length 32 for simple format, found {0}")]
    Length(usize),
    /// Not five groups.
    #[error("invalid group count: expected 5, found {0}")]
    GroupCount(usize),
    /// A group of the wrong length.
    #[error("invalid group length in group {group}: expected {expected}, found {found}")]
    GroupLength {
        /// Which, from 0.
        group: usize,
        /// How many digits it should have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
}

/// Reads a UUID in any of its spellings: hyphenated, plain, in braces, with `urn:uuid:`; digits of
/// either case.
pub fn parse_uuid(text: &str) -> Result<Uuid, UuidError> {
    Uuid::try_parse(text).map_err(|_| explain(text))
}

fn explain(text: &str) -> UuidError {
    let (digits, offset) = if let Some(rest) = text.strip_prefix("urn:uuid:") {
        (rest, "urn:uuid:".len())
    } else if let Some(rest) = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    {
        (rest, 1)
    } else {
        (text, 0)
    };
    let wrong = digits
        .char_indices()
        .find(|(_, c)| !c.is_ascii_hexdigit() && *c != '-');
    if let Some((index, character)) = wrong {
        return UuidError::Character(character, offset + index + 1);
    }
    let hyphens: Vec<usize> = digits.match_indices('-').map(|(index, _)| index).collect();
    match hyphens.len() {
        0 if offset == 0 => UuidError::Length(text.len()),
        4 => wrong_group(&hyphens, text.len()),
        count => UuidError::GroupCount(count + 1),
    }
}

/// The first group that does not end where it should; the last one if all others do.
fn wrong_group(hyphens: &[usize], length: usize) -> UuidError {
    let ends = hyphens.iter().copied().chain([length]);
    let groups = GROUPS.into_iter().zip(ends).enumerate();
    let mut wrong = UuidError::Length(length);
    for (group, ((start, expected), end)) in groups {
        let found = end.saturating_sub(start);
        wrong = UuidError::GroupLength {
            group,
            expected,
            found,
        };
        if found != expected {
            break;
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::parse_uuid;

    #[test]
    fn every_spelling_is_read() {
        let plain = "67e5504410b1426f9247bb680e5fe0c8";
        let hyphenated = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let spellings = [
            plain.to_owned(),
            plain.to_uppercase(),
            hyphenated.to_owned(),
            format!("{{{hyphenated}}}"),
            format!("urn:uuid:{hyphenated}"),
        ];
        for spelling in spellings {
            let id = parse_uuid(&spelling).map(|id| id.to_string());
            assert_eq!(id.as_deref(), Ok(hyphenated), "{spelling}");
        }
    }

    #[test]
    fn errors_are_told_in_the_words_of_the_reference() {
        let character = "invalid character: expected an optional prefix of `urn:uuid:` \
                         followed by [0-9a-fA-F-], found ";
        let cases = [
            ("nope", format!("{character}`n` at 1")),
            ("67eé", format!("{character}`é` at 4")),
            ("{x}", format!("{character}`x` at 2")),
            (
                "abc",
                "invalid length: expected length 32 for simple format, found 3".into(),
            ),
            (
                "",
                "invalid length: expected length 32 for simple format, found 0".into(),
            ),
            ("ab-c", "invalid group count: expected 5, found 2".into()),
            ("{ab}", "invalid group count: expected 5, found 1".into()),
            (
                "67e5504-10b1-426f-9247-bb680e5fe0c8",
                "invalid group length in group 0: expected 8, found 7".into(),
            ),
            (
                "67e55044-10b1-426f-9247-bb680e5fe0c8a",
                "invalid group length in group 4: expected 12, found 13".into(),
            ),
        ];
        for (text, error) in cases {
            assert_eq!(
                parse_uuid(text).map_err(|e| e.to_string()),
                Err(error),
                "{text}"
            );
        }
    }
}
