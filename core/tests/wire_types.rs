//! What the types of the wire write, to the letter, and what they say about wrong input.

use std::borrow::Cow;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use understudy_core::wire::legacy::approval::ReviewDecision;
use understudy_core::wire::legacy::auth::{CancelLoginChatGptParams, GetAuthStatusResponse};
use understudy_core::wire::legacy::conversation::{
    GetConversationSummaryParams, InterruptConversationParams, SendUserMessageParams,
};
use understudy_core::wire::legacy::event::{EventMsg, EventNotification};
use understudy_core::wire::legacy::policy::{
    CodexErrorInfo as OldErrorInfo, SandboxPolicy as OldSandboxPolicy,
};
use understudy_core::wire::legacy::rate_limit::{RateLimitSnapshot, RateLimitWindow};
use understudy_core::wire::response_item::{FunctionCallOutputPayload, ResponseItem};
use understudy_core::wire::v2::account::{
    self, Account, AccountLoginCompletedNotification, AuthMode, ChatgptAuthTokensRefreshResponse,
    GetAccountParams, GetAccountResponse, LoginAccountParams, LoginAccountResponse, PlanType,
};
use understudy_core::wire::v2::approval::{
    CommandExecutionApprovalDecision, CommandExecutionRequestApprovalResponse,
};
use understudy_core::wire::v2::common::{AskForApproval, SandboxPolicy};
use understudy_core::wire::v2::delta::AgentMessageDeltaNotification;
use understudy_core::wire::v2::initialize::InitializeParams;
use understudy_core::wire::v2::item::{ItemStartedNotification, ThreadItem, UserInput};
use understudy_core::wire::v2::notice::ConfigWarningNotification;
use understudy_core::wire::v2::thread::{
    ApprovalsReviewer, SessionSource, Thread, ThreadListParams, ThreadStartParams,
    ThreadStartResponse, ThreadStatus,
};
use understudy_core::wire::v2::turn::{
    Turn, TurnCompletedNotification, TurnStartParams, TurnStatus,
};
use understudy_core::wire::v2::turn_error::{CodexErrorInfo, TurnError};
use understudy_core::{FreshTokens, Secret};

fn written(value: impl Serialize) -> String {
    serde_json::to_string(&value).expect("every type can be written")
}

fn read<T: DeserializeOwned>(json: &Value) -> T {
    serde_json::from_value(json.clone()).unwrap_or_else(|e| panic!("{json}: {e}"))
}

/// The text that a peer gets to see when `json` is no `T`.
fn refusal<T: DeserializeOwned + Debug>(json: Value) -> String {
    serde_json::from_value::<T>(json)
        .expect_err("this should be refused")
        .to_string()
}

#[test]
fn account_results_write_nulls() {
    let none = GetAccountResponse {
        account: None,
        requires_openai_auth: true,
    };
    assert_eq!(
        written(none),
        r#"{"account":null,"requiresOpenaiAuth":true}"#
    );
    let chatgpt = Account::Chatgpt {
        email: "a@b".into(),
        plan_type: PlanType::Edu,
    };
    assert_eq!(
        written(chatgpt),
        r#"{"type":"chatgpt","email":"a@b","planType":"edu"}"#
    );
    assert_eq!(written(Account::ApiKey {}), r#"{"type":"apiKey"}"#);
    assert_eq!(
        written(LoginAccountResponse::Chatgpt {
            login_id: "l".into(),
            auth_url: "u".into()
        }),
        r#"{"type":"chatgpt","loginId":"l","authUrl":"u"}"#
    );
    assert_eq!(
        written(AccountLoginCompletedNotification {
            login_id: None,
            success: true,
            error: None
        }),
        r#"{"loginId":null,"success":true,"error":null}"#
    );
    let status = GetAuthStatusResponse {
        auth_method: Some(AuthMode::ApiKey),
        auth_token: Some(Secret::new("sk-1")),
        requires_openai_auth: Some(true),
    };
    assert!(!format!("{status:?}").contains("sk-1"));
    assert_eq!(
        written(status),
        r#"{"authMethod":"apikey","authToken":"sk-1","requiresOpenaiAuth":true}"#
    );
    assert_eq!(
        written(account::RateLimitSnapshot::default()),
        r#"{"primary":null,"secondary":null,"credits":null,"planType":null}"#
    );
}

#[test]
fn plans_that_have_no_name_are_unknown() {
    assert_eq!(read::<PlanType>(&json!("k12")), PlanType::Unknown);
    assert_eq!(written(PlanType::Unknown), r#""unknown""#);
}

#[test]
fn percentages_are_rounded_for_v2() {
    let window = |used_percent| RateLimitWindow {
        used_percent,
        window_minutes: Some(5),
        resets_at: None,
    };
    for (exact, rounded) in [(12.5, 13), (12.4, 12), (f64::NAN, 0), (1e99, i32::MAX)] {
        let snapshot = RateLimitSnapshot {
            primary: Some(window(exact)),
            ..RateLimitSnapshot::default()
        };
        let primary = account::RateLimitSnapshot::from(snapshot).primary;
        assert_eq!(
            primary.map(|window| window.used_percent),
            Some(rounded),
            "{exact}"
        );
    }
}

#[test]
fn external_tokens_come_in_two_shapes() {
    let both: Vec<Value> = vec![
        json!({"idToken": "i", "accessToken": "a"}),
        json!({"accessToken": "a", "chatgptAccountId": "org", "chatgptPlanType": null}),
        json!({"accessToken": "a", "idToken": "i", "chatgptAccountId": "org", "more": 1}),
    ];
    for shape in both {
        let answer: ChatgptAuthTokensRefreshResponse = read(&shape);
        assert_eq!(answer.access_token.expose(), "a");
        assert_eq!(answer.id_token.is_some(), shape.get("idToken").is_some());
        let tokens = FreshTokens::from(answer.clone());
        assert_eq!(
            tokens.account_id.is_some(),
            shape.get("chatgptAccountId").is_some()
        );
        let mut login = shape;
        login["type"] = json!("chatgptAuthTokens");
        assert_eq!(
            read::<LoginAccountParams>(&login),
            LoginAccountParams::ChatgptAuthTokens(answer)
        );
    }
}

#[test]
fn logins_are_refused_in_the_words_of_the_reference() {
    let cases = [
        (json!({}), "missing field `type`"),
        (json!({"type": "apiKey"}), "missing field `apiKey`"),
        (
            json!({"type": "apiKey", "apiKey": 5}),
            "invalid type: integer `5`, expected a string",
        ),
        (
            json!({"type": "chatgptAuthTokens"}),
            "missing field `idToken`",
        ),
        (
            json!({"type": "chatgptAuthTokens", "accessToken": "a"}),
            "missing field `idToken`",
        ),
        (
            json!({"type": "chatgptAuthTokens", "idToken": "i"}),
            "missing field `accessToken`",
        ),
        (
            json!({"type": "chatgptAuthTokens", "chatgptAccountId": "o"}),
            "missing field `accessToken`",
        ),
        (
            json!({"type": "chatgptAuthTokens", "idToken": 5, "accessToken": "a"}),
            "invalid type: integer `5`, expected a string",
        ),
        (
            json!({"type": "nope"}),
            "unknown variant `nope`, expected one of \
             `apiKey`, `chatgpt`, `chatgptAuthTokens`, `chatgptDeviceCode`",
        ),
    ];
    for (params, text) in cases {
        assert_eq!(
            refusal::<LoginAccountParams>(params.clone()),
            text,
            "{params}"
        );
    }
    assert_eq!(
        refusal::<ChatgptAuthTokensRefreshResponse>(Value::Null),
        "invalid type: null, expected struct ChatgptAuthTokensRefreshResponse"
    );
}

#[test]
fn params_are_refused_in_the_words_of_the_reference() {
    assert_eq!(
        refusal::<GetAccountParams>(json!({"refreshToken": null})),
        "invalid type: null, expected a boolean"
    );
    assert_eq!(
        refusal::<CancelLoginChatGptParams>(json!({"loginId": "nope"})),
        "UUID parsing failed: invalid character: expected an optional prefix of `urn:uuid:` \
         followed by [0-9a-fA-F-], found `n` at 1"
    );
    assert_eq!(
        refusal::<InterruptConversationParams>(json!({"conversationId": "nope"})),
        "invalid character: expected an optional prefix of `urn:uuid:` \
         followed by [0-9a-fA-F-], found `n` at 1"
    );
    assert_eq!(
        refusal::<GetConversationSummaryParams>(json!({})),
        "data did not match any variant of untagged enum GetConversationSummaryParams"
    );
    assert_eq!(
        refusal::<ThreadListParams>(json!({"sortKey": "nope"})),
        "unknown variant `nope`, expected `created_at` or `updated_at`"
    );
    assert_eq!(
        refusal::<ThreadListParams>(json!({"limit": -1})),
        "invalid value: integer `-1`, expected u32"
    );
    assert_eq!(
        refusal::<UserInput>(json!({"type": "bogus"})),
        "unknown variant `bogus`, expected one of `text`, `image`, `localImage`, `skill`, `mention`"
    );
    assert_eq!(
        refusal::<InitializeParams>(json!({})),
        "missing field `clientInfo`"
    );
}

#[test]
fn null_counts_as_absent_and_unknown_members_as_nothing() {
    let params: ThreadStartParams = read(&json!({
        "model": null, "cwd": null, "experimentalRawEvents": null, "serviceTier": "fast",
        "persistExtendedHistory": true, "dynamicTools": null
    }));
    assert_eq!(params, ThreadStartParams::default());
    let params: TurnStartParams = read(&json!({
        "threadId": "t", "outputSchema": null,
        "input": [{"type": "text", "text": "hi", "text_elements": null}]
    }));
    assert_eq!(params.output_schema, None);
    assert_eq!(
        written(params.input),
        r#"[{"type":"text","text":"hi","text_elements":[]}]"#
    );
    let params: InitializeParams = read(&json!({
        "clientInfo": {"name": "n", "version": "1", "title": null},
        "capabilities": {"optOutNotificationMethods": ["a/b"], "experimentalApi": null}
    }));
    assert_eq!(params.capabilities.opt_out_notification_methods, ["a/b"]);
    assert!(!params.capabilities.experimental_api);
    let message: SendUserMessageParams = read(&json!({
        "conversationId": "67E5504410B1426F9247BB680E5FE0C8",
        "items": [{"type": "text", "data": {"text": "hi"}}]
    }));
    assert_eq!(
        message.conversation_id.to_string(),
        "67e55044-10b1-426f-9247-bb680e5fe0c8"
    );
}

#[test]
fn schemas_pass_through_unchanged() {
    let text = r#"{"threadId":"t","input":[],"outputSchema":{"z":1,  "a":1.0}}"#;
    let params: TurnStartParams = serde_json::from_str(text).expect("params");
    let schema = params.output_schema.expect("a schema");
    assert_eq!(schema.get(), r#"{"z":1,  "a":1.0}"#);
}

fn thread() -> Thread {
    Thread {
        id: "t".into(),
        session_id: "t".into(),
        preview: String::new(),
        model_provider: "p".into(),
        created_at: 1,
        updated_at: 2,
        status: ThreadStatus::Idle,
        ephemeral: false,
        path: None,
        cwd: "/w".into(),
        cli_version: "0".into(),
        source: SessionSource::VsCode,
        git_info: None,
        project_id: None,
        turns: Vec::new(),
    }
}

#[test]
fn threads_have_what_newer_clients_look_for() {
    let started = ThreadStartResponse {
        thread: thread(),
        model: "m".into(),
        model_provider: "p".into(),
        cwd: "/w".into(),
        approval_policy: AskForApproval::UnlessTrusted,
        approvals_reviewer: ApprovalsReviewer::User,
        sandbox: SandboxPolicy::ReadOnly,
        reasoning_effort: None,
    };
    assert_eq!(
        written(started),
        concat!(
            r#"{"thread":{"id":"t","sessionId":"t","preview":"","modelProvider":"p","#,
            r#""createdAt":1,"updatedAt":2,"status":{"type":"idle"},"ephemeral":false,"path":null,"#,
            r#""cwd":"/w","cliVersion":"0","source":"vscode","gitInfo":null,"projectId":null,"#,
            r#""turns":[]},"model":"m","modelProvider":"p","cwd":"/w","#,
            r#""approvalPolicy":"untrusted","approvalsReviewer":"user","#,
            r#""sandbox":{"type":"readOnly"},"reasoningEffort":null}"#
        )
    );
    assert_eq!(
        written(ThreadStatus::Active {
            active_flags: Vec::new()
        }),
        r#"{"type":"active","activeFlags":[]}"#
    );
}

#[test]
fn turns_and_items_write_nulls() {
    let item = ThreadItem::AgentMessage {
        id: "m".into(),
        text: "hi".into(),
        phase: None,
    };
    assert_eq!(
        written(ItemStartedNotification {
            item: &item,
            thread_id: "t",
            turn_id: "1",
            started_at_ms: 7
        }),
        concat!(
            r#"{"item":{"type":"agentMessage","id":"m","text":"hi","phase":null},"#,
            r#""threadId":"t","turnId":"1","startedAtMs":7}"#
        )
    );
    let disconnected = CodexErrorInfo::ResponseStreamDisconnected {
        http_status_code: None,
    };
    let error = TurnError {
        message: "x".into(),
        codex_error_info: Some(disconnected.clone()),
        additional_details: None,
    };
    let turn = Turn {
        id: "1".into(),
        items: vec![item],
        status: TurnStatus::Failed,
        error: Some(error),
    };
    assert_eq!(
        written(TurnCompletedNotification {
            thread_id: "t",
            turn: &turn
        }),
        concat!(
            r#"{"threadId":"t","turn":{"id":"1","items":[{"type":"agentMessage","id":"m","#,
            r#""text":"hi","phase":null}],"status":"failed","error":{"message":"x","#,
            r#""codexErrorInfo":{"responseStreamDisconnected":{"httpStatusCode":null}},"#,
            r#""additionalDetails":null}}}"#
        )
    );
    assert_eq!(
        written(OldErrorInfo::from(disconnected)),
        r#"{"response_stream_disconnected":{"http_status_code":null}}"#
    );
    let cap = CodexErrorInfo::ModelCap {
        model: "m".into(),
        reset_after_seconds: Some(120),
    };
    assert_eq!(
        written(cap),
        r#"{"modelCap":{"model":"m","reset_after_seconds":120}}"#
    );
}

#[test]
fn deltas_in_both_spellings() {
    let delta = AgentMessageDeltaNotification {
        thread_id: "t",
        turn_id: "1",
        item_id: "m",
        delta: "\"\n",
    };
    assert_eq!(
        written(delta),
        r#"{"threadId":"t","turnId":"1","itemId":"m","delta":"\"\n"}"#
    );
    let msg = EventMsg::AgentMessageDelta {
        delta: Cow::Borrowed("hi"),
    };
    assert_eq!(
        written(EventNotification {
            id: "1",
            msg: &msg,
            conversation_id: "t"
        }),
        r#"{"id":"1","msg":{"type":"agent_message_delta","delta":"hi"},"conversationId":"t"}"#
    );
}

#[test]
fn warnings_leave_out_an_unknown_place() {
    let warning = ConfigWarningNotification {
        summary: "s".into(),
        details: None,
        path: None,
        range: None,
    };
    assert_eq!(written(warning), r#"{"summary":"s","details":null}"#);
}

#[test]
fn approvals_are_decoded_as_clients_write_them() {
    let decision = |json| read::<CommandExecutionRequestApprovalResponse>(&json).decision;
    assert_eq!(
        decision(json!({"decision": "acceptForSession"})),
        CommandExecutionApprovalDecision::AcceptForSession
    );
    let amendment = json!({"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["touch"]}});
    assert_eq!(
        decision(json!({"decision": amendment})),
        CommandExecutionApprovalDecision::AcceptWithExecpolicyAmendment {
            execpolicy_amendment: vec!["touch".into()]
        }
    );
    assert_eq!(
        read::<ReviewDecision>(&json!("approved_for_session")),
        ReviewDecision::ApprovedForSession
    );
}

#[test]
fn sandbox_policies_in_both_spellings() {
    let cases = [
        (
            r#"{"type":"dangerFullAccess"}"#,
            r#"{"type":"danger-full-access"}"#,
        ),
        (r#"{"type":"readOnly"}"#, r#"{"type":"read-only"}"#),
        (
            r#"{"type":"externalSandbox","networkAccess":"enabled"}"#,
            r#"{"type":"external-sandbox","network_access":"enabled"}"#,
        ),
        (
            r#"{"type":"workspaceWrite","writableRoots":["/a"],"networkAccess":true,"excludeTmpdirEnvVar":false,"excludeSlashTmp":true}"#,
            r#"{"type":"workspace-write","writable_roots":["/a"],"network_access":true,"exclude_tmpdir_env_var":false,"exclude_slash_tmp":true}"#,
        ),
        (
            r#"{"type":"workspaceWrite","writableRoots":[],"networkAccess":false,"excludeTmpdirEnvVar":false,"excludeSlashTmp":false}"#,
            r#"{"type":"workspace-write","network_access":false,"exclude_tmpdir_env_var":false,"exclude_slash_tmp":false}"#,
        ),
    ];
    for (new, old) in cases {
        let policy: SandboxPolicy = serde_json::from_str(new).expect("a policy");
        let older: OldSandboxPolicy = serde_json::from_str(old).expect("a policy");
        assert_eq!(written(&policy), new);
        assert_eq!(written(&older), old);
        assert_eq!(SandboxPolicy::from(older.clone()), policy);
        assert_eq!(OldSandboxPolicy::from(policy), older);
    }
    let relative = json!({"type": "workspaceWrite", "writableRoots": ["a"]});
    assert_eq!(
        refusal::<SandboxPolicy>(relative),
        "AbsolutePathBuf deserialized without a base path"
    );
}

#[test]
fn response_items_are_written_for_the_model() {
    let cases = [
        (
            json!({"type": "message", "id": "m", "role": "assistant", "phase": "new kind",
                   "content": [{"type": "output_text", "text": "a", "annotations": []}]}),
            json!({"type": "message", "role": "assistant",
                   "content": [{"type": "output_text", "text": "a"}]}),
        ),
        (
            json!({"type": "reasoning", "id": "r", "summary": []}),
            json!({"type": "reasoning", "summary": [], "content": null, "encrypted_content": null}),
        ),
        (
            json!({"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "e",
                   "content": [{"type": "text", "text": "t"}]}),
            json!({"type": "reasoning", "summary": [], "encrypted_content": "e"}),
        ),
        (
            json!({"type": "function_call_output", "call_id": "c", "output": "o"}),
            json!({"type": "function_call_output", "call_id": "c", "output": "o"}),
        ),
        (
            json!({"type": "local_shell_call", "id": "s", "status": "completed",
                   "action": {"type": "exec", "command": ["ls"]}}),
            json!({"type": "local_shell_call", "call_id": null, "status": "completed",
                   "action": {"type": "exec", "command": ["ls"], "timeout_ms": null,
                              "working_directory": null, "env": null, "user": null}}),
        ),
        (
            json!({"type": "web_search_call", "id": "w", "status": "completed",
                   "action": {"type": "brand_new", "x": 1}}),
            json!({"type": "web_search_call", "status": "completed", "action": {"type": "other"}}),
        ),
        (
            json!({"type": "compaction_summary", "encrypted_content": "e"}),
            json!({"type": "compaction", "encrypted_content": "e"}),
        ),
        (
            json!({"type": "brand_new", "x": [1]}),
            json!({"type": "other"}),
        ),
    ];
    for (from, to) in cases {
        let item: ResponseItem = read(&from);
        assert_eq!(serde_json::to_value(&item).expect("an item"), to);
        let id = from.get("id").filter(|_| to["type"] != "other");
        assert_eq!(
            serde_json::to_value(item.with_id())
                .expect("an item")
                .get("id"),
            id
        );
    }
    let parts = json!([{"type": "input_text", "text": "t"}]);
    assert!(matches!(read(&parts), FunctionCallOutputPayload::Parts(parts) if parts.len() == 1));
}
