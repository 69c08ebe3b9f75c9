-- Times are milliseconds since 1970 in UTC. Keys that callers choose are bytes: no collation makes two of them equal.
CREATE TABLE stock (
    location_id INTEGER NOT NULL DEFAULT 0,
    goods_id INTEGER NOT NULL,
    on_hand INTEGER NOT NULL,
    reserved INTEGER NOT NULL DEFAULT 0,
    safety INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 1,
    lock_fence INTEGER NOT NULL DEFAULT 0,
    update_time INTEGER NOT NULL,
    PRIMARY KEY (location_id, goods_id),
    CONSTRAINT stock_covers_reserved CHECK (on_hand >= reserved AND reserved >= 0),
    CONSTRAINT stock_within_cap CHECK (on_hand <= 1000000000),
    CONSTRAINT stock_safety_not_negative CHECK (safety >= 0)
) STRICT;

-- state: 1 reserved, 2 confirmed, 3 partly returned, 4 returned, 5 cancelled (inventory.v1.OrderState); that a
-- reservation has expired is seen from expire_time and the clock. An order closed before it came has no payload.
CREATE TABLE orders (
    order_sn BLOB NOT NULL,
    payload_hash BLOB NULL,
    state INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    expire_time INTEGER NULL,
    PRIMARY KEY (order_sn)
) STRICT;

CREATE INDEX orders_by_time ON orders (create_time, order_sn);

-- create_time is that of the order, so that the orders for one goods are listed in the order of an index.
CREATE TABLE order_line (
    order_sn BLOB NOT NULL,
    location_id INTEGER NOT NULL DEFAULT 0,
    goods_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    returned INTEGER NOT NULL DEFAULT 0,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (order_sn, location_id, goods_id),
    CONSTRAINT order_line_quantity_positive CHECK (quantity > 0),
    CONSTRAINT order_line_returns_what_it_took CHECK (returned >= 0 AND returned <= quantity)
) STRICT;

CREATE INDEX order_line_by_goods ON order_line (location_id, goods_id, create_time, order_sn);

-- The pieces that an order's line holds. A row is there exactly as long as stock.reserved counts it, so that
-- stock.reserved is always the sum of its goods' rows; without one the line holds nothing, or nothing any more.
CREATE TABLE hold (
    order_sn BLOB NOT NULL,
    location_id INTEGER NOT NULL DEFAULT 0,
    goods_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    expire_time INTEGER NOT NULL,
    PRIMARY KEY (order_sn, location_id, goods_id),
    CONSTRAINT hold_quantity_positive CHECK (quantity > 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX hold_by_goods ON hold (location_id, goods_id, expire_time, quantity);
CREATE INDEX hold_by_time ON hold (expire_time);

-- Append-only, but that one opening row comes to stand for the oldest rows of its goods. kind: 1 set, 2 sell, 3 reback,
-- 4 adjust, 5 repair, 6 opening (inventory.v1.LedgerKind). balance is what was on hand after this row; by id, each
-- goods' rows are a chain, because a row is written while the goods' stock row is locked.
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    location_id INTEGER NOT NULL DEFAULT 0,
    goods_id INTEGER NOT NULL,
    order_sn BLOB NULL,
    kind INTEGER NOT NULL,
    delta INTEGER NOT NULL,
    balance INTEGER NOT NULL,
    time INTEGER NOT NULL,
    reason BLOB NULL
) STRICT;

CREATE INDEX ledger_by_goods ON ledger (location_id, goods_id, id);
CREATE INDEX ledger_by_order ON ledger (order_sn);

-- The first answer to each request_id of a change of stock.
CREATE TABLE stock_request (
    request_id BLOB NOT NULL,
    payload_hash BLOB NOT NULL,
    goods_id INTEGER NOT NULL,
    on_hand INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    safety INTEGER NOT NULL,
    version INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    PRIMARY KEY (request_id)
) STRICT;

CREATE INDEX stock_request_by_time ON stock_request (update_time);

-- Each return of some of an order's pieces, by the request_id that is unique within the order.
CREATE TABLE order_return (
    order_sn BLOB NOT NULL,
    request_id BLOB NOT NULL,
    payload_hash BLOB NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (order_sn, request_id)
) STRICT;
