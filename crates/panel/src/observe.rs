//! Reading a panel: its state, its inbounds, and the clients of one.

use crate::{
    Observation, Panel, PanelError, Status,
    call::Fault,
    family::Family,
    http::Request,
    report::Generation,
    two::is_placeholder,
    wire::{self, client::Roster},
};
use fleet::{client::ObservedClient, id::InboundId, inbound::Inbound};

impl Panel {
    /// The panel's view of its machine and of xray. An answer is not health: look at [`Status::xray`].
    pub async fn status(&self) -> Result<Status, PanelError> {
        // The path is the same everywhere, so this is also how an upgrade in place is noticed early.
        let family = self.family().await?;
        let obj = match self.ask(&Request::read("panel/api/server/status")).await {
            Ok(obj) => obj,
            Err(Fault::Gone(gap)) => {
                self.family_after(family, gap).await?;
                self.ask(&Request::read("panel/api/server/status")).await.map_err(Fault::into_error)?
            }
            Err(fault) => return Err(fault.into_error()),
        };
        let generation = self.family().await?.generation;
        let mut status = wire::status::status(&obj, generation)
            .ok_or_else(|| PanelError::unexpected("the panel's status is no object", obj.to_string().as_bytes()))?;
        if generation != Generation::V3 && status.version.panel.is_some() {
            // Only 3.1 and later tell their version: it was upgraded in place.
            self.forget_family();
            status.version.generation = self.family().await?.generation;
        }
        Ok(status)
    }

    /// Every inbound of the panel, in its order. One that cannot be understood is there with a protocol or a
    /// transport that carries no keys; one without a readable id is left out.
    pub async fn inbounds(&self) -> Result<Vec<Inbound>, PanelError> {
        let family = self.family().await?;
        let obj = match self.ask(&Request::list("panel/api/inbounds/list")).await {
            Ok(obj) => obj,
            Err(Fault::Gone(gap)) => {
                self.family_after(family, gap).await?;
                self.ask(&Request::list("panel/api/inbounds/list")).await.map_err(Fault::into_error)?
            }
            Err(fault) => return Err(fault.into_error()),
        };
        wire::inbound::inbounds(&obj).ok_or_else(|| PanelError::unexpected("inbounds/list gave no list", b""))
    }

    /// Every client of an inbound, strangers' included. An inbound that does not exist is [`PanelError::Refused`],
    /// never an empty list.
    ///
    /// What counts as being there: on 2.x the inbound's settings (a client whose row of counters is missing is
    /// served, so it is there); on 3.x the panel's records, which is what xray is configured from. A record that
    /// lost its inbound, or an entry of the inbound's settings without a record, serves nobody and is not there;
    /// ensuring such a client heals it.
    pub async fn observe(&self, inbound: InboundId) -> Result<Observation, PanelError> {
        let family = self.family().await?;
        match self.observe_as(family, inbound).await {
            Err(Fault::Gone(gap)) => {
                let family = self.family_after(family, gap).await?;
                self.observe_as(family, inbound).await.map_err(Fault::into_error)
            }
            other => other.map_err(Fault::into_error),
        }
    }

    async fn observe_as(&self, family: Family, id: InboundId) -> Result<Observation, Fault> {
        let (inbound, mut roster) = self.roster_of_two(id).await?;
        if family.has_records() {
            roster = self.roster_of_three().await?;
            roster.clients.retain(|held| held.inbounds.contains(&id.0));
        }
        let Roster { clients, complete } = roster;
        let clients: Vec<ObservedClient> = clients
            .iter()
            .filter(|held| !is_placeholder(&held.name))
            .map(|held| held.observed(&inbound.protocol))
            .collect();
        Ok(Observation { clients, complete, inbound })
    }
}
