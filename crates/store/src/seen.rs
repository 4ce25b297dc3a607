//! Where users were seen, and what they were shown: by this, moves are settled.

use crate::{
    StoreError, Write,
    assignments::home,
    batch::padded,
    entity::{assignment, client, key},
    id32,
};
use chrono::{DateTime, Utc};
use fleet::{
    id::{KeyId, NodeId},
    key::ClientName,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, IntoIden, Query, TableRef, ValueTuple},
};
use std::collections::BTreeMap;

/// So many names are asked for one by one.
const FEW: usize = 128;

impl Write<'_> {
    /// Clients of ours had traffic on this node, at these times or later. A sighting that is older than the one known
    /// changes nothing, nor does one under a name that is not ours.
    pub async fn set_seen(&self, node: NodeId, seen: &[(ClientName, DateTime<Utc>)]) -> Result<(), StoreError> {
        let mut by_name: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
        for (name, seen_at) in seen {
            let known = by_name.entry(name.as_str()).or_insert(*seen_at);
            *known = Ord::max(*known, *seen_at);
        }
        let mut by_key: BTreeMap<KeyId, DateTime<Utc>> = BTreeMap::new();
        for (key, name) in self.names_on(node, &by_name.keys().copied().collect::<Vec<_>>()).await? {
            by_key.extend(by_name.get(name.as_str()).map(|at| (key, *at)));
        }
        let pairs: Vec<_> = by_key.keys().map(|key| (*key, node)).collect();
        let homes = self.present_homes(&pairs).await?;
        let seen: Vec<_> = homes.iter().filter_map(|home| Some((home.id, *by_key.get(&home.key)?))).collect();
        for seen in padded(&seen) {
            self.set_seen_at(&seen).await?;
        }
        Ok(())
    }

    /// Clients of ours had traffic on this node for the first time, after this moment. Where a key began to come here later
    /// than that, its client is no older than the traffic, and it was used since the key lives here; to others this says
    /// nothing ([`Write::set_seen`]).
    pub async fn set_first_seen(
        &self,
        node: NodeId,
        names: &[ClientName],
        after: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let names: Vec<&str> = names.iter().map(ClientName::as_str).collect();
        let keys = self.names_on(node, &names).await?;
        let pairs: Vec<_> =
            keys.into_iter().filter(|(_, name)| names.contains(&name.as_str())).map(|(key, _)| (key, node)).collect();
        let homes: Vec<i32> = self.present_homes(&pairs).await?.into_iter().map(|home| home.id).collect();
        for homes in padded(&homes) {
            let since = || Expr::col(assignment::Column::Since);
            assignment::Entity::update_many()
                .col_expr(assignment::Column::SeenAt, since())
                .filter(assignment::Column::Id.is_in(homes))
                .filter(assignment::Column::AssignedAt.gt(after))
                .filter(since().is_not_null())
                .filter(assignment::Column::SeenAt.is_null().or(Expr::col(assignment::Column::SeenAt).lt(since())))
                .exec(&self.tx)
                .await?;
        }
        Ok(())
    }

    /// The keys on a node whose clients have these names; of many, all keys there, for asking for each would cost more.
    async fn names_on(&self, node: NodeId, names: &[&str]) -> Result<Vec<(KeyId, String)>, StoreError> {
        let mut query = client::Entity::find()
            .select_only()
            .column(client::Column::KeyId)
            .column(client::Column::Name)
            .filter(client::Column::NodeId.eq(id32(node.0)));
        if names.is_empty() {
            return Ok(Vec::new());
        } else if names.len() <= FEW
            && let Some(names) = padded(names).next()
        {
            query = query.filter(client::Column::Name.is_in(names));
        }
        let rows: Vec<(i32, String)> = query.into_tuple().all(&self.tx).await?;
        Ok(rows.into_iter().map(|(key, name)| (KeyId(key.into()), name)).collect())
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
