//! Tools in turns that reach outside of the server: the host's own, and pictures in files
//! (engine.md §3.6).

use std::fs;

use serde_json::{Value, json};
use understudy_tokio::demo::reply::Reply;
use understudy_tokio::demo::seen::Trouble;

use crate::stage::{Scene, Stage, tokens};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n...";
const URL: &str = "data:image/png;base64,iVBORw0KGgouLi4=";

/// The last items that the model was sent.
fn last_items(stage: &Stage, count: usize) -> Vec<Value> {
    let requests = stage.backend.model_requests();
    let body = requests.last().and_then(|request| request.body.clone()).unwrap_or_default();
    let mut items = body["input"].as_array().cloned().unwrap_or_default();
    items.split_off(items.len().saturating_sub(count))
}

#[test]
fn a_tool_of_the_host_answers_the_model() {
    let call = Reply::call(1, "lookup", &json!({"id": "T-1"}));
    Scene::replies([call, Reply::say(2, "done")]).play(|stage| {
        stage.sign_in(&tokens(1))?;
        let tool = json!({"name": "lookup", "description": "d", "inputSchema": {"type": "object"}});
        let cwd = stage.scratch.work();
        let params = json!({"cwd": cwd, "dynamicTools": [tool]});
        let opened = stage.host.ask("thread/start", params)?;
        let thread = crate::stage::text(&opened, "/thread/id")?;
        stage.host.answer("item/tool/call", |ask| {
            let text = format!("found {}", ask["params"]["arguments"]["id"]);
            json!({"result": {"output": text, "success": true}})
        });
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        let output = &last_items(stage, 1)[0];
        assert_eq!(
            (&output["call_id"], &output["output"]),
            (&json!("call-1"), &json!("found \"T-1\""))
        );
        Ok(())
    });
}

#[test]
fn the_model_sees_pictures_that_it_or_the_user_names() {
    let call = Reply::call(1, "view_image", &json!({"path": "a.png"}));
    Scene::replies([call, Reply::say(2, "seen"), Reply::say(3, "seen")]).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        fs::write(stage.scratch.work().join("a.png"), PNG)?;
        assert_eq!(stage.turn(&thread, "look")?["status"], "completed");
        let [output, picture] = &last_items(stage, 2)[..] else { panic!("two items") };
        assert_eq!(output["output"], "attached local image path");
        assert_eq!(picture["content"], json!([{"type": "input_image", "image_url": URL}]));
        let input = json!([{"type": "localImage", "path": stage.scratch.work().join("a.png")}]);
        stage.host.ask("turn/start", json!({"threadId": thread, "input": input}))?;
        assert_eq!(stage.completed(&thread)?["status"], "completed");
        assert_eq!(last_items(stage, 1)[0]["content"][1]["image_url"], URL);
        Ok(())
    });
}

#[test]
fn what_never_ends_is_no_picture() {
    let call = Reply::call(1, "view_image", &json!({"path": "/dev/zero"}));
    Scene::replies([call, Reply::say(2, "done")]).play(|stage| {
        let thread = stage.ready(&tokens(1))?;
        assert_eq!(stage.turn(&thread, "look")?["status"], "completed");
        let output = last_items(stage, 1)[0]["output"].clone();
        assert!(output.as_str().is_some_and(|text| text.contains("could not be read")), "{output}");
        Ok(())
    });
}

#[test]
fn a_model_that_has_tools_for_it_looks_at_files_with_them() -> Result<(), Trouble> {
    let folder = tempfile::tempdir()?;
    let at = folder.path().canonicalize()?;
    fs::write(at.join("a.txt"), "one\ntwo\n")?;
    fs::create_dir(at.join("sub"))?;
    fs::write(at.join("sub/b.txt"), "three\n")?;
    std::os::unix::fs::symlink("sub", at.join("link"))?;
    std::os::unix::fs::symlink("nowhere", at.join("broken"))?;
    let read = Reply::call(1, "read_file", &json!({"file_path": at.join("a.txt"), "offset": 2}));
    let list = Reply::call(2, "list_dir", &json!({"dir_path": at}));
    let grep = Reply::call(3, "grep_files", &json!({"pattern": "thre+", "path": at}));
    Scene::replies([read, list, grep, Reply::say(4, "done")]).play(|stage| {
        stage.sign_in(&tokens(1))?;
        let params = json!({"cwd": at, "model": "test-gpt-5"});
        let thread = crate::stage::text(&stage.host.ask("thread/start", params)?, "/thread/id")?;
        assert_eq!(stage.turn(&thread, "look")?["status"], "completed");
        let body = stage.backend.model_requests().pop().and_then(|request| request.body);
        let items = body.as_ref().and_then(|body| body["input"].as_array()).into_iter().flatten();
        let outputs = items.filter(|item| item["type"] == "function_call_output");
        let outputs: Vec<_> = outputs.filter_map(|item| item["output"].as_str()).collect();
        let [read, list, grep] = outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(read, "L2: two");
        let listed = "a.txt\nbroken@\nlink@\nsub/\n  b.txt";
        assert_eq!(list, format!("Absolute path: {}\n{listed}", at.display()));
        // ripgrep is not everywhere, nor is a sandbox.
        let found = at.join("sub/b.txt").to_string_lossy().into_owned();
        assert!(grep == found || grep.starts_with("execution error: "), "{grep}");
        Ok(())
    });
    Ok(())
}
