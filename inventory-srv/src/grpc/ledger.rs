//! `ListLedger`.

use super::page::{self, After, List};
use super::stock::goods_id;
use super::time::timestamp;
use crate::Inventory;
use crate::error::Error;
use crate::order::Key;
use crate::record::{Entry, Kind, LedgerFilter, LedgerRow};
use crate::violations::{Reason, Violations};
use proto::inventory::v1::{
    self as wire, ListLedgerRequest, ListLedgerResponse, list_ledger_request::Filter,
};

pub(super) async fn list(
    inventory: &Inventory,
    request: ListLedgerRequest,
) -> Result<ListLedgerResponse, Error> {
    let list = List::new(
        "ledger",
        &ListLedgerRequest { page_size: 0, page_token: String::new(), ..request.clone() },
    );
    let Listing { filter, after, size } = parse(request, &list)?;
    let page = inventory.ledger(&filter, after, size).await?;
    let next = page.next.map(|id| list.token(&After { number: id, text: String::new() }));
    Ok(ListLedgerResponse {
        entries: page.rows.into_iter().map(message).collect(),
        next_page_token: next.unwrap_or_default(),
    })
}

/// What `ListLedger` asks for.
#[derive(Debug, PartialEq, Eq)]
struct Listing {
    filter: LedgerFilter,
    after: Option<i64>,
    size: u32,
}

fn parse(request: ListLedgerRequest, list: &List) -> Result<Listing, Violations> {
    let ListLedgerRequest { filter, page_size, page_token } = request;
    let mut violations = Violations::default();
    let filter = match filter {
        Some(Filter::GoodsId(id)) => {
            goods_id(id, "goods_id", &mut violations).map(LedgerFilter::Goods)
        }
        Some(Filter::OrderSn(sn)) => {
            Key::parse(sn, "order_sn", Reason::InvalidOrderSn, &mut violations)
                .map(LedgerFilter::Order)
        }
        None => {
            let complaint = "must be given: goods_id or order_sn";
            violations.add("filter", Reason::EmptyFilter, complaint);
            None
        }
    };
    let size = page::size(page_size, &mut violations);
    let after = list.after(&page_token, &mut violations).map(|after| after.number);
    match filter {
        Some(filter) if violations.is_empty() => Ok(Listing { filter, after, size }),
        _ => Err(violations),
    }
}

fn message(row: LedgerRow) -> wire::LedgerEntry {
    let LedgerRow { id, time, entry } = row;
    let Entry { goods, order, kind, delta, balance, reason } = entry;
    wire::LedgerEntry {
        id,
        time: Some(timestamp(time)),
        goods_id: goods.get(),
        order_sn: order.map(|sn| sn.as_str().to_owned()).unwrap_or_default(),
        kind: match kind {
            Kind::Set => wire::LedgerKind::Set,
            Kind::Sell => wire::LedgerKind::Sell,
            Kind::Reback => wire::LedgerKind::Reback,
            Kind::Adjust => wire::LedgerKind::Adjust,
            Kind::Repair => wire::LedgerKind::Repair,
            Kind::Opening => wire::LedgerKind::Opening,
        }
        .into(),
        delta,
        balance,
        reason: reason.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::GoodsId;

    fn parsed(request: ListLedgerRequest) -> Result<Listing, Vec<Reason>> {
        let whole =
            ListLedgerRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        parse(request, &List::new("ledger", &whole)).map_err(|violations| {
            violations.shown().iter().map(|violation| violation.reason).collect()
        })
    }

    fn of(filter: Filter) -> ListLedgerRequest {
        ListLedgerRequest { filter: Some(filter), ..Default::default() }
    }

    #[test]
    fn a_listing_is_about_goods_or_an_order() {
        let filter = LedgerFilter::Goods(GoodsId::new(7).unwrap());
        assert_eq!(parsed(of(Filter::GoodsId(7))), Ok(Listing { filter, after: None, size: 50 }));
        let filter = LedgerFilter::Order(Key::from_record("o-1".into()));
        let request = ListLedgerRequest { page_size: 7, ..of(Filter::OrderSn("o-1".into())) };
        assert_eq!(parsed(request), Ok(Listing { filter, after: None, size: 7 }));
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let request =
            ListLedgerRequest { filter: None, page_size: -1, page_token: "nonsense".into() };
        let expected = vec![Reason::EmptyFilter, Reason::InvalidPageSize, Reason::InvalidPageToken];
        assert_eq!(parsed(request), Err(expected));
        assert_eq!(parsed(of(Filter::GoodsId(0))), Err(vec![Reason::InvalidGoodsId]));
        assert_eq!(parsed(of(Filter::OrderSn(String::new()))), Err(vec![Reason::InvalidOrderSn]));
    }

    #[test]
    fn kinds_have_the_same_numbers_everywhere() {
        for kind in Kind::ALL {
            let entry = Entry {
                goods: GoodsId::new(1).unwrap(),
                order: None,
                kind,
                delta: -1,
                balance: 2,
                reason: None,
            };
            let message = message(LedgerRow { id: 1, time: 0, entry });
            assert_eq!(i64::from(message.kind), kind as i64);
        }
    }
}
