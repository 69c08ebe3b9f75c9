//! Each promise is broken on purpose, in the rows or in what was told, and each time the checker must say which.

use super::*;
use crate::{
    books::{LedgerRow, LineRow, StockRow, kind, state},
    history::{Act, Call, Lines, Look, Told},
};
use proto::inventory::v1::OrderState;
use std::time::Duration;

const SET: i64 = 1;

/// What clients did and what is on record of it.
#[derive(Clone, Default)]
struct World {
    history: History,
    books: Books,
}

fn lines(lines: &[(i64, i64)]) -> Lines {
    lines.iter().copied().collect()
}

fn done(state: OrderState) -> Told {
    Told::Acknowledged { state, replayed: false }
}

fn again(state: OrderState) -> Told {
    Told::Acknowledged { state, replayed: true }
}

fn open() -> Told {
    Told::Unknown("no answer".into())
}

fn refused(reason: &str) -> Told {
    Told::Refused(reason.into())
}

impl World {
    /// The next call: it is sent after everything before it was answered, and answered 8 ms later.
    fn call(&mut self, order: &str, act: Act, told: Told) {
        let began = Duration::from_millis(10 * self.history.calls.len() as u64);
        let ended = began + Duration::from_millis(8);
        self.history.calls.push(Call { order: order.into(), act, began, ended, told });
    }

    fn row(&mut self, goods: i64, order: Option<&str>, kind: i64, delta: i64) {
        let id = 1 + self.books.ledger.len() as i64;
        let stock = self.books.stocks.entry(goods).or_insert(StockRow { on_hand: 0, reserved: 0 });
        stock.on_hand += delta;
        let (order, balance) = (order.map(str::to_owned), stock.on_hand);
        self.books.ledger.push(LedgerRow { id, goods, order, kind, delta, balance });
    }

    fn line(&mut self, order: &str, goods: i64, quantity: i64, returned: i64) {
        self.books.lines.insert((order.into(), goods), LineRow { quantity, returned });
    }

    fn found(&self) -> Vec<Invariant> {
        let mut found: Vec<_> = violations(&self.history, &self.books, Clock::Steady)
            .iter()
            .map(|violation| violation.invariant)
            .collect();
        found.dedup();
        found
    }
}

/// Two goods; `a` is sold, `b` was given back, `c` was closed before it came, `d` is held, `e` fell short.
fn good() -> World {
    let mut world = World::default();
    world.row(1, None, SET, 5);
    world.row(2, None, SET, 5);
    world.call("a", Act::Sell(lines(&[(1, 2), (2, 1)])), done(OrderState::Confirmed));
    for (goods, pieces) in [(1, 2), (2, 1)] {
        world.row(goods, Some("a"), kind::SELL, -pieces);
        world.line("a", goods, pieces, 0);
    }
    world.call("b", Act::Sell(lines(&[(1, 1)])), done(OrderState::Confirmed));
    world.row(1, Some("b"), kind::SELL, -1);
    world.call("b", Act::Reback, done(OrderState::Returned));
    world.row(1, Some("b"), kind::REBACK, 1);
    world.line("b", 1, 1, 1);
    world.call("c", Act::Cancel, done(OrderState::Cancelled));
    world.call(
        "d",
        Act::Hold(lines(&[(2, 2)]), Duration::from_secs(60)),
        done(OrderState::Reserved),
    );
    world.line("d", 2, 2, 0);
    world.books.holds.insert(("d".into(), 2), 2);
    world.books.stocks.get_mut(&2).unwrap().reserved = 2;
    world.call("e", Act::Sell(lines(&[(1, 9)])), refused("INSUFFICIENT_STOCK"));
    for (order, state) in [
        ("a", state::CONFIRMED),
        ("b", state::RETURNED),
        ("c", state::CANCELLED),
        ("d", state::RESERVED),
    ] {
        world.books.orders.insert(order.into(), state);
    }
    let [began, ended] = [15, 17].map(Duration::from_millis);
    world.history.looks.push(Look { goods: 1, on_hand: 2, began, ended });
    world
}

#[test]
fn a_good_world_passes() {
    assert_eq!(violations(&good().history, &good().books, Clock::Steady), []);
}

/// Breaks a good world.
type Break = fn(&mut World);

#[test]
fn each_broken_row_is_found_and_named() {
    use Invariant::*;
    let broken: [(&str, Invariant, Break); 17] = [
        ("a goods below zero", NoOversell, |world| {
            world.row(1, Some("a"), kind::SELL, -9);
        }),
        ("more reserved than there is", NoOversell, |world| {
            world.books.stocks.get_mut(&1).unwrap().reserved = 4;
        }),
        ("a deduction that was lost", Conservation, |world| {
            world.books.stocks.get_mut(&1).unwrap().on_hand = 5;
        }),
        ("a balance that is off", Conservation, |world| world.books.ledger[3].balance += 1),
        ("a stock without a ledger", Conservation, |world| {
            world.books.stocks.insert(3, StockRow { on_hand: 1, reserved: 0 });
        }),
        ("a row of no order", Conservation, |world| world.row(1, None, kind::SELL, -1)),
        ("a hold that nobody counts", Conservation, |world| {
            world.books.stocks.get_mut(&2).unwrap().reserved = 0;
        }),
        ("a hold that was lost", Conservation, |world| world.books.holds.clear()),
        ("an order sold twice", NoLossNoDouble, |world| {
            world.row(1, Some("a"), kind::SELL, -2);
        }),
        ("an order given back twice", NoLossNoDouble, |world| {
            world.row(1, Some("b"), kind::REBACK, 1);
        }),
        ("an order that nobody sent", NoLossNoDouble, |world| {
            world.books.orders.insert("x".into(), state::CANCELLED);
        }),
        ("half an order", Whole, |world| {
            world.books.lines.remove(&("a".to_owned(), 2));
        }),
        ("a sale without a ledger row", Whole, |world| {
            world.books.ledger.remove(3);
            world.books.stocks.get_mut(&2).unwrap().on_hand = 5;
        }),
        ("an order without its header", Whole, |world| {
            world.books.orders.remove("a");
        }),
        ("a cancelled order that sold", Whole, |world| {
            world.books.orders.insert("a".into(), state::CANCELLED);
        }),
        ("a sold order that holds", Whole, |world| {
            world.books.orders.insert("d".into(), state::CONFIRMED);
        }),
        ("an order partly returned that gave nothing", Whole, |world| {
            world.books.orders.insert("a".into(), state::PARTLY_RETURNED);
        }),
    ];
    for (name, invariant, break_it) in broken {
        let mut world = good();
        break_it(&mut world);
        let found = world.found();
        assert!(found.contains(&invariant), "{name}: found {found:?}, not {invariant:?}");
    }
}

#[test]
fn each_answer_that_is_not_so_is_found_and_named() {
    use Invariant::*;
    let broken: [(&str, Invariant, Break); 10] = [
        ("an acknowledged order that is lost", NoLossNoDouble, |world| {
            world.call("x", Act::Sell(lines(&[(1, 1)])), done(OrderState::Confirmed));
        }),
        ("a refused order that is sold", NoLossNoDouble, |world| {
            world.history.calls[0].told = refused("INSUFFICIENT_STOCK");
        }),
        ("an order that is said not to be done and is", NoLossNoDouble, |world| {
            world.history.calls[0].told = Told::Undone("STORE_UNAVAILABLE".into());
        }),
        ("an acknowledged return that is lost", NoLossNoDouble, |world| {
            world.call("a", Act::Reback, done(OrderState::Returned));
        }),
        ("other lines than were sent", NoLossNoDouble, |world| {
            world.history.calls[0].act = Act::Sell(lines(&[(1, 2), (2, 2)]));
        }),
        ("two who were both the first", OneAnswer, |world| {
            world.call("a", Act::Sell(lines(&[(1, 2), (2, 1)])), done(OrderState::Confirmed));
        }),
        ("other lines under a known number that are taken", OneAnswer, |world| {
            world.call("a", Act::Sell(lines(&[(1, 1)])), again(OrderState::Confirmed));
        }),
        ("a closed order that is sold again", OneAnswer, |world| {
            world.call("b", Act::Sell(lines(&[(1, 1)])), again(OrderState::Confirmed));
        }),
        ("a sale that was forgotten between two answers", OneAnswer, |world| {
            world.call("a", Act::Confirm, refused("ORDER_NOT_FOUND"));
        }),
        ("an order that stands before one that was answered earlier", InOrder, |world| {
            world.books.ledger.swap(4, 2);
        }),
    ];
    for (name, invariant, break_it) in broken {
        let mut world = good();
        break_it(&mut world);
        let found = world.found();
        assert!(found.contains(&invariant), "{name}: found {found:?}, not {invariant:?}");
    }
}

#[test]
fn what_is_open_may_be_so_or_not_and_comes_about_at_any_time() {
    let sell = || Act::Sell(lines(&[(1, 1)]));
    // Never done.
    let mut world = good();
    world.call("x", sell(), open());
    assert_eq!(world.found(), []);
    // Done.
    world.row(1, Some("x"), kind::SELL, -1);
    world.line("x", 1, 1, 0);
    world.books.orders.insert("x".into(), state::CONFIRMED);
    assert_eq!(world.found(), []);
    // Done, and found by the next call.
    world.call("x", sell(), again(OrderState::Confirmed));
    assert_eq!(world.found(), []);
    // Refused first, done by the call whose answer is still missing.
    world.history.calls.last_mut().unwrap().told = refused("INSUFFICIENT_STOCK");
    assert_eq!(world.found(), []);
    // But then nobody can be told that it was done by a call that had been answered before.
    world.call("x", Act::Confirm, refused("ORDER_NOT_FOUND"));
    assert_eq!(world.found(), []);
    world.history.calls.iter_mut().find(|call| call.order == "x").unwrap().told =
        done(OrderState::Confirmed);
    assert_eq!(world.found(), [Invariant::OneAnswer]);
}

#[test]
fn a_call_that_is_refused_may_have_done_itself_what_closed_it_to_its_next_attempt() {
    let sell = || Act::Sell(lines(&[(1, 1)]));
    let mut world = World::default();
    world.row(1, None, SET, 5);
    // An attempt of this is done and not heard of; the order is given back; the next attempt finds it closed.
    world.call("x", sell(), refused("ORDER_ALREADY_CLOSED"));
    world.row(1, Some("x"), kind::SELL, -1);
    world.call("x", Act::Reback, done(OrderState::Returned));
    world.row(1, Some("x"), kind::REBACK, 1);
    world.line("x", 1, 1, 1);
    world.books.orders.insert("x".into(), state::RETURNED);
    let reback = world.history.calls[1].began;
    world.history.calls[1].began = world.history.calls[0].began;
    // Somebody else is answered in between, and at the end the same is sent again.
    world.call("y", sell(), done(OrderState::Confirmed));
    world.row(1, Some("y"), kind::SELL, -1);
    world.line("y", 1, 1, 0);
    world.books.orders.insert("y".into(), state::CONFIRMED);
    world.call("x", sell(), open());
    assert_eq!(world.found(), []);
    // Sent after its order was answered as given back, it cannot have been the one that took.
    world.history.calls[0].began = reback + Duration::from_millis(30);
    world.history.calls[0].ended = reback + Duration::from_millis(38);
    assert_ne!(world.found(), []);
}

/// An order that is held for 50 ms, and confirmed or refused so many milliseconds after that was answered.
fn confirmed(later: u64, told: Told, clock: Clock) -> Vec<Invariant> {
    let mut world = World::default();
    world.row(1, None, SET, 5);
    world.call(
        "h",
        Act::Hold(lines(&[(1, 1)]), Duration::from_millis(50)),
        done(OrderState::Reserved),
    );
    let is_sold = matches!(told, Told::Acknowledged { .. });
    world.call("h", Act::Confirm, told);
    let call = &mut world.history.calls[1];
    call.began += Duration::from_millis(later);
    call.ended += Duration::from_millis(later);
    world.line("h", 1, 1, 0);
    let state = if is_sold { state::CONFIRMED } else { state::RESERVED };
    world.books.orders.insert("h".into(), state);
    if is_sold {
        world.row(1, Some("h"), kind::SELL, -1);
    }
    let found = violations(&world.history, &world.books, clock);
    found.iter().map(|violation| violation.invariant).collect()
}

#[test]
fn a_hold_lives_until_its_end_and_no_longer_unless_the_clock_jumps() {
    let (sold, expired) = (done(OrderState::Confirmed), refused("RESERVATION_EXPIRED"));
    assert_eq!(confirmed(0, sold.clone(), Clock::Steady), []);
    assert_eq!(confirmed(500, expired.clone(), Clock::Steady), []);
    assert_eq!(confirmed(500, sold.clone(), Clock::Steady), [Invariant::OneAnswer]);
    assert_eq!(confirmed(0, expired.clone(), Clock::Steady), [Invariant::OneAnswer]);
    assert_eq!(confirmed(500, sold, Clock::Jumps), []);
    assert_eq!(confirmed(0, expired, Clock::Jumps), []);
}

#[test]
fn a_look_that_saw_what_was_not_so_is_found() {
    let look = |on_hand, began, ended| {
        let mut world = good();
        let [began, ended] = [began, ended].map(Duration::from_millis);
        world.history.looks = vec![Look { goods: 1, on_hand, began, ended }];
        world.found()
    };
    // 5 were there at first, 3 after `a` (0 to 8 ms), 2 after `b` (10 to 18 ms), 3 again (20 to 28 ms).
    assert_eq!(look(5, 0, 4), []);
    assert_eq!(look(5, 9, 9), [Invariant::InOrder], "older than what was answered");
    assert_eq!(look(3, 9, 9), []);
    assert_eq!(look(2, 9, 9), [Invariant::InOrder], "newer than what was sent");
    assert_eq!(look(2, 11, 15), []);
    assert_eq!(look(4, 0, 99), [Invariant::InOrder], "never so");
    // Two looks, one after the other, must not see time go back.
    let mut world = good();
    let moments = [(2, 11, 12), (3, 13, 14)];
    world.history.looks = moments
        .map(|(on_hand, began, ended)| {
            let [began, ended] = [began, ended].map(Duration::from_millis);
            Look { goods: 1, on_hand, began, ended }
        })
        .to_vec();
    assert_eq!(world.found(), [Invariant::InOrder]);
}

#[test]
fn pieces_come_back_once_per_request_and_never_more_than_were_sold() {
    let give = |request: &str, pieces| Act::GiveBack(request.into(), lines(&[(1, pieces)]));
    let mut world = World::default();
    world.row(1, None, SET, 5);
    world.call("a", Act::Sell(lines(&[(1, 3)])), done(OrderState::Confirmed));
    world.row(1, Some("a"), kind::SELL, -3);
    world.call("a", give("r-1", 1), done(OrderState::PartlyReturned));
    world.row(1, Some("a"), kind::REBACK, 1);
    world.call("a", give("r-1", 1), again(OrderState::PartlyReturned));
    world.call("a", give("r-1", 2), refused("REQUEST_PAYLOAD_MISMATCH"));
    world.call("a", give("r-2", 3), refused("RETURN_EXCEEDS_SOLD"));
    world.line("a", 1, 3, 1);
    world.books.orders.insert("a".into(), state::PARTLY_RETURNED);
    world.books.returns.insert(("a".into(), "r-1".into()));
    assert_eq!(world.found(), []);
    // The same request again, and this time pieces move.
    let mut twice = world.clone();
    twice.row(1, Some("a"), kind::REBACK, 1);
    twice.line("a", 1, 3, 2);
    assert_eq!(twice.found(), [Invariant::NoLossNoDouble]);
    // An acknowledged return that is not on record.
    let mut lost = world.clone();
    lost.call("a", give("r-3", 1), done(OrderState::PartlyReturned));
    assert_eq!(lost.found(), [Invariant::NoLossNoDouble]);
    // More than was sold.
    let mut more = world;
    more.call("a", give("r-4", 3), done(OrderState::PartlyReturned));
    assert_eq!(more.found(), [Invariant::OneAnswer]);
}

#[test]
fn a_hundred_equal_calls_at_once_are_explained_if_one_of_them_was_the_first() {
    let sell = Act::Sell(lines(&[(1, 1)]));
    let mut world = World::default();
    world.row(1, None, SET, 5);
    for number in 0..100 {
        let told =
            if number == 57 { done(OrderState::Confirmed) } else { again(OrderState::Confirmed) };
        world.call("a", sell.clone(), told);
    }
    for call in &mut world.history.calls {
        (call.began, call.ended) = (Duration::ZERO, Duration::from_millis(5));
    }
    world.row(1, Some("a"), kind::SELL, -1);
    world.line("a", 1, 1, 0);
    world.books.orders.insert("a".into(), state::CONFIRMED);
    assert_eq!(world.found(), []);
    world.history.calls[3].told = done(OrderState::Confirmed);
    assert_eq!(world.found(), [Invariant::OneAnswer]);
}
