//! Categories as callers write them, parsed.

use crate::noun::Id;
use crate::text::CategoryName;
use crate::tree::TOP;

/// Where a category stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the top.
    Top,
    /// Under this one.
    Under(Id),
}

impl Place {
    /// The parent as a row keeps it.
    pub const fn parent_id(self) -> i64 {
        match self {
            Self::Top => TOP,
            Self::Under(parent) => parent.get(),
        }
    }
}

/// New values of fields of a category; `None` leaves a field as it is. A create has all of them.
#[derive(Clone, Debug, Default)]
pub struct CategoryChange {
    /// What it is called.
    pub name: Option<CategoryName>,
    /// Where it stands.
    pub place: Option<Place>,
    /// Shown as a tab.
    pub is_tab: Option<bool>,
}
