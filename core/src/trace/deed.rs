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
                ExitStatus::Failed => "exit, failed".to_owned(),
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

    /// Adds everything that is in it to what a digest is made of. Lengths keep two deeds apart.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
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

/// A number that stands for some bytes, the same in every version and on every computer: FNV-1a,
/// eight bytes at a time, with its upper half folded into the lower one.
pub(super) fn digest(bytes: &[u8]) -> u32 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME).rotate_left(23);
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME).rotate_left(23);
    }
    hash = (hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    u32::try_from(hash >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn every_byte_counts() {
        let text = b"{\"method\":\"turn/started\",\"params\":{}}\n".to_vec();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut other = text.clone();
                other[at] ^= 1 << bit;
                assert_ne!(digest(&text), digest(&other), "byte {at}, bit {bit}");
            }
            assert_ne!(digest(&text), digest(&text[..at]));
        }
        // Recordings of other versions are compared with it.
        assert_eq!(digest(b""), digest(&[]));
    }
}
