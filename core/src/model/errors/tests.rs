use super::*;

/// 2026-03-01 10:00:00 UTC.
const NOW: i64 = 1_772_359_200;

fn classify(code: u16, headers: &[(&str, &str)], body: &str) -> ModelError {
    let headers =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let now = Timestamp::from_second(NOW).expect("in range");
    let scene = ErrorScene { url: "http://h/v1/responses?key=1", now, zone: &TimeZone::UTC };
    status(&HttpHead { status: code, headers }, body.as_bytes(), scene)
}

#[track_caller]
fn check(error: &ModelError, message: &str, info: ErrorInfo, retryable: bool) {
    assert_eq!(error.message, message);
    assert_eq!(error.info, info);
    assert_eq!(error.retryable, retryable, "{message}");
}

#[test]
fn client_errors() {
    let body = r#"{"error": {"message": "bad input"}}"#;
    check(&classify(400, &[], body), body, ErrorInfo::Other, false);
    let image = classify(400, &[], &format!("x {INVALID_IMAGE_MARK} y"));
    check(&image, INVALID_IMAGE, ErrorInfo::BadRequest, false);
    assert!(image.info == ErrorInfo::BadRequest);
    check(
        &classify(404, &[("x-request-id", "r1")], "nope"),
        "unexpected status 404 Not Found: nope, url: http://h/v1/responses, request id: r1",
        ErrorInfo::Other,
        false,
    );
    check(
        &classify(409, &[], ""),
        "unexpected status 409 Conflict: , url: http://h/v1/responses",
        ErrorInfo::Other,
        true,
    );
    let blocked = classify(403, &[("cf-ray", "c")], "<b>Cloudflare</b> you have been blocked");
    assert!(blocked.message.starts_with(CLOUDFLARE));
    assert!(
        blocked
            .message
            .contains("(status 403 Forbidden), url: http://h/v1/responses, request id: c")
    );
}

#[test]
fn unauthorized_keeps_the_words_of_the_backend() {
    for (body, words) in [
        (r#"{"error":{"message":"token expired","code":5}}"#, "token expired"),
        (r#"{"error":"expired"}"#, "expired"),
        (r#"{"detail":"Unauthorized"}"#, "Unauthorized"),
        (r#"{"message":"m"}"#, "m"),
        (" plain \n", "plain"),
        ("{\"odd\":1}", "{\"odd\":1}"),
        ("", ""),
    ] {
        let message = format!("unexpected status 401 Unauthorized: {words}");
        let error = classify(401, &[], body);
        check(&error, &message, ErrorInfo::Unauthorized, false);
        assert_eq!(error.http_status, Some(401));
    }
}

#[test]
fn server_errors() {
    check(&classify(500, &[], "x"), HIGH_DEMAND, ErrorInfo::InternalServerError, true);
    check(
        &classify(502, &[], "x"),
        "unexpected status 502 Bad Gateway: x, url: http://h/v1/responses",
        ErrorInfo::Other,
        true,
    );
    let busy = classify(503, &[("retry-after", "7")], "");
    assert_eq!((busy.retryable, busy.delay), (true, Some(Duration::from_secs(7))));
    assert_eq!(busy.retry_info(), ErrorInfo::ResponseStreamDisconnected { http_status: Some(503) });
    assert!(!classify(503, &[("retry-after", "301")], "").retryable);
}

#[test]
fn too_many_requests() {
    let info = ErrorInfo::ResponseTooManyFailedAttempts { http_status: Some(429) };
    let text = "exceeded retry limit, last status: 429 Too Many Requests";
    check(&classify(429, &[], "{}"), text, info.clone(), false);
    let named = format!("{text}, request id: r");
    check(&classify(429, &[("x-oai-request-id", "r")], ""), &named, info, false);
    for (header, retryable, delay) in [
        ("0", true, Some(0)),
        (" 12 ", true, Some(12)),
        ("300", true, Some(300)),
        ("301", false, None),
        ("99999999999999999999999", false, None),
        ("Sun, 01 Mar 2026 10:00:30 GMT", true, Some(30)),
        ("Sun, 01 Mar 2026 09:00:00 GMT", true, Some(0)),
        ("Sun, 01 Mar 2026 11:00:00 GMT", false, None),
        ("soon", false, None),
        ("-1", false, None),
    ] {
        let error = classify(429, &[("retry-after", header)], "");
        assert_eq!(error.retryable, retryable, "{header}");
        assert_eq!(error.delay, delay.map(Duration::from_secs), "{header}");
    }
}

#[test]
fn model_cap_says_when() {
    let cap = |after: &str| {
        let name = ("x-codex-model-cap-model", "boom");
        classify(429, &[name, ("x-codex-model-cap-reset-after-seconds", after)], "")
    };
    let start = "Model boom is at capacity. Please try a different model. ";
    for (after, seconds, end) in [
        ("59", Some(59), "Try again in less than a minute."),
        ("120", Some(120), "Try again in 2m."),
        ("7200", Some(7200), "Try again in 2h."),
        ("172800", Some(172_800), "Try again in 2d."),
        ("x", None, "Try again later."),
    ] {
        let info = ErrorInfo::ModelCap { model: "boom".to_owned(), reset_after_seconds: seconds };
        check(&cap(after), &format!("{start}{end}"), info, false);
    }
}

#[test]
fn usage_limits_by_plan() {
    let limit = |plan: &str, resets_at: &str| {
        let body = format!(
            r#"{{"error":{{"type":"usage_limit_reached","plan_type":{plan},"resets_at":{resets_at}}}}}"#
        );
        let error = classify(429, &[("retry-after", "1")], &body);
        assert_eq!(error.info, ErrorInfo::UsageLimitExceeded);
        assert!(!error.retryable);
        error.message.strip_prefix("You've hit your usage limit").expect("prefix").to_owned()
    };
    let credits = "https://chatgpt.com/codex/settings/usage to purchase more credits";
    assert_eq!(
        limit("\"pro\"", "1893456000"),
        format!(". Visit {credits} or try again at Jan 1st, 2030 12:00 AM.")
    );
    assert_eq!(
        limit("\"plus\"", "null"),
        format!(
            ". Upgrade to Pro (https://chatgpt.com/explore/pro), visit {credits} or try again later."
        )
    );
    assert_eq!(
        limit("\"team\"", &(NOW + 4 * 3600).to_string()),
        ". To get more access now, send a request to your admin or try again at 2:00 PM."
    );
    assert_eq!(
        limit("\"free\"", "5"),
        ". Upgrade to Plus to continue using Codex (https://openai.com/chatgpt/pricing)."
    );
    assert_eq!(limit("\"edu\"", "null"), ". Try again later.");
    // 2026-03-11 is an eleventh, 2026-03-22 a twenty-second, 2026-03-03 a third.
    assert_eq!(limit("null", "1773223200"), ". Try again at Mar 11th, 2026 10:00 AM.");
    assert_eq!(limit("null", "1774173600"), ". Try again at Mar 22nd, 2026 10:00 AM.");
    assert_eq!(limit("null", "1772532000"), ". Try again at Mar 3rd, 2026 10:00 AM.");
    assert_eq!(limit("null", "9223372036854775807"), ". Try again later.");
    let not_included = classify(429, &[], r#"{"error":{"type":"usage_not_included"}}"#);
    check(&not_included, NOT_INCLUDED, ErrorInfo::UsageLimitExceeded, false);
}

#[test]
fn failures_in_the_stream() {
    let cut = "stream disconnected before completion: ";
    check(
        &failed(Some("context_length_exceeded"), None),
        CONTEXT_FULL,
        ErrorInfo::ContextWindowExceeded,
        false,
    );
    check(
        &failed(Some("insufficient_quota"), Some("m")),
        QUOTA,
        ErrorInfo::UsageLimitExceeded,
        false,
    );
    check(&failed(Some("invalid_prompt"), Some("no")), "no", ErrorInfo::Other, false);
    check(&failed(Some("invalid_prompt"), None), "Invalid request.", ErrorInfo::Other, false);
    check(&failed(Some("server_error"), Some("m")), &format!("{cut}m"), ErrorInfo::Other, true);
    assert!(failed(None, None).message.len() > cut.len());
    let slow = failed(Some("rate_limit_exceeded"), Some("Please try again in 1.5s."));
    assert_eq!((slow.retryable, slow.delay), (true, Some(Duration::from_millis(1500))));
    assert_eq!(failed(Some("server_error"), Some("try again in 1s")).delay, None);
    assert!(!failed(Some("rate_limit_exceeded"), Some("try again in 9999s")).retryable);
    assert!(!incomplete(Some("content_filter")).retryable);
}

#[test]
fn pauses_in_texts() {
    for (text, ms) in [
        ("try again in 28ms", Some(28)),
        ("Please TRY AGAIN IN 1.898 seconds, ä", Some(1898)),
        ("try again in2s", Some(2000)),
        ("try again in 3 second", Some(3000)),
        ("try again in a while or try again in 4 s", Some(4000)),
        ("try again in 2 minutes", None),
        ("try again in 1.s", None),
        ("try again in", None),
        ("wait 5s", None),
    ] {
        assert_eq!(try_again_in(text), ms.map(Duration::from_millis), "{text}");
    }
}

#[test]
fn disconnects() {
    for (how, text) in [
        (Disconnect::Cut, "Transport error: network error: error decoding response body"),
        (Disconnect::Closed, "stream closed before response.completed"),
        (Disconnect::Idle, "idle timeout waiting for SSE"),
    ] {
        let message = format!("stream disconnected before completion: {text}");
        check(&disconnected(how), &message, ErrorInfo::Other, true);
        assert_eq!(disconnected(how).http_status, None);
    }
    let failure = |kind| transport(&HttpFailure { kind, text: "t".to_owned() });
    assert_eq!(failure(HttpFailureKind::Body), disconnected(Disconnect::Cut));
    assert!(failure(HttpFailureKind::Connect).retryable);
    assert!(failure(HttpFailureKind::Timeout).retryable);
    assert!(!failure(HttpFailureKind::Request).retryable);
}

#[test]
fn quoted_bodies_are_bounded() {
    let long = "ä".repeat(limits::ERROR_TEXT_BYTES_MAX);
    for code in [400, 401, 404, 502] {
        let message = classify(code, &[], &long).message;
        assert!(message.len() < limits::ERROR_TEXT_BYTES_MAX + 200, "{code}");
    }
    assert!(failed(None, Some(&long)).message.len() < limits::ERROR_TEXT_BYTES_MAX + 200);
}

proptest::proptest! {
    #[test]
    fn nothing_a_backend_sends_panics_or_grows(
        code in proptest::prelude::any::<u16>(),
        body in "\\PC{0,200}|(try again in|[0-9.]{1,30}|ms| |s){0,8}",
        header in "\\PC{0,40}|[0-9]{0,30}",
        resets_at in proptest::prelude::any::<i64>(),
    ) {
        let limit = format!(
            r#"{{"error":{{"type":"usage_limit_reached","resets_at":{resets_at}}}}}"#
        );
        for body in [&body, &limit] {
            for name in ["retry-after", "x-codex-model-cap-model", "x-request-id"] {
                let error = classify(code, &[(name, &header)], body);
                proptest::prop_assert!(error.message.len() < 2048);
                proptest::prop_assert!(error.delay.is_none_or(|d| d <= limits::RETRY_AFTER_MAX));
            }
        }
        let error = failed(Some("rate_limit_exceeded"), Some(&body));
        proptest::prop_assert!(error.delay.is_none_or(|d| d <= limits::RETRY_AFTER_MAX));
    }
}
