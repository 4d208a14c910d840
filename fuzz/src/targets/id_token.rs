//! A token's claims: read as a tree of JSON reads them, and none of the token in what is said of one
//! that cannot be read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use understudy_core::wire::v2::account::PlanType;
use understudy_core::{ClaimsOf, claims_of};

use super::headed;

const PROFILE: &str = "https://api.openai.com/profile";
const AUTH: &str = "https://api.openai.com/auth";

/// An even first byte has the rest taken for a token, an odd one for a payload.
pub fn id_token(data: &[u8]) {
    let (first, rest) = headed(data);
    if first & 1 == 1 {
        return check_token(&token_of(rest));
    }
    check_token(&String::from_utf8_lossy(rest));
}

fn token_of(payload: &[u8]) -> String {
    format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

fn check_token(token: &str) {
    let found = claims_of(token);
    if let Err(error) = &found {
        assert!(tells_nothing(error), "{error}");
    }
    let mut segments = token.split('.');
    let mut filled = || segments.next().filter(|segment| !segment.is_empty());
    let (Some(_), Some(payload), Some(_)) = (filled(), filled(), filled()) else {
        return assert_eq!(found, Err("invalid ID token format".to_owned()));
    };
    let Some(Value::Object(claims)) = URL_SAFE_NO_PAD
        .decode(payload)
        .ok()
        .and_then(|json| serde_json::from_slice::<Value>(&json).ok())
    else {
        return;
    };
    // The decoder takes an array for the members in their order. Nobody makes such tokens.
    if [PROFILE, AUTH].iter().any(|name| claims.get(*name).is_some_and(Value::is_array)) {
        return;
    }
    let wanted = wanted(&Value::Object(claims.clone()));
    match (&found, &wanted) {
        (Ok(found), Some(wanted)) => assert_eq!(found, wanted, "{claims:?}"),
        (Ok(found), None) => panic!("{found:?} out of {claims:?}"),
        (Err(_), None) => {}
        // A claim that stands twice is refused. A tree holds it once.
        (Err(_), Some(wanted)) => {
            let json = Value::Object(claims).to_string();
            assert_eq!(claims_of(&token_of(json.as_bytes())).as_ref(), Ok(wanted), "{json}");
        }
    }
}

/// What the claims amount to; none if one of them is of the wrong type.
fn wanted(claims: &Value) -> Option<ClaimsOf> {
    let own = text_at(claims, "email")?;
    let profile = claims.get(PROFILE).filter(|it| !it.is_null());
    let auth = claims.get(AUTH).filter(|it| !it.is_null());
    let inner = |of: Option<&Value>, name: &str| match of {
        None => Some(None),
        Some(Value::Object(_)) => text_at(of?, name),
        Some(_) => None,
    };
    let named = inner(profile, "email")?;
    let plan = inner(auth, "chatgpt_plan_type")?;
    let account_id = inner(auth, "chatgpt_account_id")?;
    Some(ClaimsOf { email: own.or(named), plan: plan.as_deref().map(plan_of), account_id })
}

/// The plan by its name on the wire, and by the one name that it has in tokens alone.
fn plan_of(claim: &str) -> PlanType {
    match claim {
        "hc" => PlanType::Enterprise,
        name => serde_json::from_value(Value::from(name)).unwrap_or(PlanType::Unknown),
    }
}

/// The text of a member that may be missing or null; none if it is something else.
fn text_at(of: &Value, name: &str) -> Option<Option<String>> {
    match of.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text.clone())),
        Some(_) => None,
    }
}

/// Whether an error consists of known words and of numbers.
fn tells_nothing(error: &str) -> bool {
    const KNOWN: &[&str] = &[
        "invalid ID token format",
        "Invalid input length: ",
        "Invalid padding",
        "Invalid symbol , offset .",
        "Invalid last symbol , offset .",
        "a claim has the wrong type",
        "EOF while parsing a list",
        "EOF while parsing a string",
        "EOF while parsing a value",
        "EOF while parsing an object",
        "control character (\\u0000-\\u001F) found while parsing a string",
        "expected `,` or `]`",
        "expected `,` or `}`",
        "expected `:`",
        "expected `\"`",
        "expected ident",
        "expected value",
        "invalid escape",
        "invalid number",
        "invalid unicode code point",
        "key must be a string",
        "lone leading surrogate in hex escape",
        "number out of range",
        "trailing characters",
        "trailing comma",
        "recursion limit exceeded",
        "unexpected end of hex escape",
    ];
    let words = error.split(" at line ").next().unwrap_or_default();
    let without_digits = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    let words = without_digits(words);
    KNOWN.iter().any(|known| without_digits(known) == words)
}
