//! The shape of the category tree: what may stand under what. Pure; the store loads it and writes what was decided.

use crate::noun::Id;
use crate::violations::Reason;
use std::collections::HashMap;

/// The deepest level; the top is level 1. Enough for any shop's navigation, and it bounds every walk in the tree. The
/// schema holds it, too.
pub const LEVEL_MAX: i64 = 8;

/// The most categories of a catalog: the whole tree fits into one answer of less than 4 MiB.
pub const CATEGORIES_MAX: usize = 5_000;

/// What the parent of a category at the top is.
pub const TOP: i64 = 0;

/// The categories that are not deleted.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: HashMap<i64, Node>,
    children: HashMap<i64, Vec<i64>>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: i64,
    level: i64,
}

/// Why a category cannot stand where it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// The parent is not there.
    NoParent,
    /// The parent is the category itself or under it.
    UnderItself,
    /// It, or what is under it, would be deeper than [`LEVEL_MAX`].
    TooDeep,
}

impl Misplaced {
    /// The case, for programs.
    pub const fn reason(self) -> Reason {
        match self {
            Self::NoParent => Reason::CategoryNotFound,
            Self::UnderItself => Reason::CategoryCycle,
            Self::TooDeep => Reason::CategoryTooDeep,
        }
    }

    /// What is wrong, for people.
    pub fn complaint(self, parent: i64) -> String {
        match self {
            Self::NoParent => format!("refers to category {parent}, which is not there"),
            Self::UnderItself => {
                format!("cannot be {parent}, which is the category itself or stands under it")
            }
            Self::TooDeep => format!("cannot be {parent}: the tree has at most {LEVEL_MAX} levels"),
        }
    }
}

/// A move that may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The category's new level.
    pub level: i64,
    /// By how much the levels of those under it change.
    pub shift: i64,
    /// Those under it.
    pub under: Vec<i64>,
}

impl Tree {
    /// The tree of these nodes: id, parent, level.
    pub fn new(nodes: impl IntoIterator<Item = (i64, i64, i64)>) -> Self {
        let mut tree = Self::default();
        for (id, parent, level) in nodes {
            tree.nodes.insert(id, Node { parent, level });
            tree.children.entry(parent).or_default().push(id);
        }
        tree.children.values_mut().for_each(|children| children.sort_unstable());
        tree
    }

    /// How many categories there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The category is there.
    pub fn contains(&self, id: i64) -> bool {
        self.nodes.contains_key(&id)
    }

    /// The level that a new category under `parent` ([`TOP`]: none) has.
    pub fn level_under(&self, parent: i64) -> Result<i64, Misplaced> {
        let level = match (parent, self.nodes.get(&parent)) {
            (TOP, _) => 1,
            (_, Some(node)) => node.level + 1,
            (_, None) => return Err(Misplaced::NoParent),
        };
        if level > LEVEL_MAX { Err(Misplaced::TooDeep) } else { Ok(level) }
    }

    /// What putting `category` under `parent` ([`TOP`]: at the top) means.
    pub fn put(&self, category: Id, parent: i64) -> Result<Move, Misplaced> {
        let category = category.get();
        let under = self.under(category, LEVEL_MAX);
        if parent == category || under.contains(&parent) {
            return Err(Misplaced::UnderItself);
        }
        let level = self.level_under(parent)?;
        let old = self.nodes.get(&category).map_or(level, |node| node.level);
        let shift = level - old;
        let deepest = under.iter().filter_map(|id| self.nodes.get(id)).map(|node| node.level).max();
        if deepest.is_some_and(|deepest| deepest + shift > LEVEL_MAX) {
            return Err(Misplaced::TooDeep);
        }
        Ok(Move { level, shift, under })
    }

    /// Those under `parent` ([`TOP`]: all), at most `depth` levels of them; each before those under it, siblings by id.
    pub fn under(&self, parent: i64, depth: i64) -> Vec<i64> {
        let mut found = Vec::new();
        let mut to_do = vec![(parent, 0)];
        // Each node has one parent, so no node is pushed twice; the bound holds even for rows that no version of ours
        // wrote.
        while let Some((node, above)) = to_do.pop() {
            if above > 0 {
                found.push(node);
            }
            if above < depth && found.len() <= self.nodes.len() {
                let children = self.children.get(&node).into_iter().flatten();
                to_do.extend(children.rev().map(|child| (*child, above + 1)));
            }
        }
        found
    }

    /// The parent of `category`.
    pub fn parent(&self, category: i64) -> Option<i64> {
        self.nodes.get(&category).map(|node| node.parent)
    }
}

#[cfg(test)]
mod tests;
