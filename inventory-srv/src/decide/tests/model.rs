//! A naive shop: it knows no upper bounds, no releases and no rounds, keeps one list of orders, and adds everything up
//! anew whenever it is asked. Written without a look at how `decide` does it.

use super::acts::Act;
use crate::act::{OrderAct, PartialReback, StockAct, StockChange};
use crate::decide::{ExcessLine, Refusal, ShortLine, Shortage};
use crate::order::{GoodsId, Key, Line, Order, OrderSn, QUANTITY_MAX, Ttl};
use crate::record::{Milliseconds, OrderState};
use std::collections::BTreeMap;

const DAY: Milliseconds = 86_400_000;

/// What a caller learns, as far as a naive shop knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Order { state: OrderState, ends: Option<Milliseconds>, replayed: bool, reacquired: bool },
    Stock { on_hand: i64, safety: i64, replayed: bool },
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) now: Milliseconds,
    /// On hand and safety.
    pub(super) stocks: BTreeMap<GoodsId, (i64, i64)>,
    pub(super) orders: BTreeMap<OrderSn, Known>,
    /// What was first asked for under a request id, and what was answered.
    answers: BTreeMap<Key, (StockAct, Told)>,
}

/// An order that the shop has heard of.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// None: closed before it came.
    asked: Option<Order>,
    fate: Fate,
    began: Milliseconds,
    ends: Option<Milliseconds>,
    returns: BTreeMap<Key, Vec<Line>>,
    back: BTreeMap<GoodsId, i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    CalledOff,
    Held,
    Sold,
}

impl Known {
    fn wanted(&self) -> BTreeMap<GoodsId, i64> {
        self.asked.as_ref().map(wanted).unwrap_or_default()
    }

    fn left(&self, goods: GoodsId) -> Option<i64> {
        let quantity = *self.wanted().get(&goods)?;
        Some(quantity - self.back.get(&goods).copied().unwrap_or_default())
    }

    pub(super) fn state(&self, now: Milliseconds) -> OrderState {
        let all: i64 = self.wanted().values().sum();
        let back: i64 = self.back.values().sum();
        match self.fate {
            Fate::CalledOff => OrderState::Cancelled,
            Fate::Held if self.ends.is_some_and(|ends| now >= ends) => OrderState::Expired,
            Fate::Held => OrderState::Reserved,
            Fate::Sold if back == 0 => OrderState::Confirmed,
            Fate::Sold if back < all => OrderState::PartlyReturned,
            Fate::Sold => OrderState::Returned,
        }
    }

    fn told(&self, now: Milliseconds, replayed: bool) -> Told {
        Told::Order { state: self.state(now), ends: self.ends, replayed, reacquired: false }
    }
}

fn wanted(order: &Order) -> BTreeMap<GoodsId, i64> {
    order.lines().iter().map(|line| (line.goods, line.quantity.get())).collect()
}

impl Model {
    pub(super) fn new(now: Milliseconds) -> Self {
        let (stocks, orders, answers) = Default::default();
        Self { now, stocks, orders, answers }
    }

    pub(super) fn act(&mut self, act: &Act) -> Result<Told, Refusal> {
        match act {
            Act::Order(OrderAct::Sell(order)) => self.sell(order),
            Act::Order(OrderAct::Confirm { sn, reacquire }) => self.confirm(sn, *reacquire),
            Act::Order(OrderAct::Cancel(sn)) => self.cancel(sn),
            Act::Order(OrderAct::Extend { sn, ttl }) => self.extend(sn, *ttl),
            Act::Order(OrderAct::Reback(sn)) => self.reback(sn),
            Act::Order(OrderAct::PartialReback(reback)) => self.partial_reback(reback),
            Act::Stock(act) => self.stock(act),
        }
    }

    /// How many pieces live holds have.
    pub(super) fn held(&self, goods: GoodsId) -> i64 {
        let live =
            self.orders.values().filter(|known| known.state(self.now) == OrderState::Reserved);
        live.filter_map(|known| known.wanted().get(&goods).copied()).sum()
    }

    fn shortage(&self, wanted: &BTreeMap<GoodsId, i64>) -> Option<Shortage> {
        let mut shortage = Shortage::default();
        for (&goods, &requested) in wanted {
            match self.stocks.get(&goods) {
                None => shortage.not_stocked.push(ShortLine { goods, requested, available: 0 }),
                Some((on_hand, safety)) => {
                    let available = (on_hand - self.held(goods) - safety).max(0);
                    if requested > available {
                        shortage.short.push(ShortLine { goods, requested, available });
                    }
                }
            }
        }
        (shortage != Shortage::default()).then_some(shortage)
    }

    fn sell(&mut self, order: &Order) -> Result<Told, Refusal> {
        let now = self.now;
        if let Some(known) = self.orders.get(order.sn()) {
            let state = known.state(now);
            return match (&known.asked, state) {
                (None, _) => Err(Refusal::AlreadyClosed(state)),
                (_, OrderState::Returned | OrderState::Cancelled | OrderState::Expired) => {
                    Err(Refusal::AlreadyClosed(state))
                }
                (Some(asked), _)
                    if wanted(asked) != wanted(order)
                        || asked.ttl().is_some() != order.ttl().is_some() =>
                {
                    Err(Refusal::PayloadMismatch(asked.payload()))
                }
                (Some(_), _) => Ok(known.told(now, true)),
            };
        }
        if let Some(shortage) = self.shortage(&wanted(order)) {
            return Err(Refusal::Unobtainable(shortage));
        }
        let ends = order.ttl().map(|ttl| now + ttl.milliseconds());
        let fate = if ends.is_some() { Fate::Held } else { Fate::Sold };
        if fate == Fate::Sold {
            self.take(&wanted(order));
        }
        let asked = Some(order.clone());
        let known = Known { asked, fate, began: now, ends, ..Known::default() };
        let told = known.told(now, false);
        self.orders.insert(order.sn().clone(), known);
        Ok(told)
    }

    fn take(&mut self, wanted: &BTreeMap<GoodsId, i64>) {
        for (goods, pieces) in wanted {
            self.stocks.get_mut(goods).expect("stocked").0 -= pieces;
        }
    }

    fn confirm(&mut self, sn: &OrderSn, reacquire: bool) -> Result<Told, Refusal> {
        let now = self.now;
        let known = self.orders.get(sn).ok_or(Refusal::OrderNotFound)?;
        let state = known.state(now);
        match state {
            OrderState::Confirmed | OrderState::PartlyReturned => return Ok(known.told(now, true)),
            OrderState::Returned | OrderState::Cancelled => {
                return Err(Refusal::AlreadyClosed(state));
            }
            OrderState::Reserved => {}
            OrderState::Expired => {
                if !reacquire || self.shortage(&known.wanted()).is_some() {
                    return Err(Refusal::ReservationExpired(known.ends.expect("it had a ttl")));
                }
            }
        }
        let wanted = known.wanted();
        self.take(&wanted);
        let known = self.orders.get_mut(sn).expect("seen above");
        known.fate = Fate::Sold;
        let (state_now, ends) = (known.state(now), known.ends);
        let reacquired = state == OrderState::Expired;
        Ok(Told::Order { state: state_now, ends, replayed: false, reacquired })
    }

    /// Calls off what is held, and closes what was never seen.
    fn call_off(&mut self, sn: &OrderSn) -> Told {
        let known = self.orders.entry(sn.clone()).or_default();
        known.fate = Fate::CalledOff;
        known.told(self.now, false)
    }

    fn cancel(&mut self, sn: &OrderSn) -> Result<Told, Refusal> {
        match self.orders.get(sn).map(|known| (known.state(self.now), known)) {
            None | Some((OrderState::Reserved, _)) => Ok(self.call_off(sn)),
            Some((OrderState::Confirmed | OrderState::PartlyReturned, _)) => {
                Err(Refusal::AlreadyConfirmed)
            }
            Some((_, known)) => Ok(known.told(self.now, true)),
        }
    }

    fn extend(&mut self, sn: &OrderSn, ttl: Ttl) -> Result<Told, Refusal> {
        let now = self.now;
        let known = self.orders.get_mut(sn).ok_or(Refusal::OrderNotFound)?;
        let ends = known.ends.unwrap_or_default();
        match known.state(now) {
            OrderState::Reserved => {
                let longest = known.began + DAY;
                let longer = (now + ttl.milliseconds()).min(longest).max(ends);
                known.ends = Some(longer);
                Ok(known.told(now, longer == ends))
            }
            OrderState::Expired => Err(Refusal::ReservationExpired(ends)),
            OrderState::Confirmed | OrderState::PartlyReturned => Err(Refusal::AlreadyConfirmed),
            state => Err(Refusal::AlreadyClosed(state)),
        }
    }

    fn reback(&mut self, sn: &OrderSn) -> Result<Told, Refusal> {
        match self.orders.get(sn).map(|known| (known.state(self.now), known)) {
            None | Some((OrderState::Reserved, _)) => Ok(self.call_off(sn)),
            Some((OrderState::Confirmed | OrderState::PartlyReturned, known)) => {
                let left = |goods| Some((goods, known.left(goods)?));
                let rest = known.wanted().into_keys().filter_map(left).collect();
                self.put_back(sn, rest)
            }
            Some((_, known)) => Ok(known.told(self.now, true)),
        }
    }

    fn partial_reback(&mut self, reback: &PartialReback) -> Result<Told, Refusal> {
        let PartialReback { sn, lines, request } = reback;
        let known = self.orders.get(sn).ok_or(Refusal::OrderNotFound)?;
        if let Some(first) = known.returns.get(request) {
            let is_same = first == lines;
            return is_same
                .then(|| known.told(self.now, true))
                .ok_or_else(|| Refusal::RequestMismatch(request.clone()));
        }
        match known.state(self.now) {
            OrderState::Reserved => return Err(Refusal::NotConfirmed),
            state @ (OrderState::Cancelled | OrderState::Expired) => {
                return Err(Refusal::AlreadyClosed(state));
            }
            _ => {}
        }
        let (mut foreign, mut excess) = (Vec::new(), Vec::new());
        for line in lines {
            let (goods, requested) = (line.goods, line.quantity.get());
            match known.left(goods) {
                None => foreign.push(goods),
                Some(returnable) if requested > returnable => {
                    excess.push(ExcessLine { goods, requested, returnable });
                }
                Some(_) => {}
            }
        }
        if !foreign.is_empty() {
            return Err(Refusal::GoodsNotInOrder(foreign));
        }
        if !excess.is_empty() {
            return Err(Refusal::ReturnExceedsSold(excess));
        }
        let pieces = lines.iter().map(|line| (line.goods, line.quantity.get())).collect();
        let told = self.put_back(sn, pieces)?;
        let known = self.orders.get_mut(sn).expect("seen above");
        known.returns.insert(request.clone(), lines.clone());
        Ok(told)
    }

    fn put_back(&mut self, sn: &OrderSn, pieces: Vec<(GoodsId, i64)>) -> Result<Told, Refusal> {
        let is_over = |&&(goods, pieces): &&(GoodsId, i64)| {
            pieces > 0 && self.stocks[&goods].0 + pieces > QUANTITY_MAX
        };
        let over: Vec<_> = pieces.iter().filter(is_over).map(|(goods, _)| *goods).collect();
        if !over.is_empty() {
            return Err(Refusal::Overflows(over));
        }
        let known = self.orders.get_mut(sn).expect("an order that was sold");
        for (goods, pieces) in pieces {
            *known.back.entry(goods).or_default() += pieces;
            self.stocks.get_mut(&goods).expect("stocked").0 += pieces;
        }
        Ok(known.told(self.now, false))
    }

    fn stock(&mut self, act: &StockAct) -> Result<Told, Refusal> {
        let first = act.request.as_ref().and_then(|id| Some((id, self.answers.get(id)?)));
        if let Some((id, (first, told))) = first {
            let Told::Stock { on_hand, safety, .. } = *told else { unreachable!() };
            return if first == act {
                Ok(Told::Stock { on_hand, safety, replayed: true })
            } else {
                Err(Refusal::RequestMismatch(id.clone()))
            };
        }
        let found = self.stocks.get(&act.goods).copied();
        let pieces = found.map_or(0, |(on_hand, _)| on_hand);
        // Versions are no business of a naive shop: histories expect none but the one that no stock has.
        if act.expected.on_hand.is_some_and(|expected| expected != pieces)
            || act.expected.version.is_some()
        {
            return Err(Refusal::Stale(pieces));
        }
        let (on_hand, safety) = self.change(act, found)?;
        self.stocks.insert(act.goods, (on_hand, safety));
        let told = Told::Stock { on_hand, safety, replayed: false };
        if let Some(id) = &act.request {
            self.answers.insert(id.clone(), (act.clone(), told.clone()));
        }
        Ok(told)
    }

    fn change(&self, act: &StockAct, found: Option<(i64, i64)>) -> Result<(i64, i64), Refusal> {
        let (goods, held) = (act.goods, self.held(act.goods));
        match (&act.change, found) {
            (StockChange::SetOnHand(pieces), None) => Ok((*pieces, 0)),
            (_, None) => Err(Refusal::GoodsNotStocked),
            (StockChange::SetOnHand(pieces), Some(_)) if *pieces < held => {
                Err(Refusal::BelowReserved(held))
            }
            (StockChange::SetOnHand(pieces), Some((_, safety))) => Ok((*pieces, safety)),
            (StockChange::SetSafety(safety), Some((on_hand, _))) => Ok((on_hand, *safety)),
            (StockChange::Adjust { delta, .. }, Some((on_hand, safety))) => {
                let available = on_hand - held;
                if on_hand + delta > QUANTITY_MAX {
                    Err(Refusal::Overflows(vec![goods]))
                } else if -delta > available {
                    let short = vec![ShortLine { goods, requested: -delta, available }];
                    Err(Refusal::Unobtainable(Shortage { short, ..Shortage::default() }))
                } else {
                    Ok((on_hand + delta, safety))
                }
            }
        }
    }
}
