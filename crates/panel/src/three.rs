//! The client calls of 3.x panels (3.1 and later): records of their own, addressed by name.

use crate::{
    Panel, PanelError,
    call::Fault,
    family::{Family, Gap},
    http::Request,
    wire::client::{Held, Roster, fresh, record},
};
use fleet::{client::Client, inbound::Inbound};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Up to so many clients are asked for one by one (some 4 ms each at any size of the panel); for more, one listing
/// of all is cheaper (some 100 ms and 3 MB at 5,000 clients).
const FEW: usize = 8;

impl Panel {
    /// The records of these names, on whatever inbound they are.
    pub(crate) async fn roster_of_names(&self, names: &[&str]) -> Result<Roster, Fault> {
        if names.len() > FEW {
            return self.roster_of_three().await;
        }
        let mut roster = Roster { clients: Vec::new(), complete: true };
        for name in names {
            match self.ask(&Request::read("panel/api/clients/get").segment(name)).await {
                Ok(obj) => match record(obj) {
                    Some(held) => roster.clients.push(held),
                    None => roster.complete = false,
                },
                Err(Fault::Error(PanelError::Refused { message })) if message == "record not found" => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(roster)
    }

    /// Every record of the panel.
    pub(crate) async fn roster_of_three(&self) -> Result<Roster, Fault> {
        let obj = self.ask(&Request::list("panel/api/clients/list")).await?;
        Roster::of_records(obj).ok_or_else(|| PanelError::unexpected("clients/list gave no list", b"").into())
    }

    /// Adds clients that were not there a moment ago. Gives those that were skipped, with the panel's reason; the
    /// others are there with our values, but enabled: 3.x ignores `enable: false` when it creates.
    pub(crate) async fn add_to_three(
        &self,
        family: Family,
        inbound: &Inbound,
        clients: &[&Client],
    ) -> Result<BTreeMap<String, String>, Fault> {
        let items = clients.iter().map(|client| {
            let client = fresh(client, &inbound.protocol);
            json!({"client": client, "inboundIds": [inbound.id.0]})
        });
        if family.bulk {
            let request = Request::write("panel/api/clients/bulkCreate").json(&Value::Array(items.collect()));
            let obj = self.ask(&request).await.map_err(without_bulk)?;
            let (created, skipped) = (obj.get("created").and_then(Value::as_u64), skipped(&obj));
            let told = created.and_then(|created| usize::try_from(created).ok()?.checked_add(skipped.len()));
            if told != Some(clients.len()) {
                return Err(Fault::Unclear(format!("of {} clients the panel told of {told:?}", clients.len())));
            }
            return Ok(skipped);
        }
        let mut refused = BTreeMap::new();
        for (at, (item, client)) in items.zip(clients).enumerate() {
            match self.ask(&Request::write("panel/api/clients/add").json(&item)).await {
                Ok(_) => {}
                Err(Fault::Error(PanelError::Refused { message })) => {
                    refused.insert(client.identity.name.as_str().to_owned(), message);
                }
                // Some are there already, so it cannot be said of all that nothing was applied.
                Err(Fault::Error(error)) if at > refused.len() => return Err(Fault::Unclear(error.to_string())),
                Err(fault) => return Err(fault),
            }
        }
        Ok(refused)
    }

    /// Puts an existing record onto the inbound too.
    pub(crate) async fn attach_in_three(&self, inbound: &Inbound, held: &Held) -> Result<(), Fault> {
        let request = Request::write("panel/api/clients").segment(&held.name).segment("attach");
        self.ask(&request.json(&json!({"inboundIds": [inbound.id.0]}))).await?;
        Ok(())
    }

    /// Writes one record back whole, with our values in it: 3.x takes a missing `enable` for `false` and a missing
    /// number for 0.
    pub(crate) async fn update_in_three(&self, inbound: &Inbound, held: &Held, client: &Client) -> Result<(), Fault> {
        let body = Value::Object(held.request_with(client, &inbound.protocol));
        self.ask(&Request::write("panel/api/clients/update").segment(&held.name).json(&body)).await?;
        Ok(())
    }

    /// Deletes records with everything that belongs to them. Those that the bulk call skips because record and
    /// inbound drifted apart are deleted singly, which tolerates that.
    pub(crate) async fn delete_in_three(&self, family: Family, names: &[&str]) -> Result<(), Fault> {
        let mut singly: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        if family.bulk {
            let body = json!({"emails": names, "keepTraffic": false});
            let obj = self.ask(&Request::write("panel/api/clients/bulkDel").json(&body)).await;
            singly = skipped(&obj.map_err(without_bulk)?)
                .into_iter()
                .filter(|(_, reason)| reason != "client not found")
                .map(|(name, _)| name)
                .collect();
        }
        for name in singly {
            match self.ask(&Request::write("panel/api/clients/del").segment(&name)).await {
                // What is left is seen when reading back.
                Ok(_) | Err(Fault::Error(PanelError::Refused { .. })) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}

fn without_bulk(fault: Fault) -> Fault {
    match fault {
        Fault::Gone(_) => Fault::Gone(Some(Gap::Bulk)),
        Fault::Unclear(_) | Fault::Error(_) => fault,
    }
}

/// Names and reasons out of the answer of a bulk call; the panel leaves the field out when there are none.
fn skipped(obj: &Value) -> BTreeMap<String, String> {
    let items = obj.get("skipped").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(Value::as_object)
        .map(|item: &Map<String, Value>| {
            (crate::wire::text(item, "email"), crate::wire::text(item, "reason").trim().to_owned())
        })
        .collect()
}
