//! Lists of goods: one statement a page, whatever the filter.

use super::row::{COLUMNS, FROM};
use crate::goods::GoodsFilter;
use crate::page::{Order, Start};
use crate::store::statement::{Statement, containing};
use crate::text::folded;

/// The goods of one page.
pub(super) fn page(filter: &GoodsFilter, order: Order, start: &Start, limit: usize) -> Statement {
    let statement = subtrees(filter).and("SELECT ").and(COLUMNS).and(" ").and(FROM);
    let statement = conditions(statement, filter);
    let statement = match &start.0 {
        Some(keys) => statement.and(" AND ").behind(order, keys),
        None => statement,
    };
    statement.page(order, limit).not_kept()
}

/// How many goods there are on all pages.
pub(super) fn total(filter: &GoodsFilter) -> Statement {
    conditions(subtrees(filter).and("SELECT COUNT(*) ").and(FROM), filter).not_kept()
}

/// The categories of the filter and all that stand under them. UNION drops what was found before, so it ends in any
/// case.
fn subtrees(filter: &GoodsFilter) -> Statement {
    if filter.categories.is_empty() {
        return Statement::new("");
    }
    Statement::new(
        "WITH RECURSIVE subtree (id) AS (SELECT id FROM categories WHERE delete_time IS NULL AND id IN ",
    )
    .any_of(&filter.categories)
    .and(
        " UNION SELECT t.id FROM categories t JOIN subtree s ON t.parent_id = s.id WHERE t.delete_time IS NULL) ",
    )
}

fn conditions(statement: Statement, filter: &GoodsFilter) -> Statement {
    let GoodsFilter {
        categories,
        brands,
        shop_price,
        text,
        on_sale,
        ship_free,
        is_new,
        is_hot,
        is_tab,
    } = filter;
    let mut statement = statement.and(" WHERE g.delete_time IS NULL");
    if !categories.is_empty() {
        statement = statement.and(" AND g.category_id IN (SELECT id FROM subtree)");
    }
    if !brands.is_empty() {
        statement = statement.and(" AND g.brand_id IN ").any_of(brands);
    }
    if let Some(range) = shop_price {
        statement = statement
            .and(" AND g.currency = ? AND g.shop_price BETWEEN ? AND ?")
            .bind(range.currency.as_str())
            .bind(range.minimum)
            .bind(range.maximum);
    }
    if let Some(text) = text {
        statement = statement
            .and(" AND g.search_text LIKE ? ESCAPE '!'")
            .bind(containing(&folded(text.as_str())));
    }
    for (condition, flag) in [
        (" AND g.on_sale = ?", on_sale),
        (" AND g.ship_free = ?", ship_free),
        (" AND g.is_new = ?", is_new),
        (" AND g.is_hot = ?", is_hot),
        (" AND c.is_tab = ?", is_tab),
    ] {
        if let Some(flag) = flag {
            statement = statement.and(condition).bind(*flag);
        }
    }
    statement
}

/// Pages and totals with no condition and with all of them, in every order.
#[cfg(test)]
pub(super) fn every_statement(ids: &[crate::noun::Id]) -> Vec<Statement> {
    use crate::goods::ORDERS;
    use crate::money::PriceRange;
    use crate::page::{Column, Key};
    use crate::text::Search;
    use crate::violations::{Reason, Violations};

    let mut violations = Violations::default();
    let text = Search::parse("x", "text", Reason::InvalidText, &mut violations);
    let everything = GoodsFilter {
        categories: ids.to_vec(),
        brands: ids.to_vec(),
        shop_price: PriceRange::parse("EUR", None, None, "shop_price", &mut violations),
        text,
        on_sale: Some(true),
        ship_free: Some(true),
        is_new: Some(true),
        is_hot: Some(true),
        is_tab: Some(true),
    };
    let mut statements = Vec::new();
    for filter in [GoodsFilter::default(), everything] {
        statements.push(total(&filter));
        for (name, columns) in ORDERS {
            for descending in [false, true] {
                let order = Order { name, columns, descending };
                let keys = columns.iter().map(|column| match column {
                    Column::Number(_) => Key::Number(1),
                    Column::Text(_) => Key::Text("x".to_owned()),
                });
                statements.push(page(&filter, order, &Start(None), 1));
                statements.push(page(&filter, order, &Start(Some(keys.collect())), 1));
            }
        }
    }
    statements
}
