//! What is wrong with a request, all of it, as far as can be seen.

/// The most entries of any list in the details of an error: with them the trailers stay below the 8 KiB that clients
/// accept.
pub const DETAILS_MAX: usize = 20;

/// Everything that is wrong with one request; the first [`DETAILS_MAX`] in words, the rest as a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    shown: Vec<Violation>,
    total: usize,
}

/// One field that cannot be taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the request, such as `goods.images[3].url`.
    pub field: String,
    /// The case, for programs.
    pub reason: Reason,
    /// What is wrong, for people.
    pub description: String,
}

/// Why a field of a request cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An id that is not above zero.
    InvalidId,
    /// More ids than one call may name.
    TooManyIds,
    /// A name that is empty, too long or holds control characters.
    InvalidName,
    /// A shop's number that is empty, too long or holds control characters.
    InvalidGoodsSn,
    /// A text that is too long or holds control characters.
    InvalidText,
    /// No amount, one below zero or above the cap, or a range that ends before it begins.
    InvalidPrice,
    /// No three capital letters, or another currency than the price beside it.
    InvalidCurrency,
    /// No http or https URL, one that is too long, or a description that cannot be taken.
    InvalidImage,
    /// More images than one list may hold.
    TooManyImages,
    /// A request id that is too long or holds control characters.
    InvalidRequestId,
    /// The field refers to a category that is not there.
    CategoryNotFound,
    /// The field refers to a brand that is not there.
    BrandNotFound,
    /// The tree would be deeper than it may be.
    CategoryTooDeep,
    /// A category would stand under itself.
    CategoryCycle,
    /// The mask names what is no writable field.
    UnknownMaskPath,
    /// The update changes nothing.
    EmptyUpdate,
    /// A page size below zero.
    InvalidPageSize,
    /// A page token that we never gave out, or gave out for another list.
    InvalidPageToken,
    /// An order that we do not know.
    UnknownOrder,
    /// A depth below zero.
    InvalidDepth,
}

impl Reason {
    /// The reason as it stands in `google.rpc.ErrorInfo`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidId => "INVALID_ID",
            Self::TooManyIds => "TOO_MANY_IDS",
            Self::InvalidName => "INVALID_NAME",
            Self::InvalidGoodsSn => "INVALID_GOODS_SN",
            Self::InvalidText => "INVALID_TEXT",
            Self::InvalidPrice => "INVALID_PRICE",
            Self::InvalidCurrency => "INVALID_CURRENCY",
            Self::InvalidImage => "INVALID_IMAGE",
            Self::TooManyImages => "TOO_MANY_IMAGES",
            Self::InvalidRequestId => "INVALID_REQUEST_ID",
            Self::CategoryNotFound => "CATEGORY_NOT_FOUND",
            Self::BrandNotFound => "BRAND_NOT_FOUND",
            Self::CategoryTooDeep => "CATEGORY_TOO_DEEP",
            Self::CategoryCycle => "CATEGORY_CYCLE",
            Self::UnknownMaskPath => "UNKNOWN_MASK_PATH",
            Self::EmptyUpdate => "EMPTY_UPDATE",
            Self::InvalidPageSize => "INVALID_PAGE_SIZE",
            Self::InvalidPageToken => "INVALID_PAGE_TOKEN",
            Self::UnknownOrder => "UNKNOWN_ORDER",
            Self::InvalidDepth => "INVALID_DEPTH",
        }
    }
}

impl Violations {
    /// Only this one.
    pub fn one(field: impl Into<String>, reason: Reason, description: impl Into<String>) -> Self {
        let mut violations = Self::default();
        violations.add(field, reason, description);
        violations
    }

    /// Notes one more.
    pub fn add(
        &mut self,
        field: impl Into<String>,
        reason: Reason,
        description: impl Into<String>,
    ) {
        self.total += 1;
        if self.shown.len() < DETAILS_MAX {
            self.shown.push(Violation {
                field: field.into(),
                reason,
                description: description.into(),
            });
        }
    }

    /// `Ok` if nothing is wrong.
    pub fn none(self) -> Result<(), Self> {
        if self.total == 0 { Ok(()) } else { Err(self) }
    }

    /// The first of them, at most [`DETAILS_MAX`].
    pub fn shown(&self) -> &[Violation] {
        &self.shown
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.total
    }
}
