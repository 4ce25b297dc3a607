//! Which path below `panel/api/` is answered by what.

use crate::{
    call::Reply,
    three::{Asked, Panel, add, adjust, batch, bulk, change, clients, inbounds, login, page, tokens},
};
use axum::http::Method;

/// What answers a call.
pub(super) type Handler = fn(&mut Panel, &Asked<'_>) -> Reply;

/// A path that there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route<'a> {
    pub(super) handler: Handler,
    /// The segment that says which: an id, an email, or nothing.
    pub(super) name: &'a str,
    /// Whether the database is written.
    pub(super) writes: bool,
}

/// Finds what answers; `path` is what follows `panel/api/`.
pub(super) fn find<'a>(method: &Method, path: &[&'a str]) -> Option<Route<'a>> {
    let (handler, name): (Handler, &str) = match *method {
        Method::GET => look(path)?,
        Method::POST => act(path)?,
        _ => return None,
    };
    let reads = matches!(path, ["clients", "onlines" | "lastOnline"]);
    Some(Route { handler, name, writes: *method == Method::POST && !reads })
}

fn look<'a>(path: &[&'a str]) -> Option<(Handler, &'a str)> {
    Some(match path {
        ["inbounds", "list"] => (inbounds::list, ""),
        ["inbounds", "list", "slim"] => (inbounds::list_slim, ""),
        ["inbounds", "options"] => (inbounds::options, ""),
        ["inbounds", "get", id] => (inbounds::get, id),
        ["clients", "list"] => (clients::list, ""),
        ["clients", "list", "paged"] => (page::list, ""),
        ["clients", "export"] => (clients::export, ""),
        ["clients", "get", email] => (clients::get, email),
        ["clients", "get", "tgId", id] => (clients::of_telegram, id),
        ["clients", "traffic", email] => (clients::traffic, email),
        ["setting", "apiTokens"] => (tokens::list, ""),
        _ => return None,
    })
}

fn act<'a>(path: &[&'a str]) -> Option<(Handler, &'a str)> {
    match path {
        ["inbounds", rest @ ..] => act_on_inbounds(rest),
        ["clients", rest @ ..] => act_on_clients(rest),
        ["setting", "updateUser"] => Some((login::update_user, "")),
        ["setting", "apiTokens", "create"] => Some((tokens::create, "")),
        ["setting", "apiTokens", "setEnabled", id] => Some((tokens::set_enabled, id)),
        ["setting", "apiTokens", "delete", id] => Some((tokens::delete, id)),
        _ => None,
    }
}

fn act_on_inbounds<'a>(path: &[&'a str]) -> Option<(Handler, &'a str)> {
    Some(match path {
        ["add"] => (inbounds::add, ""),
        ["import"] => (inbounds::import, ""),
        ["bulkDel"] => (inbounds::bulk_delete, ""),
        ["resetAllTraffics"] => (inbounds::reset_all_traffics, ""),
        ["update", id] => (inbounds::update, id),
        ["setEnable", id] => (inbounds::set_enable, id),
        ["del", id] => (inbounds::delete, id),
        [id, "delAllClients"] => (inbounds::delete_clients, id),
        [id, "resetTraffic"] => (inbounds::reset_traffic, id),
        _ => return None,
    })
}

fn act_on_clients<'a>(path: &[&'a str]) -> Option<(Handler, &'a str)> {
    Some(match path {
        ["onlines"] => (clients::onlines, ""),
        ["lastOnline"] => (clients::last_online, ""),
        ["add"] => (add::add, ""),
        ["update", email] => (change::update, email),
        ["del", email] => (change::delete, email),
        ["resetTraffic", email] => (change::reset_traffic, email),
        ["updateTraffic", email] => (change::update_traffic, email),
        ["resetAllTraffics"] => (change::reset_all_traffics, ""),
        ["delDepleted"] => (change::delete_depleted, ""),
        ["delOrphans"] => (change::delete_orphans, ""),
        ["bulkCreate"] => (batch::create_many, ""),
        ["bulkDel"] => (bulk::delete, ""),
        ["bulkEnable"] => (bulk::enable, ""),
        ["bulkDisable"] => (bulk::disable, ""),
        ["bulkAdjust"] => (adjust::adjust, ""),
        ["bulkAttach"] => (bulk::attach, ""),
        ["bulkDetach"] => (bulk::detach, ""),
        ["bulkResetTraffic"] => (bulk::reset_traffic, ""),
        [email, "attach"] => (add::attach, email),
        [email, "detach"] => (change::detach, email),
        _ => return None,
    })
}
