//! What the panel is, found out by asking, remembered, and found out again when an answer does not fit.

use crate::{Panel, PanelError, call::Fault, http::Request, report::Generation, session::Spoken};
use std::sync::PoisonError;

/// What a panel can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Family {
    pub(crate) generation: Generation,
    /// 2.x: clients can be deleted by name (since 2.8).
    pub(crate) by_name: bool,
    /// 3.x: clients can be created and deleted many at a time (since 3.2).
    pub(crate) bulk: bool,
}

/// A path that only some panels of a generation have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    ByName,
    Bulk,
}

impl Family {
    fn of(generation: Generation) -> Self {
        Self { generation, by_name: true, bulk: true }
    }

    fn without(mut self, gap: Gap) -> Self {
        match gap {
            Gap::ByName => self.by_name = false,
            Gap::Bulk => self.bulk = false,
        }
        self
    }

    /// Whether clients are records of their own.
    pub(crate) fn has_records(self) -> bool {
        self.generation == Generation::V3
    }

    /// Whether a login that told this could be one at such a panel.
    fn fits(self, spoken: Option<Spoken>) -> bool {
        match spoken {
            None => true,
            Some(Spoken::Two) => self.generation == Generation::V2,
            Some(Spoken::Three) => self.generation != Generation::V2,
        }
    }
}

impl Panel {
    /// What the panel is, from memory unless a login has told otherwise since.
    pub(crate) async fn family(&self) -> Result<Family, PanelError> {
        if let Some(known) = self.known_family() {
            return Ok(known);
        }
        let _turn = self.finding.lock().await;
        if let Some(known) = self.known_family() {
            return Ok(known);
        }
        self.find_family().await
    }

    /// What the panel is after it had no such path. Fails when that is nothing new and no gap explains it.
    pub(crate) async fn family_after(&self, old: Family, gap: Option<Gap>) -> Result<Family, PanelError> {
        let _turn = self.finding.lock().await;
        let new = self.find_family().await?;
        if new.generation != old.generation {
            tracing::info!(from = %old.generation, to = %new.generation, "the panel is of another generation now");
            return Ok(new);
        }
        let Some(gap) = gap else {
            return Err(Fault::Gone(None).into_error());
        };
        let new = old.without(gap);
        self.remember(Some(new));
        Ok(new)
    }

    /// Forgets what the panel is.
    pub(crate) fn forget_family(&self) {
        self.remember(None);
    }

    fn known_family(&self) -> Option<Family> {
        let known = *self.family.lock().unwrap_or_else(PoisonError::into_inner);
        known.filter(|family| family.fits(self.session.spoken()))
    }

    fn remember(&self, family: Option<Family>) {
        *self.family.lock().unwrap_or_else(PoisonError::into_inner) = family;
    }

    async fn find_family(&self) -> Result<Family, PanelError> {
        let generation = match self.find_generation().await? {
            Some(generation) => generation,
            // A token was all we showed, and the panel knows none, or our session was another panel's: once more with
            // the login.
            None => self.find_generation().await?.ok_or_else(|| Fault::Gone(None).into_error())?,
        };
        let family = Family::of(generation);
        self.remember(Some(family));
        Ok(family)
    }

    /// `None` when what we showed turned out to be of no use and a login has to be tried.
    async fn find_generation(&self) -> Result<Option<Generation>, PanelError> {
        // Small, harmless, and there since 3.1.
        match self.ask(&Request::read("panel/api/clients/list/paged").query("pageSize=1")).await {
            Ok(_) => return Ok(Some(Generation::V3)),
            Err(Fault::Gone(_)) => {}
            Err(fault) => return Err(fault.into_error()),
        }
        match self.session.spoken() {
            Some(Spoken::Two) => self.check_two().await.map(Some),
            Some(Spoken::Three) | None if self.session.csrf(&self.http).await?.is_some() => {
                Ok(Some(Generation::V3Hybrid))
            }
            // It was of generation 3 when we logged in, and is not any more: rolled back.
            Some(Spoken::Three) => {
                self.session.forget();
                Ok(None)
            }
            None => self.session.token_unknown().map(|()| None),
        }
    }

    /// 2.7 moved the server's status below `panel/api`; older ones lack more than that.
    async fn check_two(&self) -> Result<Generation, PanelError> {
        match self.ask(&Request::read("panel/api/server/status")).await {
            Ok(_) => Ok(Generation::V2),
            Err(Fault::Gone(_)) => Err(PanelError::Unsuitable {
                why: "it is a 3x-ui older than 2.7 (it lets us in but has no panel/api/server/status): upgrade it"
                    .into(),
            }),
            Err(fault) => Err(fault.into_error()),
        }
    }
}
