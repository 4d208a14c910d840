//! Params to types, with the reference's error texts (protocol.md §1.3).

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// Decodes a request's params. The error is the text after `Invalid request: `.
///
/// The reference decodes through a tree, so that its texts name no line and column; the slow way is
/// gone again on the error path only.
pub(crate) fn params<T: DeserializeOwned>(raw: Option<&RawValue>) -> Result<T, String> {
    let raw = raw.filter(|raw| raw.get() != "null").ok_or("missing field `params`")?;
    value(raw)
}

/// Decodes any value that a peer sent, with the same error texts.
pub(crate) fn value<T: DeserializeOwned>(raw: &RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|err| {
        let slow = serde_json::from_str::<Value>(raw.get()).map(serde_json::from_value::<T>);
        match slow {
            Ok(Err(plain)) => plain.to_string(),
            // The tree is more lenient about duplicate members: keep the first text then.
            Ok(Ok(_)) | Err(_) => err.to_string(),
        }
    })
}

/// Checks the params of a method that takes none.
pub(crate) fn no_params(raw: Option<&RawValue>) -> Result<(), String> {
    let Some(raw) = raw else { return Ok(()) };
    let value: Value = serde_json::from_str(raw.get()).map_err(|err| err.to_string())?;
    match value {
        Value::Null => Ok(()),
        Value::Object(map) if map.is_empty() => Ok(()),
        Value::Object(_) => Err("invalid type: map, expected unit".to_owned()),
        other => serde_json::from_value::<()>(other).map_err(|err| err.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::{no_params, params};

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Sample {
        thread_id: String,
        #[serde(default)]
        limit: Option<u32>,
    }

    #[test]
    fn error_texts() {
        let cases = [
            (None, "missing field `params`"),
            (Some("null"), "missing field `params`"),
            (Some("{}"), "missing field `threadId`"),
            (Some(r#"{"threadId":5}"#), "invalid type: integer `5`, expected a string"),
            (Some(r#"{"threadId":"a","limit":"x"}"#), "invalid type: string \"x\", expected u32"),
            (Some(r#"{"threadId":"a","limit":-1}"#), "invalid value: integer `-1`, expected u32"),
        ];
        for (json, want) in cases {
            let raw = json.map(|j| RawValue::from_string(j.to_owned()).expect("a test's JSON"));
            let err = params::<Sample>(raw.as_deref()).expect_err("must be refused");
            assert_eq!(err, want, "{json:?}");
        }
        let raw = RawValue::from_string(r#"{"threadId":"a","limit":null,"more":1}"#.to_owned());
        let sample: Sample = params(raw.ok().as_deref()).expect("decodes");
        assert_eq!((sample.thread_id.as_str(), sample.limit), ("a", None));
    }

    #[test]
    fn methods_without_params() {
        for (json, want) in [
            (None, Ok(())),
            (Some("null"), Ok(())),
            (Some("{}"), Ok(())),
            (Some(r#"{"a":1}"#), Err("invalid type: map, expected unit")),
            (Some("[]"), Err("invalid type: sequence, expected unit")),
            (Some(r#""s""#), Err("invalid type: string \"s\", expected unit")),
            (Some("5"), Err("invalid type: integer `5`, expected unit")),
        ] {
            let raw = json.map(|j| RawValue::from_string(j.to_owned()).expect("a test's JSON"));
            assert_eq!(no_params(raw.as_deref()), want.map_err(str::to_owned), "{json:?}");
        }
    }
}
