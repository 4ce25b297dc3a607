//! Thinning: old samples are drawn together, and the oldest dropped, a little at a time.

use super::Step;
use crate::{StoreError, Write};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Statement, Value};

const DAY: i64 = 24 * 3600;
/// How long raw samples are kept.
const RAW: i64 = DAY;
/// How long those of ten minutes are.
const TEN_MINUTES: i64 = 7 * DAY;
/// How long those of an hour are.
const HOURS: i64 = 90 * DAY;
/// How long those of six hours are.
const SIX_HOURS: i64 = 365 * DAY;
/// About how many rows one call may touch of each step: a tenth of a second, for others wait meanwhile.
const ROWS: i64 = 20_000;
/// How far apart raw samples are, at least about.
const RAW_PERIOD: i64 = 30;

/// What one call of [`Write::thin_samples`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Thinned {
    /// Samples that were drawn together with others.
    pub folded: u64,
    /// Samples that were dropped for their age.
    pub dropped: u64,
    /// Whether there is more to do.
    pub more: bool,
}

impl Write<'_> {
    /// Draws raw samples of more than a day ago together to one for ten minutes, those of more than a week ago to one
    /// for an hour, those of more than 90 days ago to one for six hours, and drops what is older than a year. What is
    /// drawn together keeps the worst health, average response and processor, and the most of memory and users. A
    /// call does a bounded part of that, the oldest first.
    pub async fn thin_samples(&self, now: DateTime<Utc>) -> Result<Thinned, StoreError> {
        let now = now.timestamp();
        let nodes = self.count("SELECT count(*) AS answer FROM vpn_nodes", vec![]).await?.unwrap_or(0).max(1);
        let mut thinned = Thinned::default();
        for (from, to, age, period) in [
            (Step::Raw, Some(Step::TenMinutes), RAW, RAW_PERIOD),
            (Step::TenMinutes, Some(Step::Hour), TEN_MINUTES, Step::TenMinutes.seconds()),
            (Step::Hour, Some(Step::SixHours), HOURS, Step::Hour.seconds()),
            (Step::SixHours, None, SIX_HOURS, Step::SixHours.seconds()),
        ] {
            let slot = to.map_or(period, Step::seconds);
            let end = (now - age).div_euclid(slot) * slot;
            let Some(oldest) = self.oldest(from).await?.filter(|at| *at < end) else { continue };
            let begin = oldest.div_euclid(slot) * slot;
            let span = (ROWS / nodes * period / slot).max(1) * slot;
            let until = end.min(begin + span);
            if let Some(to) = to {
                self.fold(from, to, begin, until).await?;
            }
            let gone = self.drop_samples(from, begin, until).await?;
            *(if to.is_some() { &mut thinned.folded } else { &mut thinned.dropped }) += gone;
            thinned.more |= until < end;
        }
        Ok(thinned)
    }

    /// Node by node, which the primary key answers without a look at the rows.
    async fn oldest(&self, step: Step) -> Result<Option<i64>, StoreError> {
        let sql = format!(
            "SELECT MIN(q.first) AS answer FROM (SELECT (SELECT MIN(s.\"at\") FROM muster_samples s \
             WHERE s.node_id = n.id AND s.step = {}) AS first FROM vpn_nodes n) q",
            step.code()
        );
        self.count(&sql, vec![]).await
    }

    async fn fold(&self, from: Step, to: Step, begin: i64, until: i64) -> Result<(), StoreError> {
        let (from, code, slot) = (from.code(), to.code(), to.seconds());
        let sql = format!(
            "INSERT INTO muster_samples (node_id, step, \"at\", health, response_ms, cpu, mem, online, xray) \
             SELECT g.node_id, {code}, g.slot, g.health, g.response_ms, g.cpu, g.mem, g.online, \
             (SELECT x.xray FROM muster_samples x WHERE x.node_id = g.node_id AND x.step = {from} \
             AND x.\"at\" >= g.slot AND x.\"at\" < g.slot + {slot} AND x.xray IS NOT NULL \
             ORDER BY x.\"at\" DESC LIMIT 1) \
             FROM (SELECT node_id, \"at\" / {slot} * {slot} AS slot, MAX(health) AS health, \
             CAST(ROUND(AVG(response_ms)) AS integer) AS response_ms, CAST(ROUND(AVG(cpu)) AS smallint) AS cpu, \
             MAX(mem) AS mem, MAX(online) AS online FROM muster_samples \
             WHERE node_id IN (SELECT id FROM vpn_nodes) AND step = {from} AND \"at\" >= $1 AND \"at\" < $2 \
             GROUP BY node_id, \"at\" / {slot} * {slot}) g WHERE true ON CONFLICT DO NOTHING"
        );
        self.tx.execute_raw(self.statement(&sql, vec![begin.into(), until.into()])).await?;
        Ok(())
    }

    async fn drop_samples(&self, step: Step, begin: i64, until: i64) -> Result<u64, StoreError> {
        let sql = format!(
            "DELETE FROM muster_samples WHERE node_id IN (SELECT id FROM vpn_nodes) AND step = {} \
             AND \"at\" >= $1 AND \"at\" < $2",
            step.code()
        );
        let done = self.tx.execute_raw(self.statement(&sql, vec![begin.into(), until.into()])).await?;
        Ok(done.rows_affected())
    }

    async fn count(&self, sql: &str, values: Vec<Value>) -> Result<Option<i64>, StoreError> {
        let row = self.tx.query_one_raw(self.statement(sql, values)).await?;
        Ok(row.map(|row| row.try_get::<Option<i64>>("", "answer")).transpose()?.flatten())
    }

    fn statement(&self, sql: &str, values: Vec<Value>) -> Statement {
        Statement::from_sql_and_values(self.tx.get_database_backend(), sql, values)
    }
}
