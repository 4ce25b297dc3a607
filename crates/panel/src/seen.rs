//! Who was seen on a panel: the two small answers that tell it.

use crate::{Panel, PanelError, call::Fault, family::Family, http::Request, report::Generation};
use fleet::key::ClientName;
use serde_json::Value;
use std::collections::BTreeMap;

/// Who was seen on a panel, whatever the inbound, strangers included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// When each client last had traffic, in ms since 1970 **by the panel's clock**: worth comparing with an earlier
    /// answer of the same panel, and with nothing else. Clients that never had any are left out.
    pub last_online: BTreeMap<ClientName, i64>,
    /// How many clients had traffic in the panel's last poll (2.x: 10 s) or grace (3.x: 25 s).
    pub online: usize,
}

impl Panel {
    /// Who was seen. Two calls of a few kilobytes; asking more often than the panel polls (10 s) gains nothing.
    pub async fn seen(&self) -> Result<Seen, PanelError> {
        let family = self.family().await?;
        match self.seen_as(family).await {
            Err(Fault::Gone(gap)) => {
                let family = self.family_after(family, gap).await?;
                self.seen_as(family).await.map_err(Fault::into_error)
            }
            other => other.map_err(Fault::into_error),
        }
    }

    async fn seen_as(&self, family: Family) -> Result<Seen, Fault> {
        let (last_online, onlines) = match family.generation {
            Generation::V2 | Generation::V3Hybrid => ("panel/api/inbounds/lastOnline", "panel/api/inbounds/onlines"),
            Generation::V3 => ("panel/api/clients/lastOnline", "panel/api/clients/onlines"),
        };
        let last_online = self.ask(&Request::question(last_online)).await?;
        let onlines = self.ask(&Request::question(onlines)).await?;
        Ok(Seen { last_online: times(&last_online), online: onlines.as_array().map_or(0, Vec::len) })
    }
}

/// `{"email": ms}`, or null for nobody. Zeros and what is no number are left out.
fn times(obj: &Value) -> BTreeMap<ClientName, i64> {
    let named = obj.as_object().into_iter().flatten();
    let times = named.filter_map(|(name, ms)| Some((ClientName::from_stored(name), ms.as_i64().filter(|ms| *ms > 0)?)));
    times.collect()
}
