//! A line to a message, by the presence of its members (protocol.md §1.2).
//!
//! Everything is borrowed; params, results and errors stay raw until somebody knows their type.
//! Order of precedence: request, notification, response, error. An object with both a result and an
//! error is a response, as in the reference.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::RequestId;

/// One message from the host.
#[derive(Debug)]
pub(crate) enum Incoming<'a> {
    /// Wants exactly one reply.
    Request { id: RequestId, method: Cow<'a, str>, params: Option<&'a RawValue> },
    /// Wants none.
    Notification,
    /// The host answers a request of ours.
    Response { id: RequestId, result: &'a RawValue },
    /// The host refuses a request of ours.
    Error { id: RequestId, error: &'a RawValue },
    /// JSON, but no message; said to the host under the id, if one can be read.
    Unusable { id: Option<RequestId>, why: &'static str },
    /// No JSON at all.
    NotJson { why: String },
    /// Nothing but white space.
    Blank,
}

impl<'a> Incoming<'a> {
    /// Decodes one line.
    pub(crate) fn decode(line: &'a [u8]) -> Self {
        let Ok(text) = std::str::from_utf8(line) else {
            return Incoming::NotJson { why: "the line is not valid UTF-8".to_owned() };
        };
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.is_empty() {
            return Incoming::Blank;
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let members = json.deserialize_any(Members::default());
        match members.and_then(|members| json.end().map(|()| members)) {
            Ok(members) => members.classify(),
            Err(err) if err.is_data() => {
                // A duplicate member or a value of another kind: JSON, but no message.
                match serde_json::from_str::<IgnoredAny>(text) {
                    Ok(_) => Incoming::Unusable { id: None, why: "not a JSON-RPC message object" },
                    Err(err) => Incoming::NotJson { why: err.to_string() },
                }
            }
            Err(err) => Incoming::NotJson { why: err.to_string() },
        }
    }
}

/// The members that matter, as they stand.
#[derive(Default)]
struct Members<'a> {
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

impl<'a> Members<'a> {
    fn classify(self) -> Incoming<'a> {
        let id = self.id.map(|raw| RequestId::decode(raw.get()));
        let method = self.method.and_then(|raw| text(raw.get()));
        match (id, method) {
            (Some(Some(id)), Some(method)) => Incoming::Request { id, method, params: self.params },
            (None, Some(_)) => Incoming::Notification,
            (Some(None), _) => Incoming::Unusable {
                id: None,
                why: "the id must be a string or an integer of 64 bits",
            },
            (Some(Some(id)), None) => match (self.result, self.error) {
                (Some(result), _) => Incoming::Response { id, result },
                (None, Some(error)) => Incoming::Error { id, error },
                (None, None) => {
                    Incoming::Unusable { id: Some(id), why: "no method, result or error" }
                }
            },
            (None, None) => Incoming::Unusable { id: None, why: "no id and no method" },
        }
    }
}

/// A JSON string's text, borrowed where it has no escapes.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        while let Some(key) = map.next_key::<Key>()? {
            let slot = match key {
                Key::Id => &mut self.id,
                Key::Method => &mut self.method,
                Key::Params => &mut self.params,
                Key::Result => &mut self.result,
                Key::Error => &mut self.error,
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if slot.replace(map.next_value()?).is_some() {
                return Err(serde::de::Error::custom("duplicate member"));
            }
        }
        Ok(self)
    }
}

/// A member's name.
enum Key {
    Id,
    Method,
    Params,
    Result,
    Error,
    Other,
}

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(match name {
                    "id" => Key::Id,
                    "method" => Key::Method,
                    "params" => Key::Params,
                    "result" => Key::Result,
                    "error" => Key::Error,
                    _ => Key::Other,
                })
            }
        }
        deserializer.deserialize_identifier(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::Incoming;

    /// A short name for what a line is taken for.
    fn kind(line: &str) -> String {
        match Incoming::decode(line.as_bytes()) {
            Incoming::Request { id, method, params } => {
                format!("request {id} {method} {}", params.map_or("-", |p| p.get()))
            }
            Incoming::Notification => "notification".to_owned(),
            Incoming::Response { id, result } => format!("response {id} {}", result.get()),
            Incoming::Error { id, error } => format!("error {id} {}", error.get()),
            Incoming::Unusable { id: Some(id), .. } => format!("unusable {id}"),
            Incoming::Unusable { id: None, .. } => "unusable".to_owned(),
            Incoming::NotJson { .. } => "not json".to_owned(),
            Incoming::Blank => "blank".to_owned(),
        }
    }

    #[test]
    fn by_presence_of_members() {
        let cases = [
            (r#"{"id":1,"method":"m"}"#, "request 1 m -"),
            (r#"{"jsonrpc":"1.0","method":"m","id":"x","params":null}"#, r#"request "x" m null"#),
            (r#"{"id":21,"method":"m","result":{}}"#, "request 21 m -"),
            (r#"{"id":1,"method":"a\/b"}"#, "request 1 a/b -"),
            (r#"{"id":-9223372036854775808,"method":"m"}"#, "request -9223372036854775808 m -"),
            (r#"{"id":"","method":"m"}"#, r#"request "" m -"#),
            (r#"{"method":"initialized"}"#, "notification"),
            (r#"{"id":0,"result":null}"#, "response 0 null"),
            (r#"{"id":0,"result":1,"error":{}}"#, "response 0 1"),
            (r#"{"id":"0","error":{"code":1}}"#, r#"error "0" {"code":1}"#),
            (r#"{"id":8}"#, "unusable 8"),
            (r#"{"id":22,"method":5}"#, "unusable 22"),
            (r#"{"id":null,"method":"m"}"#, "unusable"),
            (r#"{"id":1.0,"method":"m"}"#, "unusable"),
            (r#"{"id":-0,"method":"m"}"#, "unusable"),
            (r#"{"id":9223372036854775808,"method":"m"}"#, "unusable"),
            (r#"{"id":1,"id":2,"method":"m"}"#, "unusable"),
            (r#"[{"id":1,"method":"m"}]"#, "unusable"),
            ("{}", "unusable"),
            ("7", "unusable"),
            ("nonsense", "not json"),
            (r#"{"id":1,"method":"m"} {"id":2}"#, "not json"),
            (r#"{"id":1,"#, "not json"),
            ("\u{feff}{}", "not json"),
            (" \r", "blank"),
        ];
        for (line, want) in cases {
            assert_eq!(kind(line), want, "{line}");
        }
        assert!(matches!(Incoming::decode(b"{\"id\":1,\xff"), Incoming::NotJson { .. }));
    }
}
