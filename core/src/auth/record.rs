//! The stored credential record, `auth.json` (auth.md §4.1–4.2), as text and back.
//!
//! Members that this server does not know are kept when it writes a record over another.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::credential::{Credential, Managed};
use super::id_token::Claims;
use crate::secret::Secret;

/// The members that this server writes itself; everything else in a file is somebody else's.
const OWN_MEMBERS: [&str; 4] = ["auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh"];

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    auth_mode: Option<String>,
    #[serde(default, rename = "OPENAI_API_KEY")]
    api_key: Option<Secret>,
    #[serde(default)]
    tokens: Option<Tokens>,
    #[serde(default)]
    last_refresh: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Secret,
    access_token: Secret,
    refresh_token: Secret,
    #[serde(default)]
    account_id: Option<String>,
}

const BAD_TIME: &str = "last_refresh is no RFC 3339 time";

/// Reads a record. The error says what is wrong with it and holds nothing of its content.
pub(crate) fn decode(bytes: &[u8]) -> Result<Credential, String> {
    let record: Record = serde_json::from_slice(bytes).map_err(|err| position_text(&err))?;
    let mode = match (record.auth_mode.as_deref(), &record.api_key) {
        (Some(mode), _) => mode,
        (None, Some(_)) => "apikey",
        (None, None) => "chatgpt",
    };
    match mode {
        "apikey" => match record.api_key {
            Some(key) => Ok(Credential::ApiKey(key)),
            None => Err("auth_mode is `apikey` but there is no key".to_owned()),
        },
        "chatgpt" => {
            let last_refresh = record.last_refresh.map(|text| text.parse());
            let last_refresh = last_refresh.transpose().map_err(|_| BAD_TIME.to_owned())?;
            managed(record.tokens, last_refresh)
        }
        // Tokens of a host live in memory only (auth.md §13.1 I1): whoever wrote this made a mistake.
        "chatgptAuthTokens" => {
            Err("tokens of a host application must not be stored; they are not used".to_owned())
        }
        _ => Err("auth_mode is none that this server knows".to_owned()),
    }
}

fn managed(tokens: Option<Tokens>, last_refresh: Option<Timestamp>) -> Result<Credential, String> {
    let Some(tokens) = tokens else { return Ok(Credential::None) };
    let claims = Claims::parse(tokens.id_token.expose())
        .map_err(|text| format!("tokens.id_token does not parse: {text}"))?;
    Ok(Credential::Managed(Managed {
        claims,
        id_token: tokens.id_token,
        access: tokens.access_token,
        refresh: tokens.refresh_token,
        account_id: tokens.account_id,
        last_refresh,
        outdated: None,
    }))
}

/// A decoder's text may quote a value, and here every value is a secret.
fn position_text(err: &serde_json::Error) -> String {
    let what = if err.is_data() { "a member has the wrong type" } else { "it is not valid JSON" };
    format!("{what} at line {} column {}", err.line(), err.column())
}

/// A record to be stored.
#[derive(Clone, Debug)]
pub(crate) enum NewRecord {
    ApiKey(Secret),
    /// A login with the API key that was exchanged for it, if any.
    Managed(Managed, Option<Secret>),
}

impl NewRecord {
    /// The record as text, keeping what in `old` is not ours. The text holds secrets.
    pub(crate) fn encode(&self, old: Option<&[u8]>) -> Vec<u8> {
        let mut record = Map::new();
        match self {
            NewRecord::ApiKey(key) => {
                record.insert("auth_mode".to_owned(), "apikey".into());
                record.insert("OPENAI_API_KEY".to_owned(), key.expose().into());
            }
            NewRecord::Managed(managed, key) => {
                record.insert("auth_mode".to_owned(), "chatgpt".into());
                let key = key.as_ref().map(|key| key.expose().to_owned());
                record.insert("OPENAI_API_KEY".to_owned(), key.into());
                record.insert("tokens".to_owned(), tokens_json(managed));
                let time = managed.last_refresh.map(|time| time.to_string());
                record.insert("last_refresh".to_owned(), time.into());
            }
        }
        with_foreign_members(record, old)
    }
}

/// The API key beside the tokens of a stored login, kept when the tokens are refreshed.
pub(crate) fn stored_key(bytes: &[u8]) -> Option<Secret> {
    serde_json::from_slice::<Record>(bytes).ok()?.api_key
}

fn tokens_json(managed: &Managed) -> Value {
    serde_json::json!({
        "id_token": managed.id_token.expose(),
        "access_token": managed.access.expose(),
        "refresh_token": managed.refresh.expose(),
        "account_id": managed.account_id,
    })
}

fn with_foreign_members(record: Map<String, Value>, old: Option<&[u8]>) -> Vec<u8> {
    let foreign: Map<String, Value> =
        old.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    // Written member by member: the order is the reference's, and a map of serde_json is sorted.
    let own = OWN_MEMBERS.iter().filter_map(|name| record.get_key_value(*name));
    let rest = foreign.iter().filter(|(name, _)| !OWN_MEMBERS.contains(&name.as_str()));
    let members: Vec<String> = own.chain(rest).map(|(name, value)| member(name, value)).collect();
    format!("{{\n{}\n}}", members.join(",\n")).into_bytes()
}

fn member(name: &str, value: &Value) -> String {
    let pretty = format!("{value:#}").replace('\n', "\n  ");
    format!("  {}: {pretty}", Value::from(name))
}

#[cfg(test)]
mod tests {
    use super::{Credential, NewRecord, decode};
    use crate::auth::id_token::unsigned_jwt;
    use crate::secret::Secret;

    fn mode(json: &str) -> String {
        match decode(json.as_bytes()) {
            Err(text) => text,
            Ok(credential) => format!("{:?}", credential.mode()),
        }
    }

    #[test]
    fn the_mode_is_inferred() {
        let jwt = unsigned_jwt("{}");
        let tokens = format!(r#"{{"id_token":"{jwt}","access_token":"a","refresh_token":"r"}}"#);
        let cases = [
            ("{}".to_owned(), "None"),
            (r#"{"OPENAI_API_KEY":"k"}"#.to_owned(), "Some(ApiKey)"),
            (format!(r#"{{"OPENAI_API_KEY":"k","tokens":{tokens}}}"#), "Some(ApiKey)"),
            (format!(r#"{{"OPENAI_API_KEY":null,"tokens":{tokens}}}"#), "Some(Chatgpt)"),
            (
                format!(r#"{{"auth_mode":"chatgpt","OPENAI_API_KEY":"k","tokens":{tokens}}}"#),
                "Some(Chatgpt)",
            ),
            (r#"{"auth_mode":"apikey"}"#.to_owned(), "auth_mode is `apikey` but there is no key"),
            (r#"{"auth_mode":"ChatGPT"}"#.to_owned(), "auth_mode is none that this server knows"),
            (
                r#"{"auth_mode":"chatgptAuthTokens"}"#.to_owned(),
                "tokens of a host application must not be stored; they are not used",
            ),
            ("{".to_owned(), "it is not valid JSON at line 1 column 1"),
        ];
        for (json, want) in cases {
            assert_eq!(mode(&json), want, "{json}");
        }
    }

    #[test]
    fn a_refusal_quotes_no_secret() {
        let text = mode(r#"{"OPENAI_API_KEY":["sk-hidden"]}"#);
        assert!(!text.contains("sk-hidden"), "{text}");
    }

    #[test]
    fn other_members_are_kept_and_old_credentials_are_not() {
        let old = br#"{"tokens":{"access_token":"gone"},"theirs":{"a":[1]}}"#;
        let written = NewRecord::ApiKey(Secret::new("k")).encode(Some(old));
        let text = String::from_utf8_lossy(&written).into_owned();
        let want = "{\n  \"auth_mode\": \"apikey\",\n  \"OPENAI_API_KEY\": \"k\",\n  \
                    \"theirs\": {\n    \"a\": [\n      1\n    ]\n  }\n}";
        assert_eq!(text, want);
        assert!(matches!(decode(&written), Ok(Credential::ApiKey(_))));
    }
}
