use super::*;

fn reasons<T: std::fmt::Debug>(parsed: Result<T, Violations>) -> Vec<(String, Reason)> {
    let violations = parsed.expect_err("a bad request");
    violations.shown().iter().map(|wrong| (wrong.field.clone(), wrong.reason)).collect()
}

fn named<const N: usize>(wrong: [(&str, Reason); N]) -> Vec<(String, Reason)> {
    wrong.map(|(field, reason)| (field.to_owned(), reason)).to_vec()
}

fn adjustment() -> AdjustStockRequest {
    AdjustStockRequest {
        goods_id: 7,
        delta: -3,
        reason: "broken".into(),
        request_id: "r-1".into(),
        ..Default::default()
    }
}

#[test]
fn a_good_request_becomes_an_act() {
    let goods = GoodsId::new(7).unwrap();
    let key = |text: &str| Some(Key::from_record(text.into()));
    let request = SetStockRequest {
        goods_id: 7,
        on_hand: 0,
        expected_on_hand: Some(4),
        etag: "v12".into(),
        request_id: "r-1".into(),
    };
    let expected = Expected { on_hand: Some(4), version: Some(12) };
    let act = StockAct { goods, change: StockChange::SetOnHand(0), expected, request: key("r-1") };
    assert_eq!(set(request), Ok(act.clone()));

    let change = StockChange::Adjust { delta: -3, reason: "broken".into() };
    let expected = Expected::default();
    let act = StockAct { change, expected, ..act };
    assert_eq!(adjust(adjustment()), Ok(act.clone()));

    let request =
        SetSafetyStockRequest { goods_id: 7, safety: 1_000_000_000, ..Default::default() };
    let act = StockAct { change: StockChange::SetSafety(1_000_000_000), request: None, ..act };
    assert_eq!(safety(request), Ok(act));
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let bad_key = "x".repeat(65);
    let request =
        SetStockRequest { on_hand: -1, request_id: bad_key.clone(), ..Default::default() };
    let expected = named([
        ("goods_id", Reason::InvalidGoodsId),
        ("on_hand", Reason::InvalidQuantity),
        ("request_id", Reason::InvalidRequestId),
    ]);
    assert_eq!(reasons(set(request)), expected);
    let expected = named([
        ("goods_id", Reason::InvalidGoodsId),
        ("delta", Reason::InvalidQuantity),
        ("reason", Reason::InvalidReason),
        ("request_id", Reason::InvalidRequestId),
    ]);
    assert_eq!(reasons(adjust(AdjustStockRequest::default())), expected);
    let request =
        SetSafetyStockRequest { safety: 1_000_000_001, request_id: bad_key, ..Default::default() };
    let expected = named([
        ("goods_id", Reason::InvalidGoodsId),
        ("safety", Reason::QuantityTooHigh),
        ("request_id", Reason::InvalidRequestId),
    ]);
    assert_eq!(reasons(safety(request)), expected);
}

#[test]
fn an_adjustment_is_bounded_both_ways() {
    for (delta, wrong) in [
        (1_000_000_000, None),
        (-1_000_000_000, None),
        (0, Some(Reason::InvalidQuantity)),
        (1_000_000_001, Some(Reason::QuantityTooHigh)),
        (-1_000_000_001, Some(Reason::QuantityTooHigh)),
        (i64::MIN, Some(Reason::QuantityTooHigh)),
        (i64::MAX, Some(Reason::QuantityTooHigh)),
    ] {
        let parsed = adjust(AdjustStockRequest { delta, ..adjustment() });
        match wrong {
            None => drop(parsed.expect("a good adjustment")),
            Some(reason) => assert_eq!(reasons(parsed), named([("delta", reason)]), "{delta}"),
        }
    }
}

#[test]
fn the_reason_of_an_adjustment_has_1_to_200_characters_and_no_control_characters() {
    for reason in ["x", "盘点", &"界".repeat(200)] {
        adjust(AdjustStockRequest { reason: reason.into(), ..adjustment() })
            .expect("a good reason");
    }
    for reason in ["", &"界".repeat(201), "two\nlines", "a\0b"] {
        let parsed = adjust(AdjustStockRequest { reason: reason.into(), ..adjustment() });
        assert_eq!(reasons(parsed), named([("reason", Reason::InvalidReason)]), "{reason:?}");
    }
}

#[test]
fn an_etag_comes_back_and_any_other_text_is_that_of_no_stock() {
    for version in [1, 7, i64::MAX] {
        assert_eq!(version_of(&etag(version)), Some(version));
    }
    for other in ["nonsense", "v", "7", "v7x", "v07", "v+7", "v99999999999999999999"] {
        assert_eq!(version_of(other), Some(NO_VERSION), "{other:?}");
    }
    assert_eq!(version_of(""), None);
}

#[test]
fn goods_that_stand_in_a_batch_twice_are_named() {
    let stocks = |ids: &[i64]| -> Vec<_> {
        ids.iter().map(|id| SetStockRequest { goods_id: *id, ..Default::default() }).collect()
    };
    assert_eq!(can_be_a_batch(&stocks(&[1, 2, 3])), Ok(()));
    assert_eq!(can_be_a_batch(&[]), Ok(()));
    // They are wrong each by itself.
    assert_eq!(can_be_a_batch(&stocks(&[0, 0, -1, -1])), Ok(()));
    let twice = Reason::DuplicateGoodsId;
    assert_eq!(
        reasons(can_be_a_batch(&stocks(&[5, 7, 5, 5, 7]))),
        named([
            ("stocks[2].goods_id", twice),
            ("stocks[3].goods_id", twice),
            ("stocks[4].goods_id", twice)
        ])
    );
    let many: Vec<_> = (1..=501).collect();
    let expected = named([("stocks", Reason::TooManyGoods)]);
    assert_eq!(reasons(can_be_a_batch(&stocks(&many))), expected);
    assert_eq!(can_be_a_batch(&stocks(&many[..500])), Ok(()));
}

#[test]
fn goods_are_asked_for_once_in_the_order_given() {
    let asked = several(vec![3, 9, 3, 1]).unwrap();
    assert_eq!(asked.into_iter().map(GoodsId::get).collect::<Vec<_>>(), [3, 9, 1]);
    let wrong = reasons(several(vec![1, 0, -1]));
    let reason = Reason::InvalidGoodsId;
    assert_eq!(wrong, named([("goods_ids[1]", reason), ("goods_ids[2]", reason)]));
}
