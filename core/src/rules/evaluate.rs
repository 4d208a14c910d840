//! Runs the statements of a `.rules` file.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::build;
use super::fault::Fault;
use super::parse::{Argument, Clause, Expr, ExprKind, Stmt, StmtKind, Target};
use super::policy::Rule;
use super::token::Piece;
use super::value::{Items, Value};

/// What running a file came to.
#[derive(Default)]
pub(super) struct Evaluated {
    /// Its rules, in order.
    pub rules: Vec<Rule>,
    /// The first thing wrong with it. What follows is run all the same, for what it forbids.
    pub fault: Option<Fault>,
}

/// Runs a file's statements from the top. `steps` is what the file may still take.
pub(super) fn evaluate(statements: &[Stmt], steps: &mut usize) -> Evaluated {
    let mut run = Run { names: BTreeMap::new(), rules: Vec::new(), steps };
    let mut fault = None;
    for statement in statements {
        if let Err(wrong) = run.statement(statement) {
            fault.get_or_insert(wrong);
        }
    }
    Evaluated { rules: run.rules, fault }
}

struct Run<'s> {
    names: BTreeMap<String, Value>,
    rules: Vec<Rule>,
    steps: &'s mut usize,
}

impl Run<'_> {
    fn spend(&mut self, steps: usize, at: &Expr) -> Result<(), Fault> {
        let left = self.steps.checked_sub(steps);
        *self.steps = left.unwrap_or(0);
        let ended = || Fault::new("rules file takes too long to evaluate", at.span.clone());
        left.map(drop).ok_or_else(ended)
    }

    fn block(&mut self, statements: &[Stmt]) -> Result<(), Fault> {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Stmt) -> Result<(), Fault> {
        match &statement.kind {
            StmtKind::Pass => Ok(()),
            StmtKind::Expr(expr) => self.value(expr).map(drop),
            StmtKind::Assign(target, expr) => {
                let value = self.value(expr)?;
                self.bind(target, value, expr)
            }
            StmtKind::Extend(name, expr) => {
                let old = self.names.get(name).cloned();
                let missing = || Fault::new(not_found(name), statement.span.clone());
                let new = self.value(expr)?;
                let sum = self.add(old.ok_or_else(missing)?, new, expr)?;
                self.names.insert(name.clone(), sum);
                Ok(())
            }
            StmtKind::For(target, over, body) => {
                for value in self.each(over)? {
                    self.spend(1, over)?;
                    self.bind(target, value, over)?;
                    self.block(body)?;
                }
                Ok(())
            }
            StmtKind::If(test, then, otherwise) => {
                let chosen = if self.value(test)?.is_true() { then } else { otherwise };
                self.block(chosen)
            }
        }
    }

    fn bind(&mut self, target: &Target, value: Value, at: &Expr) -> Result<(), Fault> {
        match target {
            Target::Name(name) => {
                self.names.insert(name.clone(), value);
                Ok(())
            }
            Target::Each(targets) => {
                let values = value.items().filter(|values| values.len() == targets.len());
                let wrong = || Fault::new("Unpacked the wrong number of values", at.span.clone());
                let values = values.ok_or_else(wrong)?;
                let mut pairs = targets.iter().zip(values);
                pairs.try_for_each(|(target, value)| self.bind(target, value.clone(), at))
            }
        }
    }

    /// The values that a loop goes over.
    fn each(&mut self, over: &Expr) -> Result<Vec<Value>, Fault> {
        let value = self.value(over)?;
        match value.items() {
            Some(values) => Ok(values.to_vec()),
            None => {
                let message =
                    format!("Operation `(iter)` not supported on type `{}`", value.kind());
                Err(Fault::new(message, over.span.clone()))
            }
        }
    }

    fn values(&mut self, exprs: &[Expr]) -> Result<Vec<Value>, Fault> {
        exprs.iter().map(|expr| self.value(expr)).collect()
    }

    fn value(&mut self, expr: &Expr) -> Result<Value, Fault> {
        self.spend(1, expr)?;
        match &expr.kind {
            ExprKind::None => Ok(Value::None),
            ExprKind::Bool(value) => Ok(Value::Bool(*value)),
            ExprKind::Int(value) => Ok(Value::Int(*value)),
            ExprKind::Text(text) => Ok(Value::Text(Rc::from(text.as_str()))),
            ExprKind::Format(pieces) => self.format(pieces, expr),
            ExprKind::Name(name) => self.name(name, expr),
            ExprKind::List(items) => self.values(items).and_then(|items| list(items, expr)),
            ExprKind::Tuple(items) => {
                let items = Items::new(self.values(items)?);
                items.map(Value::Tuple).ok_or_else(|| too_deep(expr))
            }
            ExprKind::Each(item, clauses) => {
                let mut found = Vec::new();
                self.comprehend(item, clauses, &mut found)?;
                list(found, expr)
            }
            ExprKind::Sum(operands) => {
                let mut values = self.values(operands)?.into_iter();
                let first = values.next().unwrap_or(Value::None);
                values.try_fold(first, |sum, next| self.add(sum, next, expr))
            }
            ExprKind::Not(operand) => Ok(Value::Bool(!self.value(operand)?.is_true())),
            ExprKind::All(operands) => self.first(operands, false),
            ExprKind::Any(operands) => self.first(operands, true),
            ExprKind::Compare(left, operator, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.compare(&left, operator, &right, expr).map(Value::Bool)
            }
            ExprKind::Choose(choice) => {
                let [test, then, otherwise] = choice.as_ref();
                let holds = self.value(test)?.is_true();
                self.value(if holds { then } else { otherwise })
            }
            ExprKind::Call(name, arguments) => self.call(name, arguments, expr),
            ExprKind::Index(of, index) => {
                let (of, index) = (self.value(of)?, self.value(index)?);
                element(&of, &index).ok_or_else(|| {
                    Fault::new("Index is out of range or of the wrong type", expr.span.clone())
                })
            }
        }
    }

    fn name(&self, name: &str, at: &Expr) -> Result<Value, Fault> {
        let found = self.names.get(name).cloned();
        found.ok_or_else(|| Fault::new(not_found(name), at.span.clone()))
    }

    fn format(&mut self, pieces: &[Piece], at: &Expr) -> Result<Value, Fault> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Name(name) => match self.name(name, at)? {
                    Value::Text(value) => text.push_str(&value),
                    Value::Int(value) => text.push_str(&value.to_string()),
                    other => {
                        let message = format!("a {} cannot stand in an f-string", other.kind());
                        return Err(Fault::new(message, at.span.clone()));
                    }
                },
            }
            self.spend(1 + text.len() / 64, at)?;
        }
        Ok(Value::Text(Rc::from(text)))
    }

    /// The first operand that decides, else the last.
    fn first(&mut self, operands: &[Expr], decides: bool) -> Result<Value, Fault> {
        let mut last = Value::None;
        for operand in operands {
            last = self.value(operand)?;
            if last.is_true() == decides {
                break;
            }
        }
        Ok(last)
    }

    fn compare(
        &mut self,
        left: &Value,
        operator: &str,
        right: &Value,
        at: &Expr,
    ) -> Result<bool, Fault> {
        self.spend(left.weight().saturating_add(right.weight()), at)?;
        let within = || match (left, right) {
            (Value::Text(part), Value::Text(whole)) => Some(whole.contains(part.as_ref())),
            (_, whole) => whole.items().map(|items| items.contains(left)),
        };
        match operator {
            "==" => Ok(left == right),
            "!=" => Ok(left != right),
            _ => match within() {
                Some(found) => Ok(found == (operator == "in")),
                None => Err(unsupported(operator, left, right, at)),
            },
        }
    }

    fn add(&mut self, left: Value, right: Value, at: &Expr) -> Result<Value, Fault> {
        self.spend(left.weight().saturating_add(right.weight()), at)?;
        let joined = |a: &Items, b: &Items| Items::new([a.values.as_slice(), &b.values].concat());
        match (&left, &right) {
            (Value::Int(a), Value::Int(b)) => {
                let overflow = || Fault::new("integer overflow", at.span.clone());
                a.checked_add(*b).map(Value::Int).ok_or_else(overflow)
            }
            (Value::Text(a), Value::Text(b)) => Ok(Value::Text(Rc::from(format!("{a}{b}")))),
            (Value::List(a), Value::List(b)) => {
                joined(a, b).map(Value::List).ok_or_else(|| too_deep(at))
            }
            (Value::Tuple(a), Value::Tuple(b)) => {
                joined(a, b).map(Value::Tuple).ok_or_else(|| too_deep(at))
            }
            _ => Err(unsupported("+", &left, &right, at)),
        }
    }

    /// The values of `[item clauses]`. What it binds is not seen outside.
    fn comprehend(
        &mut self,
        item: &Expr,
        clauses: &[Clause],
        found: &mut Vec<Value>,
    ) -> Result<(), Fault> {
        match clauses.split_first() {
            None => found.push(self.value(item)?),
            Some((Clause::If(test), rest)) => {
                if self.value(test)?.is_true() {
                    self.comprehend(item, rest, found)?;
                }
            }
            Some((Clause::For(target, over), rest)) => {
                let values = self.each(over)?;
                let outside = self.names.clone();
                self.spend(outside.len(), over)?;
                for value in values {
                    self.spend(1, over)?;
                    self.bind(target, value, over)?;
                    self.comprehend(item, rest, found)?;
                }
                self.names = outside;
            }
        }
        Ok(())
    }

    fn call(&mut self, name: &str, arguments: &[Argument], at: &Expr) -> Result<Value, Fault> {
        if name != "prefix_rule" {
            // The name is what cannot be found, so it is what is shown.
            let end = at.span.start + name.len();
            return Err(Fault::new(not_found(name), at.span.start..end));
        }
        let mut given = Vec::new();
        for argument in arguments {
            let value = self.value(&argument.value)?;
            self.spend(value.weight(), at)?;
            given.push((argument.name.as_deref(), value));
        }
        let made = build::prefix_rule(&given, &mut self.rules);
        made.map_err(|message| Fault::new(message, at.span.clone()))?;
        Ok(Value::None)
    }
}

fn not_found(name: &str) -> String {
    format!("Variable `{name}` not found")
}

fn unsupported(operator: &str, left: &Value, right: &Value, at: &Expr) -> Fault {
    let (left, right) = (left.kind(), right.kind());
    let message =
        format!("Binary operator `{operator}` is not supported on types `{left}` and `{right}`");
    Fault::new(message, at.span.clone())
}

fn too_deep(at: &Expr) -> Fault {
    Fault::new("value is nested too deeply", at.span.clone())
}

fn list(items: Vec<Value>, at: &Expr) -> Result<Value, Fault> {
    Items::new(items).map(Value::List).ok_or_else(|| too_deep(at))
}

/// The element at an index; a negative one counts from the end.
fn element(of: &Value, index: &Value) -> Option<Value> {
    let Value::Int(index) = index else {
        return None;
    };
    let items = of.items()?;
    let len = i64::try_from(items.len()).ok()?;
    let at = if *index < 0 { len.checked_add(*index)? } else { *index };
    items.get(usize::try_from(at).ok()?).cloned()
}
