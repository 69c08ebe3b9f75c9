//! What is wrong with a request, all of it, as far as can be seen by looking at it.

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
    /// The field's path in the request, such as `lines[3].quantity`.
    pub field: String,
    /// The case, for programs.
    pub reason: Reason,
    /// What is wrong, for people.
    pub description: String,
}

/// Why a field of a request cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No order number, or one that is too long or holds control characters.
    InvalidOrderSn,
    /// No request id where one is needed, or one that is too long or holds control characters.
    InvalidRequestId,
    /// No lines.
    EmptyOrder,
    /// More lines than one order may have.
    TooManyLines,
    /// No goods where at least one must be named.
    NoGoods,
    /// More goods than one call may name.
    TooManyGoods,
    /// More orders than one batch may hold.
    TooManyOrders,
    /// A batch of more bytes than one may have.
    BatchTooLarge,
    /// Goods that stand in a batch twice.
    DuplicateGoodsId,
    /// A goods id that is not above zero.
    InvalidGoodsId,
    /// Pieces that are not above zero, or below zero where zero is allowed.
    InvalidQuantity,
    /// More pieces than the cap.
    QuantityTooHigh,
    /// No ttl where one is needed, or one that is too short or too long.
    InvalidTtl,
    /// No reason for an adjustment, or one that is too long or holds control characters.
    InvalidReason,
    /// A state that no order can be in.
    InvalidState,
    /// A moment that is none, or a span that ends before it begins.
    InvalidTime,
    /// A list that needs a filter was asked for without.
    EmptyFilter,
    /// A page size below zero.
    InvalidPageSize,
    /// A page token that is none, or one of another list.
    InvalidPageToken,
}

impl Reason {
    /// The reason as it stands in `google.rpc.ErrorInfo`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidOrderSn => "INVALID_ORDER_SN",
            Self::InvalidRequestId => "INVALID_REQUEST_ID",
            Self::EmptyOrder => "EMPTY_ORDER",
            Self::TooManyLines => "TOO_MANY_LINES",
            Self::NoGoods => "NO_GOODS",
            Self::TooManyGoods => "TOO_MANY_GOODS",
            Self::TooManyOrders => "TOO_MANY_ORDERS",
            Self::BatchTooLarge => "BATCH_TOO_LARGE",
            Self::DuplicateGoodsId => "DUPLICATE_GOODS_ID",
            Self::InvalidGoodsId => "INVALID_GOODS_ID",
            Self::InvalidQuantity => "INVALID_QUANTITY",
            Self::QuantityTooHigh => "QUANTITY_TOO_HIGH",
            Self::InvalidTtl => "INVALID_TTL",
            Self::InvalidReason => "INVALID_REASON",
            Self::InvalidState => "INVALID_STATE",
            Self::InvalidTime => "INVALID_TIME",
            Self::EmptyFilter => "EMPTY_FILTER",
            Self::InvalidPageSize => "INVALID_PAGE_SIZE",
            Self::InvalidPageToken => "INVALID_PAGE_TOKEN",
        }
    }
}

impl Violations {
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

    /// Notes all that others noted, behind what is noted already.
    pub fn append(&mut self, others: Self) {
        self.total += others.total;
        let room = DETAILS_MAX - self.shown.len();
        self.shown.extend(others.shown.into_iter().take(room));
    }

    /// An error if anything is wrong.
    pub fn none(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.total == 0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_noted_is_counted_in_full_and_shown_as_far_as_there_is_room() {
        let noted = |count: usize| {
            let mut violations = Violations::default();
            (0..count).for_each(|_| violations.add("lines", Reason::EmptyOrder, "no"));
            violations
        };
        for (ours, theirs) in [(0, 0), (3, 4), (15, 9), (30, 30)] {
            let mut violations = noted(ours);
            violations.append(noted(theirs));
            assert_eq!(violations.total(), ours + theirs);
            assert_eq!(violations.shown().len(), (ours + theirs).min(DETAILS_MAX));
        }
    }
}
