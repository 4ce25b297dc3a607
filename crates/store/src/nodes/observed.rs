//! What was last observed of a node, and what we concluded.

use super::TEXT_CHARACTERS;
use crate::{
    StoreError, Write, clamp32,
    entity::node,
    id32,
    samples::{NewSample, finite},
    text::cut,
};
use chrono::{DateTime, Utc};
use fleet::{
    health::{Health, State, reading::Reading},
    id::NodeId,
    inbound::Inbound,
    node::Policy,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, UpdateMany, sea_query::Expr};

impl Write<'_> {
    /// Writes down what a panel showed of itself: the inbound that keys live on, its version. `None` leaves what was
    /// known before.
    pub async fn set_panel(
        &self,
        id: NodeId,
        inbound: Option<&Inbound>,
        version: Option<&str>,
    ) -> Result<(), StoreError> {
        if inbound.is_none() && version.is_none() {
            return Ok(());
        }
        let mut update = update(id);
        if let Some(inbound) = inbound {
            let text = serde_json::to_string(inbound).unwrap_or_default();
            update = update.col_expr(node::Column::InboundSeen, Expr::value(text));
        }
        if let Some(version) = version {
            update = update.col_expr(node::Column::PanelVersion, Expr::value(cut(version, 64)));
        }
        update.exec(&self.tx).await?;
        Ok(())
    }

    /// Writes down what we hold to be true of a node, whole for ourselves and as one of three words for others.
    pub async fn set_health(&self, id: NodeId, health: &Health, now: DateTime<Utc>) -> Result<(), StoreError> {
        let state = health.state();
        update(id)
            .col_expr(node::Column::Health, Expr::value(serde_json::to_string(health).ok()))
            .col_expr(node::Column::HealthStatus, Expr::value(state.word()))
            .col_expr(node::Column::HealthReason, Expr::value(state.why().map(|why| cut(why, TEXT_CHARACTERS))))
            .col_expr(node::Column::LastHealthCheck, Expr::value(now.naive_utc()))
            .exec(&self.tx)
            .await?;
        Ok(())
    }

    /// Writes down the last full reading and what the node's machine was like meanwhile. Of that, what is `None` is
    /// not known; only the version of its xray is then left as it was.
    pub async fn set_reading(&self, id: NodeId, reading: &Reading, machine: &NewSample) -> Result<(), StoreError> {
        let mut update = update(id)
            .col_expr(node::Column::Reading, Expr::value(serde_json::to_string(reading).ok()))
            .col_expr(node::Column::ResponseTimeMs, Expr::value(machine.response_ms.map(clamp32)))
            .col_expr(node::Column::Cpu, Expr::value(finite(machine.cpu_percent)))
            .col_expr(node::Column::Mem, Expr::value(finite(machine.mem_percent)))
            .col_expr(node::Column::OnlineUsers, Expr::value(machine.online_users.map(clamp32)));
        if let Some(version) = &machine.xray_version {
            update = update.col_expr(node::Column::XrayVersion, Expr::value(cut(version, 64)));
        }
        update.exec(&self.tx).await?;
        Ok(())
    }

    /// What is wanted of a node from now on. Its loops go on as they are.
    pub async fn set_policy(&self, id: NodeId, policy: Policy, now: DateTime<Utc>) -> Result<(), StoreError> {
        update(id)
            .col_expr(node::Column::Status, Expr::value(policy.as_str()))
            .col_expr(node::Column::UpdatedAt, Expr::value(now))
            .exec(&self.tx)
            .await?;
        Ok(())
    }

    /// Notes what keeps a node's panel from being as it should be; `None`: nothing does.
    pub async fn set_trouble(&self, id: NodeId, trouble: Option<&str>) -> Result<(), StoreError> {
        let trouble = trouble.map(|text| cut(text, TEXT_CHARACTERS));
        update(id).col_expr(node::Column::Trouble, Expr::value(trouble)).exec(&self.tx).await?;
        Ok(())
    }

    /// What was concluded is about another place than the one that is looked at from now on.
    pub(super) async fn forget_health(&self, id: NodeId) -> Result<(), StoreError> {
        update(id)
            .col_expr(node::Column::Health, Expr::value(Option::<String>::None))
            .col_expr(node::Column::HealthStatus, Expr::value(State::Unknown.word()))
            .col_expr(node::Column::HealthReason, Expr::value(Option::<String>::None))
            .exec(&self.tx)
            .await?;
        Ok(())
    }
}

fn update(id: NodeId) -> UpdateMany<node::Entity> {
    node::Entity::update_many().filter(node::Column::Id.eq(id32(id.0)))
}
