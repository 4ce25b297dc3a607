//! `muster migrate`.

use super::{
    Desk, Failure,
    print::{Printed, ask, table},
};
use crate::data;
use clap::Subcommand;
use serde_json::json;
use std::io::{self, IsTerminal as _};
use store::Store;

#[derive(Debug, Subcommand)]
pub(super) enum Migrate {
    /// Install into the database, or bring it up to this version.
    Up,
    /// Remove everything Muster added to the database, its nodes and their secrets included. Clients stay on panels.
    Down,
    /// Show which migrations the database has.
    Status,
}

impl Migrate {
    pub(super) async fn run(self, desk: &mut Desk) -> Result<Printed, Failure> {
        let store = data::open_bare(&desk.config, &desk.data, &mut desk.chance).await?;
        match self {
            Self::Up => {
                store.migrate_up().await?;
                store.check_key().await.map_err(data::StartError::from)?;
            }
            Self::Down => {
                confirm()?;
                store.migrate_down().await?;
            }
            Self::Status => {}
        }
        status(&store).await
    }
}

async fn status(store: &Store) -> Result<Printed, Failure> {
    let all = store.migrations().await?;
    let word = |applied| if applied { "applied" } else { "not applied" };
    let rows = all.iter().map(|m| vec![m.name.clone(), word(m.applied).to_owned()]);
    let text = table(&["MIGRATION", "STATE"], rows);
    let document: Vec<_> = all.iter().map(|m| json!({"name": m.name, "applied": m.applied})).collect();
    Ok(Printed::good(text, json!({"migrations": document})))
}

/// Asks once more where a person sits; a script has said what it wants.
fn confirm() -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Ok(());
    }
    ask("This removes all nodes and assignments from the database. Type yes to go on: ");
    let mut line = String::new();
    let _ = io::stdin().read_line(&mut line);
    if line.trim() == "yes" { Ok(()) } else { Err(Failure::Refused("nothing was removed".to_owned())) }
}
