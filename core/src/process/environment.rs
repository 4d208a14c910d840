//! Owns: which variables a program that is run for a model or a client gets to see.

use std::collections::BTreeMap;

use wildmatch::WildMatch;

use super::ChildEnv;
use crate::config::ShellEnvironment;
use crate::config::kinds::Inherit;
use crate::setup::Environment;

/// What a program needs to find its way (config.md §3.6).
const CORE: [&str; 9] =
    ["HOME", "LOGNAME", "PATH", "SHELL", "USER", "USERNAME", "TMPDIR", "TEMP", "TMP"];

/// Names of what is likely to be secret.
const LIKELY_SECRET: [&str; 3] = ["*KEY*", "*SECRET*", "*TOKEN*"];

/// Tells a program that its sandbox has no network (engine.md §5.4).
const NO_NETWORK: &str = "CODEX_SANDBOX_NETWORK_DISABLED";

/// The environment of a child by the user's policy, in the order of config.md §3.6: what is
/// inherited, what is taken from that, what is set, and what may stay. `network` is whether the
/// sandbox policy has one; that it has none is said whatever the user's policy is.
///
/// A variable that no operating system could pass on (an empty name, a name with `=`, a NUL) is
/// left out: it would keep every program from starting.
pub(crate) fn child_env(
    policy: &ShellEnvironment,
    server: &Environment,
    network: bool,
) -> ChildEnv {
    let inherited = |name: &str| match policy.inherit {
        Inherit::All => true,
        Inherit::Core => CORE.contains(&name),
        Inherit::None => false,
    };
    let vars = server.iter().filter(|(name, _)| inherited(name));
    let mut vars: BTreeMap<_, _> =
        vars.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if !policy.ignore_default_excludes {
        let likely = Patterns::new(&LIKELY_SECRET);
        vars.retain(|name, _| !likely.fit(name));
    }
    let excluded = Patterns::new(&policy.exclude);
    vars.retain(|name, _| !excluded.fit(name));
    let set = policy.set.iter();
    vars.extend(set.map(|(name, value)| (name.clone(), value.expose().to_owned())));
    if !policy.include_only.is_empty() {
        let included = Patterns::new(&policy.include_only);
        vars.retain(|name, _| included.fit(name));
    }
    vars.retain(|name, value| can_be_passed(name, value));
    if !network {
        vars.insert(NO_NETWORK.to_owned(), "1".to_owned());
    }
    ChildEnv(vars)
}

/// Patterns of names with `*` and `?`; capitals and small letters are the same.
struct Patterns(Vec<WildMatch>);

impl Patterns {
    fn new(patterns: &[impl AsRef<str>]) -> Self {
        let patterns = patterns.iter().map(AsRef::as_ref);
        Self(patterns.map(WildMatch::new_case_insensitive).collect())
    }

    fn fit(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }
}

fn can_be_passed(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::child_env;
    use crate::config::ShellEnvironment;
    use crate::config::kinds::Inherit;
    use crate::secret::Secret;
    use crate::setup::Environment;

    fn policy() -> ShellEnvironment {
        ShellEnvironment {
            inherit: Inherit::All,
            ignore_default_excludes: true,
            exclude: Vec::new(),
            set: [].into(),
            include_only: Vec::new(),
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// The child's variables as `NAME=value`, in order.
    fn seen(policy: &ShellEnvironment) -> Vec<String> {
        let vars = ["PATH=/bin", "HOME=/h", "My_Token=t", "LANG=C", "API_KEY=k", "FOO=1"];
        let vars = vars.iter().filter_map(|var| var.split_once('='));
        let server: Environment =
            vars.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let child = child_env(policy, &server, true);
        child.0.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn each_step_takes_from_what_the_one_before_left() {
        let all = ["API_KEY=k", "FOO=1", "HOME=/h", "LANG=C", "My_Token=t", "PATH=/bin"];
        assert_eq!(seen(&policy()), all);
        let core = ShellEnvironment { inherit: Inherit::Core, ..policy() };
        assert_eq!(seen(&core), ["HOME=/h", "PATH=/bin"]);
        let none = ShellEnvironment { inherit: Inherit::None, ..policy() };
        assert!(seen(&none).is_empty());
        let careful = ShellEnvironment { ignore_default_excludes: false, ..policy() };
        assert_eq!(seen(&careful), ["FOO=1", "HOME=/h", "LANG=C", "PATH=/bin"]);
        let less = ShellEnvironment { exclude: words(&["l?ng", "f*"]), ..policy() };
        assert_eq!(seen(&less), ["API_KEY=k", "HOME=/h", "My_Token=t", "PATH=/bin"]);
    }

    #[test]
    fn what_is_set_is_never_excluded_but_may_not_be_included() {
        let set = [("FOO", "2"), ("NEW_KEY", "n")];
        let set = set.map(|(name, value)| (name.to_owned(), Secret::new(value)));
        let set = ShellEnvironment {
            ignore_default_excludes: false,
            exclude: words(&["FOO", "new*"]),
            set: set.into(),
            ..policy()
        };
        assert_eq!(seen(&set), ["FOO=2", "HOME=/h", "LANG=C", "NEW_KEY=n", "PATH=/bin"]);
        let only = ShellEnvironment { include_only: words(&["*_key", "path"]), ..set };
        assert_eq!(seen(&only), ["NEW_KEY=n", "PATH=/bin"]);
    }

    #[test]
    fn that_there_is_no_network_is_said_whatever_the_policy_is() {
        let none = ShellEnvironment { inherit: Inherit::None, ..policy() };
        for policy in [none, ShellEnvironment { include_only: words(&["X"]), ..policy() }] {
            let child = child_env(&policy, &Environment::default(), false);
            let vars: Vec<_> = child.0.into_iter().collect();
            assert_eq!(vars, [("CODEX_SANDBOX_NETWORK_DISABLED".to_owned(), "1".to_owned())]);
        }
    }

    #[test]
    fn what_cannot_be_passed_on_is_left_out() {
        let set = [("", "x"), ("A=B", "x"), ("N\0", "x"), ("V", "\0"), ("OK", "a=b")];
        let set = set.map(|(name, value)| (name.to_owned(), Secret::new(value))).into();
        let child = child_env(&ShellEnvironment { set, ..policy() }, &Environment::default(), true);
        assert_eq!(child.0.into_keys().collect::<Vec<_>>(), ["OK"]);
    }
}
