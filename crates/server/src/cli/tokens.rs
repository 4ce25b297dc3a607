//! `muster tokens`.

use super::{
    Failure,
    print::{Printed, table},
};
use crate::{app::App, ops::tokens};
use clap::{Subcommand, ValueEnum};
use secrecy::ExposeSecret as _;
use serde_json::json;
use store::tokens::Scope;

#[derive(Debug, Subcommand)]
pub(super) enum Tokens {
    /// Make a token. It is shown once; the database keeps only its hash.
    Create {
        /// What it is for, such as the program that uses it.
        #[arg(long, value_name = "N")]
        name: String,
        /// What it may do.
        #[arg(long)]
        scope: ScopeWord,
    },
    /// List tokens.
    List,
    /// Make a token worthless at once.
    Revoke {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ScopeWord {
    /// Look.
    Read,
    /// Look, and act for users.
    Bot,
    /// Everything.
    Admin,
}

impl Tokens {
    pub(super) async fn run(self, app: App) -> Result<Printed, Failure> {
        let now = (app.clock)();
        match self {
            Self::Create { name, scope } => {
                let named =
                    !name.trim().is_empty() && name.chars().count() <= 100 && !name.chars().any(char::is_control);
                if !named {
                    return Err(Failure::Usage(
                        "a token's name has 1 to 100 characters, none of them a control character".to_owned(),
                    ));
                }
                let scope = Scope::from(scope);
                let token = tokens::create(&app.store, &name, scope, &mut app.chance(), now).await?;
                let token = token.expose_secret();
                let document = json!({"name": name, "scope": scope.as_str(), "token": token});
                Ok(Printed::good(format!("{token}\n(scope {}; shown this once)", scope.as_str()), document))
            }
            Self::List => list(&app).await,
            Self::Revoke { name } => {
                if !tokens::revoke(&app.store, &name, now).await? {
                    return Err(Failure::Refused(format!("there is no token named {name:?} in force")));
                }
                Ok(Printed::good(format!("token {name} is revoked"), json!({"revoked": name})))
            }
        }
    }
}

async fn list(app: &App) -> Result<Printed, Failure> {
    let all = tokens::list(&app.store).await?;
    let rows = all.iter().map(|t| {
        let revoked = t.revoked_at.map_or(String::new(), |at| at.format("%F %T").to_string());
        vec![t.name.clone(), t.scope.as_str().to_owned(), t.created_at.format("%F %T").to_string(), revoked]
    });
    let text = table(&["NAME", "SCOPE", "CREATED (UTC)", "REVOKED (UTC)"], rows);
    let document: Vec<_> = all
        .iter()
        .map(|t| json!({"name": t.name, "scope": t.scope.as_str(), "created_at": t.created_at, "revoked_at": t.revoked_at}))
        .collect();
    Ok(Printed::good(text, json!({"tokens": document})))
}

impl From<ScopeWord> for Scope {
    fn from(word: ScopeWord) -> Self {
        match word {
            ScopeWord::Read => Self::Read,
            ScopeWord::Bot => Self::Bot,
            ScopeWord::Admin => Self::Admin,
        }
    }
}
