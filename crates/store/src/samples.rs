//! What nodes were like over time: health, response times, machine, users. Raw for a day, by ten minutes for
//! a week, by hours for 90 days, by six hours for a year.

mod thin;

pub use thin::Thinned;

use crate::{
    StoreError, View, Write,
    batch::{padded, parts},
    clamp32,
    entity::{node, sample},
    id32,
    jobs::words,
    text::cut,
};
use chrono::{DateTime, Utc};
use fleet::{health::State, id::NodeId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, Set,
    sea_query::{Expr, OnConflict, Order, Query},
};
use std::{collections::BTreeMap, fmt};

words!(
    /// A node's health in one word, the best first: of several, the last one in this order is kept.
    Condition {
        /// Users are served, and more may come.
        Up = "up",
        /// Nothing is known.
        Unknown = "unknown",
        /// It was down and answers again.
        Probation = "probation",
        /// It failed a moment ago.
        Suspect = "suspect",
        /// Our settings for its panel are wrong.
        Misconfigured = "misconfigured",
        /// The panel is silent, users are served.
        Degraded = "degraded",
        /// Users are not served.
        Down = "down",
    }
);
words!(
    /// How much time one sample stands for.
    Step {
        /// A moment.
        Raw = "raw",
        /// Ten minutes.
        TenMinutes = "10m",
        /// An hour.
        Hour = "1h",
        /// Six hours.
        SixHours = "6h",
    }
);

impl From<&State> for Condition {
    fn from(state: &State) -> Self {
        match state {
            State::Unknown => Self::Unknown,
            State::Up { .. } => Self::Up,
            State::Suspect { .. } => Self::Suspect,
            State::Degraded { .. } => Self::Degraded,
            State::Misconfigured { .. } => Self::Misconfigured,
            State::Down { .. } => Self::Down,
            State::Probation { .. } => Self::Probation,
        }
    }
}

impl Condition {
    fn code(self) -> i16 {
        self as i16
    }

    fn of_code(code: i16) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }
}

impl Step {
    fn code(self) -> i16 {
        self as i16
    }

    /// How many seconds it stands for; 0 for a moment.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::TenMinutes => 600,
            Self::Hour => 3600,
            Self::SixHours => 6 * 3600,
        }
    }
}

/// What a node was like at a moment; what is `None` is not known.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSample {
    /// Which node.
    pub node: NodeId,
    /// What we held to be true of it.
    pub health: Condition,
    /// How long its panel took to answer.
    pub response_ms: Option<i64>,
    /// Per cent of its processor in use.
    pub cpu_percent: Option<f64>,
    /// Per cent of its memory in use.
    pub mem_percent: Option<f64>,
    /// Users connected.
    pub online_users: Option<i64>,
    /// The version of its xray. Kept where it is another one than before.
    pub xray_version: Option<String>,
}

/// What a node was like: at a moment, or over ten minutes or hours.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When; the beginning of a longer time.
    pub at: DateTime<Utc>,
    /// For how much time it stands.
    pub step: Step,
    /// The worst that it was.
    pub health: Condition,
    /// How long its panel took to answer, on average.
    pub response_ms: Option<i64>,
    /// Per cent of its processor in use, on average.
    pub cpu_percent: Option<f64>,
    /// Per cent of its memory in use, at most.
    pub mem_percent: Option<f64>,
    /// Users connected, at most.
    pub online_users: Option<i64>,
    /// The version of its xray, if it became another one.
    pub xray_version: Option<String>,
}

impl Write<'_> {
    /// Keeps what nodes are like now. A second sample of a node in the same second, and one of a node that was deleted
    /// meanwhile, is dropped.
    pub async fn add_samples(&self, samples: &[NewSample], now: DateTime<Utc>) -> Result<(), StoreError> {
        let nodes: Vec<i32> = samples.iter().map(|s| id32(s.node.0)).collect();
        let versions = self.last_versions(&nodes).await?;
        let rows: Vec<_> = samples
            .iter()
            .filter_map(|sample| {
                let known = versions.get(&id32(sample.node.0))?;
                let version = sample.xray_version.as_deref().map(|version| cut(version, 64));
                Some(sample::ActiveModel {
                    node_id: Set(id32(sample.node.0)),
                    step: Set(Step::Raw.code()),
                    at: Set(now.timestamp()),
                    health: Set(sample.health.code()),
                    response_ms: Set(sample.response_ms.map(clamp32)),
                    cpu: Set(sample.cpu_percent.and_then(tenths)),
                    mem: Set(sample.mem_percent.and_then(tenths)),
                    online: Set(sample.online_users.map(clamp32)),
                    xray: Set(version.filter(|version| Some(version) != known.as_ref())),
                })
            })
            .collect();
        for chunk in parts(&rows) {
            let again = OnConflict::columns([sample::Column::NodeId, sample::Column::Step, sample::Column::At])
                .do_nothing()
                .to_owned();
            sample::Entity::insert_many(chunk.to_vec()).on_conflict(again).exec_without_returning(&self.tx).await?;
        }
        Ok(())
    }

    /// The version that was last kept of each of these nodes, if they are there.
    async fn last_versions(&self, nodes: &[i32]) -> Result<BTreeMap<i32, Option<String>>, StoreError> {
        let mut versions = BTreeMap::new();
        for nodes in padded(nodes) {
            let last = Query::select()
                .column((sample::Entity, sample::Column::Xray))
                .from(sample::Entity)
                .and_where(Expr::col((sample::Entity, sample::Column::NodeId)).equals((node::Entity, node::Column::Id)))
                .and_where(Expr::col((sample::Entity, sample::Column::Xray)).is_not_null())
                .order_by((sample::Entity, sample::Column::At), Order::Desc)
                .limit(1)
                .take();
            let query = Query::select()
                .column((node::Entity, node::Column::Id))
                .expr_as(Expr::SubQuery(None, Box::new(last.into())), "version")
                .from(node::Entity)
                .and_where(Expr::col((node::Entity, node::Column::Id)).is_in(nodes))
                .take();
            for row in self.tx.query_all(&query).await? {
                versions.insert(row.try_get("", "id")?, row.try_get("", "version")?);
            }
        }
        Ok(versions)
    }
}

impl<C: ConnectionTrait> View<'_, C> {
    /// What a node was like from one time up to another, in order. Recent times come in small steps, old ones in
    /// large.
    pub async fn samples(
        &self,
        node: NodeId,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<Sample>, StoreError> {
        let rows = sample::Entity::find()
            .filter(sample::Column::NodeId.eq(id32(node.0)))
            .filter(sample::Column::Step.is_in(Step::ALL.iter().map(|step| step.code())))
            .filter(sample::Column::At.gte(from.timestamp()))
            .filter(sample::Column::At.lt(until.timestamp()))
            .order_by_asc(sample::Column::At)
            .all(self.c)
            .await?;
        rows.into_iter().map(record).collect()
    }
}

fn record(row: sample::Model) -> Result<Sample, StoreError> {
    let unusable = |column, value: i64| StoreError::Row {
        table: "muster_samples",
        column,
        row: row.node_id.into(),
        value: value.to_string(),
    };
    let step = Step::ALL.iter().copied().find(|step| step.code() == row.step);
    Ok(Sample {
        at: DateTime::from_timestamp(row.at, 0).ok_or_else(|| unusable("at", row.at))?,
        step: step.ok_or_else(|| unusable("step", row.step.into()))?,
        health: Condition::of_code(row.health).ok_or_else(|| unusable("health", row.health.into()))?,
        response_ms: row.response_ms.map(i64::from),
        cpu_percent: row.cpu.map(|tenths| f64::from(tenths) / 10.0),
        mem_percent: row.mem.map(|tenths| f64::from(tenths) / 10.0),
        online_users: row.online.map(i64::from),
        xray_version: row.xray,
    })
}

/// What is not a number is not known.
pub(crate) fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}

/// In tenths, as far as they can be kept.
#[expect(clippy::cast_possible_truncation, reason = "a number out of range becomes the nearest one")]
fn tenths(percent: f64) -> Option<i16> {
    finite(Some(percent)).map(|percent| (percent * 10.0).round() as i16)
}
