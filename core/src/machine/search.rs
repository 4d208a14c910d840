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
    use std::path::Path;

    use serde_json::json;

    use crate::effect::{Call, CallId};
    use crate::limits;
    use crate::machine::bench::Bench;
    use crate::search::SearchRequest;
    use crate::wire::v2::command::FuzzyFileSearchResult;
    use crate::{Input, Outcome};

    /// The searches that were begun.
    fn searches(bench: &Bench) -> Vec<(CallId, &SearchRequest)> {
        let searches = bench.calls.iter().map(|(id, call)| match call {
            Call::Search(request) => (*id, &**request),
            other => panic!("{other:?}"),
        });
        searches.collect()
    }

    fn file(path: &str, score: u32) -> FuzzyFileSearchResult {
        let (root, path) = ("r".to_owned(), path.to_owned());
        FuzzyFileSearchResult { root, file_name: path.clone(), path, score, indices: Some(vec![0]) }
    }

    #[test]
    fn the_best_come_first_and_others_are_served_meanwhile() {
        let mut bench = Bench::new();
        bench.ask(1, "fuzzyFileSearch", json!({"query": "a", "roots": ["r", "/abs"]}));
        bench.line(&json!({"id": 2, "method": "getUserAgent"}));
        assert_eq!(bench.answered()[0]["id"], 2);
        let (call, request) = searches(&bench)[0];
        let roots: Vec<_> = request.roots.iter().map(|(_, path)| path.as_path()).collect();
        assert_eq!(roots, [Path::new("/w/r"), Path::new("/abs")]);
        let found = vec![file("c", 1), file("b", 9), file("a", 9)];
        bench.input(Input::Done(call, Outcome::Found(found)));
        let reply = bench.answered().remove(0);
        let files = reply["result"]["files"].as_array().expect("files");
        let paths: Vec<_> = files.iter().map(|file| file["path"].clone()).collect();
        assert_eq!(paths, ["a", "b", "c"]);
    }

    #[test]
    fn nothing_to_look_for_is_answered_at_once() {
        let mut bench = Bench::new();
        bench.ask(1, "fuzzyFileSearch", json!({"query": "", "roots": ["r"]}));
        bench.ask(2, "fuzzyFileSearch", json!({"query": "a", "roots": []}));
        let answers = bench.answered();
        assert!(answers.iter().all(|reply| reply["result"] == json!({"files": []})));
        assert_eq!((answers.len(), bench.calls.len()), (2, 0));
    }

    #[test]
    fn a_token_ends_the_search_before_it() {
        let mut bench = Bench::new();
        for (id, token) in [(1, "x"), (2, "y"), (3, "x")] {
            let params = json!({"query": "a", "roots": ["r"], "cancellationToken": token});
            bench.ask(id, "fuzzyFileSearch", params);
        }
        assert_eq!(bench.answered(), [json!({"id": 1, "result": {"files": []}})]);
        let (late, last) = (searches(&bench)[0].0, searches(&bench)[2].0);
        assert_eq!(bench.cancelled, [late]);
        // A late answer of the one that is over does nothing.
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
            bench.ask(id + 1, "fuzzyFileSearch", json!({"query": "a", "roots": ["r"]}));
        }
        assert_eq!(bench.calls.len(), max);
        let first = bench.calls[0].0;
        bench.input(Input::Done(first, Outcome::Found(Vec::new())));
        assert_eq!((bench.calls.len(), bench.answered().len()), (max + 1, 1));
        bench.input(Input::Eof);
        assert_eq!(bench.answered().len(), max + 1);
        assert_eq!(bench.cancelled.len(), max);
    }
}
