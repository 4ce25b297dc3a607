//! Nodes that are one and the same: the same inbound of the same panel under two names. Each would take the other's
//! clients for leftovers of its own and remove them. So the older one has the inbound, and the newer one gets nothing.

use fleet::{
    id::{KeyId, NodeId},
    inbound::Inbound,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};
use store::{Store, StoreError, nodes::NodeRecord};
use tokio::{net::lookup_host, time::timeout};
use url::Url;

/// How long a name may take to become an address.
const LOOKUP: Duration = Duration::from_secs(2);

/// Of these nodes the first with exactly this inbound at the same address as `url`, base path included: two panels cannot
/// listen on one public port of one machine. Names are looked up, for `localhost` is `127.0.0.1`; a name that cannot be
/// looked up is nobody's.
pub async fn find_twin<'a>(
    nodes: impl Iterator<Item = &'a NodeRecord>,
    url: &str,
    inbound: &Inbound,
) -> Option<&'a NodeRecord> {
    let mut own = None;
    let is_alike = |node: &&NodeRecord| {
        node.inbound.as_ref() == Some(inbound) && base_path(&node.url).is_some_and(|path| Some(path) == base_path(url))
    };
    for node in nodes.filter(is_alike) {
        let own = match &own {
            Some(own) => own,
            None => own.insert(addresses(url).await),
        };
        if !own.is_disjoint(&addresses(&node.url).await) {
            return Some(node);
        }
    }
    None
}

fn base_path(url: &str) -> Option<String> {
    Some(Url::parse(url).ok()?.path().trim_matches('/').to_owned())
}

async fn addresses(url: &str) -> BTreeSet<SocketAddr> {
    let Ok(url) = Url::parse(url) else { return BTreeSet::new() };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return BTreeSet::new() };
    let host = host.trim_matches(['[', ']']);
    match timeout(LOOKUP, lookup_host((host, port))).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(_)) | Err(_) => BTreeSet::new(),
    }
}

/// Keys that live on other nodes with exactly this inbound, and where. Perhaps these are copies of one server, perhaps
/// one server with two addresses: whoever sees clients of theirs must not remove them.
pub async fn keys_next_door(
    store: &Store,
    nodes: &[NodeRecord],
    node: NodeId,
    inbound: &Inbound,
) -> Result<BTreeMap<KeyId, NodeId>, StoreError> {
    let mut keys = BTreeMap::new();
    for other in nodes.iter().filter(|other| other.node.id != node && other.inbound.as_ref() == Some(inbound)) {
        let homes = store.read().keys_on(other.node.id).await?;
        keys.extend(homes.into_iter().map(|key| (key.id, other.node.id)));
    }
    Ok(keys)
}
