//! Rules, and what all of them together say of a command.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::tools::command::one_line;

/// What a rule says; the stricter is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// Run it unasked and without a sandbox.
    Allow,
    /// Ask first.
    Prompt,
    /// Do not run it.
    Forbidden,
}

impl Decision {
    /// Its word in a `.rules` file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Prompt => "prompt",
            Self::Forbidden => "forbidden",
        }
    }

    /// The decision of that word.
    pub(super) fn of(word: &str) -> Option<Self> {
        [Self::Allow, Self::Prompt, Self::Forbidden].into_iter().find(|d| d.as_str() == word)
    }
}

/// A rule about commands that begin with certain words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The first word, as it must be written.
    pub program: String,
    /// For each word after it, the words that it may be.
    pub rest: Arc<[Vec<String>]>,
    /// What it says.
    pub decision: Decision,
    /// Why, for the user.
    pub justification: Option<String>,
}

impl Rule {
    /// How many words of the command the rule is about, if it is about the command.
    pub(super) fn matches(&self, words: &[String]) -> Option<usize> {
        let (program, args) = words.split_first()?;
        let fits = *program == self.program
            && args.len() >= self.rest.len()
            && self.rest.iter().zip(args).all(|(either, word)| either.contains(word));
        fits.then_some(self.rest.len() + 1)
    }

    /// The rule as messages show it.
    pub(super) fn shown(&self) -> String {
        let rest = self.rest.iter().map(|either| match either.as_slice() {
            [one] => format!("{one:?}"),
            several => format!("{several:?}"),
        });
        let words: Vec<_> = std::iter::once(format!("{:?}", self.program)).chain(rest).collect();
        format!(
            "prefix_rule(pattern=[{}], decision={:?})",
            words.join(", "),
            self.decision.as_str()
        )
    }
}

/// What the rules say of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMatch {
    /// The strictest that any matching rule says.
    pub decision: Decision,
    /// The beginning of the command that such a rule is about; the longest, if there are several.
    pub prefix: Vec<String>,
    /// What that rule gives as its reason.
    pub justification: Option<String>,
}

impl RuleMatch {
    /// The beginning as one line.
    pub fn shown_prefix(&self) -> String {
        one_line(&self.prefix)
    }
}

/// All rules that hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    by_program: BTreeMap<String, Vec<Rule>>,
}

impl RuleSet {
    /// Adds a rule.
    pub fn add(&mut self, rule: Rule) {
        self.by_program.entry(rule.program.clone()).or_default().push(rule);
    }

    /// Adds a rule that allows what begins with these words, as the user just said.
    pub fn allow(&mut self, words: &[String]) {
        if let Some((program, rest)) = words.split_first() {
            self.add(Rule {
                program: program.clone(),
                rest: rest.iter().map(|word| vec![word.clone()]).collect(),
                decision: Decision::Allow,
                justification: None,
            });
        }
    }

    /// What the rules say of a plain command; none if no rule is about it. The strictest decides,
    /// whatever the order of the rules and however much one is about (engine.md §4.4).
    pub fn check(&self, words: &[String]) -> Option<RuleMatch> {
        let rules = self.by_program.get(words.first()?)?;
        let matching = rules.iter().filter_map(|rule| Some((rule, rule.matches(words)?)));
        // Of equal ones the first that was read is named.
        let best = matching.reduce(|best, next| {
            let key = |(rule, len): &(&Rule, usize)| (rule.decision, *len);
            if key(&next) > key(&best) { next } else { best }
        });
        best.map(|(rule, len)| RuleMatch {
            decision: rule.decision,
            prefix: words.iter().take(len).cloned().collect(),
            justification: rule.justification.clone(),
        })
    }

    /// Every rule, by program.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.by_program.values().flatten()
    }

    /// The beginnings that are allowed, as the model is shown them: `["git", "pull"]`, with the
    /// words that one place may have in brackets (engine.md §1.3).
    pub(crate) fn allowed_prefixes(&self) -> impl Iterator<Item = String> {
        let allowed = self.iter().filter(|rule| rule.decision == Decision::Allow);
        allowed.map(|rule| {
            let rest = rule.rest.iter().map(|either| match either.as_slice() {
                [one] => format!("{one:?}"),
                several => format!("[{}]", several.join("|")),
            });
            let words = std::iter::once(format!("{:?}", rule.program)).chain(rest);
            format!("[{}]", words.collect::<Vec<_>>().join(", "))
        })
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.by_program.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Decision, Rule, RuleSet};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn rule(line: &str, decision: Decision) -> Rule {
        let mut words = words(line).into_iter();
        let either = |word: String| word.split('/').map(str::to_owned).collect();
        let program = words.next().unwrap_or_default();
        Rule { program, rest: words.map(either).collect(), decision, justification: None }
    }

    fn set(rules: &[(&str, Decision)]) -> RuleSet {
        let mut set = RuleSet::default();
        rules.iter().for_each(|(line, decision)| set.add(rule(line, *decision)));
        set
    }

    #[test]
    fn the_strictest_match_decides_and_names_its_longest_prefix() {
        use Decision::{Allow, Forbidden, Prompt};
        let set = set(&[
            ("git", Allow),
            ("git push", Prompt),
            ("git push --force/-f", Forbidden),
            ("git push origin", Prompt),
        ]);
        let cases = [
            ("git status", Some((Allow, "git"))),
            ("git push", Some((Prompt, "git push"))),
            ("git push origin x", Some((Prompt, "git push origin"))),
            ("git push -f origin", Some((Forbidden, "git push -f"))),
            ("/usr/bin/git push", None),
            ("gi", None),
        ];
        for (line, expected) in cases {
            let found = set.check(&words(line)).map(|m| (m.decision, m.shown_prefix()));
            assert_eq!(found, expected.map(|(d, prefix)| (d, prefix.to_owned())), "{line}");
        }
        assert_eq!(set.check(&[]), None);
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_more_rules_never_loosen(
            rules in proptest::collection::vec(("[ab]( [ab]){0,2}", 0..3usize), 0..6),
            more in ("[ab]( [ab]){0,2}", 1..3usize),
            line in "[ab]( [ab]){0,3}",
        ) {
            let all = [Decision::Allow, Decision::Prompt, Decision::Forbidden];
            let mut rules: Vec<_> = rules.iter().map(|(l, d)| (l.as_str(), all[*d])).collect();
            let decision = |set: &RuleSet| set.check(&words(&line)).map(|m| m.decision);
            let before = decision(&set(&rules));
            rules.reverse();
            prop_assert_eq!(decision(&set(&rules)), before);
            rules.push((&more.0, all[more.1]));
            prop_assert!(decision(&set(&rules)) >= before);
        }
    }
}
