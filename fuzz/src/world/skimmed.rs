//! A JSON value without what no check of credentials looks at. To build the whole of every message
//! would be a tenth of the work of a simulation.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A value that lacks the members that are left unread, at any depth.
pub(super) struct Skimmed(pub(super) Value);

/// What a thread is set up with, and what is said in it.
fn is_unread(member: &str) -> bool {
    matches!(
        member,
        "approvalPolicy"
            | "approvalsReviewer"
            | "cliVersion"
            | "content"
            | "createdAt"
            | "cwd"
            | "ephemeral"
            | "gitInfo"
            | "model"
            | "modelProvider"
            | "path"
            | "preview"
            | "projectId"
            | "reasoningEffort"
            | "sandbox"
            | "sessionId"
            | "source"
            | "tokenUsage"
            | "turns"
            | "updatedAt"
    )
}

impl<'de> Deserialize<'de> for Skimmed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Skimmed(value)) = seq.next_element()? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(member) = map.next_key::<Cow<'de, str>>()? {
            if is_unread(&member) {
                map.next_value::<IgnoredAny>()?;
            } else {
                let Skimmed(value) = map.next_value()?;
                all.insert(member.into_owned(), value);
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::Skimmed;

    #[test]
    fn what_is_left_unread_is_not_there_and_all_else_is_as_it_was() {
        let text = r#"{"a":[1,-2,0.5,true,null,"x\n",{"cwd":{"b":[]},"c":{}}],"turns":[]}"#;
        let Skimmed(value) = serde_json::from_str(text).expect("is JSON");
        assert_eq!(value.to_string(), r#"{"a":[1,-2,0.5,true,null,"x\n",{"c":{}}]}"#);
        assert!(serde_json::from_str::<Skimmed>(r#"{"cwd":{]}"#).is_err());
    }
}
