//! Owns: where secrets are: the names that they go by in messages, files, URLs and the environment,
//! and the shapes of those that stand anywhere.
//!
//! Names count where a protocol or a format gives them their meaning: in messages of the host,
//! answers of the backend, the credential file, the configuration, the environment. In what people,
//! models and programs say, only what looks like a token and what is known already is replaced.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::{memchr_iter, memmem};
use toml::{Table, Value};

use super::secrets::Secrets;
use crate::config;

/// Names of members whose texts are secret, in small letters without `_` and `-`. A name may have
/// more before these.
const SECRET_NAMES: [&str; 13] = [
    "accesstoken",
    "idtoken",
    "refreshtoken",
    "authtoken",
    "bearertoken",
    "sessiontoken",
    "apikey",
    "secret",
    "password",
    "authorization",
    "cookie",
    "codeverifier",
    "credential",
];

/// Names of members that say who somebody is.
const IDENTITY_NAMES: [&str; 8] = [
    "email",
    "accountid",
    "chatgptaccountid",
    "previousaccountid",
    "workspaceid",
    "forcedchatgptworkspaceid",
    "userid",
    "chatgptuserid",
];

/// None of these names is shorter.
const NAME_BYTES_MIN: usize = 5;

/// The member that names the setting whose value another one is (protocol.md §3.7).
const SETTING_NAME: &str = "keyPath";

/// Claims of a token that rules look at, or that say nothing of the user.
const KEPT_CLAIMS: [&str; 9] = [
    "chatgpt_plan_type",
    "iss",
    "aud",
    "alg",
    "typ",
    "scp",
    "scope",
    "auth_provider",
    "token_type",
];

/// Variables that the machine reads for what they say, and whose values are no secrets.
const PLAIN_VARIABLES: [&str; 17] = [
    "HOME",
    "PATH",
    "SHELL",
    "USER",
    "LOGNAME",
    "PWD",
    "TERM",
    "TZ",
    "TMPDIR",
    "LANG",
    "LANGUAGE",
    "EDITOR",
    "COLORTERM",
    "HOSTNAME",
    "RUST_LOG",
    "SHLVL",
    "_",
];
const PLAIN_PREFIXES: [&str; 4] = ["CODEX_", "UNDERSTUDY_", "LC_", "XDG_"];
/// Addresses of services, whatever else their names have in them.
const PLAIN_SUFFIXES: [&str; 3] = ["_URL_OVERRIDE", "_BASE_URL", "_LOGIN_ISSUER"];
/// Parts of the names of variables and headers whose values are secret whatever else is known.
const SECRET_PARTS: [&str; 7] = ["KEY", "SECRET", "TOKEN", "PASSW", "CREDENTIAL", "AUTH", "COOKIE"];

/// The parameters of the browser's visits that are no secrets; `state` was made up by the machine
/// and has to come back as it was.
const PLAIN_PARAMETERS: [&str; 7] =
    ["state", "error", "error_description", "scope", "needs_setup", "plan_type", "platform_url"];

/// What a token begins with: `{"` in base64.
pub(super) const TOKEN_START: &[u8] = b"eyJ";
/// What an API key begins with.
pub(super) const KEY_START: &[u8] = b"sk-";
/// An API key has at least as many bytes; less is a word.
const KEY_BYTES_MIN: usize = 24;

/// Whether one of these names ends with these two letters; few others do.
fn is_name_end(but_one: u8, last: u8) -> bool {
    match but_one {
        b'a' => last == b'l',
        b'e' => matches!(last, b'n' | b'r' | b't' | b'y'),
        b'i' => matches!(last, b'd' | b'e' | b'l'),
        b'o' => last == b'n',
        b'r' => last == b'd',
        _ => false,
    }
}

/// Whether a member of this name holds a secret, or says who somebody is.
fn is_secret_name(name: &str) -> bool {
    is_secret_word(name.as_bytes())
}

fn is_secret_word(name: &[u8]) -> bool {
    if name.len() < NAME_BYTES_MIN {
        return false;
    }
    let backwards = || {
        let letters = name.iter().rev().take_while(|byte| **byte != b'.');
        letters.filter(|byte| !matches!(byte, b'_' | b'-')).map(u8::to_ascii_lowercase)
    };
    let mut end = backwards();
    let (last, but_one) = (end.next().unwrap_or_default(), end.next().unwrap_or_default());
    if !is_name_end(but_one, last) {
        return false;
    }
    let is = |word: &&str| backwards().eq(word.bytes().rev());
    let ends_with = |word: &&str| {
        let mut letters = backwards();
        word.bytes().rev().all(|letter| letters.next() == Some(letter))
    };
    is(&"token") || IDENTITY_NAMES.iter().any(is) || SECRET_NAMES.iter().any(ends_with)
}

/// Whether a member of JSON may go by the name of a secret, wherever the text begins and however it
/// is broken. It is quick, and says yes for some that do not.
pub(super) fn may_name_secrets(text: &[u8]) -> bool {
    memchr_iter(b':', text).any(|colon| {
        // What cannot be looked at counts as one.
        let Some(before) = text.get(..colon) else { return true };
        let Some(close) = before.iter().rposition(|byte| *byte > b' ') else { return false };
        let Some(inner) = before.get(..close) else { return true };
        if before.get(close) != Some(&b'"') {
            // It may be space of another kind.
            return before.get(close).is_some_and(|byte| !byte.is_ascii());
        }
        let open = inner.iter().rposition(|byte| matches!(byte, b'"' | b'\\'));
        if open.is_some_and(|open| inner.get(open) == Some(&b'\\')) {
            return true;
        }
        let name = open.and_then(|open| inner.get(open + 1..)).unwrap_or(inner);
        name == SETTING_NAME.as_bytes() || is_secret_word(name)
    })
}

fn has_secret_part(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.ends_with("_PAT") || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Whether nobody could have thought of it: long, with digits, capitals and small letters.
fn looks_drawn(text: &str) -> bool {
    let has = |test: fn(&u8) -> bool| text.bytes().filter(test).count();
    text.len() >= 20
        && has(u8::is_ascii_digit) >= 3
        && has(u8::is_ascii_uppercase) >= 2
        && has(u8::is_ascii_lowercase) >= 2
        && !text.contains([' ', '/'])
}

// --- JSON ---

/// `text`, which is JSON or nearly, with the strings replaced for which `replace` has another one.
/// It is given the name of the innermost member that each stands in. Whatever is no string stays as
/// it is, and so does all of a string that stays.
fn map_strings(text: &str, mut replace: impl FnMut(&str, &str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut name = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(open) = text.get(at..).and_then(|rest| rest.find('"')).map(|n| at + n) {
        let close = end_of_string(text, open);
        let quoted = text.get(open..close).unwrap_or_default();
        at = close;
        let behind = text.get(close..).unwrap_or_default();
        let inner = inside(quoted);
        if behind.trim_start().starts_with(':') {
            name = inner.into_owned();
        } else if let Some(other) = replace(&name, &inner) {
            out.push_str(text.get(copied..open).unwrap_or_default());
            out.push_str(&serde_json::Value::from(other).to_string());
            copied = close;
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

/// The place behind the string that opens at `open`; the end of the text if it is not closed.
fn end_of_string(text: &str, open: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = open + 1;
    while let Some(n) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += n;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// What a string in quotes says. One that is broken says what stands there.
fn inside(quoted: &str) -> std::borrow::Cow<'_, str> {
    let bare = quoted.strip_prefix('"').unwrap_or(quoted);
    let bare = bare.strip_suffix('"').unwrap_or(bare);
    if !bare.contains('\\') {
        return bare.into();
    }
    serde_json::from_str::<String>(quoted).map_or(bare.into(), Into::into)
}

/// A message or a file in JSON with stand-ins for the members that are secret by their names.
pub(super) fn json_replaced(text: &str, secrets: &mut Secrets) -> String {
    // The value for a setting that is secret.
    let mut sets_secret = false;
    map_strings(text, |name, value| {
        let is_value = name == "value" && sets_secret;
        if name == SETTING_NAME {
            sets_secret = is_secret_setting(value);
        }
        if value.is_empty() || !(is_value || is_secret_name(name)) {
            return None;
        }
        Some(behind_scheme(value, |secret| secrets.stand_in(secret)))
    })
}

/// The value behind `Bearer` and its like, replaced.
fn behind_scheme(value: &str, mut replace: impl FnMut(&str) -> String) -> String {
    for scheme in ["Bearer ", "bearer ", "Basic ", "token "] {
        if let Some(rest) = value.strip_prefix(scheme) {
            return format!("{scheme}{}", replace(rest));
        }
    }
    replace(value)
}

// --- tokens ---

/// The claims of a token with three parts; none if the text is none.
pub(super) fn token_payload(text: &str) -> Option<String> {
    let mut parts = text.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if header.is_empty() || signature.is_empty() || parts.next().is_some() {
        return None;
    }
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let is_object = payload.trim_start().starts_with('{');
    (is_object && serde_json::from_str::<serde::de::IgnoredAny>(&payload).is_ok())
        .then_some(payload)
}

/// Claims without what says who the user is. What rules look at is kept.
pub(super) fn claims_replaced(payload: &str, secrets: &mut Secrets) -> String {
    map_strings(payload, |name, value| {
        if value.is_empty() || KEPT_CLAIMS.contains(&name) {
            return None;
        }
        // The machine tells the host some of them; of the others nobody hears.
        Some(if is_secret_name(name) || name == "sub" {
            secrets.stand_in(value)
        } else {
            secrets.quiet_stand_in(value)
        })
    })
}

/// Learns of tokens and keys that stand anywhere in a text.
pub(super) fn learn_shapes(bytes: &[u8], secrets: &mut Secrets) {
    for start in [TOKEN_START, KEY_START] {
        let mut from = 0;
        while let Some(at) = bytes.get(from..).and_then(|rest| memmem::find(rest, start)) {
            let open = from + at;
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
            let rest = bytes.get(open..).unwrap_or_default();
            let len = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
            from = open + len.max(1);
            let before = open.checked_sub(1).and_then(|before| bytes.get(before));
            let word = rest.get(..len).and_then(|word| std::str::from_utf8(word).ok());
            let Some(word) = word.filter(|_| !before.is_some_and(is_part)) else { continue };
            let word = word.trim_end_matches('.');
            let is_key = start == KEY_START
                && word.len() >= KEY_BYTES_MIN
                && word.bytes().any(|byte| byte.is_ascii_digit());
            if is_key || token_payload(word).is_some() {
                secrets.stand_in(word);
            }
        }
    }
}

// --- configuration ---

/// Learns the secrets of a file in TOML.
pub(super) fn learn_toml(text: &str, secrets: &mut Secrets) {
    let Ok(table) = toml::from_str::<Table>(text) else { return };
    learn_table(&table, "", secrets);
    let replaced = secrets.replaced_text(text);
    // What the machine says of a layer's version is a hash of all that is in it.
    if replaced != text
        && let Ok(other) = toml::from_str::<Table>(&replaced)
    {
        secrets.pair(&config::fingerprint(&table), &config::fingerprint(&other));
    }
}

fn learn_table(table: &Table, of: &str, secrets: &mut Secrets) {
    for (name, value) in table {
        learn_setting(of, name, value, secrets);
    }
}

fn learn_setting(of: &str, name: &str, value: &Value, secrets: &mut Secrets) {
    match value {
        Value::Table(table) => learn_table(table, name, secrets),
        Value::Array(items) => {
            items.iter().for_each(|item| learn_setting(of, name, item, secrets));
        }
        Value::String(text) => {
            let is_secret = match of {
                // Values by the names of headers or variables.
                "http_headers" | "headers" | "query_params" => {
                    has_secret_part(name) || looks_drawn(text)
                }
                "env" | "set" => has_secret_part(name) || looks_drawn(text),
                // These name variables.
                "env_http_headers" => false,
                _ => is_secret_name(name),
            };
            if is_secret {
                behind_scheme(text, |secret| secrets.stand_in(secret));
            }
        }
        _ => {}
    }
}

/// Whether a dotted key of the configuration has a secret value.
fn is_secret_setting(path: &str) -> bool {
    let mut segments = path.rsplit('.');
    let name = segments.next().unwrap_or_default();
    let of = segments.next().unwrap_or_default();
    match of {
        "http_headers" | "headers" | "query_params" | "env" | "set" => has_secret_part(name),
        _ => is_secret_name(name),
    }
}

/// A setting from the command line, `key=value`.
pub(super) fn setting_replaced(setting: &str, secrets: &mut Secrets) -> String {
    let Some((key, value)) = setting.split_once('=') else { return setting.to_owned() };
    let bare = value.trim().trim_matches(['"', '\'']);
    if is_secret_setting(key.trim()) && !bare.is_empty() {
        behind_scheme(bare, |secret| secrets.stand_in(secret));
    }
    learn_toml(setting, secrets);
    secrets.replaced_text(setting)
}

// --- environment, URLs, headers ---

/// The value of a variable of the server's environment.
pub(super) fn variable_replaced(name: &str, value: &str, secrets: &mut Secrets) -> String {
    if is_plain_variable(name) {
        return secrets.replaced_text(value);
    }
    // A path or an address may be a part of others that are no secrets.
    let is_place = value.starts_with('/') || value.contains("://");
    if !is_place && (has_secret_part(name) || looks_drawn(value)) {
        return secrets.stand_in(value);
    }
    secrets.quiet_stand_in(value)
}

/// Whether a variable's value is shown as it is.
pub(super) fn is_plain_variable(name: &str) -> bool {
    let is_named = PLAIN_VARIABLES.contains(&name)
        || PLAIN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    is_named && !has_secret_part(name) || PLAIN_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// What a browser asks for, with stand-ins for the values of its parameters.
pub(super) fn target_replaced(target: &str, secrets: &mut Secrets) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if !PLAIN_PARAMETERS.contains(&name) => {
            format!("{name}={}", parameter_replaced(value, secrets))
        }
        _ => pair.to_owned(),
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// A percent-encoded value: the stand-in of what it says, encoded in the same places.
fn parameter_replaced(value: &str, secrets: &mut Secrets) -> String {
    let mut units = Vec::new();
    let mut decoded = Vec::new();
    let mut rest = value;
    while let Some(first) = rest.chars().next() {
        let hex = rest.strip_prefix('%').and_then(|rest| rest.get(..2));
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let len = if byte.is_some() { 3 } else { first.len_utf8() };
        let (unit, behind) = rest.split_at(len);
        match byte {
            Some(byte) => decoded.push(byte),
            None if first == '+' => decoded.push(b' '),
            None => decoded.extend_from_slice(unit.as_bytes()),
        }
        units.push((unit, byte.is_some()));
        rest = behind;
    }
    let Ok(decoded) = String::from_utf8(decoded) else { return secrets.stand_in(value) };
    let stand_in = secrets.stand_in(&decoded);
    let mut bytes = stand_in.bytes();
    let mut out = String::new();
    for (unit, is_encoded) in units {
        let count = if is_encoded { 1 } else { unit.len() };
        let taken: Vec<u8> = bytes.by_ref().take(count).collect();
        match (is_encoded, unit) {
            (true, _) => taken.iter().for_each(|byte| out.push_str(&format!("%{byte:02X}"))),
            (false, "+") => out.push('+'),
            (false, _) => out.push_str(&String::from_utf8_lossy(&taken)),
        }
    }
    out
}

/// The value of a response's header.
pub(super) fn header_replaced(name: &str, value: &str, secrets: &mut Secrets) -> String {
    if is_secret_name(name) {
        return behind_scheme(value, |secret| secrets.quiet_stand_in(secret));
    }
    secrets.replaced_text(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets() -> Secrets {
        Secrets::new([9; 32])
    }

    #[test]
    fn members_are_secret_by_their_names_however_they_are_spelled() {
        let mut secrets = secrets();
        let line = concat!(
            r#"{"method":"account/login/start","params":{"accessToken" : "opaque-1234","#,
            r#""note":"the accessToken","apiKey":"a\/b\u0063-99","email":null,"n":1}}"#
        );
        let said = json_replaced(line, &mut secrets);
        let (token, key) = (secrets.stand_in("opaque-1234"), secrets.stand_in("a/bc-99"));
        let wanted = line.replace("opaque-1234", &token).replace(r"a\/b\u0063-99", &key);
        assert_eq!(said, wanted);
        let text = r#"{"headers":{"Authorization":"Bearer abcdefgh"}}"#;
        let hidden = secrets.stand_in("abcdefgh");
        assert_eq!(json_replaced(text, &mut secrets), text.replace("abcdefgh", &hidden));
    }

    #[test]
    fn names_are_known_by_their_ends() {
        let names = SECRET_NAMES.iter().chain(&IDENTITY_NAMES).chain(&["token"]);
        for name in names {
            assert!(is_secret_name(name), "{name}");
            let spelled = format!("x.{}-{}_", name[..2].to_uppercase(), &name[2..]);
            assert!(is_secret_name(&spelled), "{spelled}");
            assert!(!is_secret_name(&format!("{name}s")), "{name}s");
        }
        for name in ["", "id", "tokens.used", "valid", "thread_id", "turnId", "method", "_-"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_replaced_was_announced(
            words in prop::collection::vec(prop::sample::select(vec![
                "\"", "accessToken", "tok", "en", "\\u0065n", "keyPath", "value", "x.api_key",
                ":", " ", "\u{a0}", "\u{b}", "\n", "{", ",", "\\", "opaque-1234", "email",
            ]), 0..16),
        ) {
            let text = words.concat();
            let is_replaced = json_replaced(&text, &mut secrets()) != text;
            prop_assert!(!is_replaced || may_name_secrets(text.as_bytes()), "{}", text);
        }
    }

    #[test]
    fn usual_messages_are_let_pass() {
        let line = r#"{"id":1,"method":"account/read","params":{"threadId":"x: token"}}"#;
        assert!(!may_name_secrets(line.as_bytes()));
    }

    #[test]
    fn a_broken_message_does_not_show_its_secret_either() {
        for line in [r#"{"accessToken":"opaque-12"#, r#"{"accessToken":"opaque-12\"#] {
            let said = json_replaced(line, &mut secrets());
            assert!(!said.contains("opaque-12"), "{said}");
        }
    }

    #[test]
    fn settings_are_secret_where_they_set_what_is() {
        let mut secrets = secrets();
        let line =
            |path: &str| format!(r#"{{"params":{{"keyPath":"{path}","value":"hunter2x"}}}}"#);
        for (path, is_secret) in [
            ("model", false),
            ("model_providers.x.experimental_bearer_token", true),
            ("model_providers.x.http_headers.X-Api-Key", true),
            ("shell_environment_policy.set.FOO", false),
        ] {
            let said = json_replaced(&line(path), &mut secrets);
            assert_eq!(said.contains("hunter2x"), !is_secret, "{path}: {said}");
            let said = setting_replaced(&format!("{path}=hunter2x"), &mut Secrets::new([1; 32]));
            assert_eq!(said.contains("hunter2x"), !is_secret, "{said}");
        }
    }

    #[test]
    fn a_file_of_settings_is_replaced_with_its_version() {
        let mut secrets = secrets();
        let text = concat!(
            "model = 'gpt-5'\nforced_chatgpt_workspace_id = ' org-17 '\n",
            "[model_providers.x]\nenv_key = 'X_API_KEY'\nexperimental_bearer_token = 'hunter22'\n",
            "[model_providers.x.http_headers]\nX-Api-Key = 'abcd-1'\nAccept = 'text/plain'\n"
        );
        let version = |text: &str| config::fingerprint(&toml::from_str(text).expect("TOML"));
        learn_toml(text, &mut secrets);
        let said = secrets.replaced_text(text);
        for gone in ["org-17", "hunter22", "abcd-1"] {
            assert!(!said.contains(gone), "{gone} in {said}");
        }
        for kept in ["'gpt-5'", "'X_API_KEY'", "'text/plain'"] {
            assert!(said.contains(kept), "{kept} not in {said}");
        }
        assert_eq!(secrets.replaced_text(&version(text)), version(&said));
    }

    #[test]
    fn the_environment_is_shown_where_it_is_no_secret() {
        let mut secrets = secrets();
        for (name, value, is_kept) in [
            ("HOME", "/home/jo", true),
            ("CODEX_HOME", "/home/jo/.codex", true),
            ("OPENAI_API_KEY", "sk-12345", false),
            ("CODEX_API_KEY", "abcd", false),
            ("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "http://127.0.0.1:1/oauth/token", true),
            ("SSH_AUTH_SOCK", "/run/agent/sock", false),
            ("DATABASE_URL", "postgres://u:p@h/d", false),
        ] {
            let said = variable_replaced(name, value, &mut secrets);
            assert_eq!(said == value, is_kept, "{name}={said}");
        }
        for text in ["/d postgres://u:p@h/d", "/run/agent/sock/x"] {
            assert_eq!(secrets.replaced_text(text), text, "it may be a part of others");
        }
    }

    #[test]
    fn a_visit_loses_its_code_and_keeps_its_form() {
        let mut secrets = secrets();
        let said = target_replaced("/auth/callback?code=ab%2Fcd%20e1+x&state=s1&x", &mut secrets);
        let code = secrets.stand_in("ab/cd e1 x");
        let encoded = code.replace('/', "%2F").replacen(' ', "%20", 1).replace(' ', "+");
        assert_eq!(said, format!("/auth/callback?code={encoded}&state=s1&x"));
    }

    #[test]
    fn tokens_are_found_anywhere() {
        let mut secrets = secrets();
        let payload = URL_SAFE_NO_PAD.encode(r#"{"a":1}"#);
        let token = format!("eyJhbGciOiJub25lIn0.{payload}.c2lnbmF0dXJl");
        let key = "sk-proj-abcdefghijklmnopqrst1";
        let text = format!("see {token}. And {key}! But sk-learn, eyJ and risk-1");
        learn_shapes(text.as_bytes(), &mut secrets);
        let said = secrets.replaced_text(&text);
        assert!(!said.contains(&token) && !said.contains(key), "{said}");
        assert!(said.ends_with("But sk-learn, eyJ and risk-1"), "{said}");
    }
}
