//! Which link a key gets on a node: the rules' link, with the node's public host and a name for people.

use fleet::{
    inbound::{Inbound, Unusable},
    key::Identity,
    link::link as share_link,
};
use store::nodes::NodeRecord;
use url::Url;

/// The link of a key on this node's inbound.
pub fn link(node: &NodeRecord, inbound: &Inbound, identity: &Identity) -> Result<String, Unusable> {
    let label = node.node.location.as_deref().filter(|l| !l.is_empty()).unwrap_or(&node.node.name);
    share_link(inbound, identity, &host(node), label)
}

/// The address users connect to: the operator's word, or the host of the panel's address.
pub fn host(node: &NodeRecord) -> String {
    if let Some(host) = node.host.as_deref().filter(|h| !h.is_empty()) {
        return host.to_owned();
    }
    let url = Url::parse(&node.url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}
