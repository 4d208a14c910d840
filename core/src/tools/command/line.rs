//! A command as one line of shell, as clients see it (protocol.md §4.4).

/// The words quoted and joined, as in `/bin/bash -lc 'echo hi'`. No shell can be given a NUL byte,
/// so a command with one is not shown.
pub fn one_line<S: AsRef<str>>(words: &[S]) -> String {
    shlex::try_join(words.iter().map(AsRef::as_ref))
        .unwrap_or_else(|_| "<command included NUL byte>".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::one_line;

    #[test]
    fn words_are_quoted_only_where_needed() {
        let cases: [(&[&str], &str); 5] = [
            (&["/bin/bash", "-lc", "echo hi"], "/bin/bash -lc 'echo hi'"),
            (&["touch", "zz"], "touch zz"),
            (&["echo", "it's"], "echo \"it's\""),
            (&["echo", ""], "echo ''"),
            (&["echo", "\0"], "<command included NUL byte>"),
        ];
        for (words, line) in cases {
            assert_eq!(one_line(words), line, "{words:?}");
        }
    }

    proptest! {
        #[test]
        fn a_shell_reads_the_same_words(words in proptest::collection::vec("[^\0]{0,8}", 1..5)) {
            prop_assert_eq!(shlex::split(&one_line(&words)), Some(words));
        }
    }
}
