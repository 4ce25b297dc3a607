//! `user_node_assignments`: which key lives, lived or is leaving where.

use sea_orm::{entity::prelude::*, sea_query::Expr};

/// Where an assignment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum State {
    /// The panel has not confirmed the client yet.
    #[sea_orm(string_value = "arriving")]
    Arriving,
    /// The key lives here: the one state with `is_active`.
    #[sea_orm(string_value = "active")]
    Active,
    /// The key lives elsewhere by now; its client here works on until the move is settled.
    #[sea_orm(string_value = "leaving")]
    Leaving,
    /// The client is to be removed.
    #[sea_orm(string_value = "ending")]
    Ending,
    /// The panel confirmed that it is gone.
    #[sea_orm(string_value = "past")]
    Past,
}

impl State {
    /// The states in which the panel should hold the client of a key in force.
    pub(crate) const WANTED: [Self; 3] = [Self::Arriving, Self::Active, Self::Leaving];
    /// The states in which it may hold the client: all but past. Said like this and not as "not past", of which
    /// PostgreSQL believes, where it does not know the word, that hardly any row is it.
    pub(crate) const PRESENT: [Self; 4] = [Self::Arriving, Self::Active, Self::Leaving, Self::Ending];

    /// True for arriving and leaving assignments. In the very words of the index on them, without which no database
    /// would use it.
    pub(crate) fn is_moving() -> Expr {
        Expr::cust(r#""user_node_assignments"."state" IN ('arriving', 'leaving')"#)
    }
}

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "user_node_assignments")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub user_id: i32,
    pub node_id: i32,
    pub assigned_at: DateTimeUtc,
    pub is_active: bool,
    pub xui_inbound_id: Option<i32>,
    pub xui_client_email: Option<String>,
    pub key_id: Option<i32>,
    pub state: State,
    /// Since when the key points here.
    pub since: Option<DateTimeUtc>,
    /// Since when it no longer does.
    pub left_at: Option<DateTimeUtc>,
    /// Why the key comes here; once it has left, why it left.
    pub cause: Option<String>,
    /// The last traffic here.
    pub seen_at: Option<DateTimeUtc>,
    /// The job that `cause` is about.
    pub job_id: Option<i32>,
    /// When a leaving client goes at the latest, where a drain or an operator says so.
    pub grace_ends_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
