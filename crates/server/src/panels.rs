//! From a node's row to a client of its panel.

use chrono::{DateTime, Utc};
use panel::{Access, AccessError, Deadlines, Login, Panel, Tls};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use store::nodes::NodeSecrets;
use url::Url;

/// The time, as whoever started the program gives it.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A client of one node's panel. Speaks to nobody yet. Fails when address and secrets do not fit together.
pub fn open(
    url: &str,
    tls_mode: &str,
    allow_http: bool,
    secrets: &NodeSecrets,
    deadlines: Deadlines,
    clock: &Clock,
) -> Result<Panel, AccessError> {
    let url = Url::parse(url).map_err(|_| AccessError::NoHost)?;
    let login = (!secrets.username.is_empty()).then(|| Login {
        username: secrets.username.clone(),
        password: secrets.password.clone(),
        totp_secret: secrets.totp.clone().filter(filled),
    });
    let access = Access {
        url,
        token: secrets.token.clone().filter(filled),
        login,
        tls: tls(tls_mode).unwrap_or(Tls::Verify),
        allow_http,
        deadlines,
    };
    let clock = clock.clone();
    Panel::new(access, Arc::new(move || clock().into()))
}

/// Reads `verify`, `skip` or `pin:<64 hexadecimal digits>`. `None` for anything else.
pub fn tls(mode: &str) -> Option<Tls> {
    match mode {
        "verify" => Some(Tls::Verify),
        "skip" => Some(Tls::Skip),
        other => {
            let digits: String = other.strip_prefix("pin:")?.chars().filter(|c| *c != ':').collect();
            let mut pin = [0; 32];
            hex::decode_to_slice(digits, &mut pin).ok()?;
            Some(Tls::Pin(pin))
        }
    }
}

fn filled(secret: &SecretString) -> bool {
    !secret.expose_secret().is_empty()
}
