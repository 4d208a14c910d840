//! What expressions in a `.rules` file amount to.

use std::rc::Rc;

use crate::limits;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Text(Rc<str>),
    List(Rc<Items>),
    Tuple(Rc<Items>),
}

/// The values in a list or tuple. They know how deep they are: a value that a loop wraps again and
/// again would otherwise be too deep to drop.
#[derive(Debug, PartialEq)]
pub(super) struct Items {
    pub values: Vec<Value>,
    depth: usize,
    weight: usize,
}

impl Items {
    /// None if they would be too deep.
    pub(super) fn new(values: Vec<Value>) -> Option<Rc<Self>> {
        let depth = values.iter().map(Value::depth).max().unwrap_or(0) + 1;
        let weights = values.iter().map(Value::weight);
        let weight = weights.fold(1, usize::saturating_add);
        (depth <= limits::RULES_DEPTH_MAX).then(|| Rc::new(Self { values, depth, weight }))
    }
}

impl Value {
    fn depth(&self) -> usize {
        match self {
            Self::None | Self::Bool(_) | Self::Int(_) | Self::Text(_) => 0,
            Self::List(items) | Self::Tuple(items) => items.depth,
        }
    }

    /// Its type as the language calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
        }
    }

    /// Whether a condition with it holds.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.values.is_empty(),
        }
    }

    /// What copying or comparing all of it costs. Values share their parts, so this may be far more
    /// than what making it cost.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::None | Self::Bool(_) | Self::Int(_) => 1,
            Self::Text(text) => 1 + text.len() / 64,
            Self::List(items) | Self::Tuple(items) => items.weight,
        }
    }

    /// The values in it, if it is a list or tuple.
    pub(super) fn items(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) | Self::Tuple(items) => Some(&items.values),
            Self::None | Self::Bool(_) | Self::Int(_) | Self::Text(_) => None,
        }
    }
}
