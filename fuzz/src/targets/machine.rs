//! Bytes of a host into a machine: wherever they are cut, it says the same; every request has
//! exactly one reply; whatever was said, it comes to rest, and ends when its input does.

use std::collections::BTreeMap;

use serde_json::Value;
use understudy_core::OpenWork;
use understudy_core::wire::{Taken, lines_of, taken_for};

use super::headed;
use crate::auth::setting::{Setting, Stored};
use crate::world::backend::Response;
use crate::world::fact::{Fact, Heard, Port};
use crate::world::{Cut, Fault, Firing, World};

/// What the world does at the bytes from 1 on, which no line of JSON holds: the backend answers
/// like this from there on.
const RESPONSES: [Response; 8] = [
    Response::Say,
    Response::Think,
    Response::Call,
    Response::Noise,
    Response::Short,
    Response::Failed,
    Response::Status(401),
    Response::Busy,
];

/// After the bytes of [`RESPONSES`]: the next timer fires.
const TIMER: u8 = 14;

/// In what the host says: the thread, the turn and the question that it heard of last.
const THREAD: u8 = 15;
const TURN: u8 = 16;
const QUESTION: u8 = 17;

/// Answers that a session may take to come to rest.
const ANSWERS_MAX: usize = 4000;

/// The first byte says where else than at their ends the chunks are cut. A zero byte lets
/// everything that was started be answered.
pub fn machine(data: &[u8]) {
    let (at, script) = headed(data);
    let whole = play(script, Cut::Whole);
    check(&whole);
    for cut in [Cut::Bytes, Cut::At(usize::from(at))] {
        let again = play(script, cut);
        assert_eq!(again.heard, whole.heard, "{cut:?}");
        assert_eq!(again.digest, whole.digest, "what the backend saw, {cut:?}");
    }
}

/// What was said and what was heard.
struct Played {
    said: Vec<u8>,
    heard: Vec<String>,
    replies: BTreeMap<String, usize>,
    digest: u64,
}

struct Player {
    world: World,
    response: Response,
    played: Played,
    thread: String,
    turn: String,
    question: String,
}

fn play(script: &[u8], cut: Cut) -> Played {
    let setting = Setting { stored: Stored::Key, ..Setting::default() };
    let (setup, files, keyring) = setting.make();
    let mut world = World::new(setup, files, keyring, [7; 32]);
    // Whether it wants bytes depends on how they are cut.
    world.is_pushy = true;
    let (heard, replies) = (Vec::new(), BTreeMap::new());
    let played = Played { said: Vec::new(), heard, replies, digest: 0 };
    let (thread, turn, question) = (String::new(), String::new(), String::new());
    let mut player = Player { world, response: Response::Say, played, thread, turn, question };
    let is_said = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | THREAD..);
    for part in script.chunk_by(|a, b| is_said(*a) == is_said(*b)) {
        if part.first().is_some_and(|byte| is_said(*byte)) {
            player.say(part, cut);
        } else {
            part.iter().for_each(|byte| player.order(*byte));
        }
    }
    player.end();
    player.played
}

impl Player {
    fn say(&mut self, part: &[u8], cut: Cut) {
        let mut said = Vec::with_capacity(part.len());
        for byte in part {
            match *byte {
                THREAD => said.extend_from_slice(self.thread.as_bytes()),
                TURN => said.extend_from_slice(self.turn.as_bytes()),
                QUESTION => said.extend_from_slice(self.question.as_bytes()),
                byte => said.push(byte),
            }
        }
        self.played.said.extend_from_slice(&said);
        self.world.put(&said, cut);
    }

    fn order(&mut self, byte: u8) {
        match byte {
            0 => self.settle(),
            TIMER => self.wait(),
            _ => {
                let response = RESPONSES.get(usize::from(byte) - 1);
                self.response = response.copied().unwrap_or(Response::Say);
            }
        }
        self.listen();
    }

    /// Answers what was started until nothing waits for an answer.
    fn settle(&mut self) {
        for _ in 0..ANSWERS_MAX {
            if !self.answer() {
                return;
            }
        }
        panic!("the session does not come to rest");
    }

    /// Answers one thing; whether there was one.
    fn answer(&mut self) -> bool {
        let world = &mut self.world;
        if world.exit().is_some() {
            return false;
        }
        let job = world.jobs().next();
        if let Some((call, _)) = job {
            world.run_job(call, Fault::None);
        } else if let Some(listener) = world.listener().filter(|listener| !listener.is_open) {
            world.listen(listener.call, Port::Granted);
        } else if let Some(hold) = world.holds().iter().find(|hold| !hold.is_answered).copied() {
            world.hold(hold.call, true);
        } else if let Some(http) = world.http().first() {
            let (call, has_begun) = (http.call, http.answer.is_some());
            if !has_begun {
                world.head(call, self.response);
                // A tool is called once: a turn goes on as long as its model does.
                if self.response == Response::Call {
                    self.response = Response::Say;
                }
            }
            world.finish(call, 1 << 16);
        } else {
            return false;
        }
        true
    }

    fn wait(&mut self) {
        if let Some(due) = self.world.next_due() {
            self.world.wait_until(due, Firing::OnTime);
        }
    }

    /// Everything goes well from here on; then the input ends.
    fn end(&mut self) {
        self.response = Response::Say;
        self.rest();
        let open = self.world.machine().open_work();
        assert_eq!(open, OpenWork::default(), "something is left");
        self.world.eof();
        self.rest();
        assert!(self.world.exit().is_some(), "no end after the input");
        self.listen();
        self.played.digest = self.world.seen_digest();
        assert_eq!(self.world.trouble, None);
    }

    fn rest(&mut self) {
        for _ in 0..ANSWERS_MAX {
            self.settle();
            if self.world.exit().is_some() || self.world.timers() == 0 {
                return;
            }
            self.wait();
        }
        panic!("the timers have no end");
    }

    fn listen(&mut self) {
        for fact in self.world.take_facts() {
            let Fact::Heard(heard, _) = fact else { continue };
            if let Heard::Reply { id, .. } | Heard::Refused { id, .. } = &*heard {
                *self.played.replies.entry(id.clone()).or_default() += 1;
            }
            self.remember(&heard);
            self.played.heard.push(format!("{heard:?}"));
        }
    }
}

impl Player {
    fn remember(&mut self, heard: &Heard) {
        let text = |value: &Value, at: &str| value.pointer(at)?.as_str().map(str::to_owned);
        match heard {
            Heard::Reply { result, .. } => {
                let thread = text(result, "/thread/id").or(text(result, "/conversationId"));
                self.thread = thread.unwrap_or_else(|| std::mem::take(&mut self.thread));
            }
            Heard::Notice { method, params } if method == "turn/started" => {
                self.turn = text(params, "/turn/id").unwrap_or_default();
            }
            Heard::Ask { id, .. } => self.question = id.to_string(),
            Heard::Notice { .. } | Heard::Refused { .. } => {}
        }
    }
}

/// Each line has the replies that it must have.
fn check(played: &Played) {
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines_of(usize::MAX >> 1, &[&played.said]).into_iter().flatten() {
        let id = match taken_for(&line) {
            Taken::Request { id, .. } | Taken::Unusable(Some(id)) => serde_json::to_string(&id),
            Taken::Unusable(None) | Taken::NotJson => Ok("null".to_owned()),
            Taken::Notification | Taken::Response { .. } | Taken::Error { .. } | Taken::Blank => {
                continue;
            }
        };
        *wanted.entry(id.expect("an id is JSON")).or_default() += 1;
    }
    assert_eq!(played.replies, wanted, "{}", String::from_utf8_lossy(&played.said));
}
