//! Nodes, assignments, the ledger of clients, tokens, events; `users` and `vpn_keys` where they are missing.

use sea_orm::{ConnectionTrait, DbBackend, ExprTrait};
use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_uniq, boolean, boolean_null, double_null, integer, integer_null, pk_auto, string_len,
        string_len_null, string_len_uniq, text, text_null, timestamp_null, timestamp_with_time_zone_null,
    },
};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0001_core"
    }
}

/// Tables that only we use, in the order in which they can be dropped.
const OURS: [&str; 6] =
    ["user_node_assignments", "muster_clients", "muster_tokens", "muster_events", "vpn_nodes", "muster_meta"];
const KEY_COLUMNS: [&str; 2] = ["muster_state", "muster_sub_id"];
const KEY_INDEXES: [(&str, &str); 4] = [
    ("ix_muster_vpn_keys_user", "user_id"),
    ("ix_muster_vpn_keys_node", "node_id"),
    ("ix_muster_vpn_keys_state", "muster_state"),
    ("ix_muster_vpn_keys_email", "xui_email"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        meta(m).await?;
        if !m.has_table("users").await? {
            users(m).await?;
            note(m, "created_users").await?;
        }
        if !m.has_table("vpn_keys").await? {
            keys(m).await?;
            note(m, "created_vpn_keys").await?;
        }
        for column in KEY_COLUMNS {
            let table = Table::alter().table("vpn_keys").add_column(string_len_null(column, 64)).take();
            m.alter_table(table).await?;
        }
        for (name, column) in KEY_INDEXES {
            index(m, name, "vpn_keys", &[column]).await?;
        }
        nodes(m).await?;
        assignments(m).await?;
        clients(m).await?;
        tokens_and_events(m).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let created_users = noted(m, "created_users").await?;
        let created_keys = noted(m, "created_vpn_keys").await?;
        for table in OURS {
            m.drop_table(Table::drop().table(table).take()).await?;
        }
        if created_keys {
            m.drop_table(Table::drop().table("vpn_keys").take()).await?;
        } else {
            leave_keys(m).await?;
        }
        if created_users {
            m.drop_table(Table::drop().table("users").take()).await?;
            if m.get_database_backend() == DbBackend::Postgres {
                m.get_connection().execute_unprepared("DROP TYPE user_subscription_status").await?;
            }
        }
        Ok(())
    }
}

async fn meta(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    m.create_table(
        Table::create().table("muster_meta").col(string_len("name", 64).primary_key()).col(text("value")).take(),
    )
    .await
}

/// Remembers that a table was made by us, for `down`.
async fn note(m: &SchemaManager<'_>, what: &str) -> Result<(), DbErr> {
    let row = Query::insert()
        .into_table("muster_meta")
        .columns(["name", "value"])
        .values_panic([what.into(), "1".into()])
        .take();
    m.execute(row).await
}

async fn noted(m: &SchemaManager<'_>, what: &str) -> Result<bool, DbErr> {
    let query = Query::select().column("value").from("muster_meta").and_where(Expr::col("name").eq(what)).take();
    Ok(m.get_connection().query_one(&query).await?.is_some())
}

/// As the production database has it.
async fn users(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut status = ColumnDef::new("subscription_status");
    if m.get_database_backend() == DbBackend::Postgres {
        m.get_connection()
            .execute_unprepared(
                "CREATE TYPE user_subscription_status AS ENUM ('none', 'active', 'expired', 'suspended')",
            )
            .await?;
        status.custom("user_subscription_status").default(Expr::cust("'none'"));
    } else {
        status.string_len(16).default("none");
    }
    m.create_table(
        Table::create()
            .table("users")
            .col(pk_auto("id"))
            .col(big_integer_uniq("telegram_id"))
            .col(string_len_null("username", 255))
            .col(string_len_null("first_name", 255))
            .col(string_len_null("last_name", 255))
            .col(string_len_null("language_code", 10))
            .col(boolean_null("is_active").default(true))
            .col(boolean_null("is_blocked").default(false))
            .col(now("created_at"))
            .col(now("updated_at"))
            .col(now("last_activity"))
            .col(integer_null("referrer_id"))
            .col(string_len_null("referral_code", 20))
            .col(status)
            .col(timestamp_with_time_zone_null("valid_until"))
            .col(boolean_null("autopay_enabled").default(true))
            .take(),
    )
    .await
}

/// As the production database has it.
async fn keys(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    m.create_table(
        Table::create()
            .table("vpn_keys")
            .col(pk_auto("id"))
            .col(integer("user_id"))
            .col(integer_null("node_id"))
            .col(string_len("uuid", 36))
            .col(string_len_null("key_name", 255))
            .col(text("vless_url"))
            .col(text_null("vless_config"))
            .col(text_null("qr_code_data"))
            .col(string_len_null("status", 20))
            .col(string_len("xui_email", 255))
            .col(string_len_null("xui_client_id", 255))
            .col(integer_null("xui_inbound_id"))
            .col(integer_null("total_download"))
            .col(integer_null("total_upload"))
            .col(timestamp_with_time_zone_null("last_connection"))
            .col(now("created_at"))
            .col(now("updated_at"))
            .col(timestamp_with_time_zone_null("expires_at"))
            .foreign_key(&mut cascade("fk_vpn_keys_user", "vpn_keys", "user_id", "users"))
            .take(),
    )
    .await
}

async fn nodes(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    m.create_table(
        Table::create()
            .table("vpn_nodes")
            .col(pk_auto("id"))
            .col(string_len_uniq("name", 255))
            .col(text_null("description"))
            .col(string_len_null("location", 100))
            .col(string_len("x3ui_url", 255))
            .col(string_len("x3ui_username", 100))
            .col(string_len("x3ui_password", 255))
            .col(integer_null("max_users").default(1000))
            .col(integer_null("current_users").default(0))
            .col(string_len_null("status", 50).default("active"))
            .col(timestamp_null("last_health_check"))
            .col(string_len_null("health_status", 50).default("unknown"))
            .col(integer_null("response_time_ms"))
            .col(integer_null("priority").default(100))
            .col(double_null("weight").default(1.0))
            .col(now("created_at"))
            .col(now("updated_at"))
            .col(text_null("x3ui_token"))
            .col(text_null("x3ui_totp_secret"))
            .col(string_len("tls", 80).default("verify"))
            .col(boolean("allow_http").default(false))
            .col(string_len_null("host", 255))
            .col(integer_null("inbound_id"))
            .col(text_null("inbound_seen"))
            .col(text_null("health_reason"))
            .col(string_len_null("panel_version", 64))
            .col(big_integer("revision").default(0))
            .take(),
    )
    .await?;
    index(m, "ix_vpn_nodes_status_health", "vpn_nodes", &["status", "health_status"]).await?;
    m.create_index(
        Index::create()
            .name("ix_vpn_nodes_priority_weight")
            .table("vpn_nodes")
            .col(("priority", IndexOrder::Desc))
            .col(("weight", IndexOrder::Desc))
            .take(),
    )
    .await
}

async fn assignments(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    const TABLE: &str = "user_node_assignments";
    m.create_table(
        Table::create()
            .table(TABLE)
            .col(pk_auto("id"))
            .col(integer("user_id"))
            .col(integer("node_id"))
            .col(now("assigned_at"))
            .col(boolean("is_active").default(true))
            .col(integer_null("xui_inbound_id"))
            .col(string_len_null("xui_client_email", 255))
            .col(integer_null("key_id"))
            .col(string_len("state", 16).default("active"))
            .foreign_key(&mut cascade("fk_una_user", TABLE, "user_id", "users"))
            .foreign_key(&mut cascade("fk_una_node", TABLE, "node_id", "vpn_nodes"))
            .foreign_key(&mut cascade("fk_una_key", TABLE, "key_id", "vpn_keys"))
            .take(),
    )
    .await?;
    index(m, "ix_una_user_active", TABLE, &["user_id", "is_active"]).await?;
    index(m, "ix_una_node_active", TABLE, &["node_id", "is_active"]).await?;
    index(m, "ix_una_key", TABLE, &["key_id"]).await?;
    m.create_index(
        Index::create()
            .name("ux_una_active")
            .table(TABLE)
            .col("user_id")
            .col("node_id")
            .unique()
            .and_where(Expr::col("is_active").eq(true))
            .take(),
    )
    .await
}

async fn clients(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    const TABLE: &str = "muster_clients";
    m.create_table(
        Table::create()
            .table(TABLE)
            .col(pk_auto("id"))
            .col(integer("node_id"))
            .col(integer("inbound_id"))
            .col(integer("key_id"))
            .col(string_len("name", 255))
            .col(string_len("uuid", 36))
            .col(string_len("sub_id", 64))
            .col(boolean("dirty").default(true))
            .col(big_integer("generation").default(0))
            .col(timestamp_with_time_zone_null("confirmed_at"))
            .col(text_null("refusal"))
            .foreign_key(&mut cascade("fk_muster_clients_node", TABLE, "node_id", "vpn_nodes"))
            .take(),
    )
    .await?;
    index(m, "ix_muster_clients_node", TABLE, &["node_id"]).await?;
    index(m, "ix_muster_clients_dirty", TABLE, &["dirty", "node_id"]).await?;
    m.create_index(
        Index::create().name("ux_muster_clients_key_node").table(TABLE).col("key_id").col("node_id").unique().take(),
    )
    .await
}

async fn tokens_and_events(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    m.create_table(
        Table::create()
            .table("muster_tokens")
            .col(pk_auto("id"))
            .col(string_len("name", 100))
            .col(string_len("scope", 16))
            .col(string_len_uniq("hash", 64))
            .col(now("created_at"))
            .col(timestamp_with_time_zone_null("revoked_at"))
            .take(),
    )
    .await?;
    m.create_index(
        Index::create()
            .name("ux_muster_tokens_name")
            .table("muster_tokens")
            .col("name")
            .unique()
            .and_where(Expr::col("revoked_at").is_null())
            .take(),
    )
    .await?;
    m.create_table(
        Table::create()
            .table("muster_events")
            .col(pk_auto("id"))
            .col(now("at"))
            .col(string_len("kind", 32))
            .col(integer_null("node_id"))
            .col(integer_null("key_id"))
            .col(text("message"))
            .take(),
    )
    .await
}

/// `vpn_keys` was here before us: keys that nobody ever saw go, keys in use stay as ordinary rows.
async fn leave_keys(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    let pending = Query::delete().from_table("vpn_keys").and_where(Expr::col("muster_state").eq("pending")).take();
    m.execute(pending).await?;
    let rootless = Query::update()
        .table("vpn_keys")
        .value("node_id", Option::<i32>::None)
        .and_where(Expr::col("muster_state").is_not_null())
        .take();
    m.execute(rootless).await?;
    for (name, _) in KEY_INDEXES {
        m.drop_index(Index::drop().name(name).table("vpn_keys").to_owned()).await?;
    }
    for column in KEY_COLUMNS {
        m.alter_table(Table::alter().table("vpn_keys").drop_column(column).take()).await?;
    }
    Ok(())
}

fn now(name: &'static str) -> ColumnDef {
    timestamp_with_time_zone_null(name).default(Expr::current_timestamp()).take()
}

fn cascade(name: &str, table: &'static str, column: &'static str, to: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().name(name).from(table, column).to(to, "id").on_delete(ForeignKeyAction::Cascade).take()
}

async fn index(m: &SchemaManager<'_>, name: &str, table: &'static str, columns: &[&'static str]) -> Result<(), DbErr> {
    let mut index = Index::create().name(name).table(table).take();
    for column in columns {
        index.col(*column);
    }
    m.create_index(index).await
}
