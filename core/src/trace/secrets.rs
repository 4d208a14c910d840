//! Owns: the stand-ins of a recording: which text stands for which secret.
//!
//! A stand-in has the length of its secret and its shape: digits for digits, capitals for capitals,
//! everything else in its place. So escapes, offsets and checks for form come out the same. It is
//! drawn from a key that is in no recording; the same secret has the same stand-in everywhere, and
//! two secrets never share one.
//!
//! Invariant: whatever was once given a stand-in is replaced wherever it stands from then on.
//! Never: finds secrets (`finder`).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aho_corasick::packed;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem;
use sha2::{Digest, Sha256};

use super::finder;
use crate::auth;

/// A shorter text is replaced where a name says that it is secret, and nowhere else: it would be
/// found in words.
const SEARCHED_BYTES_MIN: usize = 4;
/// A shorter text is found only between other characters than letters and digits.
const ANYWHERE_BYTES_MIN: usize = 12;
/// A shorter value of a header is a switch (`true`) and not some variable's.
const USED_BYTES_MIN: usize = 6;
/// So much of a secret is looked for first.
const SIGN_BYTES: usize = 8;
/// Draws for one stand-in. Only texts of one or two characters can need as many.
const DRAWS_MAX: u32 = 64;

/// The secrets of one recording, and what stands for them. `Debug` shows how many there are.
pub(super) struct Secrets {
    key: [u8; 32],
    /// Every secret with its stand-in.
    known: BTreeMap<String, String>,
    taken: BTreeSet<String>,
    /// What is looked for in texts, and what is put there.
    searched: Vec<(String, String)>,
    search: Option<AhoCorasick>,
    /// Finds a sign of each, and of what may be another one. None if there are too many of them, or
    /// the processor has nothing to do that quickly.
    sieve: Option<packed::Searcher>,
    is_ready: bool,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl Secrets {
    pub(super) fn new(key: [u8; 32]) -> Self {
        let (known, taken) = (BTreeMap::new(), BTreeSet::new());
        let searched = Vec::new();
        Self { key, known, taken, searched, search: None, sieve: None, is_ready: false }
    }

    /// What stands for `secret`, which is looked for from now on.
    pub(super) fn stand_in(&mut self, secret: &str) -> String {
        let found = self.quiet_stand_in(secret);
        let core = secret.trim();
        if let Some(stand_in) = self.known.get(core).cloned() {
            self.look_for(core, &stand_in);
        }
        found
    }

    /// The same, without looking for it: for texts that may be words.
    pub(super) fn quiet_stand_in(&mut self, secret: &str) -> String {
        let core = secret.trim();
        if core.is_empty() {
            return secret.to_owned();
        }
        let stand_in = match self.known.get(core) {
            Some(stand_in) => stand_in.clone(),
            None => self.draw(core),
        };
        secret.replacen(core, &stand_in, 1)
    }

    /// What stands for a value that is used as a secret: in whole, or behind the word for the
    /// scheme. One that nobody knows is left as it is.
    pub(super) fn known_value(&self, value: &str) -> Option<String> {
        let known = |text: &str| self.known.get(text).filter(|_| text.len() >= USED_BYTES_MIN);
        if let Some(stand_in) = known(value) {
            return Some(stand_in.clone());
        }
        let (scheme, rest) = value.split_once(' ')?;
        Some(format!("{scheme} {}", known(rest)?))
    }

    /// What stands for the whole of this text, if it has a stand-in.
    pub(super) fn whole(&self, text: &str) -> Option<String> {
        let core = text.trim();
        self.known.get(core).map(|stand_in| text.replacen(core, stand_in, 1))
    }

    /// From now on `to` stands wherever `from` does: for what the machine computes of a secret.
    pub(super) fn pair(&mut self, from: &str, to: &str) {
        if from != to && !self.known.contains_key(from) {
            self.known.insert(from.to_owned(), to.to_owned());
            self.taken.insert(to.to_owned());
            self.look_for(from, to);
        }
    }

    /// Whether there is surely no secret in it that is known, and nothing in the shape of one. It is
    /// quick; a text without a secret may be none of these.
    pub(super) fn is_clean(&mut self, bytes: &[u8]) -> bool {
        self.clean_len(bytes) == bytes.len()
    }

    /// Up to where it is clean. So is each part of it that ends no later.
    pub(super) fn clean_len(&mut self, bytes: &[u8]) -> usize {
        self.make_ready();
        let Some(sieve) = &self.sieve else { return 0 };
        sieve.find(bytes).map_or(bytes.len(), |sign| sign.start())
    }

    /// How many texts are looked for. While there are no more of them, what is clean stays clean.
    pub(super) fn searched_count(&self) -> usize {
        self.searched.len()
    }

    /// Bytes with stand-ins for all secrets in them that are known.
    pub(super) fn replaced<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.is_clean(bytes) {
            return Cow::Borrowed(bytes);
        }
        let Some(search) = &self.search else { return Cow::Borrowed(bytes) };
        let mut out = Vec::new();
        let (mut copied, mut at) = (0, 0);
        while let Some(found) = search.find(aho_corasick::Input::new(bytes).range(at..)) {
            let (start, end) = (found.start(), found.end());
            let stand_in = self.searched.get(found.pattern().as_usize());
            match stand_in.filter(|(secret, _)| stands_alone(bytes, start, end, secret.len())) {
                Some((_, stand_in)) => {
                    out.extend_from_slice(bytes.get(copied..start).unwrap_or_default());
                    out.extend_from_slice(stand_in.as_bytes());
                    (copied, at) = (end, end);
                }
                None => at = start + 1,
            }
        }
        if copied == 0 {
            return Cow::Borrowed(bytes);
        }
        out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// The same for text.
    pub(super) fn replaced_text(&mut self, text: &str) -> String {
        String::from_utf8_lossy(&self.replaced(text.as_bytes())).into_owned()
    }

    /// Whether `bytes` end within what may be one of the secrets.
    pub(super) fn ends_within(&self, bytes: &[u8]) -> bool {
        self.searched.iter().any(|(secret, _)| {
            let secret = secret.as_bytes();
            let longest = bytes.len().min(secret.len().saturating_sub(1));
            (1..=longest).any(|len| bytes.ends_with(&secret[..len]))
        })
    }

    fn look_for(&mut self, secret: &str, stand_in: &str) {
        if secret.len() < SEARCHED_BYTES_MIN || self.searched.iter().any(|(s, _)| s == secret) {
            return;
        }
        let spellings = [spelled_in_json(secret), auth::percent_encoded(secret)];
        let stand_ins = [spelled_in_json(stand_in), auth::percent_encoded(stand_in)];
        let mut pairs = vec![(secret.to_owned(), stand_in.to_owned())];
        pairs.extend(spellings.into_iter().zip(stand_ins).filter(|(text, _)| text != secret));
        self.searched.extend(pairs);
        self.is_ready = false;
    }

    /// Makes what finds them, again when there are more of them.
    fn make_ready(&mut self) {
        if self.is_ready {
            return;
        }
        self.is_ready = true;
        let patterns = || self.searched.iter().map(|(secret, _)| secret.as_bytes());
        // It is too large from gigabytes of patterns on; those of a session are kilobytes.
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(patterns());
        self.search = search.ok();
        let mut signs = vec![finder::TOKEN_START, finder::KEY_START];
        for secret in patterns() {
            // Whatever has a sign in it is found by that.
            if !signs.iter().any(|sign| memmem::find(secret, sign).is_some()) {
                signs.push(sign_of(secret));
            }
        }
        self.sieve = packed::Searcher::new(signs);
    }

    /// A new stand-in. It reads like its secret to whoever takes it for a token.
    fn draw(&mut self, secret: &str) -> String {
        let mut drawn = String::new();
        for attempt in 0..DRAWS_MAX {
            drawn = match finder::token_payload(secret) {
                Some(payload) => self.token(secret, &payload, attempt),
                None => self.shape(secret, attempt),
            };
            let is_free = !self.taken.contains(&drawn) && !self.known.contains_key(&drawn);
            if is_free && drawn != secret && auth::reads_alike(secret, &drawn) {
                break;
            }
        }
        self.known.insert(secret.to_owned(), drawn.clone());
        self.taken.insert(drawn.clone());
        drawn
    }

    /// A token with the same header, claims that decide the same, and another signature.
    fn token(&mut self, token: &str, payload: &str, attempt: u32) -> String {
        let header = token.split('.').next().unwrap_or_default();
        let signature = token.rsplit('.').next().unwrap_or_default();
        let claims = finder::claims_replaced(payload, self);
        let claims = URL_SAFE_NO_PAD.encode(claims);
        format!("{header}.{claims}.{}", self.shape(signature, attempt))
    }

    /// A text of the same length and shape. What a key begins with (`sk-`) is kept.
    fn shape(&self, secret: &str, attempt: u32) -> String {
        let kept = if secret.starts_with("sk-") { 3 } else { 0 };
        let mut draws = Draws::new(&self.key, secret, attempt);
        let shaped = secret.char_indices().map(|(at, c)| match c {
            _ if at < kept => c,
            '0'..='9' => char::from(b'0' + draws.below(10)),
            'a'..='z' => char::from(b'a' + draws.below(26)),
            'A'..='Z' => char::from(b'A' + draws.below(26)),
            _ if !c.is_alphanumeric() => c,
            _ => match c.len_utf8() {
                2 => 'ä',
                3 => '字',
                _ => '😀',
            },
        });
        shaped.collect()
    }
}

/// The part of a secret that is rarest in what others say: not in small letters.
fn sign_of(secret: &[u8]) -> &[u8] {
    let rareness = |part: &&[u8]| part.iter().filter(|byte| !byte.is_ascii_lowercase()).count();
    secret.windows(SIGN_BYTES.min(secret.len())).max_by_key(rareness).unwrap_or(secret)
}

/// Whether the letters and digits around a short text belong to something else.
fn stands_alone(bytes: &[u8], start: usize, end: usize, len: usize) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let before = start.checked_sub(1).and_then(|at| bytes.get(at));
    len >= ANYWHERE_BYTES_MIN || !(is_word(before) || is_word(bytes.get(end)))
}

/// The text as it stands within the quotes of JSON.
fn spelled_in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// Numbers that only the key's owner can draw again.
struct Draws<'a> {
    key: &'a [u8; 32],
    secret: &'a str,
    attempt: u32,
    block: u32,
    bytes: Vec<u8>,
}

impl<'a> Draws<'a> {
    fn new(key: &'a [u8; 32], secret: &'a str, attempt: u32) -> Self {
        Self { key, secret, attempt, block: 0, bytes: Vec::new() }
    }

    fn below(&mut self, bound: u8) -> u8 {
        if self.bytes.is_empty() {
            let mut hash = Sha256::new();
            hash.update(self.key);
            hash.update(self.attempt.to_le_bytes());
            hash.update(self.block.to_le_bytes());
            hash.update(self.secret.as_bytes());
            self.bytes = hash.finalize().to_vec();
            self.block += 1;
        }
        self.bytes.pop().unwrap_or_default() % bound
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::Secrets;

    fn secrets() -> Secrets {
        Secrets::new([3; 32])
    }

    #[test]
    fn a_stand_in_has_the_shape_and_is_the_same_everywhere() {
        let mut secrets = secrets();
        let one = secrets.stand_in("sk-Ab9_é/x");
        assert_eq!((one.len(), one.get(..3)), ("sk-Ab9_é/x".len(), Some("sk-")));
        assert!(one.ends_with(|c: char| c.is_ascii_lowercase()) && one.contains("_ä/"), "{one}");
        assert_eq!(secrets.stand_in("  sk-Ab9_é/x\n"), format!("  {one}\n"));
        assert_eq!(secrets.known_value("Bearer sk-Ab9_é/x"), Some(format!("Bearer {one}")));
        assert_ne!(Secrets::new([4; 32]).stand_in("sk-Ab9_é/x"), one, "it depends on the key");
    }

    #[test]
    fn two_secrets_have_two_stand_ins_while_there_are_any() {
        let mut secrets = secrets();
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..10 {
            let stand_in = secrets.stand_in(&format!("id-{n}"));
            assert!(seen.insert(stand_in.clone()) && !stand_in.starts_with("id-"), "{stand_in}");
        }
    }

    #[test]
    fn known_secrets_are_found_in_each_spelling() {
        let mut secrets = secrets();
        let secret = "a+b/c d\"e=12345";
        let stand_in = secrets.stand_in(secret);
        let spelled = |text: &str| {
            let json = serde_json::json!({ "x": text }).to_string();
            format!("{text} {json} q={}", crate::auth::percent_encoded(text))
        };
        assert_eq!(secrets.replaced_text(&spelled(secret)), spelled(&stand_in));
    }

    #[test]
    fn short_secrets_are_not_found_in_words() {
        let mut secrets = secrets();
        let id = secrets.stand_in("acc-1");
        assert_eq!(secrets.replaced_text("acc-1 acc-12 xacc-1"), format!("{id} acc-12 xacc-1"));
        assert!(secrets.ends_within(b"is acc-") && !secrets.ends_within(b"is acc-1"));
        assert_ne!(secrets.stand_in("ab"), "ab");
        assert_eq!(secrets.replaced_text("ab"), "ab");
        assert_ne!(secrets.quiet_stand_in("1234567"), "1234567");
        assert_eq!(secrets.replaced_text("1234567"), "1234567");
        assert!(secrets.known_value("Bearer 1234567").is_some_and(|value| value.len() == 14));
    }

    #[test]
    fn a_token_keeps_the_claims_that_decide() {
        let payload = concat!(
            r#"{"exp":1800000000, "email":"jo@example.com","x":{"deep":["Jo Doe"]},"#,
            r#""https://api.openai.com/auth":{"chatgpt_plan_type":"pro","chatgpt_account_id":"org-1"}}"#
        );
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
        let token = format!("{header}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(payload));
        let mut secrets = secrets();
        let stand_in = secrets.stand_in(&token);
        let parts: Vec<&str> = stand_in.split('.').collect();
        let [head, claims, signature] = parts[..] else { panic!("{stand_in}") };
        assert_eq!((head, stand_in.len()), (header.as_str(), token.len()));
        assert_ne!(signature, "c2lnbmF0dXJl");
        let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64");
        let claims = String::from_utf8(claims).expect("text");
        for kept in [r#""exp":1800000000, "email":""#, r#""chatgpt_plan_type":"pro""#] {
            assert!(claims.contains(kept), "{claims}");
        }
        for gone in ["jo@example.com", "Jo Doe", "org-1"] {
            assert!(!claims.contains(gone), "{gone} in {claims}");
        }
        // What the machine says of the claims is replaced alike.
        let said = secrets.replaced_text("jo@example.com of org-1");
        let (email, account) = said.split_once(" of ").expect("both");
        assert!(claims.contains(email) && claims.contains(account), "{said} in {claims}");
    }

    proptest! {
        #[test]
        fn what_has_a_secret_in_it_is_not_clean(
            known in prop::collection::vec("[a-cE1+@é. ]{4,12}|sk-[a-z1]{3,6}|eyJ[a-c]{2}", 1..90),
            at in any::<prop::sample::Index>(),
            around in "[a-c1]{0,6}",
        ) {
            let mut secrets = secrets();
            for secret in &known {
                secrets.stand_in(secret);
            }
            let text = format!("{around} {} {around}", at.get(&known).trim());
            let has_secret = known.iter().map(|secret| secret.trim()).any(|secret| {
                secret.len() >= super::SEARCHED_BYTES_MIN && text.contains(secret)
            });
            prop_assert!(!has_secret || !secrets.is_clean(text.as_bytes()), "{}", text);
        }

        #[test]
        fn whatever_is_a_secret_is_gone(secret in "\\PC{4,40}", around in "\\PC{0,10}") {
            let mut secrets = secrets();
            let stand_in = secrets.stand_in(&secret);
            prop_assert_eq!(stand_in.len(), secret.len());
            if secret.trim().len() >= 12 {
                let text = format!("{around}{}{around}", secret.trim());
                let said = secrets.replaced_text(&text);
                prop_assert!(said.contains(stand_in.trim()), "{}", said);
            }
        }
    }
}
