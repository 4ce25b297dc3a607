//! `muster serve`.

use super::{
    Desk, Failure,
    print::{Printed, out},
};
use crate::{
    app::App,
    serve::{serve, told_to_stop},
};
use clap::Args;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen; without it as settings say.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) async fn run(self, mut desk: Desk) -> Result<Printed, Failure> {
        if let Some(listen) = self.listen {
            desk.config.server.listen = listen;
        }
        let data = desk.data.clone();
        let app = desk.open().await?;
        let wanted = app.config.server.listen;
        let io = |what: String| move |source| Failure::Io { what, source };
        let listener = TcpListener::bind(wanted).await.map_err(io(format!("cannot listen on {wanted}")))?;
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
        out(&welcome(&app, address, &data).await?);
        let store = app.store.clone();
        serve(app, listener, stop).await.map_err(io("the server failed".to_owned()))?;
        store.close().await;
        Ok(Printed { text: String::new(), document: serde_json::json!({"stopped": true}), good: true })
    }
}

/// The address, and on the first start what to do next.
async fn welcome(app: &App, address: SocketAddr, data: &std::path::Path) -> Result<String, Failure> {
    let ready = format!("Muster listens on http://{address}");
    if !app.store.read().revisions().await?.is_empty() {
        return Ok(ready);
    }
    let data =
        if data == std::path::Path::new("muster-data") { String::new() } else { format!(" --data {}", data.display()) };
    Ok(format!(
        "{ready}\n\n\
         There is no node yet. What to do next, in another terminal:\n\
         \x20 1. Add each panel:\n\
         \x20      muster{data} nodes add --name NAME --url https://PANEL:PORT/BASE/ --username USER\n\
         \x20    (or --token-file FILE for an API token of 3x-ui 3.x; \"muster nodes add --help\" lists everything)\n\
         \x20 2. See that a key can be had:\n\
         \x20      muster{data} keys issue TELEGRAM_ID\n\
         \x20 3. Point the Telegram bot here: BACKEND_URL=http://{address}\n\
         \x20 4. For programs: muster{data} tokens create --name NAME --scope admin, then http://{address}/api/v1/openapi.json\n\n\
         Keep a copy of secret.key from the data folder: without it the panels' passwords cannot be read."
    ))
}
