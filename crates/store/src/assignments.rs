//! Assignments: which key lives where. A key comes to a node *arriving*; once the panel confirmed it, it is *active*
//! there, and nowhere else; the node that it comes from holds it *leaving*, a client that works on until the move is
//! settled ([`crate::moves`]); *ending* is what is to be removed, *past* what is gone.

use crate::{
    StoreError, View, Write,
    batch::{padded, parts},
    clients::line_of,
    entity::{
        assignment::{self, State},
        client, key,
    },
    id32,
};
use chrono::{DateTime, Utc};
use fleet::{
    id::{InboundId, JobId, KeyId, NodeId, UserId},
    key::Identity,
    settle::Cause,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, Set,
    sea_query::{Expr, IntoIden, OnConflict, Query, TableRef, ValueTuple},
};
use std::collections::{BTreeMap, BTreeSet};

/// A key's new home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assign {
    /// Which key.
    pub key: KeyId,
    /// Whose.
    pub user: UserId,
    /// Where to.
    pub node: NodeId,
    /// The inbound there.
    pub inbound: InboundId,
    /// What the key is everywhere.
    pub identity: Identity,
}

/// An assignment to be made.
pub(crate) struct Coming<'a> {
    pub(crate) assign: &'a Assign,
    pub(crate) cause: Option<Cause>,
    pub(crate) job: Option<JobId>,
}

/// An assignment that is there.
pub(crate) struct FoundHome {
    pub(crate) id: i32,
    pub(crate) key: KeyId,
    pub(crate) job: Option<JobId>,
    state: State,
}

impl FoundHome {
    /// What is to be found on a job's list.
    pub(crate) fn listed(&self) -> Option<(JobId, KeyId)> {
        Some((self.job?, self.key))
    }
}

impl<C: ConnectionTrait> View<'_, C> {
    /// The nodes on which these keys are to have clients: where they live, are on their way to, or left and may come back
    /// to.
    pub async fn homes_of(&self, keys: &[KeyId]) -> Result<Vec<(KeyId, NodeId)>, StoreError> {
        let keys: Vec<i32> = keys.iter().map(|key| id32(key.0)).collect();
        let mut found = Vec::new();
        for keys in padded(&keys) {
            let rows: Vec<(i32, i32)> = assignment::Entity::find()
                .select_only()
                .column(assignment::Column::KeyId)
                .column(assignment::Column::NodeId)
                .filter(assignment::Column::KeyId.is_in(keys))
                .filter(assignment::Column::State.is_in([State::Arriving, State::Active, State::Leaving]))
                .into_tuple()
                .all(self.c)
                .await?;
            found.extend(rows.into_iter().map(|(key, node)| (KeyId(key.into()), NodeId(node.into()))));
        }
        Ok(found)
    }
}

impl Write<'_> {
    /// Gives keys a home: an assignment, arriving until the panel confirms it, and a line in the ledger that the
    /// panel has yet to hear of. The caller has taken room on the nodes
    /// ([`Write::take_room`]) and released the keys' former homes.
    pub async fn assign(&self, assigns: &[Assign], now: DateTime<Utc>) -> Result<(), StoreError> {
        let coming: Vec<_> = assigns.iter().map(|assign| Coming { assign, cause: None, job: None }).collect();
        self.send(&coming, now).await
    }

    pub(crate) async fn send(&self, coming: &[Coming<'_>], now: DateTime<Utc>) -> Result<(), StoreError> {
        for chunk in parts(coming) {
            self.want_back(chunk).await?;
            let homes = chunk.iter().map(|c| assignment::ActiveModel {
                user_id: Set(id32(c.assign.user.0)),
                node_id: Set(id32(c.assign.node.0)),
                assigned_at: Set(now),
                is_active: Set(false),
                xui_inbound_id: Set(Some(id32(c.assign.inbound.0))),
                xui_client_email: Set(Some(c.assign.identity.name.as_str().to_owned())),
                key_id: Set(Some(id32(c.assign.key.0))),
                state: Set(State::Arriving),
                cause: Set(c.cause.map(|cause| cause.as_str().to_owned())),
                job_id: Set(c.job.map(|job| id32(job.0))),
                ..Default::default()
            });
            assignment::Entity::insert_many(homes).exec_without_returning(&self.tx).await?;
            let lines =
                chunk.iter().map(|c| line_of(c.assign.node, c.assign.inbound, c.assign.key, &c.assign.identity));
            let back_home = OnConflict::columns([client::Column::KeyId, client::Column::NodeId])
                .value(client::Column::Dirty, true)
                .value(client::Column::Generation, Expr::col((client::Entity, client::Column::Generation)).add(1))
                .update_column(client::Column::InboundId)
                .to_owned();
            client::Entity::insert_many(lines).on_conflict(back_home).exec_without_returning(&self.tx).await?;
        }
        for node in coming.iter().map(|c| id32(c.assign.node.0)).collect::<BTreeSet<_>>() {
            self.recount(node).await?;
        }
        Ok(())
    }

    /// What was to be removed there is wanted again: nobody will see it gone.
    async fn want_back(&self, coming: &[Coming<'_>]) -> Result<(), StoreError> {
        let pairs: Vec<_> = coming.iter().map(|c| (c.assign.key, c.assign.node)).collect();
        let ending = self.find_homes(&pairs, State::Ending).await?;
        self.close(&ending).await
    }

    async fn close(&self, homes: &[FoundHome]) -> Result<(), StoreError> {
        let ids: Vec<i32> = homes.iter().map(|home| home.id).collect();
        for ids in padded(&ids) {
            assignment::Entity::update_many()
                .col_expr(assignment::Column::State, Expr::value(State::Past))
                .col_expr(assignment::Column::IsActive, Expr::value(false))
                .filter(assignment::Column::Id.is_in(ids))
                .exec(&self.tx)
                .await?;
        }
        Ok(())
    }

    /// Takes keys away from the nodes they live on (all, or one): their clients there are to be removed.
    pub async fn release_keys(&self, keys: &[KeyId], node: Option<NodeId>) -> Result<(), StoreError> {
        let ids: Vec<i32> = keys.iter().map(|k| id32(k.0)).collect();
        self.release(&ids, node.map(|n| id32(n.0))).await
    }

    pub(crate) async fn release(&self, keys: &[i32], node: Option<i32>) -> Result<(), StoreError> {
        for ids in padded(keys) {
            let mut homes = Condition::all().add(assignment::Column::KeyId.is_in(ids.clone()));
            let mut lines = Condition::all().add(client::Column::KeyId.is_in(ids));
            if let Some(node) = node {
                homes = homes.add(assignment::Column::NodeId.eq(node));
                lines = lines.add(client::Column::NodeId.eq(node));
            }
            assignment::Entity::update_many()
                .col_expr(assignment::Column::IsActive, Expr::value(false))
                .col_expr(assignment::Column::State, Expr::value(State::Ending))
                .filter(homes)
                .filter(assignment::Column::State.is_in(State::WANTED))
                .exec(&self.tx)
                .await?;
            client::Entity::update_many()
                .col_expr(client::Column::Dirty, Expr::value(true))
                .col_expr(client::Column::Generation, Expr::col(client::Column::Generation).add(1))
                .filter(lines)
                .exec(&self.tx)
                .await?;
        }
        Ok(())
    }

    /// The assignments of these keys on these nodes that stand like this.
    pub(crate) async fn find_homes(
        &self,
        pairs: &[(KeyId, NodeId)],
        state: State,
    ) -> Result<Vec<FoundHome>, StoreError> {
        // Not asked for in the question: after a failover, it is true of more rows than statistics know of.
        Ok(self.present_homes(pairs).await?.into_iter().filter(|found| found.state == state).collect())
    }

    /// The assignments of these keys on these nodes whose clients may be there, in order.
    pub(crate) async fn present_homes(&self, pairs: &[(KeyId, NodeId)]) -> Result<Vec<FoundHome>, StoreError> {
        let mut found = BTreeMap::new();
        for chunk in padded(pairs) {
            let query = Query::select()
                .columns([
                    (assignment::Entity, assignment::Column::Id),
                    (assignment::Entity, assignment::Column::KeyId),
                    (assignment::Entity, assignment::Column::JobId),
                    (assignment::Entity, assignment::Column::State),
                ])
                .from(assignment::Entity)
                .from(pair_list(&chunk))
                .and_where(is_pair())
                .and_where(home(assignment::Column::State).is_in(State::PRESENT))
                .take();
            for row in self.tx.query_all(&query).await? {
                let id = row.try_get("", "id")?;
                let key = KeyId(row.try_get::<i32>("", "key_id")?.into());
                let job = row.try_get::<Option<i32>>("", "job_id")?.map(|job| JobId(job.into()));
                found.insert(id, FoundHome { id, key, job, state: row.try_get("", "state")? });
            }
        }
        Ok(found.into_values().collect())
    }

    /// The clients of these assignments are to be removed, and their panels have yet to hear of it.
    pub(crate) async fn end_homes(&self, homes: &[i32]) -> Result<(), StoreError> {
        for ids in padded(homes) {
            let lines = Query::update()
                .table(client::Entity)
                .value(client::Column::Dirty, true)
                .value(client::Column::Generation, Expr::col((client::Entity, client::Column::Generation)).add(1))
                .from(assignment::Entity)
                .and_where(home(assignment::Column::KeyId).equals((client::Entity, client::Column::KeyId)))
                .and_where(home(assignment::Column::NodeId).equals((client::Entity, client::Column::NodeId)))
                .and_where(home(assignment::Column::Id).is_in(ids.clone()))
                .take();
            self.tx.execute(&lines).await?;
            assignment::Entity::update_many()
                .col_expr(assignment::Column::IsActive, Expr::value(false))
                .col_expr(assignment::Column::State, Expr::value(State::Ending))
                .filter(assignment::Column::Id.is_in(ids))
                .exec(&self.tx)
                .await?;
        }
        Ok(())
    }

    /// The lines of these keys on this node are gone. Where a key was still to live there (another program had
    /// revoked it), it lives nowhere from now on.
    pub(crate) async fn close_homes(&self, node: NodeId, keys: &[KeyId]) -> Result<(), StoreError> {
        let pairs: Vec<_> = keys.iter().map(|key| (*key, node)).collect();
        let found = self.present_homes(&pairs).await?;
        self.close(&found).await?;
        let lived = found.iter().filter(|home| home.state == State::Active);
        let lived: Vec<i32> = lived.map(|home| id32(home.key.0)).collect();
        for keys in padded(&lived) {
            key::Entity::update_many()
                .col_expr(key::Column::NodeId, Expr::value(Option::<i32>::None))
                .filter(key::Column::Id.is_in(keys))
                .filter(key::Column::NodeId.eq(id32(node.0)))
                .filter(key::Column::MusterState.eq("active"))
                .exec(&self.tx)
                .await?;
        }
        Ok(())
    }
}

/// A column of an assignment, where another table has one of that name.
pub(crate) fn home(column: assignment::Column) -> Expr {
    Expr::col((assignment::Entity, column))
}

/// Keys on nodes, as a table `v` to join with.
pub(crate) fn pair_list(pairs: &[(KeyId, NodeId)]) -> TableRef {
    let pair = |(key, node): &(KeyId, NodeId)| ValueTuple::Two(id32(key.0).into(), id32(node.0).into());
    TableRef::ValuesList(pairs.iter().map(pair).collect(), "v".into_iden())
}

/// Whether an assignment is of a key on a node of `v`.
pub(crate) fn is_pair() -> Expr {
    home(assignment::Column::KeyId)
        .eq(Expr::col(("v", "column1")))
        .and(home(assignment::Column::NodeId).eq(Expr::col(("v", "column2"))))
}
