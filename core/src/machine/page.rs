//! Pages of a list that is whole at hand (config.md §7.6): a cursor is the number of entries before
//! the page.

use crate::wire::refusal::Refusal;

/// The entries of one page, and where the next one begins if there is one. `what` names the entries
/// in the error about a cursor beyond them.
pub(super) fn page<T>(
    all: Vec<T>,
    cursor: Option<&str>,
    limit: Option<u32>,
    what: &str,
) -> Result<(Vec<T>, Option<String>), Refusal> {
    let total = all.len();
    let start = match cursor.map(str::parse::<usize>) {
        None => 0,
        Some(Ok(start)) if start <= total => start,
        Some(Ok(start)) => {
            return Err(Refusal::invalid(format!("cursor {start} exceeds total {what} {total}")));
        }
        Some(Err(_)) => {
            let cursor = cursor.unwrap_or_default();
            return Err(Refusal::invalid(format!("invalid cursor: {cursor}")));
        }
    };
    let limit = limit.map_or(usize::MAX, |limit| limit.max(1) as usize);
    let data: Vec<T> = all.into_iter().skip(start).take(limit).collect();
    let end = start + data.len();
    Ok((data, (end < total).then(|| end.to_string())))
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn a_cursor_counts_entries() {
        let of = |cursor, limit| page(vec![1, 2, 3], cursor, limit, "things");
        assert_eq!(of(None, None).expect("a page"), (vec![1, 2, 3], None));
        assert_eq!(of(None, Some(0)).expect("a page"), (vec![1], Some("1".to_owned())));
        assert_eq!(of(Some("1"), Some(2)).expect("a page"), (vec![2, 3], None));
        assert_eq!(of(Some("3"), None).expect("a page"), (vec![], None));
        let text = |cursor| of(Some(cursor), None).expect_err(cursor).message;
        assert_eq!(text("4"), "cursor 4 exceeds total things 3");
        assert_eq!(text("-1"), "invalid cursor: -1");
    }
}
