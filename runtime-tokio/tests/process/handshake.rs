//! Lines in, lines out: what is a message, what is not, and who gets told (protocol.md §1, §2).

use serde_json::{Value, json};

use crate::stage::{Outcome, Scene, Stage};

/// The answer to a line that cannot be answered by id: an error with this code and id null.
fn refused(stage: &mut Stage, code: i64) -> Outcome {
    let reply = stage.host.wait("an error with id null", |message| {
        message.get("method").is_none() && message["id"].is_null() && message.get("id").is_some()
    })?;
    assert_eq!(reply["error"]["code"], code, "{reply}");
    assert!(
        reply["error"]["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{reply}"
    );
    Ok(())
}

/// The server still serves.
fn serves(stage: &mut Stage) -> Outcome {
    assert_eq!(stage.account()?, Value::Null);
    Ok(())
}

#[test]
fn a_line_that_is_no_json_is_refused_and_the_next_is_served() {
    Scene::silent().play(|stage| {
        for bad in ["nonsense", "{\"id\":1", "{} {}", "\u{feff}{}"] {
            stage.host.send_bytes(format!("{bad}\n").as_bytes())?;
            refused(stage, -32700)?;
        }
        serves(stage)
    });
}

#[test]
fn a_line_that_is_no_utf8_is_refused_and_the_next_is_served() {
    Scene::silent().play(|stage| {
        stage
            .host
            .send_bytes(b"{\"id\":5,\"method\":\"account/\xff\"}\n")?;
        refused(stage, -32700)?;
        serves(stage)
    });
}

#[test]
fn a_message_without_a_usable_id_is_refused_with_id_null() {
    Scene::silent().play(|stage| {
        for bad in [
            r#"{"id":1.5,"method":"account/read","params":{}}"#,
            r#"{"id":true,"method":"account/read","params":{}}"#,
            r#"{"id":18446744073709551616,"method":"account/read","params":{}}"#,
            r#"[{"id":1,"method":"account/read","params":{}}]"#,
        ] {
            stage.host.send_bytes(format!("{bad}\n").as_bytes())?;
            refused(stage, -32600)?;
        }
        serves(stage)
    });
}

#[test]
fn a_line_over_the_limit_is_skipped_and_the_next_is_served() {
    let chunk = vec![b'x'; 1 << 20];
    Scene::silent().play(|stage| {
        stage
            .host
            .send_bytes(br#"{"id":77,"method":"account/read","params":{"pad":""#)?;
        // The limit is 64 MiB.
        for _ in 0..65 {
            stage.host.send_bytes(&chunk)?;
        }
        stage.host.send_bytes(b"\"}}\n")?;
        let reply = stage
            .host
            .wait("an error", |message| message.get("error").is_some())?;
        assert_eq!(reply["id"], Value::Null, "{reply}");
        serves(stage)
    });
}

#[test]
fn an_unknown_method_is_refused_by_name() {
    Scene::silent().play(|stage| {
        let reply = stage.host.call("thread/juggle", json!({}))?;
        assert_eq!(reply["error"]["code"], -32600);
        let message = reply["error"]["message"].as_str().unwrap_or_default();
        let expected = "Invalid request: unknown variant `thread/juggle`, expected one of ";
        assert!(message.starts_with(expected), "{message}");
        serves(stage)
    });
}

#[test]
fn ids_come_back_as_they_were_sent() {
    Scene::silent().play(|stage| {
        for id in [
            json!("a-b"),
            json!(""),
            json!("7"),
            json!(0),
            json!(-3),
            json!(i64::MAX),
        ] {
            let request = json!({"id": id, "method": "account/read", "params": {}});
            stage.host.send(&request)?;
            let reply = stage.host.reply_to(&id)?;
            assert!(reply.get("result").is_some(), "{reply}");
        }
        Ok(())
    });
}

#[test]
fn the_word_initialized_is_not_waited_for() {
    Scene::silent().play_from_start(|stage| {
        let info = json!({"name": "terse", "version": "0.0.1"});
        let result = stage.host.ask("initialize", json!({"clientInfo": info}))?;
        let agent = result["userAgent"].as_str().unwrap_or_default();
        assert!(agent.starts_with("terse/"), "{agent}");
        serves(stage)
    });
}

#[test]
fn nothing_works_before_initialize_and_initialize_works_once() {
    Scene::silent().play_from_start(|stage| {
        let early = stage.host.call("account/read", json!({}))?;
        assert_eq!(
            early["error"],
            json!({"code": -32600, "message": "Not initialized"})
        );
        stage.initialize()?;
        let info = json!({"name": "twice", "version": "1"});
        let again = stage.host.call("initialize", json!({"clientInfo": info}))?;
        assert_eq!(
            again["error"],
            json!({"code": -32600, "message": "Already initialized"})
        );
        serves(stage)
    });
}

#[test]
fn the_last_line_needs_no_end() {
    Scene::silent().play(|stage| {
        let request = br#"{"id":"last","method":"account/read","params":{}}"#;
        stage.host.send_bytes(request)?;
        stage.host.close_input();
        let reply = stage.host.reply_to(&json!("last"))?;
        assert_eq!(reply["result"]["account"], Value::Null);
        Ok(())
    });
}

#[test]
fn empty_lines_are_nothing_and_a_carriage_return_is_dropped() {
    Scene::silent().play(|stage| {
        stage.host.send_bytes(b"\n\r\n\n")?;
        let request =
            b"{\"jsonrpc\":\"2.0\",\"id\":\"cr\",\"method\":\"account/read\",\"params\":{}}\r\n";
        stage.host.send_bytes(request)?;
        stage.host.reply_to(&json!("cr"))?;
        assert!(
            !stage
                .host
                .unread()
                .any(|message| message.get("error").is_some())
        );
        Ok(())
    });
}

#[test]
fn a_request_may_come_in_pieces() {
    Scene::silent().play(|stage| {
        for byte in b"{\"id\":\"bits\",\"method\":\"account/read\",\"params\":{}}\n" {
            stage.host.send_bytes(&[*byte])?;
        }
        stage.host.reply_to(&json!("bits"))?;
        Ok(())
    });
}
