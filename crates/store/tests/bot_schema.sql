-- The bot's database as it is before Muster comes: what Muster shares, and much that is none of its business.
CREATE TYPE user_subscription_status AS ENUM ('none', 'active', 'expired', 'suspended');
CREATE TYPE payment_state AS ENUM ('PENDING', 'PAID', 'FAILED');

CREATE TABLE users (
    id serial PRIMARY KEY,
    telegram_id bigint NOT NULL,
    username varchar(255),
    first_name varchar(255),
    last_name varchar(255),
    language_code varchar(10),
    is_active boolean,
    is_blocked boolean,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    last_activity timestamptz DEFAULT now(),
    referrer_id integer REFERENCES users (id),
    referral_code varchar(20),
    subscription_status user_subscription_status DEFAULT 'none',
    valid_until timestamptz,
    autopay_enabled boolean DEFAULT true
);
CREATE UNIQUE INDEX ix_users_telegram_id ON users (telegram_id);
CREATE INDEX ix_users_valid_until ON users (valid_until) WHERE valid_until IS NOT NULL;

CREATE TABLE vpn_keys (
    id serial PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    node_id integer,
    uuid varchar(36) NOT NULL,
    key_name varchar(255),
    vless_url text NOT NULL,
    vless_config text,
    qr_code_data text,
    status varchar(20) DEFAULT 'active',
    xui_email varchar(255) NOT NULL,
    xui_client_id varchar(255),
    xui_inbound_id integer,
    total_download integer,
    total_upload integer,
    last_connection timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    expires_at timestamptz,
    CONSTRAINT vpn_keys_email_not_empty CHECK (xui_email <> ' ')
);
CREATE INDEX ix_vpn_keys_user_id ON vpn_keys (user_id);
COMMENT ON COLUMN vpn_keys.status IS 'active, inactive, revoked, expired';

CREATE TABLE payment_providers (id serial PRIMARY KEY, name varchar(50) NOT NULL UNIQUE);
CREATE TABLE payments (
    id serial PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider_id integer REFERENCES payment_providers (id),
    amount double precision NOT NULL,
    status payment_state NOT NULL DEFAULT 'PENDING',
    created_at timestamp DEFAULT now()
);
CREATE TABLE subscriptions (
    id serial PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users (id),
    key_id integer REFERENCES vpn_keys (id) ON DELETE SET NULL,
    period int4range,
    EXCLUDE USING gist (period WITH &&)
);
CREATE TABLE app_settings (name text PRIMARY KEY, value jsonb NOT NULL DEFAULT '{}');
-- The table in which the bot's own migration tool, and other SeaORM programs, keep their history.
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
CREATE TABLE seaql_migrations (version varchar PRIMARY KEY, applied_at bigint NOT NULL);
CREATE VIEW active_keys AS SELECT k.*, u.telegram_id FROM vpn_keys k JOIN users u ON u.id = k.user_id WHERE lower(k.status) = 'active';

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER touch_users BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION count_payments(who integer) RETURNS bigint LANGUAGE sql STABLE AS
    'SELECT count(*) FROM payments WHERE user_id = who';

INSERT INTO users (telegram_id, username, subscription_status, valid_until, is_active, is_blocked, referrer_id) VALUES
    (1001, 'anna', 'active', '2027-01-01', true, false, NULL),
    (1002, 'борис', 'expired', '2025-01-01', true, false, 1),
    (1003, NULL, 'none', NULL, NULL, NULL, 1),
    (1004, 'eve', 'suspended', 'infinity', true, true, 2);
INSERT INTO vpn_keys (user_id, uuid, vless_url, status, xui_email, node_id) VALUES
    (1, '0ff2d6c5-6c88-4a2b-9f4a-94fdb2a5a001', 'vless://a', 'active', 'anna@bot', NULL),
    (2, '0ff2d6c5-6c88-4a2b-9f4a-94fdb2a5a002', 'vless://b', 'ACTIVE', 'boris@bot', NULL),
    (2, '0ff2d6c5-6c88-4a2b-9f4a-94fdb2a5a003', 'vless://c', 'Revoked', 'boris2@bot', 1),
    (3, 'not-a-uuid', '', 'EXPIRED', '', NULL);
INSERT INTO payment_providers (name) VALUES ('card'), ('stars');
INSERT INTO payments (user_id, provider_id, amount, status, created_at) VALUES
    (1, 1, 199.5, 'PAID', '2026-01-01'), (1, 2, 1, 'FAILED', '2026-02-01'), (2, 1, 10, 'PENDING', NULL);
INSERT INTO subscriptions (user_id, key_id, period) VALUES (1, 1, '[1,10)'), (2, 2, '[10,20)');
INSERT INTO app_settings VALUES ('price', '{"month": 199}');
INSERT INTO alembic_version VALUES ('8f1d2c');
INSERT INTO seaql_migrations VALUES ('m20240101_000001_other', 1);
