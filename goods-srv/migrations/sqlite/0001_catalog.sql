-- The catalog. Times are milliseconds UTC; a row with a delete_time is deleted. `live_...` holds what must be unique among
-- rows that are not deleted, and NULL in those that are, so that it can be used again. `..._key` and `search_text` are in
-- lower case, folded by the service, so that every database compares alike.
CREATE TABLE categories (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    parent_id INTEGER NOT NULL CHECK (parent_id >= 0),
    level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 8),
    is_tab BOOLEAN NOT NULL,
    request_id BLOB NULL UNIQUE,
    request_fingerprint BLOB NULL,
    version INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    delete_time INTEGER NULL
);

CREATE INDEX categories_parent ON categories (parent_id, delete_time);

-- One row. Whoever changes the shape of the tree writes it first, so that one does so at a time.
CREATE TABLE category_tree (
    id INTEGER NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL
);

INSERT INTO category_tree (id, version) VALUES (1, 0);

CREATE TABLE brands (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    live_name BLOB NULL UNIQUE,
    logo TEXT NOT NULL,
    request_id BLOB NULL UNIQUE,
    request_fingerprint BLOB NULL,
    version INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    delete_time INTEGER NULL
);

CREATE INDEX brands_by_id ON brands (delete_time, id);
CREATE INDEX brands_by_name ON brands (delete_time, name_key, id);

CREATE TABLE goods (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    search_text TEXT NOT NULL,
    goods_sn TEXT NOT NULL,
    live_goods_sn BLOB NULL UNIQUE,
    category_id INTEGER NOT NULL,
    brand_id INTEGER NOT NULL,
    currency TEXT NOT NULL,
    shop_price INTEGER NOT NULL CHECK (shop_price >= 0),
    market_price INTEGER NULL CHECK (market_price >= 0),
    brief TEXT NOT NULL,
    description TEXT NOT NULL,
    front_image TEXT NOT NULL,
    images TEXT NOT NULL,
    description_images TEXT NOT NULL,
    on_sale BOOLEAN NOT NULL,
    ship_free BOOLEAN NOT NULL,
    is_new BOOLEAN NOT NULL,
    is_hot BOOLEAN NOT NULL,
    request_id BLOB NULL UNIQUE,
    request_fingerprint BLOB NULL,
    version INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    delete_time INTEGER NULL
);

CREATE INDEX goods_by_id ON goods (delete_time, id);
CREATE INDEX goods_by_price ON goods (delete_time, currency, shop_price, id);
CREATE INDEX goods_by_name ON goods (delete_time, name_key, id);
CREATE INDEX goods_by_update ON goods (delete_time, update_time, id);
CREATE INDEX goods_of_category ON goods (category_id, delete_time, id);
CREATE INDEX goods_of_brand ON goods (brand_id, delete_time, id);
