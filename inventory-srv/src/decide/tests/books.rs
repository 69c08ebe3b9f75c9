//! What a database keeps, as plain maps.

use super::acts::{Act, Answer, set};
use super::{goods, key};
use crate::act::{Needs, OrderAct};
use crate::decide::{Changes, Expired, Held, Receipt, Refusal, Round, Setting, Undone};
use crate::order::{GoodsId, Key, OrderSn};
use crate::record::{
    Entry, FirstAnswer, KnownLine, KnownOrder, Milliseconds, OrderState, ReturnKey, Shelf, Stock,
};
use std::collections::BTreeMap;

/// The moment at which cases begin.
pub(super) const START: Milliseconds = 1_700_000_000_000;

/// The books of a shop. Whatever is decided passes [`Books::write`] and [`Books::audit`].
#[derive(Clone, Debug)]
pub(super) struct Books {
    /// The database's clock.
    pub(super) now: Milliseconds,
    /// How many dead holds one look shows at most.
    pub(super) look_max: usize,
    pub(super) stocks: BTreeMap<GoodsId, Stock>,
    pub(super) orders: BTreeMap<OrderSn, KnownOrder>,
    /// A row exists exactly while `reserved` counts it.
    pub(super) holds: BTreeMap<(GoodsId, OrderSn), Hold>,
    pub(super) ledger: Vec<Entry>,
    pub(super) requests: BTreeMap<Key, FirstAnswer>,
    pub(super) returns: BTreeMap<ReturnKey, [u8; 32]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) pieces: i64,
    pub(super) expire_time: Milliseconds,
}

impl Books {
    /// Books of a shop that has so many pieces of these goods.
    pub(super) fn with(stocks: &[(i64, i64)]) -> Self {
        let mut books = Self {
            now: START,
            look_max: 500,
            stocks: BTreeMap::new(),
            orders: BTreeMap::new(),
            holds: BTreeMap::new(),
            ledger: Vec::new(),
            requests: BTreeMap::new(),
            returns: BTreeMap::new(),
        };
        for (id, on_hand) in stocks {
            books.changed(set(*id, *on_hand));
        }
        books
    }

    /// An order on record, with which of its lines are held.
    pub(super) fn order(&self, sn: &OrderSn) -> Option<KnownOrder> {
        let mut order = self.orders.get(sn)?.clone();
        for line in &mut order.lines {
            line.held = self.holds.contains_key(&(line.goods, sn.clone()));
        }
        Some(order)
    }

    /// What acts need, as a strategy reads it.
    pub(super) fn held(&self, acts: &[Act]) -> Held {
        let mut needs = Needs::default();
        for act in acts {
            let more = act.needs();
            needs.goods.extend(&more.goods);
            needs.look_up_for(&more);
        }
        let changed = acts.iter().filter_map(Act::changes_order).filter_map(|sn| self.order(sn));
        needs.goods.extend(changed.flat_map(|order| order.goods().collect::<Vec<_>>()));
        Held {
            now: self.now,
            shelf: Shelf(among(&self.stocks, &needs.goods)),
            orders: needs
                .orders
                .iter()
                .filter_map(|sn| Some((sn.clone(), self.order(sn)?)))
                .collect(),
            requests: among(&self.requests, &needs.requests),
            returns: among(&self.returns, &needs.returns),
            goods: needs.goods,
            expired: None,
        }
    }

    /// The dead holds on the held goods, as far as one look shows them.
    pub(super) fn expired(&self, held: &Held) -> Expired {
        let is_dead = |row: &(&(GoodsId, OrderSn), &Hold)| {
            let ((goods, _), hold) = *row;
            held.goods.contains(goods) && hold.expire_time <= held.now
        };
        let dead: Vec<_> = self.holds.iter().filter(is_dead).collect();
        let mut expired = Expired { more: dead.len() > self.look_max, ..Expired::default() };
        for ((goods, sn), hold) in dead.into_iter().take(self.look_max) {
            expired.holds.entry(*goods).or_default().insert(sn.clone(), hold.pieces);
        }
        expired
    }

    /// Decides about all acts in one round (or in several, if more holds are dead than one look shows), writes it and
    /// audits.
    pub(super) fn batch(&mut self, acts: &[Act]) -> Vec<Result<Answer, Refusal>> {
        let mut answers = Vec::new();
        while answers.len() < acts.len() {
            let (answered, holds) = (answers.len(), self.holds.len());
            let rest = &acts[answered..];
            let mut round = Round::on(self.held(rest));
            for act in rest {
                match self.ask(&mut round, act) {
                    Ok(answer) => answers.push(Ok(answer)),
                    Err(Undone::Refused(refusal)) => answers.push(Err(refusal)),
                    Err(Undone::MoreExpired) => break,
                    Err(undone) => panic!("{act:?}: {undone:?}"),
                }
            }
            self.write(&round.changes());
            self.audit();
            assert!(
                answers.len() > answered || self.holds.len() < holds,
                "trying again must come to an end"
            );
        }
        answers
    }

    /// Asks as a strategy does, and sees to it that what is not done moves nothing.
    pub(super) fn ask(&self, round: &mut Round, act: &Act) -> Result<Answer, Undone> {
        let before = round.clone();
        let mut answer = act.ask(round);
        if answer == Err(Undone::LookAtExpired) {
            assert!(round.held().expired.is_none(), "{act:?} asks for what was looked at");
            round.look_at_expired(self.expired(round.held()));
            answer = act.ask(round);
        }
        match &answer {
            Ok(answer) if answer.replayed() => {
                assert_eq!(before.changes(), round.clone().changes(), "{act:?} was a replay");
            }
            Ok(answer) => keeps_back(round, act, answer),
            Err(undone) => {
                let context = format!("{act:?} was {undone:?}");
                Self::nothing_moved(&before, round, &context);
            }
        }
        answer
    }

    #[track_caller]
    pub(super) fn one(&mut self, act: Act) -> Result<Answer, Refusal> {
        self.batch(&[act]).pop().expect("an answer to each act")
    }

    /// The receipt for an act on an order that is done.
    #[track_caller]
    pub(super) fn done(&mut self, act: Act) -> Receipt {
        self.one(act).expect("an act that is done").receipt()
    }

    /// The answer to a change of stock that is done.
    #[track_caller]
    pub(super) fn changed(&mut self, act: Act) -> Setting {
        self.one(act).expect("a change that is done").setting()
    }

    /// Why an act is refused.
    #[track_caller]
    pub(super) fn refused(&mut self, act: Act) -> Refusal {
        self.one(act).expect_err("an act that is refused")
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, milliseconds: i64) {
        self.now += milliseconds;
    }

    pub(super) fn on_hand(&self, id: i64) -> i64 {
        self.stocks[&goods(id)].on_hand
    }

    /// As stored: with dead holds that nobody has released.
    pub(super) fn reserved(&self, id: i64) -> i64 {
        self.stocks[&goods(id)].reserved
    }

    pub(super) fn state(&self, sn: &str) -> OrderState {
        self.order(&key(sn)).expect("an order on record").state_at(self.now)
    }

    /// Writes what was decided. What was read for it must be on record still, and what it says must fit together.
    pub(super) fn write(&mut self, changes: &Changes) {
        for (goods, stock) in &changes.new_stocks {
            assert_eq!(self.stocks.insert(*goods, *stock), None, "{goods} is stocked already");
        }
        for (goods, before, after) in &changes.stocks {
            assert_eq!(self.stocks.insert(*goods, *after), Some(*before));
            assert!(after.version > before.version, "the version grows with every change");
            assert!(after.update_time >= before.update_time);
        }
        for order in &changes.new_orders {
            assert_eq!(self.orders.insert(order.sn.clone(), order.clone()), None);
            for line in order.lines.iter().filter(|line| line.held) {
                let expire_time = order.expire_time.expect("a hold ends");
                let hold = Hold { pieces: line.quantity.get(), expire_time };
                self.holds.insert((line.goods, order.sn.clone()), hold);
            }
        }
        for (before, after) in &changes.orders {
            self.write_order(before, after);
        }
        for (sn, goods) in &changes.released {
            let hold = self.holds.remove(&(*goods, sn.clone())).expect("a hold is released once");
            assert!(hold.expire_time <= changes.now, "only dead holds of others are released");
        }
        self.ledger.extend(changes.ledger.iter().cloned());
        for (id, answer) in &changes.requests {
            assert_eq!(self.requests.insert(id.clone(), answer.clone()), None);
        }
        for (key, payload) in &changes.returns {
            assert_eq!(self.returns.insert(key.clone(), *payload), None);
        }
    }

    fn write_order(&mut self, before: &KnownOrder, after: &KnownOrder) {
        assert_ne!(before, after, "what does not change is not written");
        assert_eq!(self.order(&before.sn).as_ref(), Some(before));
        assert!(after.update_time >= before.update_time);
        let fixed = |order: &KnownOrder| (order.sn.clone(), order.payload, order.create_time);
        assert_eq!(fixed(before), fixed(after));
        let taken = |line: &KnownLine| (line.goods, line.quantity);
        assert!(before.lines.iter().map(taken).eq(after.lines.iter().map(taken)));
        for (was, line) in before.lines.iter().zip(&after.lines) {
            let place = (line.goods, after.sn.clone());
            match (was.held, line.held) {
                (false, false) => {}
                (false, true) => panic!("{place:?}: no hold comes to life again"),
                (true, false) => assert!(self.holds.remove(&place).is_some()),
                (true, true) => {
                    let hold = self.holds.get_mut(&place).expect("it is held");
                    hold.expire_time = after.expire_time.expect("a hold ends");
                }
            }
        }
        self.orders.insert(after.sn.clone(), after.clone());
    }
}

/// Whoever takes pieces that were not its own leaves as many as are reserved and kept back from sale.
fn keeps_back(round: &Round, act: &Act, answer: &Answer) {
    let Answer::Receipt(receipt) = answer else { return };
    if !receipt.reacquired && !matches!(act, Act::Order(OrderAct::Sell(_))) {
        return;
    }
    for line in &receipt.order.lines {
        let stock = round.held().shelf.0[&line.goods];
        assert!(stock.on_hand >= stock.reserved + stock.safety, "{act:?}: {stock:?}");
    }
}

/// The entries of these keys.
fn among<K: Ord + Clone, V: Clone>(
    all: &BTreeMap<K, V>,
    keys: &std::collections::BTreeSet<K>,
) -> BTreeMap<K, V> {
    keys.iter().filter_map(|key| Some((key.clone(), all.get(key)?.clone()))).collect()
}
