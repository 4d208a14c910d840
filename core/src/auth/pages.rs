//! What the user's browser shows at the end of a login.

use crate::effect::PageAnswer;

const TRY_AGAIN: &str = "Go back to your application and try again.";

/// The login is done.
pub(super) fn success() -> PageAnswer {
    html(200, include_str!("pages/success.html").to_owned())
}

/// The login has failed, for this reason.
pub(super) fn failure(reason: &str) -> PageAnswer {
    html(200, words("You are not signed in", reason, TRY_AGAIN))
}

/// Whoever asked does not know this login's state: nothing happened (auth.md §12 G13).
pub(super) fn state_mismatch() -> PageAnswer {
    let reason = "State mismatch. This page does not belong to the sign-in under way.";
    html(400, words("Nothing happened", reason, TRY_AGAIN))
}

/// The code is being exchanged already.
pub(super) fn in_progress() -> PageAnswer {
    let reason = "This sign-in is being completed already.";
    html(409, words("One moment", reason, "Go back to your application."))
}

/// There is nothing here.
pub(super) fn not_found() -> PageAnswer {
    let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
    PageAnswer { status: 404, headers, body: "Not Found".to_owned() }
}

/// The reason comes from elsewhere, so it goes in last: nothing in it is looked for any more.
fn words(title: &str, reason: &str, next: &str) -> String {
    include_str!("pages/failure.html")
        .replace("{{title}}", title)
        .replace("{{next}}", next)
        .replace("{{reason}}", &escaped(reason))
}

fn html(status: u16, body: String) -> PageAnswer {
    let headers = vec![
        ("content-type", "text/html; charset=utf-8".to_owned()),
        ("cache-control", "no-store".to_owned()),
        // The address holds the code: no other page may learn it.
        ("referrer-policy", "no-referrer".to_owned()),
        ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'".to_owned()),
    ];
    PageAnswer { status, headers, body }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::failure;

    #[test]
    fn a_reason_cannot_become_markup() {
        let page = failure("<script>alert('x')</script>");
        assert!(!page.body.contains("<script>"), "{}", page.body);
        assert!(page.body.contains("&lt;script&gt;"));
        assert!(!failure("{{next}}").body.contains("{{title}}"));
    }
}
