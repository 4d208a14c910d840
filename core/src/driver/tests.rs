//! The loop over a port that does as it is told.

use std::collections::VecDeque;
use std::task::Waker;

use super::*;
use crate::input::HttpHead;

/// Notes every input, echoes bytes, ends at end of input and at signals.
#[derive(Default)]
struct Echo {
    seen: Vec<String>,
    effects: VecDeque<Effect>,
    output: Vec<u8>,
    high_water: usize,
    hungry: bool,
}

impl Verbs for Echo {
    fn handle(&mut self, _now: Now, input: Input<'_>) {
        assert!(self.effects.is_empty(), "effects were not drained");
        match input {
            Input::Bytes(bytes) => {
                self.output.extend_from_slice(bytes);
                self.effects.push_back(Effect::Send);
                self.seen.push(format!("bytes {}", bytes.len()));
            }
            Input::Eof => {
                self.output.extend_from_slice(b"bye");
                self.effects.push_back(Effect::Exit(ExitStatus::Clean));
                self.seen.push("eof".into());
            }
            Input::Signal(signal) => {
                self.effects.push_back(Effect::Exit(ExitStatus::OutOfTime));
                self.seen.push(format!("{signal:?}"));
            }
            Input::TimerFired(id) => self.seen.push(format!("timer {}", id.0)),
            Input::Done(id, outcome) => {
                self.output.push(b'.');
                self.seen.push(format!("done {} {}", id.0, outcome.is_last()));
            }
            Input::AuthRefreshed(id, answer) => {
                self.seen.push(format!("refreshed {} {}", id.0, answer.is_ok()));
            }
        }
    }
    fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }
    fn pending_output(&self) -> &[u8] {
        &self.output
    }
    fn wrote(&mut self, n: usize) {
        self.output.drain(..n);
    }
    fn wants_input(&self) -> bool {
        !self.hungry && self.output.len() <= self.high_water
    }
}

enum Room {
    For(usize),
    None,
    Closed,
}

#[derive(Default)]
struct Fake {
    reads: VecDeque<Vec<u8>>,
    room: VecDeque<Room>,
    timers: VecDeque<TimerId>,
    outcomes: VecDeque<(CallId, Outcome<'static>)>,
    refreshed: VecDeque<(AskId, Refreshed)>,
    signals: VecDeque<Signal>,
    written: Vec<u8>,
    writes: usize,
    started: Vec<TimerId>,
}

fn ready<T>(next: Option<T>) -> Poll<T> {
    next.map_or(Poll::Pending, Poll::Ready)
}

impl Port for Fake {
    fn now(&mut self) -> Now {
        Now::new(Duration::ZERO, jiff::Timestamp::UNIX_EPOCH)
    }
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<usize> {
        ready(self.reads.pop_front()).map(|bytes| {
            let n = bytes.len().min(buffer.len());
            buffer[..n].copy_from_slice(&bytes[..n]);
            if n < bytes.len() {
                self.reads.push_front(bytes[n..].to_vec());
            }
            n
        })
    }
    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Closed>> {
        self.writes += 1;
        match self.room.pop_front().unwrap_or(Room::None) {
            Room::None => Poll::Pending,
            Room::Closed => Poll::Ready(Err(Closed)),
            Room::For(n) => {
                let n = n.min(bytes.len());
                self.written.extend_from_slice(&bytes[..n]);
                Poll::Ready(Ok(n))
            }
        }
    }
    fn poll_timer(&mut self, _: &mut Context<'_>) -> Poll<TimerId> {
        ready(self.timers.pop_front())
    }
    fn poll_outcome(&mut self, _: &mut Context<'_>) -> Poll<(CallId, Outcome<'_>)> {
        ready(self.outcomes.pop_front())
    }
    fn poll_refreshed(&mut self, _: &mut Context<'_>) -> Poll<(AskId, Refreshed)> {
        ready(self.refreshed.pop_front())
    }
    fn poll_signal(&mut self, _: &mut Context<'_>) -> Poll<Signal> {
        ready(self.signals.pop_front())
    }
    fn start(&mut self, _: CallId, _: Call) {}
    fn feed(&mut self, _: CallId, _: Feed) {}
    fn cancel(&mut self, _: CallId) {}
    fn start_timer(&mut self, id: TimerId, _: Duration) {
        self.started.push(id);
    }
    fn cancel_timer(&mut self, _: TimerId) {}
    fn refresh_auth(&mut self, _: AskId, _: RefreshAuth) {}
}

fn echo(port: Fake) -> Loop<Echo, Fake> {
    Loop::new(Echo { high_water: 1 << 20, ..Echo::default() }, port)
}

fn poll(driver: &mut Loop<Echo, Fake>) -> Poll<ExitStatus> {
    driver.poll(&mut Context::from_waker(Waker::noop()))
}

fn head(id: u64) -> (CallId, Outcome<'static>) {
    (CallId(id), Outcome::HttpHead(HttpHead::default()))
}

#[test]
fn a_chunk_is_answered_with_one_write() {
    let mut driver = echo(Fake {
        reads: [b"a\nb\nc\n".to_vec()].into(),
        room: [Room::For(100)].into(),
        ..Fake::default()
    });
    assert_eq!(poll(&mut driver), Poll::Pending);
    assert_eq!(driver.port.written, b"a\nb\nc\n");
    assert_eq!(driver.port.writes, 1);
}

#[test]
fn partial_and_pending_writes_lose_nothing() {
    let mut driver = echo(Fake {
        reads: [b"abcdef".to_vec(), b"ghi".to_vec()].into(),
        room: [Room::For(2), Room::None].into(),
        ..Fake::default()
    });
    assert_eq!(poll(&mut driver), Poll::Pending);
    driver.port.room = [Room::For(3), Room::For(1), Room::For(100)].into();
    assert_eq!(poll(&mut driver), Poll::Pending);
    assert_eq!(driver.port.written, b"abcdefghi");
}

#[test]
fn a_slow_host_pauses_bytes_and_answers_but_not_timers() {
    let mut driver = echo(Fake {
        reads: [vec![b'x'; 10], b"later".to_vec()].into(),
        room: [Room::None].into(),
        outcomes: [].into(),
        ..Fake::default()
    });
    driver.machine.high_water = 4;
    assert_eq!(poll(&mut driver), Poll::Pending);
    driver.port.outcomes.push_back(head(1));
    driver.port.timers.push_back(TimerId(7));
    assert_eq!(poll(&mut driver), Poll::Pending);
    assert_eq!(driver.machine.seen, ["bytes 10", "timer 7"]);
    driver.port.room = [Room::For(10), Room::For(10), Room::For(10)].into();
    assert_eq!(poll(&mut driver), Poll::Pending);
    assert_eq!(driver.machine.seen[2..], ["done 1 false", "bytes 5"]);
}

#[test]
fn a_machine_that_waits_for_answers_gets_them() {
    let mut driver = echo(Fake {
        reads: [b"no".to_vec()].into(),
        outcomes: [head(1)].into(),
        ..Fake::default()
    });
    driver.machine.hungry = true;
    assert_eq!(poll(&mut driver), Poll::Pending);
    assert_eq!(driver.machine.seen, ["done 1 false"]);
}

#[test]
fn end_of_input_flushes_before_the_end() {
    let mut driver = echo(Fake {
        reads: [b"last".to_vec(), Vec::new()].into(),
        room: [Room::For(4), Room::None].into(),
        ..Fake::default()
    });
    assert_eq!(poll(&mut driver), Poll::Pending);
    assert_eq!(driver.machine.seen, ["bytes 4", "eof"]);
    driver.port.room = [Room::For(3)].into();
    assert_eq!(poll(&mut driver), Poll::Ready(ExitStatus::Clean));
    assert_eq!(driver.port.written, b"lastbye");
}

#[test]
fn the_last_flush_takes_no_more_than_its_time() {
    let mut driver = echo(Fake { reads: [Vec::new()].into(), ..Fake::default() });
    assert_eq!(poll(&mut driver), Poll::Pending);
    assert_eq!(driver.port.started, [FLUSH_TIMER]);
    driver.port.timers = [TimerId(3), FLUSH_TIMER].into();
    assert_eq!(poll(&mut driver), Poll::Ready(ExitStatus::Clean));
    assert_eq!(driver.machine.seen, ["eof"]);
}

#[test]
fn a_closed_output_is_one_signal() {
    let mut driver = echo(Fake {
        reads: [b"a".to_vec(), b"b".to_vec()].into(),
        room: [Room::Closed, Room::Closed].into(),
        ..Fake::default()
    });
    assert_eq!(poll(&mut driver), Poll::Ready(ExitStatus::OutOfTime));
    assert_eq!(driver.machine.seen, ["bytes 1", "OutputClosed"]);
    assert_eq!(driver.port.writes, 1);
}

#[test]
fn a_full_chunk_fits_and_a_flood_yields() {
    let chunk = vec![b'x'; READ_CHUNK_BYTES];
    let mut driver = echo(Fake {
        reads: std::iter::repeat_n(chunk, TURNS_PER_POLL + 1).collect(),
        room: std::iter::repeat_with(|| Room::For(usize::MAX)).take(1000).collect(),
        ..Fake::default()
    });
    assert_eq!(poll(&mut driver), Poll::Pending);
    assert_eq!(driver.machine.seen.len(), TURNS_PER_POLL);
    let (first, second) = (READ_FIRST_BYTES, READ_CHUNK_BYTES - READ_FIRST_BYTES);
    let sizes = [first, second].into_iter().chain(std::iter::repeat(READ_CHUNK_BYTES));
    let sizes: Vec<usize> = sizes.take(TURNS_PER_POLL).collect();
    let seen: Vec<String> = sizes.iter().map(|n| format!("bytes {n}")).collect();
    assert_eq!(driver.machine.seen, seen);
    assert_eq!(driver.port.reads.len(), 2);
    assert_eq!(driver.port.written.len(), sizes.iter().sum::<usize>());
}

#[test]
fn a_silent_host_costs_no_large_buffer() {
    let mut driver = echo(Fake {
        room: std::iter::repeat_with(|| Room::For(usize::MAX)).take(1000).collect(),
        ..Fake::default()
    });
    let mut buffer_after = |reads: Vec<Vec<u8>>| {
        driver.port.reads = reads.into();
        assert_eq!(poll(&mut driver), Poll::Pending);
        driver.buffer.len()
    };
    assert_eq!(buffer_after(vec![vec![b'x'; 100]]), READ_FIRST_BYTES);
    assert_eq!(buffer_after(vec![vec![b'x'; READ_FIRST_BYTES]]), READ_CHUNK_BYTES);
    assert_eq!(buffer_after(vec![vec![b'x'; READ_CHUNK_BYTES]]), READ_CHUNK_BYTES);
    assert_eq!(buffer_after(vec![vec![b'x'; READ_FIRST_BYTES]]), READ_CHUNK_BYTES);
    assert_eq!(buffer_after(vec![vec![b'x'; 100]]), READ_FIRST_BYTES);
}

#[test]
fn answers_are_batched_and_bounded() {
    let mut driver = echo(Fake {
        outcomes: (0..100).map(head).collect(),
        refreshed: [(AskId(1), Err(RefreshDenied { code: 1, message: String::new() }))].into(),
        room: std::iter::repeat_with(|| Room::For(usize::MAX)).take(1000).collect(),
        ..Fake::default()
    });
    assert_eq!(poll(&mut driver), Poll::Pending);
    assert_eq!(driver.machine.seen[0], "refreshed 1 false");
    assert_eq!(driver.port.written.len(), 100);
    assert_eq!(driver.port.writes, 100_usize.div_ceil(OUTCOMES_PER_TURN));
}
