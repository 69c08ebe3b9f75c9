use super::*;
use crate::order::{GoodsId, Order, Ttl};
use prost_types::Timestamp;

fn whole(request: &ListOrdersRequest) -> List {
    let request = ListOrdersRequest { page_size: 0, page_token: String::new(), ..*request };
    List::new("orders", &request)
}

fn parsed(request: ListOrdersRequest) -> Result<Listing, Vec<(String, Reason)>> {
    let list = whole(&request);
    parse(request, &list).map_err(|violations| {
        violations.shown().iter().map(|wrong| (wrong.field.clone(), wrong.reason)).collect()
    })
}

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

#[test]
fn a_listing_is_narrowed_by_what_is_given() {
    let Listing { filter, after, size } = parsed(ListOrdersRequest::default()).unwrap();
    assert_eq!((filter.state, filter.goods, filter.from, filter.until), (None, None, None, None));
    assert_eq!((after, size), (None, 50));
    let request = ListOrdersRequest {
        state: wire::OrderState::Expired.into(),
        goods_id: 7,
        create_time_from: at(5),
        create_time_until: at(5),
        page_size: 1_000,
        page_token: String::new(),
    };
    let Listing { filter, after, size } = parsed(request).unwrap();
    assert_eq!(filter.state, Some(OrderState::Expired));
    assert_eq!((filter.goods, filter.from), (GoodsId::new(7), Some(5_000)));
    assert_eq!((filter.until, after, size), (Some(5_000), None, 200));
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let request = ListOrdersRequest {
        state: 7,
        goods_id: -1,
        create_time_from: Some(Timestamp { seconds: 0, nanos: -1 }),
        create_time_until: at(i64::MAX),
        page_size: -1,
        page_token: "nonsense".into(),
    };
    let expected = [
        ("state", Reason::InvalidState),
        ("goods_id", Reason::InvalidGoodsId),
        ("create_time_from", Reason::InvalidTime),
        ("create_time_until", Reason::InvalidTime),
        ("page_size", Reason::InvalidPageSize),
        ("page_token", Reason::InvalidPageToken),
    ];
    let found = parsed(request).err().expect("a bad request");
    assert_eq!(found, expected.map(|(field, reason)| (field.to_owned(), reason)));
    let backwards = ListOrdersRequest {
        create_time_from: at(6),
        create_time_until: at(5),
        ..Default::default()
    };
    let found = parsed(backwards).err().expect("a bad request");
    assert_eq!(found, [("create_time_until".to_owned(), Reason::InvalidTime)]);
}

#[test]
fn a_token_leads_to_its_page_of_its_list_whatever_the_page_size() {
    let request = ListOrdersRequest { goods_id: 7, ..Default::default() };
    let list = whole(&request);
    let page_token = list.token(&After { number: 1_234, text: "o-1".into() });
    let next = ListOrdersRequest { page_token: page_token.clone(), page_size: 9, ..request };
    let after = parsed(next.clone()).unwrap().after.expect("not the first page");
    assert_eq!((after.create_time, after.sn.as_str()), (1_234, "o-1"));
    let other = ListOrdersRequest { goods_id: 8, ..next };
    let refused = [("page_token".to_owned(), Reason::InvalidPageToken)];
    assert_eq!(parsed(other).err().expect("another list"), refused);
    // A token that names no order was not given out.
    let page_token = list.token(&After { number: 1_234, text: String::new() });
    let forged = ListOrdersRequest { page_token, goods_id: 7, ..Default::default() };
    assert_eq!(parsed(forged).err().expect("no order"), refused);
}

#[test]
fn an_order_is_shown_in_the_state_that_the_clock_says_with_the_end_of_its_hold() {
    let order = Order::parse("o-1".into(), &[(7, 2)], Ttl::new(5_000)).unwrap();
    let order = KnownOrder::taken(&order, 1_000);
    for (now, state) in [(5_999, wire::OrderState::Reserved), (6_000, wire::OrderState::Expired)] {
        let shown = message(&order, order.state_at(now));
        assert_eq!(shown.state(), state);
        assert_eq!(shown.expire_time, at(6));
    }
}

#[test]
fn states_have_the_same_numbers_everywhere() {
    let order = KnownOrder::tombstone(Key::from_record("o-1".into()), 0);
    for state in OrderState::ALL {
        assert_eq!(message(&order, state).state, state as i32);
    }
}
