//! What one panel should hold, and the difference to what it holds.

use crate::{
    client::{Client, ObservedClient, credential},
    inbound::Protocol,
    key::{ClientName, Identity},
};
use std::collections::BTreeMap;

/// What a panel's inbound should hold, as far as it is ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// Clients that should be there.
    pub clients: BTreeMap<ClientName, Client>,
    /// Clients that we made there and nobody wants there any more.
    pub retired: BTreeMap<ClientName, Identity>,
}

/// What a panel's inbound was seen to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Every client that was listed.
    pub clients: Vec<ObservedClient>,
    /// Whether the listing was whole; else a client that is not listed may be there all the same.
    pub complete: bool,
}

/// One thing to say to a panel. Leaves no choice to whoever says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Remove this client of ours.
    Remove(Identity),
    /// Make it hold this client, just so.
    Ensure(Client),
}

/// What somebody else did to our clients, or has beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// A client of ours is not there.
    Missing(ClientName),
    /// A client of ours is not as it should be.
    Changed {
        /// Which.
        name: ClientName,
        /// In what.
        fields: Vec<&'static str>,
    },
    /// Under a name of ours stands a client with neither our credential nor our subscription id: not ours to touch.
    Conflict {
        /// The name.
        name: ClientName,
    },
    /// Clients under names that are not ours. They are invisible to everything but this count.
    Strangers {
        /// How many.
        count: usize,
    },
}

/// The difference between what should be and what is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What to say to the panel: removals first, for a revoked key goes before anybody new comes.
    pub steps: Vec<Step>,
    /// Desired clients that were seen just so.
    pub settled: Vec<ClientName>,
    /// Retired clients that a whole listing did not show.
    pub gone: Vec<ClientName>,
    /// What somebody else did.
    pub drift: Vec<Drift>,
}

/// What to say to one panel. Makes no choices, touches no name that `desired` does not name, and takes nothing for
/// absent that a listing cut short did not show.
///
/// `now_ms` is the time in ms since 1970: a client whose access has run out is disabled by the panel itself, which
/// is as it should be.
#[must_use]
pub fn diff(desired: &Desired, protocol: &Protocol, observed: &Observed, now_ms: i64) -> Difference {
    let mut seen: BTreeMap<&ClientName, Vec<&ObservedClient>> = BTreeMap::new();
    let mut strangers = 0;
    for client in &observed.clients {
        if desired.clients.contains_key(&client.name) || desired.retired.contains_key(&client.name) {
            seen.entry(&client.name).or_default().push(client);
        } else {
            strangers += 1;
        }
    }
    let mut difference = Difference::default();
    for (name, identity) in &desired.retired {
        if !desired.clients.contains_key(name) {
            retire(&mut difference, identity, protocol, seen.get(name), observed.complete);
        }
    }
    for (name, client) in &desired.clients {
        if let Some(seen) = seen.get(name) {
            ensure(&mut difference, client, protocol, seen, now_ms);
            continue;
        }
        if observed.complete {
            difference.drift.push(Drift::Missing(name.clone()));
        }
        difference.steps.push(Step::Ensure(client.clone()));
    }
    if strangers > 0 {
        difference.drift.push(Drift::Strangers { count: strangers });
    }
    difference
}

fn retire(
    difference: &mut Difference,
    identity: &Identity,
    protocol: &Protocol,
    seen: Option<&Vec<&ObservedClient>>,
    complete: bool,
) {
    match seen {
        None if complete => difference.gone.push(identity.name.clone()),
        None => {}
        Some(seen) if seen.iter().all(|c| is_ours(c, identity, protocol)) => {
            difference.steps.push(Step::Remove(identity.clone()));
        }
        Some(seen) => {
            // What is there is somebody else's. Should the name be there twice, ours may be one of them.
            difference.drift.push(Drift::Conflict { name: identity.name.clone() });
            if complete && !seen.iter().any(|c| is_ours(c, identity, protocol)) {
                difference.gone.push(identity.name.clone());
            }
        }
    }
}

fn ensure(difference: &mut Difference, client: &Client, protocol: &Protocol, seen: &[&ObservedClient], now_ms: i64) {
    let name = &client.identity.name;
    if !seen.iter().all(|c| is_ours(c, &client.identity, protocol)) {
        difference.drift.push(Drift::Conflict { name: name.clone() });
        return;
    }
    let mut fields: Vec<&'static str> = Vec::new();
    for field in seen.iter().flat_map(|c| changed(c, client, protocol, now_ms)) {
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    if fields.is_empty() {
        difference.settled.push(name.clone());
    } else {
        difference.drift.push(Drift::Changed { name: name.clone(), fields });
        difference.steps.push(Step::Ensure(client.clone()));
    }
}

/// Whether a client seen under the name of an identity of ours is that: credential or subscription id will do, for a
/// panel's operator may have changed the other, or a credential's case.
pub fn is_ours(observed: &ObservedClient, identity: &Identity, protocol: &Protocol) -> bool {
    observed.credential.eq_ignore_ascii_case(&credential(protocol, identity.uuid))
        || (!identity.sub_id.is_empty() && observed.sub_id == identity.sub_id)
}

fn changed(observed: &ObservedClient, client: &Client, protocol: &Protocol, now_ms: i64) -> Vec<&'static str> {
    let ran_out = (1..=now_ms).contains(&client.expires_at_ms);
    let disabled_as_due = ran_out && client.enabled && !observed.enabled;
    let differs = [
        (!is_credential(&observed.credential, client, protocol), "credential"),
        (observed.sub_id != client.identity.sub_id, "sub_id"),
        (observed.flow != client.flow, "flow"),
        (observed.enabled != client.enabled && !disabled_as_due, "enabled"),
        (observed.expires_at_ms != client.expires_at_ms, "expires_at"),
        (observed.traffic_limit != client.traffic_limit, "traffic_limit"),
    ];
    differs.into_iter().filter_map(|(differs, field)| differs.then_some(field)).collect()
}

/// Whether a user of this client gets in with what the panel holds: case is nothing to a UUID and matters in a
/// password.
fn is_credential(observed: &str, client: &Client, protocol: &Protocol) -> bool {
    let wanted = credential(protocol, client.identity.uuid);
    match protocol {
        Protocol::Vless { .. } | Protocol::Vmess => observed.eq_ignore_ascii_case(&wanted),
        Protocol::Trojan | Protocol::Shadowsocks { .. } | Protocol::Other { .. } => observed == wanted,
    }
}
