//! Readings of every kind, and rows of them as a prober would deliver them.

use fleet::{
    health::{
        Health,
        reading::{Depth, LayerResult, PanelLayers, Port, Reading, Xray},
        rules::Rules,
        verdict::Verdict,
    },
    id::InboundId,
};
use proptest::{collection::vec, prelude::*};

/// What is the matter with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Well,
    /// Panel and port refuse.
    Gone,
    /// The panel accepts, the port does not.
    PortClosed,
    /// The panel refuses, the port accepts.
    Silent,
    Unauthorised,
    /// The panel started a moment ago.
    Starting,
}

pub(crate) const GOOD: LayerResult = LayerResult::Good { ms: 1 };

pub(crate) fn bad(why: &str) -> LayerResult {
    LayerResult::Bad { why: why.to_owned(), ms: 1 }
}

pub(crate) fn port(tcp: LayerResult) -> Port {
    Port { inbound: InboundId(1), port: 443, tcp, tls: None }
}

/// A full reading of a node that is well.
pub(crate) fn well(started_ms: i64, ended_ms: i64) -> Reading {
    let xray = Xray::Running { ms: 1 };
    let panel = PanelLayers { name: GOOD, tcp: GOOD, tls: Some(GOOD), http: GOOD, path: GOOD, authorised: GOOD, xray };
    Reading { started_ms, ended_ms, depth: Depth::Full, panel, ports: vec![port(GOOD)] }
}

pub(crate) fn full(case: Case, started_ms: i64, ended_ms: i64) -> Reading {
    let mut reading = well(started_ms, ended_ms);
    let tcp_refused = PanelLayers { name: GOOD, tcp: bad("refused"), ..PanelLayers::not_reached(true) };
    match case {
        Case::Well => {}
        Case::Gone => (reading.panel, reading.ports) = (tcp_refused, vec![port(bad("refused"))]),
        Case::PortClosed => reading.ports = vec![port(bad("refused"))],
        Case::Silent => reading.panel = tcp_refused,
        Case::Unauthorised => {
            (reading.panel.authorised, reading.panel.xray) = (bad("wrong password"), Xray::NotReached);
        }
        Case::Starting => reading.panel.xray = Xray::NotYet { ms: 1 },
    }
    reading
}

/// What a light look sees of the same case.
pub(crate) fn light(case: Case, started_ms: i64, ended_ms: i64) -> Reading {
    let mut reading = full(case, started_ms, ended_ms);
    let tcp = reading.panel.tcp.clone();
    reading.panel = PanelLayers { name: GOOD, tcp, ..PanelLayers::not_reached(true) };
    reading.depth = Depth::Light;
    reading
}

pub(crate) fn observe_all<'a>(health: Health, readings: impl IntoIterator<Item = &'a Reading>) -> Health {
    readings.into_iter().fold(health, |health, reading| health.observe(reading, &Rules::default()))
}

pub(crate) fn is_bad(reading: &Reading) -> bool {
    matches!(reading.verdict(), Verdict::Bad { .. })
}

/// A reading that contradicts the failures before it.
pub(crate) fn is_word(reading: &Reading) -> bool {
    matches!(reading.verdict(), Verdict::Good | Verdict::Misconfigured { .. })
}

pub(crate) fn any_case() -> impl Strategy<Value = Case> {
    prop_oneof![
        4 => Just(Case::Well),
        5 => Just(Case::Gone),
        2 => Just(Case::PortClosed),
        2 => Just(Case::Silent),
        1 => Just(Case::Unauthorised),
        1 => Just(Case::Starting),
    ]
}

fn any_stretch() -> impl Strategy<Value = Vec<(Case, bool, i64, i64)>> {
    let gap = prop_oneof![3 => 1..=3_000_i64, 1 => 20_000..=33_000_i64];
    let check = (prop::bool::weighted(0.7), gap, prop_oneof![1..=300_i64, 1..=8_000_i64]);
    (any_case(), vec((any_case(), prop::bool::weighted(0.9), check), 1..=8)).prop_map(|(mostly, checks)| {
        let one = |(other, keeps, (is_full, gap, lasts))| (if keeps { mostly } else { other }, is_full, gap, lasts);
        checks.into_iter().map(one).collect()
    })
}

/// A row of readings in the order in which the checks began, no two at once: stretches of one case, with exceptions.
pub(crate) fn any_row() -> impl Strategy<Value = Vec<Reading>> {
    vec(any_stretch(), 1..=6).prop_map(|stretches| {
        let mut at = 1_000_000;
        let begin = |(case, is_full, gap, lasts): (Case, bool, i64, i64)| {
            at += gap;
            if is_full { full(case, at, at + lasts) } else { light(case, at, at + lasts) }
        };
        stretches.into_iter().flatten().map(begin).collect()
    })
}

/// The same readings as they arrive: by the end of the checks.
pub(crate) fn as_they_arrive(row: &[Reading]) -> Vec<Reading> {
    let mut row = row.to_vec();
    row.sort_by_key(|reading| reading.ended_ms);
    row
}
