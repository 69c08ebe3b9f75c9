use super::*;
use crate::record::{KnownOrder, OrderState};
use proto::inventory::v1::Line;

fn request(order_sn: &str, lines: &[(i64, i64)], seconds: Option<i64>) -> SellRequest {
    let lines = lines.iter().map(|&(goods_id, quantity)| Line { goods_id, quantity }).collect();
    let ttl = seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    SellRequest { order_sn: order_sn.to_owned(), lines, ttl }
}

fn wrong<T: std::fmt::Debug>(parsed: Result<T, Violations>) -> Vec<(String, Reason)> {
    let violations = parsed.expect_err("a bad request");
    violations.shown().iter().map(|wrong| (wrong.field.clone(), wrong.reason)).collect()
}

#[test]
fn a_ttl_makes_a_reservation_and_none_a_sale() {
    let sale = parse(request("o-1", &[(1, 2)], None)).unwrap();
    assert_eq!(sale.ttl(), None);
    let hold = parse(request("o-1", &[(1, 2)], Some(60))).unwrap();
    assert_eq!(hold.ttl().map(|ttl| ttl.milliseconds()), Some(60_000));
    assert_ne!(hold.payload(), sale.payload());
    assert_eq!(hold.payload(), parse(request("o-1", &[(1, 2)], Some(7))).unwrap().payload());
}

#[test]
fn a_bad_ttl_is_named_with_all_else_that_is_wrong() {
    let ttl = ("ttl".to_owned(), Reason::InvalidTtl);
    for seconds in [0, -5, 86_401, i64::MAX] {
        let parsed = parse(request("o-1", &[(1, 2)], Some(seconds)));
        assert_eq!(wrong(parsed), std::slice::from_ref(&ttl));
    }
    let expected = [
        ("order_sn".to_owned(), Reason::InvalidOrderSn),
        ("lines".to_owned(), Reason::EmptyOrder),
        ttl,
    ];
    assert_eq!(wrong(parse(request("", &[], Some(0)))), expected);
}

fn batch_of(orders: usize, lines: usize) -> BatchSellRequest {
    let lines: Vec<_> = (1..=lines).map(|id| (i64::try_from(id).unwrap(), 1)).collect();
    let order = |index| request(&format!("o-{index}"), &lines, None);
    BatchSellRequest { orders: (0..orders).map(order).collect() }
}

#[test]
fn a_batch_is_bounded_in_orders_in_lines_and_in_bytes() {
    for (batch, expected) in [
        (batch_of(0, 0), None),
        (batch_of(1_000, 4), None),
        (batch_of(1_001, 1), Some(Reason::TooManyOrders)),
        (batch_of(64, 64), None),
        (batch_of(241, 17), Some(Reason::TooManyLines)),
    ] {
        match expected {
            None => assert_eq!(within_bounds(&batch), Ok(())),
            Some(reason) => {
                assert_eq!(wrong(within_bounds(&batch)), [("orders".to_owned(), reason)]);
            }
        }
    }
    // The key of an order may be as long as the message, until it is looked at.
    let long =
        |bytes: usize| BatchSellRequest { orders: vec![request(&"x".repeat(bytes), &[], None)] };
    assert_eq!(within_bounds(&long(1024 * 1024 - 10)), Ok(()));
    let expected = [("orders".to_owned(), Reason::BatchTooLarge)];
    assert_eq!(wrong(within_bounds(&long(1024 * 1024))), expected);
}

/// What gRPC clients accept of one message.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

#[test]
fn the_worst_answer_to_a_batch_is_one_that_clients_accept() {
    let sn = |index: i64| format!("{index:0>64}").replace('0', "界");
    let lines: Vec<_> = (0..20).map(|line| (i64::MAX - line, 1_000_000_000)).collect();
    let sold = |index: i64| {
        let order = Order::parse(sn(index), &lines, None).unwrap();
        let order = KnownOrder::taken(&order, 1_700_000_000_000);
        let state = OrderState::Confirmed;
        message(&Receipt { order, state, replayed: false, reacquired: false })
    };
    let refused = |index: i64, lines: usize| -> tonic_types::pb::Status {
        let bad = vec![(i64::MIN, i64::MIN); lines];
        Error::from(parse(request(&sn(index).repeat(2), &bad, Some(0))).unwrap_err()).into()
    };
    let results = |result: &dyn Fn(i64) -> Outcome, count: i64| {
        let result = |index| BatchSellResult { result: Some(result(index)) };
        BatchSellResponse { results: (0..count).map(result).collect() }.encoded_len()
    };
    for size in [
        results(&|index| Outcome::Sold(sold(index)), 205),
        results(&|index| Outcome::Error(refused(index, 10)), 410),
        results(&|index| Outcome::Error(refused(index, 4)), 1_000),
    ] {
        assert!(size < MESSAGE_BYTES_MAX, "{size} bytes");
    }
}
