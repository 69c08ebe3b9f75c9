-- The catalog. Times are milliseconds UTC; a row with a delete_time is deleted. `live_...` holds what must be unique among
-- rows that are not deleted, and NULL in those that are, so that it can be used again. `..._key` and `search_text` are in
-- lower case, folded by the service, so that every database compares alike. The servers of a TiDB would each hand out ids
-- of a block of their own; AUTO_ID_CACHE 1, which other servers read over, makes the newest entry have the highest.
CREATE TABLE IF NOT EXISTS categories (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(50) NOT NULL,
    parent_id BIGINT NOT NULL,
    level BIGINT NOT NULL,
    is_tab BOOLEAN NOT NULL,
    request_id VARBINARY(256) NULL,
    request_fingerprint VARBINARY(32) NULL,
    version BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    delete_time BIGINT NULL,
    UNIQUE KEY categories_request (request_id),
    KEY categories_parent (parent_id, delete_time),
    CONSTRAINT categories_level CHECK (level BETWEEN 1 AND 8),
    CONSTRAINT categories_root CHECK (parent_id >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci
    /*T![auto_id_cache] AUTO_ID_CACHE 1 */;

-- One row. Whoever changes the shape of the tree writes it first, so that one does so at a time.
CREATE TABLE IF NOT EXISTS category_tree (
    id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
) ENGINE = InnoDB;

INSERT IGNORE INTO category_tree (id, version) VALUES (1, 0);

CREATE TABLE IF NOT EXISTS brands (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(50) NOT NULL,
    name_key VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    live_name VARBINARY(800) NULL,
    logo TEXT NOT NULL,
    request_id VARBINARY(256) NULL,
    request_fingerprint VARBINARY(32) NULL,
    version BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    delete_time BIGINT NULL,
    UNIQUE KEY brands_live_name (live_name),
    UNIQUE KEY brands_request (request_id),
    KEY brands_by_id (delete_time, id),
    KEY brands_by_name (delete_time, name_key, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci
    /*T![auto_id_cache] AUTO_ID_CACHE 1 */;

CREATE TABLE IF NOT EXISTS goods (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    name_key VARCHAR(400) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    search_text TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    goods_sn VARCHAR(50) NOT NULL,
    live_goods_sn VARBINARY(200) NULL,
    category_id BIGINT NOT NULL,
    brand_id BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    shop_price BIGINT NOT NULL,
    market_price BIGINT NULL,
    brief VARCHAR(200) NOT NULL,
    description TEXT NOT NULL,
    front_image TEXT NOT NULL,
    images TEXT NOT NULL,
    description_images TEXT NOT NULL,
    on_sale BOOLEAN NOT NULL,
    ship_free BOOLEAN NOT NULL,
    is_new BOOLEAN NOT NULL,
    is_hot BOOLEAN NOT NULL,
    request_id VARBINARY(256) NULL,
    request_fingerprint VARBINARY(32) NULL,
    version BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    delete_time BIGINT NULL,
    UNIQUE KEY goods_live_goods_sn (live_goods_sn),
    UNIQUE KEY goods_request (request_id),
    KEY goods_by_id (delete_time, id),
    KEY goods_by_price (delete_time, currency, shop_price, id),
    KEY goods_by_name (delete_time, name_key, id),
    KEY goods_by_update (delete_time, update_time, id),
    KEY goods_of_category (category_id, delete_time, id),
    KEY goods_of_brand (brand_id, delete_time, id),
    CONSTRAINT goods_shop_price CHECK (shop_price >= 0),
    CONSTRAINT goods_market_price CHECK (market_price >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci
    /*T![auto_id_cache] AUTO_ID_CACHE 1 */;
