//! Nodes that are one and the same: the same inbound of the same panel under two names. Each would take the other's
//! clients for leftovers of its own and remove them. So such a panel is not taken in twice; where it happens all the same,
//! the sync loop leaves alone what is at home on a node alike ([`Inbound::is_alike`]).

use fleet::inbound::Inbound;
use std::{collections::BTreeSet, net::SocketAddr, time::Duration};
use store::nodes::NodeRecord;
use tokio::{net::lookup_host, time::timeout};
use url::{Host, Url};

/// How long a name may take to become an address.
const LOOKUP: Duration = Duration::from_secs(2);

/// Of these nodes the first that is this inbound of the panel at `url`: alike, and at the same address and base path. Names
/// are looked up, for `localhost` is `127.0.0.1`; but two different names are two panels, for a proxy may serve many.
pub async fn find_twin<'a>(nodes: &'a [NodeRecord], url: &str, inbound: &Inbound) -> Option<&'a NodeRecord> {
    let url = Url::parse(url).ok()?;
    for node in nodes.iter().filter(|node| node.inbound.as_ref().is_some_and(|other| inbound.is_alike(other))) {
        if let Ok(other) = Url::parse(&node.url)
            && is_one(&url, &other).await
        {
            return Some(node);
        }
    }
    None
}

async fn is_one(one: &Url, other: &Url) -> bool {
    let place = |url: &Url| (url.port_or_known_default(), url.path().trim_matches('/').to_owned());
    if place(one) != place(other) {
        return false;
    }
    let is_name = |url: &Url| matches!(url.host(), Some(Host::Domain(name)) if name != "localhost");
    match (one.host(), other.host()) {
        (Some(one), Some(other)) if one == other => true,
        _ if is_name(one) && is_name(other) => false,
        _ => !addresses(one).await.is_disjoint(&addresses(other).await),
    }
}

async fn addresses(url: &Url) -> BTreeSet<SocketAddr> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return BTreeSet::new() };
    let host = host.trim_matches(['[', ']']);
    match timeout(LOOKUP, lookup_host((host, port))).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(_)) | Err(_) => BTreeSet::new(),
    }
}
