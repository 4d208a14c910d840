//! Servers that are killed in the middle of turns (SIGKILL): a turn that was announced as completed
//! is there after a restart, and no file is unreadable.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use understudy_tokio::demo::host::Host;
use understudy_tokio::demo::reply::Reply;
use understudy_tokio::demo::seen::Trouble;

use crate::stage::{LOGIN, Outcome, Scene, Stage, WAIT_LIMIT, text, tokens};

/// How many turns are begun in all.
const TURNS: usize = 200;
const SIGKILL: i32 = 9;

/// Another sequence for another seed; `UNDERSTUDY_CRASH_SEED` repeats one.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let seed = std::env::var("UNDERSTUDY_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or(0x5EED);
        eprintln!("UNDERSTUDY_CRASH_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % end
    }
}

/// A server, killed after a while. What it announced until then.
struct Killed {
    thread: String,
    completed: Vec<String>,
    begun: usize,
}

/// Runs turns one after another in a server of its own until it is killed.
fn run_until_killed(
    stage: &Stage,
    resumed: Option<&str>,
    chance: &mut Chance,
) -> Result<Killed, Trouble> {
    let mut host = stage.second_server()?;
    host.ask(LOGIN, tokens(1).login())?;
    let work = stage.scratch.work().to_string_lossy().into_owned();
    let opened = match resumed {
        Some(thread) => host.ask("thread/resume", json!({"threadId": thread}))?,
        None => host.ask("thread/start", json!({"cwd": work}))?,
    };
    let thread = text(&opened, "/thread/id")?;
    let delay = Duration::from_micros(chance.below(60_000));
    let pid = host.pid().to_string();
    let killer = thread::spawn(move || {
        thread::sleep(delay);
        Command::new("kill").args(["-9", &pid]).status()
    });
    let (mut completed, mut begun) = (Vec::new(), 0);
    // Ends with the server: its output is over, or cut off in a line.
    while let Ok(turn) = run_turn(&mut host, &thread, &mut begun) {
        completed.push(turn);
    }
    let killed = killer.join().map_err(|_| Trouble("the killer failed".to_owned()))??;
    assert!(killed.success(), "kill -9: {killed}");
    // What it wrote before it went may end within a line, which is no fault here.
    let _ = host.listen(Duration::from_millis(20));
    let gone = host.wait_exit(WAIT_LIMIT)?;
    assert_eq!(gone.signal(), Some(SIGKILL), "it ended by itself: {}", host.stderr());
    let late = host.unread().filter(|message| message["method"] == "turn/completed");
    completed.extend(late.filter_map(|message| text(message, "/params/turn/id").ok()));
    Ok(Killed { thread, completed, begun })
}

fn run_turn(host: &mut Host, thread: &str, begun: &mut usize) -> Result<String, Trouble> {
    let input = json!([{"type": "text", "text": format!("turn {begun}")}]);
    host.post("turn/start", json!({"threadId": thread, "input": input}))?;
    *begun += 1;
    let completed = host.notice("turn/completed")?;
    assert_eq!(completed["turn"]["status"], "completed", "{completed}");
    text(&completed, "/turn/id")
}

/// Reads the thread in a new server: every announced turn is there, and completed.
fn check(stage: &Stage, killed: &Killed, round: usize) -> Outcome {
    let mut host = stage.second_server()?;
    let listed = host.ask("thread/list", json!({"limit": 100}))?;
    let threads = listed["data"].as_array().cloned().unwrap_or_default();
    let is_listed = threads.iter().any(|thread| thread["id"] == killed.thread.as_str());
    if killed.completed.is_empty() {
        return Ok(());
    }
    assert!(is_listed, "round {round}: {} is not listed", killed.thread);
    let params = json!({"threadId": killed.thread, "includeTurns": true});
    let read = host.ask("thread/read", params)?;
    let turns = read["thread"]["turns"].as_array().cloned().unwrap_or_default();
    for id in &killed.completed {
        let turn = turns.iter().find(|turn| turn["id"] == id.as_str());
        let status = turn.map(|turn| &turn["status"]);
        assert_eq!(status, Some(&Value::from("completed")), "round {round}: turn {id}: {read}");
    }
    Ok(())
}

#[test]
fn what_was_announced_survives_a_kill() {
    let mut n = 0;
    let script = move |_: &_| {
        n += 1;
        Reply::say(n, "fine")
    };
    Scene::script(script).play(|stage| {
        let mut chance = Chance::new();
        let (mut begun, mut announced, mut round) = (0, 0, 0);
        let mut last: Option<Killed> = None;
        while begun < TURNS {
            round += 1;
            // Half of the rounds go on in the thread of the last one, if anything of it is stored.
            let go_on = chance.below(2) == 0;
            let last_thread = last.as_ref().filter(|last| go_on && !last.completed.is_empty());
            let resumed = last_thread.map(|last| last.thread.clone());
            let killed = run_until_killed(stage, resumed.as_deref(), &mut chance)?;
            check(stage, &killed, round)?;
            begun += killed.begun;
            announced += killed.completed.len();
            last = Some(killed);
        }
        eprintln!("{round} kills, {begun} turns begun, {announced} announced as completed");
        assert!(announced > 0 && announced < begun, "no kill hit a turn, or all did");
        Ok(())
    });
}
