//! `muster nodes leaving` and `end-grace`: users who are still on a node that their keys left.

use super::{
    Failure,
    nodes::Named,
    plan::{name, names},
    print::{BY_SERVER, Printed, moment, table},
};
use crate::{
    api::leaving::LeavingList,
    app::App,
    ops::{leaving, nodes},
};
use serde_json::json;

/// Who is still there, and until when.
pub(super) async fn list(app: &App, named: &Named) -> Result<Printed, Failure> {
    let node = nodes::load_named(&app.store, &named.name).await?;
    let (total, found) = leaving::still_there(&app.store, &app.config, node.node.id, (app.clock)()).await?;
    let known = names(app).await?;
    let rows = found.iter().map(|one| {
        let user = one.telegram_id.map(|id| id.to_string()).unwrap_or_default();
        let until = one.until.map_or("never: the key goes back there".to_owned(), moment);
        let seen = one.seen_at.map_or("never".to_owned(), moment);
        vec![user, one.key.to_string(), name(&known, one.home), moment(one.since), seen, until]
    });
    let head = ["USER", "KEY", "LIVES ON", "SINCE (UTC)", "LAST SEEN HERE", "GOES IF NOT SEEN"];
    let mut text = match total {
        0 => format!("no key that left node {} has an old client there", node.node.name),
        _ => table(&head, rows),
    };
    if found.len() < total {
        text = format!("{text}\n(the first {} of {total})", found.len());
    }
    Ok(Printed::good(text, json!(LeavingList::new(total, &found))))
}

/// Everybody who is leaving a node goes.
pub(super) async fn end_grace(app: &App, named: &Named) -> Result<Printed, Failure> {
    let node = nodes::load_named(&app.store, &named.name).await?;
    let ended = leaving::end_grace(&app.store, node.node.id).await?;
    let name = &node.node.name;
    let text = format!("{ended} old client(s) on node {name} wait for nobody any more; {BY_SERVER}");
    Ok(Printed::good(text, json!({"ended": ended})))
}
