//! Every refusal and every error, as it stands on the wire.

use super::*;
use crate::decide::{ExcessLine, ShortLine, Shortage};
use crate::order::{Key, Order};
use crate::record::OrderState;
use crate::violations::Reason;
use prost::Message;
use proto::inventory::v1::StockLineErrors;

/// What the HTTP/2 mapping of gRPC suggests for trailers, and what clients refuse above.
const TRAILERS_MAX: usize = 8 * 1024;

fn goods(id: i64) -> GoodsId {
    GoodsId::new(id).unwrap()
}

fn sn() -> OrderSn {
    Key::from_record("o-1".into())
}

fn of_order(refusal: Refusal) -> Error {
    Error::OrderRefused(sn(), refusal)
}

fn of_stock(refusal: Refusal) -> Error {
    Error::StockRefused(goods(7), refusal)
}

fn short(id: i64, requested: i64, available: i64) -> ShortLine {
    ShortLine { goods: goods(id), requested, available }
}

fn excess(id: i64, requested: i64, returnable: i64) -> ExcessLine {
    ExcessLine { goods: goods(id), requested, returnable }
}

/// A status taken apart.
struct Seen {
    code: Code,
    message: String,
    info: pb::ErrorInfo,
    details: Vec<prost_types::Any>,
    pushback: Option<String>,
}

impl Seen {
    fn of(error: Error) -> Self {
        let status = Status::from(error);
        assert!(trailers(&status) < TRAILERS_MAX, "{} bytes", trailers(&status));
        let details = pb::Status::decode(status.details()).unwrap();
        assert_eq!((details.code, &*details.message), (status.code() as i32, status.message()));
        let pushback = status.metadata().get("grpc-retry-pushback-ms");
        let mut seen = Self {
            code: status.code(),
            message: status.message().to_owned(),
            info: pb::ErrorInfo::default(),
            details: details.details,
            pushback: pushback.map(|value| value.to_str().unwrap().to_owned()),
        };
        seen.info = seen.detail("google.rpc.ErrorInfo").expect("every error has an ErrorInfo");
        assert_eq!(seen.info.domain, DOMAIN);
        seen
    }

    fn detail<T: Message + Default>(&self, name: &str) -> Option<T> {
        let name = format!("type.googleapis.com/{name}");
        let mut found = self.details.iter().filter(|any| any.type_url == name);
        let detail = found.next().map(|any| T::decode(&*any.value).unwrap());
        assert!(found.next().is_none(), "two details of one kind: {name}");
        detail
    }

    fn metadata(&self) -> Vec<(&str, &str)> {
        let mut metadata: Vec<_> =
            self.info.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        metadata.sort_unstable();
        metadata
    }

    /// Type and subject of what stands in the way.
    fn preconditions(&self) -> Vec<(String, String)> {
        let failure: Option<pb::PreconditionFailure> =
            self.detail("google.rpc.PreconditionFailure");
        let violations = failure.unwrap_or_default().violations;
        violations.into_iter().map(|violation| (violation.r#type, violation.subject)).collect()
    }

    /// Goods, reason, requested, available.
    fn lines(&self) -> Vec<(i64, String, i64, i64)> {
        let errors: Option<StockLineErrors> = self.detail("inventory.v1.StockLineErrors");
        let line = |line: proto::inventory::v1::StockLineError| {
            (line.goods_id, line.reason, line.requested, line.available)
        };
        errors.unwrap_or_default().lines.into_iter().map(line).collect()
    }

    fn retry_after(&self) -> Option<Duration> {
        let info: Option<pb::RetryInfo> = self.detail("google.rpc.RetryInfo");
        info.map(|info| info.retry_delay.unwrap().try_into().unwrap())
    }
}

/// As on the wire: the details in base64, the message percent-encoded at worst.
fn trailers(status: &Status) -> usize {
    status.details().len().div_ceil(3) * 4 + status.message().len() * 3
}

/// The error is told so, in its details as well, and as one that it is no use to repeat.
#[track_caller]
fn is_told(
    error: Error,
    (code, reason): (Code, &str),
    metadata: &[(&str, &str)],
    in_the_way: Option<&str>,
) {
    let seen = Seen::of(error);
    assert_eq!((seen.code, seen.info.reason.as_str()), (code, reason));
    assert_eq!(seen.metadata(), metadata);
    let expected = in_the_way.map(|subject| (reason.to_owned(), subject.to_owned()));
    assert_eq!(seen.preconditions(), Vec::from_iter(expected));
    assert_eq!((seen.retry_after(), seen.pushback), (None, None));
    assert!(!seen.message.is_empty());
}

/// What the metadata says about a list of one entry.
const ONE: [(&str, &str); 2] = [("total", "1"), ("truncated", "false")];

fn one_short_line() -> Refusal {
    Refusal::Unobtainable(Shortage { short: vec![short(7, 5, 2)], ..Shortage::default() })
}

#[test]
fn every_refusal_of_an_order_has_its_code_its_reason_and_its_metadata() {
    use Code::{AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, OutOfRange};
    let order = Some("orders/o-1");
    for (state, name) in [
        (OrderState::Cancelled, "CANCELLED"),
        (OrderState::Returned, "RETURNED"),
        (OrderState::Expired, "EXPIRED"),
    ] {
        let closed = of_order(Refusal::AlreadyClosed(state));
        let expected = (FailedPrecondition, "ORDER_ALREADY_CLOSED");
        is_told(closed, expected, &[("state", name)], order);
    }
    let payload = Order::parse("o-1".into(), &[(1, 1)], None).unwrap().payload();
    let mismatch = of_order(Refusal::PayloadMismatch(payload));
    let hash = payload.to_string();
    let expected = (AlreadyExists, "ORDER_PAYLOAD_MISMATCH");
    is_told(mismatch, expected, &[("storedPayloadHash", &hash)], None);
    let expected = (FailedPrecondition, "INSUFFICIENT_STOCK");
    is_told(of_order(one_short_line()), expected, &ONE, Some("goods/7"));
    is_told(of_order(Refusal::OrderNotFound), (NotFound, "ORDER_NOT_FOUND"), &[], None);
    let expired = of_order(Refusal::ReservationExpired(1_700_000_000_123));
    let expected = (FailedPrecondition, "RESERVATION_EXPIRED");
    is_told(expired, expected, &[("expireTime", "2023-11-14T22:13:20.123Z")], order);
    let expected = (FailedPrecondition, "ALREADY_CONFIRMED");
    is_told(of_order(Refusal::AlreadyConfirmed), expected, &[], order);
    is_told(of_order(Refusal::NotConfirmed), (FailedPrecondition, "NOT_CONFIRMED"), &[], order);
    let exceeds = of_order(Refusal::ReturnExceedsSold(vec![excess(7, 3, 1)]));
    let expected = (FailedPrecondition, "RETURN_EXCEEDS_SOLD");
    is_told(exceeds, expected, &ONE, Some("goods/7"));
    let foreign = of_order(Refusal::GoodsNotInOrder(vec![goods(7)]));
    let expected = (InvalidArgument, "GOODS_NOT_IN_ORDER");
    is_told(foreign, expected, &[("goodsIds", "7"), ONE[0], ONE[1]], None);
    let other = of_order(Refusal::RequestMismatch(Key::from_record("r-1".into())));
    let expected = (AlreadyExists, "REQUEST_PAYLOAD_MISMATCH");
    is_told(other, expected, &[("requestId", "r-1")], None);
    let over = of_order(Refusal::Overflows(vec![goods(7)]));
    is_told(over, (OutOfRange, "STOCK_OVERFLOW"), &ONE, Some("goods/7"));
}

#[test]
fn every_refusal_of_a_stock_has_its_code_its_reason_and_its_metadata() {
    use Code::{Aborted, AlreadyExists, FailedPrecondition, NotFound, OutOfRange};
    let stock = Some("goods/7");
    let unknown = of_stock(Refusal::GoodsNotStocked);
    is_told(unknown, (NotFound, "GOODS_NOT_STOCKED"), &[("goodsId", "7")], None);
    let stale = of_stock(Refusal::Stale(9));
    is_told(stale, (Aborted, "STALE_QUANTITY"), &[("current", "9")], None);
    let below = of_stock(Refusal::BelowReserved(4));
    is_told(below, (FailedPrecondition, "BELOW_RESERVED"), &[("reserved", "4")], stock);
    let expected = (FailedPrecondition, "INSUFFICIENT_STOCK");
    is_told(of_stock(one_short_line()), expected, &ONE, stock);
    let over = of_stock(Refusal::Overflows(vec![goods(7)]));
    is_told(over, (OutOfRange, "STOCK_OVERFLOW"), &ONE, stock);
    let other = of_stock(Refusal::RequestMismatch(Key::from_record("r-1".into())));
    let expected = (AlreadyExists, "REQUEST_PAYLOAD_MISMATCH");
    is_told(other, expected, &[("requestId", "r-1")], None);
}

#[test]
fn every_short_line_is_named_and_goods_that_are_not_stocked_win() {
    let shortage =
        Shortage { not_stocked: vec![short(8, 1, 0)], short: vec![short(1, 5, 2), short(3, 1, 0)] };
    let seen = Seen::of(of_order(Refusal::Unobtainable(shortage)));
    assert_eq!((seen.code, &*seen.info.reason), (Code::NotFound, "GOODS_NOT_STOCKED"));
    let line =
        |id, reason: &str, requested, available| (id, reason.to_owned(), requested, available);
    let expected = [
        line(8, "GOODS_NOT_STOCKED", 1, 0),
        line(1, "INSUFFICIENT_STOCK", 5, 2),
        line(3, "INSUFFICIENT_STOCK", 1, 0),
    ];
    assert_eq!(seen.lines(), expected);
    let subjects: Vec<_> = seen.preconditions().into_iter().map(|(_, subject)| subject).collect();
    assert_eq!(subjects, ["goods/8", "goods/1", "goods/3"]);
    assert_eq!(seen.message, "goods 8 is not stocked; and 2 more");
}

#[test]
fn a_return_of_too_much_says_how_much_could_be_returned() {
    let lines = vec![excess(1, 3, 1), excess(2, 9, 0)];
    let seen = Seen::of(of_order(Refusal::ReturnExceedsSold(lines)));
    let reason = "RETURN_EXCEEDS_SOLD".to_owned();
    assert_eq!(seen.lines(), [(1, reason.clone(), 3, 1), (2, reason, 9, 0)]);
}

#[test]
fn lists_show_20_entries_say_how_many_there_are_and_stay_below_8_kib() {
    let ids = || (0..57).map(|index| i64::MAX - index);
    let pieces = 1_000_000_000;
    let lines = || ids().map(|id| short(id, pieces, pieces - 1)).collect::<Vec<_>>();
    let mut violations = Violations::default();
    for index in 0..57 {
        let complaint = "must be 1 to 1000000000 together with its like, is -9223372036854775808";
        violations.add(format!("lines[{index}].quantity"), Reason::InvalidQuantity, complaint);
    }
    for error in [
        of_order(Refusal::Unobtainable(Shortage { short: lines(), ..Shortage::default() })),
        of_order(Refusal::Unobtainable(Shortage { not_stocked: lines(), ..Shortage::default() })),
        of_order(Refusal::ReturnExceedsSold(
            ids().map(|id| excess(id, pieces, pieces - 1)).collect(),
        )),
        of_order(Refusal::GoodsNotInOrder(ids().map(goods).collect())),
        of_order(Refusal::Overflows(ids().map(goods).collect())),
        Error::Invalid(violations),
    ] {
        let seen = Seen::of(error);
        let counted: Vec<_> =
            seen.metadata().into_iter().filter(|(key, _)| *key != "goodsIds").collect();
        assert_eq!(counted, [("total", "57"), ("truncated", "true")], "{}", seen.info.reason);
        let bad: Option<pb::BadRequest> = seen.detail("google.rpc.BadRequest");
        let fields = bad.map_or(0, |bad| bad.field_violations.len());
        assert_eq!(fields.max(seen.preconditions().len()), 20, "{}", seen.info.reason);
        let errors: Option<StockLineErrors> = seen.detail("inventory.v1.StockLineErrors");
        if let Some(errors) = errors {
            assert_eq!((errors.lines.len(), errors.total, errors.truncated), (20, 57, true));
        }
    }
}

#[test]
fn the_longest_keys_fit_into_the_trailers() {
    let sn = Key::from_record("界".repeat(64));
    for refusal in [
        Refusal::OrderNotFound,
        Refusal::AlreadyConfirmed,
        Refusal::RequestMismatch(sn.clone()),
        Refusal::GoodsNotInOrder((0..57).map(|index| goods(i64::MAX - index)).collect()),
    ] {
        // Seen::of measures them.
        Seen::of(Error::OrderRefused(sn.clone(), refusal));
    }
}

#[test]
fn a_bad_request_names_every_field_and_the_first_reason() {
    let mut violations = Violations::default();
    violations.add("order_sn", Reason::InvalidOrderSn, "must not be empty");
    violations.add("ttl", Reason::InvalidTtl, "must be 1 to 86400 seconds, is 0 s and 0 ns");
    let seen = Seen::of(violations.into());
    assert_eq!((seen.code, &*seen.info.reason), (Code::InvalidArgument, "INVALID_ORDER_SN"));
    assert_eq!(seen.message, "order_sn must not be empty; and 1 more");
    let bad: pb::BadRequest = seen.detail("google.rpc.BadRequest").unwrap();
    let fields: Vec<_> =
        bad.field_violations.iter().map(|field| (&*field.field, &*field.reason)).collect();
    assert_eq!(fields, [("order_sn", "INVALID_ORDER_SN"), ("ttl", "INVALID_TTL")]);
}

#[test]
fn what_may_be_sent_again_is_unavailable_and_says_when() {
    let away = || Setback::Overloaded { retry_after: Duration::ZERO };
    for (error, reason) in [
        (Error::DeadlinePassed, "DEADLINE_PASSED"),
        (Error::StoreUnavailable(away()), "STORE_UNAVAILABLE"),
        (Error::LockUnavailable(LockError::Lost), "LOCK_UNAVAILABLE"),
        (Error::OutcomeUnknown(Setback::LaneLost), "OUTCOME_UNKNOWN"),
        (Error::WatchLost, "STORE_UNAVAILABLE"),
        (Error::Stopping, "STOPPING"),
    ] {
        let seen = Seen::of(error);
        assert_eq!((seen.code, &*seen.info.reason), (Code::Unavailable, reason));
        assert_eq!((seen.retry_after(), seen.pushback), (Some(RETRY_AFTER), None));
    }
}

#[test]
fn overload_pushes_back() {
    let retry_after = Duration::from_micros(37_900);
    let seen = Seen::of(Error::Overloaded { retry_after });
    assert_eq!((seen.code, &*seen.info.reason), (Code::Unavailable, "OVERLOADED"));
    assert_eq!(seen.retry_after(), Some(retry_after));
    assert_eq!(seen.pushback.as_deref(), Some("37"));
    let seen = Seen::of(Error::TooManyWatches);
    assert_eq!((seen.code, &*seen.info.reason), (Code::Unavailable, "OVERLOADED"));
    assert_eq!((seen.retry_after(), seen.pushback.as_deref()), (Some(PLACE_AFTER), Some("1000")));
}

#[test]
fn a_check_that_took_too_long_is_aborted() {
    let seen = Seen::of(Error::CheckTooLong);
    assert_eq!((seen.code, &*seen.info.reason), (Code::Aborted, "CHECK_TOO_LONG"));
}

#[test]
fn a_fault_of_ours_is_not_explained_to_callers() {
    let broken = StoreError::Corrupt("goods 7 has -1 pieces".into());
    let seen = Seen::of(Error::Broken(broken.into()));
    assert_eq!((seen.code, &*seen.info.reason), (Code::Internal, "INTERNAL"));
    assert_eq!((&*seen.message, seen.metadata()), ("internal error", Vec::new()));
}

#[test]
fn an_entry_of_a_batch_ends_as_a_call_of_its_own_would() {
    let error = || of_order(Refusal::AlreadyClosed(OrderState::Expired));
    let in_batch = pb::Status::from(error());
    let alone = Status::from(error());
    assert_eq!(in_batch.encode_to_vec(), alone.details());
    assert_eq!((in_batch.code, &*in_batch.message), (alone.code() as i32, alone.message()));
}
