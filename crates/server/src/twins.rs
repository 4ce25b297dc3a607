//! Nodes that are one and the same: the same inbound of the same panel under two names. Each would take the other's
//! clients for leftovers of its own and remove them. So such a panel is not taken in twice; where it happens all the same,
//! the sync loop leaves alone what is at home on a node alike ([`fleet::inbound::Inbound::is_alike`]), and removes nothing
//! that is at home under another name of the same panel.

use fleet::id::InboundId;
use std::{collections::BTreeSet, net::SocketAddr, time::Duration};
use store::nodes::NodeRecord;
use tokio::{net::lookup_host, time::timeout};
use url::{Host, Url};

/// How long a name may take to become an address.
const LOOKUP: Duration = Duration::from_secs(2);

/// Of these nodes the first that is this inbound of the panel at `url`: of the same number, at the same address and base
/// path. What else was seen of it may be old: the panel may have been set up anew since. Names are looked up, for
/// `localhost` is `127.0.0.1`; but two different names are two panels, for a proxy may serve many.
pub async fn find_twin<'a>(nodes: &'a [NodeRecord], url: &str, inbound: InboundId) -> Option<&'a NodeRecord> {
    let url = Url::parse(url).ok()?;
    for node in nodes.iter().filter(|node| number(node) == Some(inbound)) {
        if let Ok(other) = Url::parse(&node.url)
            && is_one(&url, &other).await
        {
            return Some(node);
        }
    }
    None
}

/// Whether two nodes are one inbound of one panel, as far as their addresses say so by themselves. Copies of a server are
/// not.
pub fn is_one_door(one: &NodeRecord, other: &NodeRecord) -> bool {
    let door = |node: &NodeRecord| {
        let url = Url::parse(&node.url).ok()?;
        Some((place(&url), url.host_str()?.to_ascii_lowercase(), number(node)?))
    };
    one.node.id != other.node.id && door(one).is_some() && door(one) == door(other)
}

/// The inbound that keys live on, or are to.
fn number(node: &NodeRecord) -> Option<InboundId> {
    node.inbound.as_ref().map(|inbound| inbound.id).or(node.chosen_inbound)
}

fn place(url: &Url) -> (Option<u16>, String) {
    (url.port_or_known_default(), url.path().trim_matches('/').to_owned())
}

async fn is_one(one: &Url, other: &Url) -> bool {
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
