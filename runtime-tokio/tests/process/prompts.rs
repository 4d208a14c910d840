//! Prompts that a user keeps in files (engine.md §10.4).

use std::fs;

use serde_json::json;
use understudy_tokio::demo::reply::Reply;

use crate::stage::{Scene, last_words, tokens};

#[test]
fn prompts_are_listed_and_called_by_name() {
    Scene::replies([Reply::say(1, "one"), Reply::say(2, "two")]).play(|stage| {
        let folder = stage.scratch.home().join("prompts");
        fs::create_dir(&folder).expect("made");
        let file = folder.join("fix.md");
        fs::write(&file, "---\ndescription: mends\nargument-hint: FILE\n---\nFix $1, please.")
            .expect("written");
        fs::write(folder.join("odd.md"), [0xff]).expect("written");
        let thread = stage.ready(&tokens(1))?;
        let list = stage.host.ask("customPrompts/list", json!({}))?;
        let expected = json!([{"name": "fix", "path": file, "description": "mends",
            "argumentHint": "FILE", "content": "Fix $1, please."}]);
        assert_eq!(list["data"], expected);
        assert_eq!(list["errors"][0]["message"], "stream did not contain valid UTF-8");

        let typed = ["/prompts:fix 'a b.rs'", "/prompts:nothing here"];
        for words in typed {
            stage.turn(&thread, words)?;
        }
        let items = stage.said("item/completed");
        let inputs = items.iter().filter(|params| params["item"]["type"] == "userMessage");
        let shown: Vec<_> = inputs.map(|params| &params["item"]["content"][0]["text"]).collect();
        assert_eq!(shown, typed);
        let told: Vec<_> = stage.backend.model_requests().iter().map(last_words).collect();
        assert_eq!(told, ["Fix a b.rs, please.", "/prompts:nothing here"]);
        Ok(())
    });
}
