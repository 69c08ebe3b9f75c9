//! Setting stocks to what the ledger and the holds say.

use super::books::START;
use super::goods;
use crate::decide::{Account, Disagreement, Drift, Held, Irreparable, Round};
use crate::order::QUANTITY_MAX;
use crate::record::{Entry, Kind, Shelf, Stock};

const STOCK: Stock = Stock { on_hand: 7, reserved: 3, safety: 2, version: 5, update_time: START };

fn account(sum: i64, balance: i64, held: i64) -> Account {
    Account { sum, balance, held }
}

/// A round that holds goods 1, with this stock or none, a second later.
fn round(stock: Option<Stock>) -> Round {
    let shelf = Shelf(stock.into_iter().map(|stock| (goods(1), stock)).collect());
    Round::on(Held { now: START + 1_000, goods: [goods(1)].into(), shelf, ..Held::default() })
}

#[track_caller]
fn disagreements(account: Account) -> Vec<Disagreement> {
    let drift = Drift::of(Some(&STOCK), account).expect("a drift");
    assert_eq!((drift.on_hand, drift.reserved, drift.account), (7, 3, account));
    drift.disagreements().collect()
}

#[test]
fn a_stock_that_agrees_does_not_drift_and_is_left_as_it_is() {
    assert_eq!(Drift::of(Some(&STOCK), account(7, 7, 3)), None);
    assert_eq!(Drift::of(None, Account::default()), None);
    for (stock, account) in [(Some(STOCK), account(7, 7, 3)), (None, Account::default())] {
        let mut round = round(stock);
        assert_eq!(round.repair(goods(1), account), Ok(()));
        assert!(round.changes().is_empty());
    }
}

#[test]
fn whatever_does_not_agree_is_named() {
    use Disagreement::{Balance, OnHand, Reserved};
    assert_eq!(disagreements(account(9, 9, 3)), [OnHand]);
    assert_eq!(disagreements(account(7, 9, 3)), [Balance]);
    assert_eq!(disagreements(account(7, 7, 4)), [Reserved]);
    assert_eq!(disagreements(account(9, 7, 2)), [OnHand, Balance, Reserved]);
    let unstocked = Drift::of(None, account(1, 1, 0)).unwrap();
    assert_eq!((unstocked.on_hand, unstocked.disagreements().count()), (0, 1));
}

#[test]
fn a_stock_is_set_to_what_its_account_says_and_that_is_written_down() {
    for (account, words) in [
        (account(9, 9, 3), "on_hand 7 -> 9"),
        (account(7, 9, 3), "balance 9 -> 7"),
        (account(7, 7, 4), "reserved 3 -> 4"),
        (account(9, 8, 0), "on_hand 7 -> 9, balance 8 -> 9, reserved 3 -> 0"),
        (account(3, 3, 3), "on_hand 7 -> 3"),
        (account(QUANTITY_MAX, 7, 3), "on_hand 7 -> 1000000000, balance 7 -> 1000000000"),
    ] {
        let mut round = round(Some(STOCK));
        assert_eq!(round.repair(goods(1), account), Ok(()));
        let changes = round.changes();
        let (on_hand, reserved) = (account.sum, account.held);
        let after = Stock { on_hand, reserved, version: 6, update_time: START + 1_000, ..STOCK };
        assert_eq!(changes.stocks, [(goods(1), STOCK, after)]);
        let entry = Entry {
            goods: goods(1),
            order: None,
            kind: Kind::Repair,
            delta: 0,
            balance: on_hand,
            reason: Some(words.to_owned()),
        };
        assert_eq!(changes.ledger, [entry]);
        // It may leave less available without anything being taken.
        assert_eq!(changes.set, [goods(1)].into());
    }
}

#[test]
fn goods_that_are_in_the_ledger_only_are_stocked_again() {
    let mut round = round(None);
    assert_eq!(round.repair(goods(1), account(5, 5, 2)), Ok(()));
    let changes = round.changes();
    let now = START + 1_000;
    let stock = Stock { on_hand: 5, reserved: 2, safety: 0, version: 1, update_time: now };
    assert_eq!(changes.new_stocks, [(goods(1), stock)]);
    assert_eq!((changes.ledger[0].delta, changes.ledger[0].balance), (0, 5));
}

#[test]
fn a_stock_is_not_set_to_what_no_stock_can_be() {
    for (account, why) in [
        (account(2, 7, 3), Irreparable::SumBelowHeld),
        (account(-1, -1, 0), Irreparable::SumBelowHeld),
        (account(QUANTITY_MAX + 1, 7, 3), Irreparable::SumAboveCap),
    ] {
        let mut round = round(Some(STOCK));
        assert_eq!(round.repair(goods(1), account), Err(why));
        assert!(round.changes().is_empty());
    }
}
