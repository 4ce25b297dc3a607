//! Where users were seen, and what they were shown: by this, moves are settled.

use crate::{
    StoreError, Write,
    assignments::home,
    batch::{padded, parts},
    entity::{
        assignment::{self, State},
        client, key,
    },
    id32,
};
use chrono::{DateTime, Utc};
use fleet::{
    id::{KeyId, NodeId},
    key::ClientName,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, IntoIden, Query, SelectStatement, TableRef, ValueTuple},
};
use std::collections::BTreeMap;

impl Write<'_> {
    /// Clients of ours had traffic on this node, at these times or later; where a key lives there only since a later
    /// time, that is noted, for the traffic is not older than its client. A sighting that is older than the one known changes
    /// nothing, nor does one under a name that is not ours.
    pub async fn set_seen(&self, node: NodeId, seen: &[(ClientName, DateTime<Utc>)]) -> Result<(), StoreError> {
        for chunk in parts(seen) {
            let mut at: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
            for (name, seen_at) in chunk {
                let known = at.entry(name.as_str()).or_insert(*seen_at);
                *known = Ord::max(*known, *seen_at);
            }
            let mut found = Vec::new();
            for names in padded(&at.keys().copied().collect::<Vec<_>>()) {
                for row in self.tx.query_all(&named(node, names)).await? {
                    let name: String = row.try_get("", "name")?;
                    let since: Option<DateTime<Utc>> = row.try_get("", "since")?;
                    let Some(at) = at.get(name.as_str()) else { continue };
                    found.push((row.try_get::<i32>("", "id")?, since.map_or(*at, |since| Ord::max(*at, since))));
                }
            }
            for found in padded(&found) {
                self.set_seen_at(&found).await?;
            }
        }
        Ok(())
    }

    async fn set_seen_at(&self, seen: &[(i32, DateTime<Utc>)]) -> Result<(), StoreError> {
        let pair = |(id, at): &(i32, DateTime<Utc>)| ValueTuple::Two((*id).into(), (*at).into());
        let at = || Expr::col(("v", "column2"));
        let update = Query::update()
            .table(assignment::Entity)
            .value(assignment::Column::SeenAt, at())
            .from(TableRef::ValuesList(seen.iter().map(pair).collect(), "v".into_iden()))
            .and_where(home(assignment::Column::Id).eq(Expr::col(("v", "column1"))))
            .cond_where(
                Condition::any()
                    .add(home(assignment::Column::SeenAt).is_null())
                    .add(home(assignment::Column::SeenAt).lt(at())),
            )
            .take();
        self.tx.execute(&update).await?;
        Ok(())
    }

    /// Users were given the links that their keys have now.
    pub async fn set_shown(&self, keys: &[KeyId], now: DateTime<Utc>) -> Result<(), StoreError> {
        let keys: Vec<i32> = keys.iter().map(|k| id32(k.0)).collect();
        for keys in padded(&keys) {
            key::Entity::update_many()
                .col_expr(key::Column::MusterShownAt, Expr::value(now))
                .filter(key::Column::Id.is_in(keys))
                .exec(&self.tx)
                .await?;
        }
        Ok(())
    }
}

/// The assignments of the clients on a node that have these names. Written so that SQLite begins with the names.
fn named(node: NodeId, names: Vec<&str>) -> SelectStatement {
    let line = |column: client::Column| (client::Entity, column);
    Query::select()
        .columns([(assignment::Entity, assignment::Column::Id), (assignment::Entity, assignment::Column::Since)])
        .column(line(client::Column::Name))
        .from(client::Entity)
        .cross_join(assignment::Entity)
        .and_where(Expr::col(line(client::Column::NodeId)).eq(id32(node.0)))
        .and_where(Expr::col(line(client::Column::Name)).is_in(names))
        .and_where(home(assignment::Column::KeyId).equals(line(client::Column::KeyId)))
        .and_where(home(assignment::Column::NodeId).equals(line(client::Column::NodeId)))
        .and_where(home(assignment::Column::State).ne(State::Past))
        .take()
}
