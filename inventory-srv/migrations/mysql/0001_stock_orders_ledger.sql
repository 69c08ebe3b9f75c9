-- Times are milliseconds since 1970 in UTC. Keys that callers choose are bytes: no collation makes two of them equal.
CREATE TABLE IF NOT EXISTS stock (
    location_id BIGINT NOT NULL DEFAULT 0,
    goods_id BIGINT NOT NULL,
    on_hand BIGINT NOT NULL,
    reserved BIGINT NOT NULL DEFAULT 0,
    safety BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL DEFAULT 1,
    lock_fence BIGINT NOT NULL DEFAULT 0,
    update_time BIGINT NOT NULL,
    PRIMARY KEY (location_id, goods_id),
    CONSTRAINT stock_covers_reserved CHECK (on_hand >= reserved AND reserved >= 0),
    CONSTRAINT stock_within_cap CHECK (on_hand <= 1000000000),
    CONSTRAINT stock_safety_not_negative CHECK (safety >= 0)
) ENGINE = InnoDB;

-- state: 1 reserved, 2 confirmed, 3 partly returned, 4 returned, 5 cancelled (inventory.v1.OrderState); that a
-- reservation has expired is seen from expire_time and the clock. An order closed before it came has no payload.
CREATE TABLE IF NOT EXISTS orders (
    order_sn VARBINARY(256) NOT NULL,
    payload_hash VARBINARY(32) NULL,
    state SMALLINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    expire_time BIGINT NULL,
    PRIMARY KEY (order_sn),
    KEY orders_by_time (create_time, order_sn)
) ENGINE = InnoDB;

-- create_time is that of the order, so that the orders for one goods are listed in the order of an index.
CREATE TABLE IF NOT EXISTS order_line (
    order_sn VARBINARY(256) NOT NULL,
    location_id BIGINT NOT NULL DEFAULT 0,
    goods_id BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    returned BIGINT NOT NULL DEFAULT 0,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (order_sn, location_id, goods_id),
    KEY order_line_by_goods (location_id, goods_id, create_time, order_sn),
    CONSTRAINT order_line_quantity_positive CHECK (quantity > 0),
    CONSTRAINT order_line_returns_what_it_took CHECK (returned >= 0 AND returned <= quantity)
) ENGINE = InnoDB;

-- The pieces that an order's line holds. A row is there exactly as long as stock.reserved counts it, so that
-- stock.reserved is always the sum of its goods' rows; without one the line holds nothing, or nothing any more.
CREATE TABLE IF NOT EXISTS hold (
    order_sn VARBINARY(256) NOT NULL,
    location_id BIGINT NOT NULL DEFAULT 0,
    goods_id BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    expire_time BIGINT NOT NULL,
    PRIMARY KEY (order_sn, location_id, goods_id),
    KEY hold_by_goods (location_id, goods_id, expire_time, quantity),
    KEY hold_by_time (expire_time),
    CONSTRAINT hold_quantity_positive CHECK (quantity > 0)
) ENGINE = InnoDB;

-- Append-only, but that one opening row comes to stand for the oldest rows of its goods. kind: 1 set, 2 sell, 3 reback,
-- 4 adjust, 5 repair, 6 opening (inventory.v1.LedgerKind). balance is what was on hand after this row; by id, each
-- goods' rows are a chain, because a row is written while the goods' stock row is locked.
-- The servers of a TiDB would each hand out ids of a block of their own; AUTO_ID_CACHE 1, which other servers read
-- over, makes them rise in the order of writing.
CREATE TABLE IF NOT EXISTS ledger (
    id BIGINT NOT NULL AUTO_INCREMENT,
    location_id BIGINT NOT NULL DEFAULT 0,
    goods_id BIGINT NOT NULL,
    order_sn VARBINARY(256) NULL,
    kind SMALLINT NOT NULL,
    delta BIGINT NOT NULL,
    balance BIGINT NOT NULL,
    time BIGINT NOT NULL,
    reason VARBINARY(800) NULL,
    PRIMARY KEY (id),
    KEY ledger_by_goods (location_id, goods_id, id),
    KEY ledger_by_order (order_sn)
) ENGINE = InnoDB /*T![auto_id_cache] AUTO_ID_CACHE 1 */;

-- The first answer to each request_id of a change of stock.
CREATE TABLE IF NOT EXISTS stock_request (
    request_id VARBINARY(256) NOT NULL,
    payload_hash VARBINARY(32) NOT NULL,
    goods_id BIGINT NOT NULL,
    on_hand BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    safety BIGINT NOT NULL,
    version BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    PRIMARY KEY (request_id),
    KEY stock_request_by_time (update_time)
) ENGINE = InnoDB;

-- Each return of some of an order's pieces, by the request_id that is unique within the order.
CREATE TABLE IF NOT EXISTS order_return (
    order_sn VARBINARY(256) NOT NULL,
    request_id VARBINARY(256) NOT NULL,
    payload_hash VARBINARY(32) NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (order_sn, request_id)
) ENGINE = InnoDB;
