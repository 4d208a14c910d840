//! What happened in sessions, in numbers.

use std::collections::{BTreeMap, BTreeSet};

use understudy_core::reached::Row;

/// What happened in one session, or in many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sessions.
    pub sessions: u64,
    /// Steps, those of healing too.
    pub steps: u64,
    /// Faults that had an effect, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Rows of tables of rules, by the sessions that asked them.
    pub rows: BTreeMap<Row, u64>,
    /// What else was reached, by the sessions that did.
    pub marks: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// A step was taken, and perhaps it was a fault.
    pub fn step(&mut self, fault: Option<&'static str>) {
        self.steps += 1;
        if let Some(fault) = fault {
            *self.faults.entry(fault).or_default() += 1;
        }
    }

    /// A session is over that has reached these.
    pub fn session(&mut self, rows: &BTreeSet<Row>, marks: &BTreeSet<&'static str>) {
        self.sessions += 1;
        for row in rows {
            *self.rows.entry(*row).or_default() += 1;
        }
        for mark in marks {
            *self.marks.entry(mark).or_default() += 1;
        }
    }

    /// Takes in another one.
    pub fn add(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.steps += other.steps;
        add(&mut self.faults, &other.faults);
        add(&mut self.rows, &other.rows);
        add(&mut self.marks, &other.marks);
    }
}

fn add<K: Copy + Ord>(all: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (key, count) in more {
        *all.entry(*key).or_default() += count;
    }
}
