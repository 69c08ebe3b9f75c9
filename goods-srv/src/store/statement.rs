//! A statement in the making: its text, and the values bound to it. No value of a caller ever becomes text.

use crate::noun::{Id, Noun};
use crate::page::{Key, Order};

/// A value to be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Number(i64::from(flag))
    }
}

impl From<Id> for Value {
    fn from(id: Id) -> Self {
        Self::Number(id.get())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<&Key> for Value {
    fn from(key: &Key) -> Self {
        match key {
            Key::Number(number) => Self::Number(*number),
            Key::Text(text) => Self::Text(text.clone()),
        }
    }
}

/// Columns and the values they get.
pub(super) type Assignments = Vec<(&'static str, Value)>;

/// A text with `?` for each of the values, in order.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
    /// A connection keeps it prepared. Not so one of a great many texts: a server bounds how many are prepared in all.
    pub(super) is_kept: bool,
}

impl Statement {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new(), is_kept: true }
    }

    /// It is prepared anew each time.
    pub(super) fn not_kept(self) -> Self {
        Self { is_kept: false, ..self }
    }

    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// More text.
    pub(super) fn and(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// `(?, ?, ?)` for these ids. There must be one at least; the last is repeated up to a power of two, so that there
    /// are few such texts.
    pub(super) fn any_of<T: Copy + Into<Value>>(mut self, ids: &[T]) -> Self {
        debug_assert!(!ids.is_empty(), "IN () is no SQL");
        self.text.push('(');
        let length = ids.len().next_power_of_two();
        self.text.push_str(&vec!["?"; length].join(", "));
        self.text.push(')');
        let padding = ids.iter().rev().take(1).cycle();
        self.values.extend(ids.iter().chain(padding).take(length).map(|id| (*id).into()));
        self
    }

    pub(super) fn insert(noun: Noun, assignments: Assignments) -> Self {
        let (columns, values): (Vec<_>, Vec<_>) = assignments.into_iter().unzip();
        let places = vec!["?"; columns.len()].join(", ");
        let text =
            format!("INSERT INTO {} ({}) VALUES ({places})", table(noun), columns.join(", "));
        Self { text, values, is_kept: true }
    }

    /// Writes these columns of one entry, which becomes a new version of itself.
    pub(super) fn update(noun: Noun, id: Id, now: i64, assignments: Assignments) -> Self {
        let (columns, values): (Vec<_>, Vec<_>) = assignments.into_iter().unzip();
        let sets: Vec<_> = columns.iter().map(|column| format!("{column} = ?, ")).collect();
        let text = format!(
            "UPDATE {} SET {}update_time = ?, version = version + 1 WHERE id = ?",
            table(noun),
            sets.concat()
        );
        // One for each mask.
        Self { text, values, is_kept: false }.bind(now).bind(id)
    }

    /// A condition that holds behind the entry with these keys, as text in parentheses: `(a > ? OR (a = ? AND (..)))`.
    pub(super) fn behind(mut self, order: Order, keys: &[Key]) -> Self {
        let sign = if order.descending { '<' } else { '>' };
        let last = keys.len().saturating_sub(1);
        for (at, (column, key)) in order.columns.iter().zip(keys).enumerate() {
            let name = column.name();
            self.values.push(key.into());
            if at == last {
                self.text.push_str(&format!("({name} {sign} ?"));
            } else {
                self.text.push_str(&format!("({name} {sign} ? OR ({name} = ? AND "));
                self.values.push(key.into());
            }
        }
        self.text.push(')');
        self.text.push_str(&"))".repeat(last));
        self
    }

    /// ` ORDER BY a, b LIMIT ?`.
    pub(super) fn page(self, order: Order, limit: usize) -> Self {
        let direction = if order.descending { " DESC" } else { "" };
        let columns: Vec<_> =
            order.columns.iter().map(|column| format!("{}{direction}", column.name())).collect();
        self.and(&format!(" ORDER BY {} LIMIT ?", columns.join(", ")))
            .bind(i64::try_from(limit).expect("a page is short"))
    }
}

/// The table of a noun.
pub(super) const fn table(noun: Noun) -> &'static str {
    match noun {
        Noun::Goods => "goods",
        Noun::Category => "categories",
        Noun::Brand => "brands",
    }
}

/// A pattern of LIKE ... ESCAPE '!' that finds `text` anywhere, all of whose characters stand for themselves.
pub(super) fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
