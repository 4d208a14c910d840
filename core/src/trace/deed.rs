//! Owns: effects in words: what a replay shows of them, and what digests are made of.

use std::fmt::Write;

use crate::effect::{Call, Effect, ExitStatus, Feed, HeaderText, HttpRequest};
use crate::process::{ProcessRequest, Stdio};

/// What a deed, or what it answers, is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The host, or the program around the machine.
    Host,
    /// A server on the network.
    Backend,
    /// Files, locks, searches.
    Files,
    /// Programs.
    Processes,
    /// The user's browser.
    Browser,
    /// The machine's own: timers, the end.
    Machine,
}

/// One effect, in words.
#[derive(Clone, Debug)]
pub struct Deed {
    /// What it is about.
    pub lane: Lane,
    /// The call it starts, feeds or cancels.
    pub call: Option<u64>,
    /// Whether it starts that call.
    pub is_start: bool,
    /// One line.
    pub title: String,
    /// Headers of a request, variables of a program.
    pub fields: Vec<Field>,
    /// What is sent, if anything is.
    pub body: Vec<u8>,
}

/// A named value of a [`Deed`].
#[derive(Clone, Debug)]
pub struct Field {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
    pub(super) kind: FieldKind,
}

/// Where a [`Field`] comes from, which says where its secrets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldKind {
    /// Anybody may see it, but for secrets that stand in it.
    Plain,
    /// A header that only the server it is sent to may see.
    SecretHeader,
    /// A variable of a program's environment.
    Variable,
}

impl Field {
    fn plain(name: &str, value: String) -> Self {
        Self { name: name.to_owned(), value, kind: FieldKind::Plain }
    }
}

impl Deed {
    /// The title of one that cancels a call.
    pub(super) const CANCEL: &str = "cancel";

    pub(super) fn new(lane: Lane, title: String) -> Self {
        let (fields, body) = (Vec::new(), Vec::new());
        Self { lane, call: None, is_start: false, title, fields, body }
    }

    pub(super) fn of_call(mut self, call: u64) -> Self {
        self.call = Some(call);
        self
    }

    /// Adds headers that anybody may see.
    pub(super) fn add_plain_fields(&mut self, headers: &[(String, String)]) {
        let fields = headers.iter().map(|(name, value)| Field::plain(name, value.clone()));
        self.fields.extend(fields);
    }

    /// The effect in words; none for output, which is there to be seen, and none for measurements,
    /// which change nothing.
    pub(super) fn of(effect: &Effect) -> Option<Self> {
        let machine = |title| Self::new(Lane::Machine, title);
        Some(match effect {
            Effect::Send | Effect::Telemetry(_) => return None,
            Effect::RefreshAuth(ask, question) => {
                let title = format!("refresh {} {:?}", ask.0, question);
                Self::new(Lane::Host, title)
            }
            Effect::StartTimer(timer, delay) => machine(format!("timer {} {delay:?}", timer.0)),
            Effect::CancelTimer(timer) => machine(format!("cancel timer {}", timer.0)),
            Effect::Start(id, call) => {
                Self { is_start: true, ..Self::of_start(call).of_call(id.0) }
            }
            Effect::Feed(id, feed) => Self::of_feed(feed).of_call(id.0),
            Effect::Cancel(id) => machine(Self::CANCEL.to_owned()).of_call(id.0),
            Effect::Exit(status) => machine(match status {
                ExitStatus::Clean => "exit".to_owned(),
                ExitStatus::OutOfTime => "exit, out of time".to_owned(),
                ExitStatus::Failed(_) => "exit, failed".to_owned(),
            }),
        })
    }

    fn of_start(call: &Call) -> Self {
        match call {
            Call::Http(request) => Self::of_http(request),
            Call::Files(job) => Self::new(Lane::Files, job.kind().to_owned()),
            Call::Listen(listen) => {
                Self::new(Lane::Browser, format!("listen on port {}", listen.port))
            }
            Call::Hold(path) => Self::new(Lane::Files, format!("hold {}", path.display())),
            Call::Process(request) => Self::of_process(request),
            Call::Logs => Self::new(Lane::Files, "last lines of the log".to_owned()),
            Call::Search(request) => {
                let mut title = format!("search for {:?} in", request.query);
                for (root, _) in &request.roots {
                    let _ = write!(title, " {root}");
                }
                Self::new(Lane::Files, title)
            }
        }
    }

    fn of_http(request: &HttpRequest) -> Self {
        let mut deed =
            Self::new(Lane::Backend, format!("{} {}", request.method.as_str(), request.url));
        deed.fields = request
            .headers
            .iter()
            .map(|(name, value)| {
                let kind = match value {
                    HeaderText::Plain(_) => FieldKind::Plain,
                    HeaderText::Secret(_) => FieldKind::SecretHeader,
                };
                Field { name: name.clone(), value: value.expose().to_owned(), kind }
            })
            .collect();
        deed.body = request.body.concat().into_bytes();
        deed
    }

    fn of_process(request: &ProcessRequest) -> Self {
        let mut deed = Self::new(Lane::Processes, format!("run {}", shown_command(&request.argv)));
        deed.fields.push(Field::plain("folder", request.cwd.display().to_string()));
        if let Stdio::Terminal { rows, columns } = request.stdio {
            deed.fields.push(Field::plain("terminal", format!("{rows}x{columns}")));
        }
        if let Some(confinement) = &request.confinement {
            deed.fields.push(Field::plain("confined", format!("{:?}", confinement.policy)));
        }
        deed.fields.extend(request.env.0.iter().map(|(name, value)| Field {
            name: name.clone(),
            value: value.clone(),
            kind: FieldKind::Variable,
        }));
        deed
    }

    fn of_feed(feed: &Feed) -> Self {
        match feed {
            Feed::Answer(visit, page) => {
                let mut deed = Self::new(
                    Lane::Browser,
                    format!("answer visit {} with {}", visit.0, page.status),
                );
                let fields = page.headers.iter();
                deed.fields =
                    fields.map(|(name, value)| Field::plain(name, value.clone())).collect();
                deed.body = page.body.clone().into_bytes();
                deed
            }
            Feed::Stdin(bytes) => {
                Self { body: bytes.clone(), ..Self::new(Lane::Processes, "type".to_owned()) }
            }
            Feed::Kill => Self::new(Lane::Processes, "kill".to_owned()),
        }
    }

    /// Everything that is in it, for a digest. Lengths keep its parts apart.
    fn write(&self, out: &mut Vec<u8>) {
        let call = self.call.map_or(-1, u64::cast_signed);
        out.extend_from_slice(format!("\0{call} {}\0{}", self.title, self.body.len()).as_bytes());
        for field in &self.fields {
            out.extend_from_slice(format!("\0{}:{}", field.name, field.value).as_bytes());
        }
        out.push(0);
        out.extend_from_slice(&self.body);
    }

    /// About how much memory it takes.
    pub(super) fn size(&self) -> usize {
        let fields = self.fields.iter().map(|field| field.name.len() + field.value.len());
        self.title.len() + self.body.len() + fields.sum::<usize>() + size_of::<Self>()
    }
}

/// The words of a command in one line; those with spaces in quotes.
fn shown_command(argv: &[String]) -> String {
    let words = argv.iter().map(|word| {
        let plain = !word.is_empty() && !word.contains(char::is_whitespace);
        if plain { word.clone() } else { format!("{word:?}") }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Bits of a digest that stands for what came out of a step. A difference goes unseen once in
/// sixteen million times; what follows from it hardly does again.
const STEP_BITS: u32 = 24;

/// A number that stands for what came out of a step, the same in every version and on every
/// computer.
pub(super) fn step_digest(output: &[u8], deeds: &[Deed]) -> u32 {
    let mut all = sum(output);
    let mut bytes = Vec::new();
    for deed in deeds {
        bytes.clear();
        deed.write(&mut bytes);
        all = folded(all ^ SALTS[0], sum(&bytes) ^ SALTS[1]);
    }
    upper_half(all) >> (u32::BITS - STEP_BITS)
}

/// A number that stands for some bytes, in the same way.
pub(super) fn digest(bytes: &[u8]) -> u32 {
    upper_half(sum(bytes))
}

/// Digits of pi.
const SALTS: [u64; 4] =
    [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89];
const BLOCK_BYTES: usize = 32;

/// Four words of eight bytes.
type Block = [[u8; 8]; 4];

/// Multiplies sixteen bytes at a time into one of two lanes. All that a session says goes through
/// here, so it has to be quick; it need not withstand somebody who wants two texts to be the same.
fn sum(bytes: &[u8]) -> u64 {
    let lanes = mixed((SALTS[0] ^ bytes.len() as u64, SALTS[1]), blocks(bytes));
    let rest = bytes.chunks_exact(BLOCK_BYTES).remainder();
    let mut last = [0; BLOCK_BYTES];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let (one, other) = mixed(lanes, blocks(&last));
    folded(one ^ SALTS[2], other ^ SALTS[3])
}

fn blocks(bytes: &[u8]) -> &[Block] {
    bytes.as_chunks().0.as_chunks().0
}

fn mixed((mut one, mut other): (u64, u64), blocks: &[Block]) -> (u64, u64) {
    for [a, b, c, d] in blocks {
        one = folded(one ^ u64::from_le_bytes(*a), u64::from_le_bytes(*b) ^ SALTS[2]);
        other = folded(other ^ u64::from_le_bytes(*c), u64::from_le_bytes(*d) ^ SALTS[3]);
    }
    (one, other)
}

/// The two halves of a product, in one.
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> u64::BITS) as u64
}

fn upper_half(number: u64) -> u32 {
    (number >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::{Deed, Lane, digest, step_digest};

    #[test]
    fn every_byte_counts() {
        let text =
            b"{\"method\":\"turn/started\",\"params\":{}}\n{\"method\":\"turn/diff/updated\"}\n";
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut other = text.to_vec();
                other[at] ^= 1 << bit;
                assert_ne!(digest(text), digest(&other), "byte {at}, bit {bit}");
                assert_ne!(
                    step_digest(text, &[]),
                    step_digest(&other, &[]),
                    "byte {at}, bit {bit}"
                );
            }
            assert_ne!(digest(text), digest(&text[..at]));
        }
        let zeros = [0; 100];
        let all: std::collections::BTreeSet<u32> = (0..100).map(|n| digest(&zeros[..n])).collect();
        assert_eq!(all.len(), 100);
    }

    #[test]
    fn every_deed_counts_and_so_does_their_order() {
        let deed = |title: &str| Deed::new(Lane::Machine, title.to_owned());
        let (one, two) = (deed("one"), deed("two"));
        let mut seen = std::collections::BTreeSet::new();
        for deeds in [
            vec![],
            vec![one.clone()],
            vec![two.clone()],
            vec![one.clone(), two.clone()],
            vec![two.clone(), one.clone()],
            vec![one.clone().of_call(1)],
        ] {
            assert!(seen.insert(step_digest(b"said", &deeds)), "{deeds:?}");
        }
    }

    #[test]
    fn recordings_of_other_versions_are_compared_with_it() {
        assert_eq!(format!("{:08x}", digest(b"")), "d8132df4");
        assert_eq!(format!("{:08x}", digest(&[7; 77])), "21239dac");
        assert_eq!(format!("{:06x}", step_digest(b"said", &[])), "615716");
    }
}
