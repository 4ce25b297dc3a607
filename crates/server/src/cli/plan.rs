//! Who goes where, for people.

use super::{
    Failure,
    print::{Printed, table},
};
use crate::{
    api::job_shapes::Begun,
    app::App,
    ops::{
        jobs::SHOWN,
        plan::{Plan, Planned},
    },
};
use fleet::id::NodeId;
use serde_json::json;
use std::collections::BTreeMap;

/// Every node's name.
pub(super) type Names = BTreeMap<NodeId, String>;

/// Reads every node's name.
pub(super) async fn names(app: &App) -> Result<Names, Failure> {
    let nodes = app.store.read().nodes().await?;
    Ok(nodes.into_iter().map(|n| (n.node.id, n.node.name)).collect())
}

/// The name of this node, if it is still there.
pub(super) fn name(names: &Names, node: NodeId) -> String {
    names.get(&node).cloned().unwrap_or_else(|| format!("(deleted, {node})"))
}

/// A plan that nobody carries out: what it is for, how many keys go to each node, and each of them.
pub(super) async fn preview(app: &App, what: &str, plan: &Plan) -> Result<Printed, Failure> {
    let names = names(app).await?;
    let text = format!("{what}:\n{}\n\n{}", totals(plan, &names), listed(plan.moves.iter(), &names));
    let text = if plan.moves.is_empty() { format!("{what}: no key would move") } else { text };
    Ok(Printed::good(text, json!(Begun::new(None, plan))))
}

/// How many keys go to each node, and why some go nowhere.
pub(super) fn totals(plan: &Plan, names: &Names) -> String {
    let mut counts: BTreeMap<NodeId, u64> = BTreeMap::new();
    plan.moves.iter().filter_map(|m| m.to).for_each(|to| *counts.entry(to).or_default() += 1);
    let rows = counts.iter().map(|(to, keys)| vec![name(names, *to), keys.to_string()]);
    let mut text = if counts.is_empty() { "no key would move".to_owned() } else { table(&["TO", "KEYS"], rows) };
    if let Some(why) = &plan.why {
        text = format!("{text}\n{} fit nowhere: {why}", plan.unplaced().len());
    }
    text
}

/// Each key with its user, where it lives and where it goes; the first thousand of them.
pub(super) fn listed<'a>(moves: impl Iterator<Item = &'a Planned>, names: &Names) -> String {
    let shown = usize::try_from(SHOWN).unwrap_or(usize::MAX);
    let mut rows: Vec<Vec<String>> = moves
        .map(|m| {
            let to = m.to.map_or("nowhere".to_owned(), |to| name(names, to));
            vec![m.telegram_id.to_string(), m.key.to_string(), name(names, m.from), to]
        })
        .collect();
    let all = rows.len();
    rows.truncate(shown);
    let text = table(&["USER", "KEY", "FROM", "TO"], rows);
    if all > shown { format!("{text}\n(the first {shown} of {all}; --json lists them all)") } else { text }
}
