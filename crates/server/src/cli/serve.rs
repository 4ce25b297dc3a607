//! `muster serve`.

use super::{
    Desk, Failure,
    alike::Alike,
    print::{Printed, out},
};
use crate::{
    app::App,
    serve::{listen, serve, told_to_stop},
};
use clap::Args;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen; without it as settings say.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) async fn run(self, mut desk: Desk, json: bool) -> Result<Printed, Failure> {
        if let Some(listen) = self.listen {
            desk.config.server.listen = listen;
        }
        let alike = std::mem::take(&mut desk.alike);
        let app = desk.open().await?;
        let wanted = app.config.server.listen;
        let io = |what: String| move |source| Failure::Io { what, source };
        let listener = listen(wanted).map_err(io(format!("cannot listen on {wanted}")))?;
        let address = listener.local_addr().map_err(io("the address is unknown".to_owned()))?;
        let stop = CancellationToken::new();
        let stopper = stop.clone();
        tokio::spawn(async move {
            if let Err(error) = told_to_stop().await {
                tracing::error!(%error, "signals cannot be received; stop the program with SIGKILL");
                return;
            }
            tracing::info!("stopping");
            stopper.cancel();
        });
        if json {
            out(&format!("{:#}", json!({"listening": format!("http://{address}")})));
        } else {
            out(&welcome(&app, address, &alike).await?);
        }
        let store = app.store.clone();
        serve(app, listener, stop).await.map_err(io("the server failed".to_owned()))?;
        store.close().await;
        Ok(Printed::good("", Value::Null))
    }
}

/// The address, and on the first start what to do next.
async fn welcome(app: &App, address: SocketAddr, alike: &Alike) -> Result<String, Failure> {
    let ready = format!("Muster listens on http://{address}");
    if !app.store.read().revisions().await?.is_empty() {
        return Ok(ready);
    }
    let Alike { arguments, terminal } = alike;
    let secrets = &app.config.secrets;
    let key = match &secrets.key_file {
        Some(file) => file.display().to_string(),
        None if secrets.key.is_some() => "the sealing key from your settings".to_owned(),
        None => "secret.key from the data folder".to_owned(),
    };
    Ok(format!(
        "{ready}\n\n\
         There is no node yet. What to do next, {terminal}:\n\
         \x20 1. Add each panel:\n\
         \x20      muster{arguments} nodes add --name NAME --url https://PANEL:PORT/BASE/ --username USER\n\
         \x20    (or --token-file FILE for an API token of 3x-ui 3.x; \"muster nodes add --help\" lists everything)\n\
         \x20 2. See that a key can be had:\n\
         \x20      muster{arguments} keys issue TELEGRAM_ID\n\
         \x20 3. Point the Telegram bot here: BACKEND_URL=http://{address}\n\
         \x20 4. For programs: muster{arguments} tokens create --name NAME --scope admin, then http://{address}/api/v1/openapi.json\n\n\
         Keep a copy of {key}: without it the panels' passwords cannot be read."
    ))
}
