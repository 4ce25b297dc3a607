//! The client calls of 2.x panels, which 3.0.x still has.
//!
//! Such a panel keeps clients in one array inside the inbound's settings and rewrites it whole with every call,
//! without a lock: of two writes at the same time one is lost although both are answered with success. So one
//! writer per panel, many clients per call, and no success is believed before it was read back.

use crate::{
    Panel, PanelError,
    call::Fault,
    family::{Family, Gap},
    http::Request,
    wire::{
        client::{Held, Roster, Row, Rows, fresh},
        embedded, inbound,
    },
};
use fleet::{
    client::Client,
    id::InboundId,
    inbound::{Inbound, Protocol},
    key::{ClientName, Identity},
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use uuid::Builder;

/// How the name of a placeholder begins; the inbound's number follows after a dash.
///
/// 2.x panels refuse to delete an inbound's last client. When that is what has to go, a disabled client of this
/// name is added first and stays. It is never reported by [`Panel::observe`], lets nobody in, and an operator may
/// delete it whenever the inbound holds another client.
pub const PLACEHOLDER: &str = "muster-placeholder";

impl Panel {
    /// The inbound and its clients, from its settings.
    pub(crate) async fn roster_of_two(&self, inbound: InboundId) -> Result<(Inbound, Roster), Fault> {
        let obj = self.ask(&Request::list("panel/api/inbounds/get").segment(&inbound.to_string())).await?;
        let Some(found) = inbound::inbound(&obj) else {
            let what = "an inbound without a readable id";
            return Err(PanelError::unexpected(what, obj.to_string().as_bytes()).into());
        };
        let roster = Roster::of_settings(obj.get("settings").and_then(embedded));
        Ok((found, roster))
    }

    /// The clients of an inbound, and the panel's rows of counters. An addition that failed may have left a row behind,
    /// and the next one of that name keeps it: with its old limits, or switched off, when the client is meant to be on.
    pub(crate) async fn roster_of_two_with_rows(&self, inbound: InboundId) -> Result<(Roster, Rows), Fault> {
        let obj = self.ask(&Request::list("panel/api/inbounds/list")).await?;
        let items = obj.as_array().map(Vec::as_slice).unwrap_or_default();
        let rows = items.iter().filter_map(|item| item.get("clientStats")?.as_array()).flatten().filter_map(Row::read);
        let rows: Rows = rows.collect();
        let own = items.iter().find(|item| item.get("id").and_then(Value::as_i64) == Some(inbound.0));
        let roster = match own {
            Some(own) => Roster::of_settings(own.get("settings").and_then(embedded)),
            // The list holds the operator's own inbounds only.
            None => self.roster_of_two(inbound).await?.1,
        };
        Ok((roster, rows))
    }

    /// Adds clients in one call: all or none.
    pub(crate) async fn add_to_two(&self, inbound: &Inbound, clients: &[&Client]) -> Result<(), Fault> {
        let entries: Vec<_> = clients.iter().map(|client| fresh(client, &inbound.protocol)).collect();
        self.ask(&Request::write("panel/api/inbounds/addClient").json(&settings(inbound.id, &entries))).await?;
        Ok(())
    }

    /// Writes one client's whole object back with our values in it.
    pub(crate) async fn update_in_two(
        &self,
        inbound: &Inbound,
        roster: &Roster,
        held: &Held,
        client: &Client,
    ) -> Result<(), Fault> {
        let key = key(&inbound.protocol, held);
        check_key(&inbound.protocol, roster, key)?;
        let body = settings(inbound.id, &[held.entry_with(client, &inbound.protocol)]);
        self.ask(&Request::write("panel/api/inbounds/updateClient").segment(key).json(&body)).await?;
        Ok(())
    }

    /// Deletes one client. The caller has seen to it that another one stays.
    pub(crate) async fn delete_in_two(
        &self,
        family: Family,
        inbound: &Inbound,
        roster: &Roster,
        held: &Held,
    ) -> Result<(), Fault> {
        let below = Request::write("panel/api/inbounds").segment(&inbound.id.to_string());
        if family.by_name {
            let by_name = below.segment("delClientByEmail").segment(&held.name);
            return match self.ask(&by_name).await {
                Ok(_) => Ok(()),
                Err(Fault::Gone(_)) => Err(Fault::Gone(Some(Gap::ByName))),
                Err(fault) => Err(fault),
            };
        }
        let key = key(&inbound.protocol, held);
        check_key(&inbound.protocol, roster, key)?;
        self.ask(&below.segment("delClient").segment(key)).await?;
        Ok(())
    }

    /// Adds the placeholder, so that the inbound's other clients can go.
    pub(crate) async fn add_placeholder(&self, inbound: &Inbound) -> Result<(), Fault> {
        let placeholder = placeholder(self.http.base.as_str(), inbound.id);
        let body = settings(inbound.id, &[fresh(&placeholder, &inbound.protocol)]);
        self.ask(&Request::write("panel/api/inbounds/addClient").json(&body)).await?;
        Ok(())
    }

    /// Which of these names other inbounds have, and a sentence about it. Names are unique over the whole panel, and
    /// an addition fails for all when one is taken, so it has to be known which.
    pub(crate) async fn names_elsewhere(
        &self,
        inbound: InboundId,
        clients: &[&Client],
    ) -> Result<BTreeMap<String, String>, Fault> {
        let obj = self.ask(&Request::list("panel/api/inbounds/list")).await?;
        let mut elsewhere = BTreeMap::new();
        for other in obj.as_array().into_iter().flatten() {
            let id = other.get("id").and_then(Value::as_i64).unwrap_or_default();
            if id == inbound.0 {
                continue;
            }
            for held in Roster::of_settings(other.get("settings").and_then(embedded)).clients {
                elsewhere.insert(held.name.to_ascii_lowercase(), id);
            }
        }
        let named = |client: &&Client| {
            let name = client.identity.name.as_str();
            let id = elsewhere.get(&name.to_ascii_lowercase())?;
            Some((name.to_owned(), format!("inbound {id} of this panel has a client of this name")))
        };
        Ok(clients.iter().filter_map(named).collect())
    }
}

/// Whether this is a placeholder of ours.
pub(crate) fn is_placeholder(name: &str) -> bool {
    name.strip_prefix(PLACEHOLDER).is_some_and(|rest| rest.starts_with('-'))
}

/// The same for one inbound every time, and nothing that anybody could guess without knowing the panel's address.
/// It is disabled, so knowing it would let nobody in.
fn placeholder(base: &str, inbound: InboundId) -> Client {
    let digest = Sha256::digest(format!("{PLACEHOLDER} {base} {inbound}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Client {
        identity: Identity {
            name: ClientName::from_stored(format!("{PLACEHOLDER}-{inbound}")),
            uuid: Builder::from_custom_bytes(bytes).into_uuid(),
            sub_id: hex::encode(&digest[16..24]),
        },
        flow: String::new(),
        enabled: false,
        expires_at_ms: 0,
        traffic_limit: 0,
        telegram_id: 0,
    }
}

/// What 2.x addresses a client by.
fn key<'a>(protocol: &Protocol, held: &'a Held) -> &'a str {
    match protocol {
        Protocol::Shadowsocks { .. } => &held.name,
        Protocol::Vless { .. } | Protocol::Vmess | Protocol::Trojan | Protocol::Other { .. } => {
            held.credential(protocol)
        }
    }
}

/// Two clients may have the same credential; then a call by it would change or delete a stranger's.
fn check_key(protocol: &Protocol, roster: &Roster, sought: &str) -> Result<(), PanelError> {
    if sought.is_empty() || sought.contains('/') || sought == "." || sought == ".." {
        return Err(PanelError::refused("its credential on the panel cannot be part of an address"));
    }
    if roster.clients.iter().filter(|held| key(protocol, held) == sought).count() > 1 {
        return Err(PanelError::refused("another client of the inbound has the same credential"));
    }
    Ok(())
}

fn settings(inbound: InboundId, clients: &[Map<String, Value>]) -> Value {
    json!({"id": inbound.0, "settings": json!({"clients": clients}).to_string()})
}
