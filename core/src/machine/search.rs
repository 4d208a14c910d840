//! `fuzzyFileSearch`: what is looked for where.

use super::Machine;
use crate::limits;
use crate::pending::Ticket;
use crate::search::SearchRequest;
use crate::wire::v2::command::FuzzyFileSearchParams;

impl Machine {
    /// `fuzzyFileSearch`. Other requests are served meanwhile (protocol.md §9 G11).
    pub(super) fn search_files(&mut self, ticket: Ticket, params: FuzzyFileSearchParams) {
        let FuzzyFileSearchParams { query, roots, cancellation_token } = params;
        let own = &self.setup.cwd;
        let roots = roots.into_iter().map(|root| {
            let absolute = own.join(&root);
            (root, absolute)
        });
        let request = SearchRequest {
            query,
            roots: roots.collect(),
            per_root_max: limits::SEARCH_MATCHES_MAX,
        };
        self.searches.start(&mut self.out, ticket, cancellation_token, request);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::effect::{Call, CallId, Effect};
    use crate::files::{Disk, MemoryFiles, NoKeyring};
    use crate::limits;
    use crate::search::SearchRequest;
    use crate::wire::v2::command::FuzzyFileSearchResult;
    use crate::{Input, Machine, Now, Outcome, Setup};

    /// A machine that has been greeted, with the searches it asked for.
    struct Bench {
        machine: Machine,
        searches: Vec<(CallId, SearchRequest)>,
        cancelled: Vec<CallId>,
        said: Vec<Value>,
    }

    impl Bench {
        fn new() -> Self {
            let machine = Machine::new(Setup::new("/h", "/w"), [7; 32], now());
            let (searches, cancelled, said) = Default::default();
            let mut bench = Self { machine, searches, cancelled, said };
            bench.settle();
            let client = json!({"clientInfo": {"name": "t", "version": "1"}});
            bench.line(&json!({"id": 0, "method": "initialize", "params": client}));
            bench.said.clear();
            bench
        }

        fn line(&mut self, line: &Value) {
            self.input(Input::Bytes(format!("{line}\n").as_bytes()));
        }

        fn search(&mut self, id: u64, params: Value) {
            self.line(&json!({"id": id, "method": "fuzzyFileSearch", "params": params}));
        }

        fn input(&mut self, input: Input<'_>) {
            self.machine.handle(now(), input);
            self.settle();
        }

        fn settle(&mut self) {
            let files = MemoryFiles::new();
            let mut done = Vec::new();
            while let Some(effect) = self.machine.poll_effect() {
                match effect {
                    Effect::Start(id, call) => match *call {
                        Call::Search(request) => self.searches.push((id, *request)),
                        Call::Files(job) => {
                            let disk = Disk { files: &files, keyring: &NoKeyring };
                            done.push((id, job.run(disk)));
                        }
                        other => panic!("{other:?}"),
                    },
                    Effect::Cancel(id) => self.cancelled.push(id),
                    Effect::Send => {
                        let bytes = self.machine.pending_output().to_vec();
                        self.machine.wrote(bytes.len());
                        let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
                        self.said.extend(lines.map(|l| serde_json::from_slice(l).expect("JSON")));
                    }
                    _ => {}
                }
            }
            for (id, answer) in done {
                self.input(Input::Done(id, Outcome::Files(Box::new(answer))));
            }
        }

        fn answered(&mut self) -> Vec<Value> {
            std::mem::take(&mut self.said)
        }
    }

    fn now() -> Now {
        Now::new(Duration::ZERO, jiff::Timestamp::UNIX_EPOCH)
    }

    fn file(path: &str, score: u32) -> FuzzyFileSearchResult {
        let (root, path) = ("r".to_owned(), path.to_owned());
        FuzzyFileSearchResult { root, file_name: path.clone(), path, score, indices: Some(vec![0]) }
    }

    #[test]
    fn the_best_come_first_and_others_are_served_meanwhile() {
        let mut bench = Bench::new();
        bench.search(1, json!({"query": "a", "roots": ["r", "/abs"]}));
        bench.line(&json!({"id": 2, "method": "getUserAgent"}));
        assert_eq!(bench.answered()[0]["id"], 2);
        let (call, request) = bench.searches.remove(0);
        let roots: Vec<_> = request.roots.iter().map(|(_, path)| path.as_path()).collect();
        assert_eq!(roots, [std::path::Path::new("/w/r"), std::path::Path::new("/abs")]);
        let found = vec![file("c", 1), file("b", 9), file("a", 9)];
        bench.input(Input::Done(call, Outcome::Found(found)));
        let reply = bench.answered().remove(0);
        let paths: Vec<_> = reply["result"]["files"].as_array().expect("files").iter().collect();
        let paths: Vec<_> = paths.iter().map(|file| file["path"].clone()).collect();
        assert_eq!(paths, ["a", "b", "c"]);
    }

    #[test]
    fn nothing_to_look_for_is_answered_at_once() {
        let mut bench = Bench::new();
        bench.search(1, json!({"query": "", "roots": ["r"]}));
        bench.search(2, json!({"query": "a", "roots": []}));
        let answers = bench.answered();
        assert!(answers.iter().all(|reply| reply["result"] == json!({"files": []})));
        assert_eq!((answers.len(), bench.searches.len()), (2, 0));
    }

    #[test]
    fn a_token_ends_the_search_before_it() {
        let mut bench = Bench::new();
        let params =
            |token: &str| json!({"query": "a", "roots": ["r"], "cancellationToken": token});
        bench.search(1, params("x"));
        bench.search(2, params("y"));
        bench.search(3, params("x"));
        assert_eq!(bench.answered(), [json!({"id": 1, "result": {"files": []}})]);
        assert_eq!(bench.cancelled, [bench.searches[0].0]);
        // A late answer of the one that is over does nothing.
        let (late, last) = (bench.searches[0].0, bench.searches[2].0);
        bench.input(Input::Done(late, Outcome::Found(vec![file("late", 1)])));
        assert!(bench.answered().is_empty());
        bench.input(Input::Done(last, Outcome::Lost));
        assert_eq!(bench.answered(), [json!({"id": 3, "result": {"files": []}})]);
    }

    #[test]
    fn only_so_many_run_at_once() {
        let mut bench = Bench::new();
        let max = limits::SEARCHES_MAX;
        for id in 0..max as u64 + 2 {
            bench.search(id + 1, json!({"query": "a", "roots": ["r"]}));
        }
        assert_eq!(bench.searches.len(), max);
        let first = bench.searches[0].0;
        bench.input(Input::Done(first, Outcome::Found(Vec::new())));
        assert_eq!((bench.searches.len(), bench.answered().len()), (max + 1, 1));
        bench.input(Input::Eof);
        assert_eq!(bench.answered().len(), max + 1);
        assert_eq!(bench.cancelled.len(), max);
    }
}
