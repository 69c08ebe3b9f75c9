//! Gives orders back, by our own record of what they took: pieces come back once, however often and however early it is
//! asked for.

use super::{ExcessLine, Receipt, Refusal, Round, Undone};
use crate::act::PartialReback;
use crate::order::{GoodsId, Line, OrderSn, QUANTITY_MAX};
use crate::record::{Kind, KnownOrder, OrderState};

impl Round {
    pub(super) fn reback(&mut self, sn: &OrderSn) -> Result<Receipt, Undone> {
        let Some(known) = self.held.orders.get(sn) else { return Ok(self.close_unseen(sn)) };
        match known.state_at(self.held.now) {
            OrderState::Returned | OrderState::Cancelled | OrderState::Expired => {
                Ok(self.replay(known))
            }
            OrderState::Reserved => Ok(self.cancel_held(sn)),
            OrderState::Confirmed | OrderState::PartlyReturned => {
                let rest = |line: &crate::record::KnownLine| {
                    (line.goods, line.quantity.get() - line.returned)
                };
                let rest: Vec<_> = known.lines.iter().map(rest).collect();
                self.give_back(sn, &rest)
            }
        }
    }

    pub(super) fn partial_reback(&mut self, reback: &PartialReback) -> Result<Receipt, Undone> {
        let known = self.held.orders.get(&reback.sn).ok_or(Refusal::OrderNotFound)?;
        // Checked before anything else: a repeat is answered whatever became of the order since.
        if let Some(payload) = self.held.returns.get(&reback.key()) {
            return if *payload == reback.payload() {
                Ok(self.replay(known))
            } else {
                Err(Refusal::RequestMismatch(reback.request.clone()).into())
            };
        }
        match known.state_at(self.held.now) {
            OrderState::Reserved => return Err(Refusal::NotConfirmed.into()),
            state @ (OrderState::Cancelled | OrderState::Expired) => {
                return Err(Refusal::AlreadyClosed(state).into());
            }
            OrderState::Confirmed | OrderState::PartlyReturned | OrderState::Returned => {}
        }
        returnable(known, &reback.lines)?;
        let pieces = |line: &Line| (line.goods, line.quantity.get());
        let receipt =
            self.give_back(&reback.sn, &reback.lines.iter().map(pieces).collect::<Vec<_>>())?;
        self.keep_return(reback.key(), reback.payload());
        Ok(receipt)
    }

    /// Gives so many pieces of an order back, which it took and has not given back yet.
    fn give_back(&mut self, sn: &OrderSn, pieces: &[(GoodsId, i64)]) -> Result<Receipt, Undone> {
        let over = |(goods, pieces): &&(GoodsId, i64)| {
            let stock = self.held.shelf.0.get(goods);
            stock.is_some_and(|stock| stock.on_hand + pieces > QUANTITY_MAX)
        };
        let over: Vec<_> = pieces.iter().filter(over).map(|(goods, _)| *goods).collect();
        if !over.is_empty() {
            return Err(Refusal::Overflows(over).into());
        }
        let order = self.held.orders.get_mut(sn).expect("only an order on record is given back");
        for line in &mut order.lines {
            let back = pieces.iter().find(|(goods, _)| *goods == line.goods);
            line.returned += back.map_or(0, |(_, pieces)| *pieces);
        }
        let is_whole = order.lines.iter().all(|line| line.returned == line.quantity.get());
        for (goods, pieces) in pieces.iter().filter(|(_, pieces)| *pieces > 0) {
            self.move_pieces(*goods, *pieces, Kind::Reback, Some(sn), None);
        }
        let state = if is_whole { OrderState::Returned } else { OrderState::PartlyReturned };
        let order = self.set_state(sn, state);
        Ok(self.receipt(order))
    }
}

/// Never more than was sold and is not given back yet, and only goods that the order took.
fn returnable(known: &KnownOrder, lines: &[Line]) -> Result<(), Refusal> {
    let taken = |goods| known.lines.iter().find(|line| line.goods == goods);
    let foreign: Vec<_> =
        lines.iter().map(|line| line.goods).filter(|goods| taken(*goods).is_none()).collect();
    if !foreign.is_empty() {
        return Err(Refusal::GoodsNotInOrder(foreign));
    }
    let excess = |line: &Line| {
        let returnable = taken(line.goods).map_or(0, |line| line.quantity.get() - line.returned);
        let requested = line.quantity.get();
        (requested > returnable).then_some(ExcessLine { goods: line.goods, requested, returnable })
    };
    let excess: Vec<_> = lines.iter().filter_map(excess).collect();
    if excess.is_empty() { Ok(()) } else { Err(Refusal::ReturnExceedsSold(excess)) }
}
