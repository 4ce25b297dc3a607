//! Health that lasts, clients that are leaving, jobs of moves, and samples.

use sea_orm::{DbBackend, ExprTrait};
use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, double_null, integer, integer_null, pk_auto, small_integer, small_integer_null, string_len,
        string_len_null, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null,
    },
};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0002_moves"
    }
}

const NODES: &str = "vpn_nodes";
const ASSIGNMENTS: &str = "user_node_assignments";
const KEYS: &str = "vpn_keys";
const CLIENTS: &str = "muster_clients";
const JOBS: &str = "muster_jobs";
const MOVES: &str = "muster_moves";
const SAMPLES: &str = "muster_samples";

/// Indexes on tables that were there, with their columns: table, name, columns.
const INDEXES: [(&str, &str, &[&str]); 2] = [
    (ASSIGNMENTS, "ix_una_key_node", &["key_id", "node_id", "state"]),
    (CLIENTS, "ix_muster_clients_name", &["node_id", "name"]),
];
/// The few assignments that are under way. An index on the state of all would be taken, without statistics, where a
/// key is given: one row, looked for among thousands.
const MOVING: &str = "ix_una_moving";
/// The few keys that live nowhere, which are looked for all the time.
const HOMELESS: &str = "ix_muster_vpn_keys_homeless";

/// What is added to tables that were there.
fn columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        (NODES, text_null("health")),
        (NODES, text_null("reading")),
        (NODES, text_null("trouble")),
        (NODES, integer_null("connect_timeout_ms")),
        (NODES, integer_null("check_timeout_ms")),
        (NODES, string_len_null("xray_version", 64)),
        (NODES, double_null("cpu")),
        (NODES, double_null("mem")),
        (NODES, integer_null("online_users")),
        (ASSIGNMENTS, timestamp_with_time_zone_null("since")),
        (ASSIGNMENTS, timestamp_with_time_zone_null("left_at")),
        (ASSIGNMENTS, string_len_null("cause", 16)),
        (ASSIGNMENTS, timestamp_with_time_zone_null("seen_at")),
        (ASSIGNMENTS, integer_null("job_id")),
        (ASSIGNMENTS, timestamp_with_time_zone_null("grace_ends_at")),
        (KEYS, timestamp_with_time_zone_null("muster_shown_at")),
        (KEYS, timestamp_with_time_zone_null("muster_moved_at")),
    ]
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in columns() {
            m.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        rename_state(m, "leaving", "ending").await?;
        let since = Query::update()
            .table(ASSIGNMENTS)
            .value("since", Expr::col("assigned_at"))
            .and_where(Expr::col("state").eq("active"))
            .take();
        m.execute(since).await?;
        for (table, name, columns) in INDEXES {
            index(m, name, table, columns).await?;
        }
        let moving = Expr::col("state").is_in(["arriving", "leaving"]);
        let moving =
            Index::create().name(MOVING).table(ASSIGNMENTS).col("state").col("node_id").and_where(moving).take();
        m.create_index(moving).await?;
        let homeless = Expr::col("node_id").is_null().and(Expr::col("muster_state").eq("active"));
        m.create_index(
            Index::create().name(HOMELESS).table(KEYS).col("muster_state").col("node_id").and_where(homeless).take(),
        )
        .await?;
        jobs(m).await?;
        moves(m).await?;
        samples(m).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in [SAMPLES, MOVES, JOBS] {
            m.drop_table(Table::drop().table(table).take()).await?;
        }
        for (table, name, _) in INDEXES {
            m.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        }
        m.drop_index(Index::drop().name(MOVING).table(ASSIGNMENTS).to_owned()).await?;
        m.drop_index(Index::drop().name(HOMELESS).table(KEYS).to_owned()).await?;
        rename_state(m, "ending", "leaving").await?;
        for (table, mut column) in columns().into_iter().rev() {
            let name = column.take().get_column_name();
            m.alter_table(Table::alter().table(table).drop_column(name).take()).await?;
        }
        Ok(())
    }
}

/// What was called leaving, a client that is to be removed, is called ending from now on: leaving clients work.
async fn rename_state(m: &SchemaManager<'_>, from: &str, to: &str) -> Result<(), DbErr> {
    m.execute(Query::update().table(ASSIGNMENTS).value("state", to).and_where(Expr::col("state").eq(from)).take()).await
}

async fn jobs(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    m.create_table(
        Table::create()
            .table(JOBS)
            .col(pk_auto("id"))
            .col(string_len("kind", 16))
            .col(integer_null("node_id"))
            .col(string_len("asked_by", 255))
            .col(string_len("state", 16))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone_null("ended_at"))
            .col(timestamp_with_time_zone_null("deadline_at"))
            .col(text_null("note"))
            .take(),
    )
    .await?;
    index(m, "ix_muster_jobs_state", JOBS, &["state", "kind"]).await
}

async fn moves(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    let job = ForeignKey::create()
        .name("fk_muster_moves_job")
        .from(MOVES, "job_id")
        .to(JOBS, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take();
    m.create_table(
        Table::create()
            .table(MOVES)
            .col(pk_auto("id"))
            .col(integer("job_id"))
            .col(integer("key_id"))
            .col(integer("user_id"))
            .col(integer_null("from_node"))
            .col(integer_null("to_node"))
            .col(string_len("state", 16))
            .col(text_null("reason"))
            .col(timestamp_with_time_zone("at"))
            .foreign_key(&mut job.clone())
            .take(),
    )
    .await?;
    m.create_index(
        Index::create().name("ux_muster_moves_job_key").table(MOVES).col("job_id").col("key_id").unique().take(),
    )
    .await?;
    index(m, "ix_muster_moves_key", MOVES, &["key_id"]).await
}

async fn samples(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut table = Table::create()
        .table(SAMPLES)
        .col(integer("node_id"))
        .col(small_integer("step"))
        .col(big_integer("at"))
        .col(small_integer("health"))
        .col(integer_null("response_ms"))
        .col(small_integer_null("cpu"))
        .col(small_integer_null("mem"))
        .col(integer_null("online"))
        .col(string_len_null("xray", 64))
        .primary_key(Index::create().col("node_id").col("step").col("at"))
        .foreign_key(
            ForeignKey::create()
                .name("fk_muster_samples_node")
                .from(SAMPLES, "node_id")
                .to(NODES, "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take();
    if m.get_database_backend() == DbBackend::Sqlite {
        // The rows lie in the index itself: half the size.
        table.extra("WITHOUT ROWID");
    }
    m.create_table(table).await?;
    m.create_index(
        Index::create()
            .name("ix_muster_samples_xray")
            .table(SAMPLES)
            .col("node_id")
            .col("at")
            .and_where(Expr::col("xray").is_not_null())
            .take(),
    )
    .await
}

async fn index(m: &SchemaManager<'_>, name: &str, table: &'static str, columns: &[&'static str]) -> Result<(), DbErr> {
    let mut index = Index::create().name(name).table(table).take();
    for column in columns {
        index.col(*column);
    }
    m.create_index(index).await
}
