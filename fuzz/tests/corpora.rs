//! Every fuzz target over its committed inputs, and over changes of them. Goal: what a fuzzer has
//! found stays found, without a fuzzer; and a quick search is made wherever tests are run.
//!
//! Method: `fuzz/corpus/<target>` holds the inputs. `UNDERSTUDY_SEEDS` says how many changed ones
//! each target gets (200), `UNDERSTUDY_SEED` plays one. An input that fails is printed as bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its own project has failed")]

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use understudy_fuzz::choose::{Choose, Seeded};
use understudy_fuzz::targets::{TARGETS, Target};

/// All inputs together; they are fetched with every checkout.
const CORPORA_BYTES_MAX: u64 = 200_000;

/// The longest input that changes are made to.
const CHANGED_BYTES_MAX: usize = 4096;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|_| panic!("{} is there", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn inputs(target: &Target) -> Vec<Vec<u8>> {
    let folder = folder("corpus").join(target.name);
    names(&folder).iter().map(|name| fs::read(folder.join(name)).unwrap()).collect()
}

/// Says what was being played if that panics.
struct Playing<'a> {
    target: &'static str,
    seed: Option<u64>,
    input: &'a [u8],
}

impl Drop for Playing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { target, seed, input } = self;
            println!("{target}, seed {seed:?}: b\"{}\"", input.escape_ascii());
        }
    }
}

fn play(target: &Target, seed: Option<u64>, input: &[u8]) {
    let _playing = Playing { target: target.name, seed, input };
    (target.body)(input);
}

#[test]
fn every_target_has_its_program_its_corpus_and_its_words() {
    let named: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(named.len(), TARGETS.len());
    assert_eq!(names(&folder("corpus")), named);
    let programs: BTreeSet<_> = named.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&folder("fuzz/targets")), programs);
    let manifest = fs::read_to_string(folder("fuzz/Cargo.toml")).unwrap();
    for name in &named {
        let program = fs::read_to_string(folder("fuzz/targets").join(format!("{name}.rs")));
        let body = format!("|data: &[u8]| understudy_fuzz::targets::{name}(data)");
        assert!(program.unwrap().contains(&body), "{name}");
        let lines = format!("name = \"{name}\"\npath = \"targets/{name}.rs\"\n");
        assert!(manifest.contains(&lines), "{name} in fuzz/fuzz/Cargo.toml");
    }
    let words = TARGETS.iter().filter_map(|target| target.dictionary);
    let words: BTreeSet<_> = words.map(|name| format!("{name}.dict")).collect();
    assert_eq!(names(&folder("dictionaries")), words);
}

#[test]
fn corpora_are_small_and_not_empty() {
    let mut all = 0;
    for target in TARGETS {
        let inputs = inputs(target);
        assert!(!inputs.is_empty(), "{} has no inputs", target.name);
        all += inputs.iter().map(|input| input.len() as u64).sum::<u64>();
    }
    println!("{all} bytes");
    assert!(all < CORPORA_BYTES_MAX, "{all} bytes");
}

#[test]
fn committed_inputs() {
    for target in TARGETS {
        inputs(target).iter().for_each(|input| play(target, None, input));
    }
}

#[test]
fn changed_inputs() {
    let number = |name| env::var(name).ok().map(|text: String| text.trim().parse().unwrap());
    let seeds = match number("UNDERSTUDY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("UNDERSTUDY_SEEDS").unwrap_or(200),
    };
    for target in TARGETS {
        let inputs = inputs(target);
        let words = words(target);
        for seed in seeds.clone() {
            let changed = changed(&mut Seeded(seed), &inputs, &words).unwrap();
            play(target, Some(seed), &changed);
        }
    }
}

/// The words of a target's dictionary.
fn words(target: &Target) -> Vec<Vec<u8>> {
    let Some(name) = target.dictionary else { return Vec::new() };
    let text = fs::read_to_string(folder("dictionaries").join(format!("{name}.dict"))).unwrap();
    let quoted = text.lines().filter(|line| line.starts_with('"'));
    quoted.map(|line| word(line.trim_matches('\n'))).collect()
}

/// A word without its quotes and escapes.
fn word(quoted: &str) -> Vec<u8> {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
    let mut bytes = inner.bytes();
    let mut word = Vec::new();
    while let Some(byte) = bytes.next() {
        let escaped = if byte == b'\\' { bytes.next() } else { None };
        word.push(match escaped {
            Some(b'x') => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            Some(plain) => plain,
            None => byte,
        });
    }
    word
}

/// An input with a few changes.
fn changed(c: &mut Seeded, inputs: &[Vec<u8>], words: &[Vec<u8>]) -> Option<Vec<u8>> {
    let place = |c: &mut Seeded, len: usize| c.below(u32::try_from(len + 1).ok()?);
    let one = |c: &mut Seeded| Some(&inputs[place(c, inputs.len() - 1)? as usize]);
    let mut input = one(c)?.clone();
    for _ in 0..=c.below(6)? {
        let (a, b) = (place(c, input.len())? as usize, place(c, input.len())? as usize);
        let (start, end) = (a.min(b), a.max(b).min(a.min(b) + 32));
        match c.below(6)? {
            0 => drop(input.drain(start..end)),
            1 => input.extend_from_within(start..end),
            2 => input.insert(start, u8::try_from(c.below(256)?).ok()?),
            3 if start < input.len() => input[start] ^= 1 << c.below(8)?,
            4 if !words.is_empty() => {
                let word = &words[place(c, words.len() - 1)? as usize];
                input.splice(start..end, word.iter().copied());
            }
            _ => {
                let other = one(c)?;
                let from = place(c, other.len())? as usize;
                input.truncate(start);
                input.extend_from_slice(&other[from..]);
            }
        }
        input.truncate(CHANGED_BYTES_MAX);
    }
    Some(input)
}
