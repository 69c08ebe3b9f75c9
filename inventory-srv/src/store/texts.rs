//! The texts of the statements. Both dialects share each text; what they spell differently is a [`Dialect`].

use super::expiry::EXPIRED_MAX;
use super::statements::{Statement, Statements};
use super::tables::{TABLES, Table};

/// What two dialects spell differently.
pub(super) struct Dialect {
    /// Milliseconds since 1970 in UTC.
    pub(super) clock: &'static str,
    /// Which of two numbers is greater.
    pub(super) greatest: &'static str,
    /// Makes a SELECT hold its rows still.
    pub(super) for_update: &'static str,
    /// After a table's name: by which index to read it. A scan of the whole table, which looks cheap while it is small,
    /// would wait for rows that nobody asked for.
    pub(super) by: fn(&str) -> String,
    /// Begins a DELETE of rows of a table, found by this index.
    pub(super) delete: fn(&str, &str) -> String,
    /// A row comes after a cursor, older first by time and then by key; bound to the time, the time, the key.
    pub(super) older: fn(&str, &str) -> String,
    /// A row comes after a cursor of such columns; bound to the first, then the first two, and so on to all of them.
    pub(super) behind: fn(&[&str]) -> String,
}

/// Single lines of orders. Neither database finds its way by the primary key in a list of pairs, or where a column of
/// the key stands outside; both do here.
const LINES: &str = "([(order_sn = ? AND location_id = 0 AND goods_id = ?)| OR ])";

const STOCK: &str = "goods_id, on_hand, reserved, safety, version, update_time";

/// All statements, as this dialect spells them.
pub(super) fn statements(dialect: &Dialect) -> Statements {
    let Dialect { clock, greatest, for_update, by, .. } = dialect;
    let primary = by("PRIMARY");
    let [orders_by_time, orders_by_goods] = order_lists(dialect);
    let [stocks, orders, requests, returns] = look_ups(dialect);
    let [expired, goods_with_expired] = dead_holds(dialect);
    let [shelf_of, summed, held] = accounts(dialect);
    let [old_orders, oldest_entries, lock_oldest_entries, old_requests] = old(dialect);
    let [delete_orders, delete_lines, delete_returns, delete_requests] = deletes(dialect);
    let [open_ledger, delete_entries] = opening(dialect);
    let [move_orders, extend_orders, extend_holds] = moves(&primary);
    let [end_holds, release_holds] = releases(dialect);
    let [return_all, return_some] = returned(&primary);
    let text = Statement::new;
    let [insert_orders, insert_lines, insert_holds, insert_ledger, insert_returns] = inserts();
    Statements {
        clock: text(format!("SELECT {clock}")),
        look_at_shelf: shelf(&primary, ""),
        lock_shelf: shelf(&primary, for_update),
        stocks,
        orders,
        requests,
        returns,
        expired,
        goods_with_expired,
        orders_by_time,
        orders_by_goods,
        ledger_of_goods: ledger("location_id = 0 AND goods_id = ?", &by("ledger_by_goods")),
        ledger_of_order: ledger("order_sn = ?", &by("ledger_by_order")),
        shelf_of,
        summed,
        held,
        old_orders,
        delete_orders,
        delete_lines,
        delete_returns,
        oldest_entries,
        lock_oldest_entries,
        open_ledger,
        delete_entries,
        old_requests,
        delete_requests,
        take: take(dialect),
        insert_stocks: text(format!(
            "INSERT INTO stock ({STOCK}, lock_fence) VALUES [(?, ?, ?, ?, ?, ?, ?)]"
        )),
        update_stocks: update_stocks(greatest, &primary),
        insert_orders,
        insert_lines,
        insert_holds,
        move_orders,
        extend_orders,
        extend_holds,
        end_holds,
        release_holds,
        return_all,
        return_some,
        insert_ledger,
        insert_requests: text(format!(
            "INSERT INTO stock_request (request_id, payload_hash, {STOCK}) VALUES [(?, ?, ?, ?, ?, ?, ?, ?)]"
        )),
        insert_returns,
        fingerprint: fingerprint(),
        pages: TABLES.iter().map(|table| page(dialect, table)).collect(),
        copies: TABLES.iter().map(copy).collect(),
    }
}

/// The stock rows of these goods, in order of goods id.
fn shelf(primary: &str, for_update: &str) -> Statement {
    Statement::new(format!(
        "SELECT {STOCK} FROM stock{primary} WHERE location_id = 0 AND goods_id IN ([?]) ORDER BY goods_id{for_update}"
    ))
}

/// Takes pieces of one goods, where so many are available.
fn take(dialect: &Dialect) -> Statement {
    let Dialect { clock, greatest, .. } = dialect;
    Statement::new(format!(
        "UPDATE stock SET on_hand = on_hand - ?, version = version + 1, update_time = {greatest}(update_time, {clock}) \
         WHERE location_id = 0 AND goods_id = ? AND on_hand - reserved - safety >= ?"
    ))
}

/// New rows of the tables whose columns no other statement lists.
fn inserts() -> [Statement; 5] {
    [
        "INSERT INTO orders (order_sn, payload_hash, state, create_time, update_time, expire_time) \
         VALUES [(?, ?, ?, ?, ?, ?)]",
        "INSERT INTO order_line (order_sn, goods_id, quantity, returned, create_time) VALUES [(?, ?, ?, ?, ?)]",
        "INSERT INTO hold (order_sn, goods_id, quantity, expire_time) VALUES [(?, ?, ?, ?)]",
        "INSERT INTO ledger (goods_id, order_sn, kind, delta, balance, time, reason) \
         VALUES [(?, ?, ?, ?, ?, ?, ?)]",
        "INSERT INTO order_return (order_sn, request_id, payload_hash, time) VALUES [(?, ?, ?, ?)]",
    ]
    .map(|text| Statement::new(text.to_owned()))
}

/// What becomes of orders' headers, and of the ends of their holds.
fn moves(primary: &str) -> [Statement; 3] {
    [
        format!(
            "UPDATE orders{primary} SET state = ?, update_time = ? WHERE state = ? AND order_sn IN ([?])"
        ),
        format!(
            "UPDATE orders{primary} SET state = ?, update_time = ?, expire_time = ? \
             WHERE state = ? AND expire_time < ? AND order_sn IN ([?])"
        ),
        format!("UPDATE hold{primary} SET expire_time = ? WHERE order_sn IN ([?])"),
    ]
    .map(Statement::new)
}

/// Ends of holds: all of an order, single ones.
fn releases(dialect: &Dialect) -> [Statement; 2] {
    let delete = (dialect.delete)("hold", "PRIMARY");
    [
        format!("{delete} WHERE order_sn IN ([?])"),
        format!("{delete} WHERE expire_time <= ? AND {LINES}"),
    ]
    .map(Statement::new)
}

/// Returns of pieces: all of an order, some of single lines.
fn returned(primary: &str) -> [Statement; 2] {
    [
        format!("UPDATE order_line{primary} SET returned = quantity WHERE order_sn IN ([?])"),
        format!(
            "UPDATE order_line{primary} SET returned = CASE [WHEN order_sn = ? AND goods_id = ? THEN ?| ] \
             ELSE returned END WHERE {LINES}"
        ),
    ]
    .map(Statement::new)
}

/// One statement for many rows: each column's new value is looked up by goods id. A row that gains has a guard of the
/// smallest number there is.
fn update_stocks(greatest: &str, primary: &str) -> Statement {
    // The ELSE, which is never taken, tells MySQL that all these parameters are integers.
    const EACH: &str = "CASE goods_id [WHEN ? THEN ?| ] ELSE 0 END";
    Statement::new(format!(
        "UPDATE stock{primary} SET on_hand = {EACH}, reserved = {EACH}, safety = {EACH}, version = {EACH}, \
         update_time = {greatest}(update_time, ?), lock_fence = {greatest}(lock_fence, ?) \
         WHERE location_id = 0 AND goods_id IN ([?]) AND version = {EACH} \
         AND on_hand - reserved - safety >= {EACH} AND (? = 0 OR lock_fence <= ?)"
    ))
}

/// Everything that is read together with the clock, in one statement: the clock stands in each row, and in one without
/// anything else if nothing is found.
fn look_ups(dialect: &Dialect) -> [Statement; 4] {
    let Dialect { clock, by, .. } = dialect;
    let primary = by("PRIMARY");
    let clock = format!("FROM (SELECT {clock} AS now) clock");
    [
        format!(
            "SELECT clock.now, s.goods_id, s.on_hand, s.reserved - CAST(COALESCE((SELECT SUM(h.quantity) \
             FROM hold h{} WHERE h.location_id = 0 AND h.goods_id = s.goods_id AND h.expire_time <= clock.now), 0) \
             AS SIGNED), s.safety, s.version, s.update_time \
             {clock} LEFT JOIN stock s{primary} ON s.location_id = 0 AND s.goods_id IN ([?])",
            by("hold_by_goods")
        ),
        format!(
            "SELECT clock.now, o.order_sn, o.payload_hash, o.state, o.create_time, o.update_time, o.expire_time, \
             l.goods_id, l.quantity, l.returned, h.quantity \
             {clock} LEFT JOIN orders o{primary} ON o.order_sn IN ([?]) \
             LEFT JOIN order_line l{primary} ON l.order_sn = o.order_sn \
             LEFT JOIN hold h{primary} ON h.order_sn = l.order_sn AND h.location_id = l.location_id \
             AND h.goods_id = l.goods_id"
        ),
        format!(
            "SELECT clock.now, r.request_id, r.payload_hash, r.goods_id, r.on_hand, r.reserved, r.safety, r.version, \
             r.update_time {clock} LEFT JOIN stock_request r{primary} ON r.request_id IN ([?])"
        ),
        format!(
            "SELECT clock.now, r.order_sn, r.request_id, r.payload_hash {clock} \
             LEFT JOIN order_return r{primary} ON ([(r.order_sn = ? AND r.request_id = ?)| OR ])"
        ),
    ]
    .map(Statement::new)
}

/// Dead holds on some goods; and with the clock, the goods of those that have been dead for longest, of goods that are
/// stocked.
fn dead_holds(dialect: &Dialect) -> [Statement; 2] {
    let Dialect { clock, by, .. } = dialect;
    [
        format!(
            "SELECT goods_id, order_sn, quantity FROM hold{} \
             WHERE location_id = 0 AND goods_id IN ([?]) AND expire_time <= ? LIMIT ?",
            by("hold_by_goods")
        ),
        format!(
            "SELECT clock.now, dead.goods_id FROM (SELECT {clock} AS now) clock LEFT JOIN \
             (SELECT goods_id FROM hold{} WHERE expire_time <= {clock} AND EXISTS (SELECT 1 FROM stock \
             WHERE stock.location_id = hold.location_id AND stock.goods_id = hold.goods_id) \
             ORDER BY expire_time LIMIT {EXPIRED_MAX}) dead \
             ON dead.goods_id > 0",
            by("hold_by_time")
        ),
    ]
    .map(Statement::new)
}

/// Orders by time, all or those that took one goods. A reservation whose end has come is listed as expired (6).
fn order_lists(dialect: &Dialect) -> [Statement; 2] {
    let Dialect { clock, by, older, .. } = dialect;
    let state =
        format!("CASE WHEN o.state = 1 AND o.expire_time <= {clock} THEN 6 ELSE o.state END");
    [
        Statement::new(format!(
            "SELECT o.create_time, o.order_sn, {state} FROM orders o{} WHERE o.create_time >= ? AND {} \
             ORDER BY o.create_time DESC, o.order_sn DESC LIMIT ?",
            by("orders_by_time"),
            older("o.create_time", "o.order_sn")
        )),
        Statement::new(format!(
            "SELECT l.create_time, l.order_sn, {state} FROM order_line l{} \
             LEFT JOIN orders o{} ON o.order_sn = l.order_sn \
             WHERE l.create_time >= ? AND {} AND l.location_id = 0 AND l.goods_id = ? \
             ORDER BY l.create_time DESC, l.order_sn DESC LIMIT ?",
            by("order_line_by_goods"),
            by("PRIMARY"),
            older("l.create_time", "l.order_sn")
        )),
    ]
}

const ENTRY: &str = "id, goods_id, order_sn, kind, delta, balance, time, reason";

fn ledger(of: &str, index: &str) -> Statement {
    Statement::new(format!(
        "SELECT {ENTRY} FROM ledger{index} WHERE {of} AND id < ? ORDER BY id DESC LIMIT ?"
    ))
}

/// What is old: orders, rows of the ledger, rows of one goods' ledger held still, answers to changes of stock.
fn old(dialect: &Dialect) -> [Statement; 4] {
    let Dialect { for_update, by, behind, .. } = dialect;
    let primary = by("PRIMARY");
    [
        format!(
            "SELECT o.create_time, o.order_sn, CASE WHEN o.update_time < ? AND NOT EXISTS \
             (SELECT 1 FROM hold h{primary} WHERE h.order_sn = o.order_sn) THEN 1 ELSE 0 END FROM orders o{} \
             WHERE o.create_time < ? AND {} ORDER BY o.create_time, o.order_sn LIMIT ?",
            by("orders_by_time"),
            behind(&["o.create_time", "o.order_sn"])
        ),
        format!("SELECT {ENTRY} FROM ledger{primary} WHERE id > ? ORDER BY id LIMIT ?"),
        format!(
            "SELECT {ENTRY} FROM ledger{} WHERE location_id = 0 AND goods_id = ? ORDER BY id LIMIT ?{for_update}",
            by("ledger_by_goods")
        ),
        format!(
            "SELECT request_id FROM stock_request{} WHERE update_time < ? ORDER BY update_time LIMIT ?",
            by("stock_request_by_time")
        ),
    ]
    .map(Statement::new)
}

/// Deletes orders, their lines, their returns; answers to changes of stock.
fn deletes(dialect: &Dialect) -> [Statement; 4] {
    let delete = dialect.delete;
    [
        format!("{} WHERE update_time < ? AND order_sn IN ([?])", delete("orders", "PRIMARY")),
        format!("{} WHERE order_sn IN ([?])", delete("order_line", "PRIMARY")),
        format!("{} WHERE order_sn IN ([?])", delete("order_return", "PRIMARY")),
        format!(
            "{} WHERE update_time < ? AND request_id IN ([?])",
            delete("stock_request", "PRIMARY")
        ),
    ]
    .map(Statement::new)
}

/// Makes a row of the ledger stand for older ones of its goods as well, and deletes those.
fn opening(dialect: &Dialect) -> [Statement; 2] {
    let Dialect { by, delete, .. } = dialect;
    [
        format!(
            "UPDATE ledger{} SET order_sn = NULL, kind = 6, delta = ?, reason = NULL WHERE id = ?",
            by("PRIMARY")
        ),
        format!(
            "{} WHERE location_id = 0 AND goods_id = ? AND id < ?",
            delete("ledger", "ledger_by_goods")
        ),
    ]
    .map(Statement::new)
}

/// What the stock, the ledger and the holds say of goods whose id is above one and up to another. The ledger is walked
/// along its index, so many rows at a time; what was walked is added up goods by goods.
fn accounts(dialect: &Dialect) -> [Statement; 3] {
    let Dialect { by, behind, .. } = dialect;
    [
        format!(
            "SELECT {STOCK} FROM stock{} WHERE location_id = 0 AND goods_id > ? AND goods_id <= ? \
             ORDER BY goods_id LIMIT ?",
            by("PRIMARY")
        ),
        format!(
            "SELECT summed.goods_id, summed.pieces, summed.newest, l.balance, summed.counted \
             FROM (SELECT goods_id, CAST(SUM(delta) AS SIGNED) AS pieces, MAX(id) AS newest, COUNT(*) AS counted \
             FROM (SELECT goods_id, id, delta FROM ledger{} WHERE location_id = 0 AND goods_id <= ? AND {} \
             ORDER BY goods_id, id LIMIT ?) walked GROUP BY goods_id) summed \
             JOIN ledger l{} ON l.id = summed.newest ORDER BY summed.goods_id",
            by("ledger_by_goods"),
            behind(&["goods_id", "id"]),
            by("PRIMARY")
        ),
        format!(
            "SELECT goods_id, CAST(SUM(quantity) AS SIGNED) FROM hold{} \
             WHERE location_id = 0 AND goods_id > ? AND goods_id <= ? GROUP BY goods_id",
            by("hold_by_goods")
        ),
    ]
    .map(Statement::new)
}

/// Rows of a whole table behind one of them, in the order of its key.
fn page(dialect: &Dialect, table: &Table) -> Statement {
    let key: Vec<&str> = table.key.iter().map(|(column, _)| *column).collect();
    Statement::new(format!(
        "SELECT {} FROM {}{} WHERE {} ORDER BY {} LIMIT ?",
        table.columns().collect::<Vec<_>>().join(", "),
        table.name,
        (dialect.by)("PRIMARY"),
        (dialect.behind)(&key),
        key.join(", ")
    ))
}

/// New rows of a whole table.
fn copy(table: &Table) -> Statement {
    let columns: Vec<&str> = table.columns().collect();
    let parameters = vec!["?"; columns.len()].join(", ");
    let (name, columns) = (table.name, columns.join(", "));
    Statement::new(format!("INSERT INTO {name} ({columns}) VALUES [({parameters})]"))
}

/// How many rows the tables have, in their order, and what grows with every change of stocks, of orders, of the ledger.
fn fingerprint() -> Statement {
    let counts = TABLES.iter().map(|table| format!("(SELECT COUNT(*) FROM {})", table.name));
    let marks = [
        "(SELECT CAST(COALESCE(SUM(version), 0) AS SIGNED) FROM stock)",
        "(SELECT COALESCE(MAX(update_time), 0) FROM orders)",
        "(SELECT COALESCE(MAX(id), 0) FROM ledger)",
    ];
    let figures: Vec<String> = counts.chain(marks.map(str::to_owned)).collect();
    Statement::new(format!("SELECT {}", figures.join(", ")))
}
