//! Owns: how much of a plan is used up, as response headers tell it (engine.md §2.5).
//! Never: asks the usage endpoint, or decides when a client is told.

use serde::{Deserialize, Serialize};

use crate::input::HttpHead;

/// One window of a plan's limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    /// Per cent; finite.
    pub(crate) used_percent: f64,
    /// Length of the window.
    #[serde(default)]
    pub(crate) window_minutes: Option<i64>,
    /// When it begins anew, in seconds since the Unix epoch.
    #[serde(default)]
    pub(crate) resets_at: Option<i64>,
}

impl Window {
    /// The percentage as v2 clients get it: a whole number, halves rounded away from zero.
    pub(crate) fn used_percent_rounded(&self) -> i32 {
        // The cast saturates.
        self.used_percent.round() as i32
    }
}

/// Credits that were bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credits {
    /// Whether there are any.
    pub(crate) has_credits: bool,
    /// Whether they never end.
    pub(crate) unlimited: bool,
    /// How many, in the backend's words.
    #[serde(default)]
    pub(crate) balance: Option<String>,
}

/// All that is known of a plan's limits; serialises as legacy clients get it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// The short window.
    pub(crate) primary: Option<Window>,
    /// The long window.
    pub(crate) secondary: Option<Window>,
    /// Credits.
    pub(crate) credits: Option<Credits>,
    /// The plan; headers never tell it.
    pub(crate) plan_type: Option<String>,
}

impl Snapshot {
    /// What the headers of a response say; empty if they say nothing.
    pub(crate) fn from_headers(head: &HttpHead) -> Self {
        Self {
            primary: window(
                head,
                "x-codex-primary-used-percent",
                "x-codex-primary-window-minutes",
                "x-codex-primary-reset-at",
            ),
            secondary: window(
                head,
                "x-codex-secondary-used-percent",
                "x-codex-secondary-window-minutes",
                "x-codex-secondary-reset-at",
            ),
            credits: credits(head),
            plan_type: None,
        }
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.primary.is_none()
            && self.secondary.is_none()
            && self.credits.is_none()
            && self.plan_type.is_none()
    }

    /// Takes over a newer snapshot; credits and plan are kept when the newer one is silent about
    /// them. Gives whether a client should be told: never for an empty snapshot or one that
    /// changes nothing (engine.md §13 no. 19).
    pub(crate) fn merge(&mut self, newer: Self) -> bool {
        if newer.is_empty() {
            return false;
        }
        let merged = Self {
            credits: newer.credits.or_else(|| self.credits.clone()),
            plan_type: newer.plan_type.or_else(|| self.plan_type.clone()),
            ..newer
        };
        let changed = merged != *self;
        *self = merged;
        changed
    }
}

fn window(head: &HttpHead, used: &str, minutes: &str, reset: &str) -> Option<Window> {
    let used_percent: f64 = parsed(head, used)?;
    let window_minutes: Option<i64> = parsed(head, minutes);
    let resets_at: Option<i64> = parsed(head, reset);
    let says_something =
        used_percent != 0.0 || window_minutes.is_some_and(|m| m != 0) || resets_at.is_some();
    (used_percent.is_finite() && says_something).then_some(Window {
        used_percent,
        window_minutes,
        resets_at,
    })
}

fn credits(head: &HttpHead) -> Option<Credits> {
    Some(Credits {
        has_credits: flag(head, "x-codex-credits-has-credits")?,
        unlimited: flag(head, "x-codex-credits-unlimited")?,
        balance: head
            .header("x-codex-credits-balance")
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
    })
}

fn parsed<T: std::str::FromStr>(head: &HttpHead, name: &str) -> Option<T> {
    head.header(name)?.trim().parse().ok()
}

fn flag(head: &HttpHead, name: &str) -> Option<bool> {
    let text = head.header(name)?.trim();
    if text == "1" || text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text == "0" || text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> HttpHead {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        HttpHead {
            status: 200,
            headers,
        }
    }

    #[test]
    fn windows_exist_when_they_say_something() {
        let used = "x-codex-primary-used-percent";
        let none: &[&[(&str, &str)]] = &[
            &[],
            &[(used, "0")],
            &[(used, "0.0"), ("x-codex-primary-window-minutes", "0")],
            &[(used, "lots")],
            &[(used, "NaN")],
            &[(used, "inf")],
            &[("x-codex-primary-window-minutes", "300")],
        ];
        for headers in none {
            assert!(
                Snapshot::from_headers(&head(headers)).is_empty(),
                "{headers:?}"
            );
        }
        let full = Snapshot::from_headers(&head(&[
            (used, "12.5"),
            ("x-codex-primary-window-minutes", "300"),
            ("x-codex-primary-reset-at", "1893456000"),
            ("x-codex-secondary-used-percent", "0"),
            ("x-codex-secondary-reset-at", "5"),
        ]));
        let primary = full.primary.expect("primary");
        assert_eq!(primary.used_percent_rounded(), 13);
        assert_eq!(
            (primary.window_minutes, primary.resets_at),
            (Some(300), Some(1_893_456_000))
        );
        assert_eq!(full.secondary.expect("secondary").resets_at, Some(5));
        assert_eq!(
            Window {
                used_percent: 1e300,
                ..primary
            }
            .used_percent_rounded(),
            i32::MAX
        );
    }

    #[test]
    fn credits_need_both_flags() {
        let has = ("x-codex-credits-has-credits", "True");
        assert_eq!(Snapshot::from_headers(&head(&[has])).credits, None);
        let both = head(&[has, ("x-codex-credits-unlimited", "0")]);
        let expect = Credits {
            has_credits: true,
            unlimited: false,
            balance: None,
        };
        assert_eq!(Snapshot::from_headers(&both).credits, Some(expect));
    }

    #[test]
    fn merging_keeps_what_the_newer_one_does_not_say() {
        let window = Window {
            used_percent: 1.0,
            window_minutes: None,
            resets_at: None,
        };
        let credits = Credits {
            has_credits: true,
            unlimited: true,
            balance: None,
        };
        let mut stored = Snapshot {
            credits: Some(credits),
            plan_type: Some("pro".to_owned()),
            ..Default::default()
        };
        let newer = Snapshot {
            primary: Some(window),
            ..Default::default()
        };
        assert!(stored.merge(newer.clone()));
        assert!(stored.credits.is_some() && stored.plan_type.is_some() && stored.primary.is_some());
        assert!(!stored.merge(newer), "unchanged");
        assert!(!stored.merge(Snapshot::default()), "empty");
        assert!(stored.primary.is_some());
    }
}
