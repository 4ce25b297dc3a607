//! Panels made of memory, and what may be wanted of them.

use fleet::{
    client::{Client, ObservedClient, credential},
    id::{KeyId, UserId},
    inbound::Protocol,
    key::{ClientName, Identity},
    sync::{Desired, Observed, Step},
};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::select,
};
use std::ops::RangeInclusive;
use uuid::Uuid;

/// The time in these tests, in ms since 1970.
pub(crate) const NOW: i64 = 1_700_000_000_000;

pub(crate) fn identity(key: i64) -> Identity {
    let uuid = Uuid::from_u128(0xabcd_ef01_2345_6789_abcd_ef00_0000_0000 + u128::try_from(key).expect("positive"));
    let sub_id = format!("subscription-{key}");
    Identity { name: ClientName::of(UserId(key), KeyId(key), uuid), uuid, sub_id }
}

pub(crate) fn client(key: i64) -> Client {
    Client {
        identity: identity(key),
        flow: String::new(),
        enabled: true,
        expires_at_ms: 0,
        traffic_limit: 0,
        telegram_id: 0,
    }
}

/// What a panel shows of a client that is just as it should be.
pub(crate) fn shown(client: &Client, protocol: &Protocol) -> ObservedClient {
    ObservedClient {
        name: client.identity.name.clone(),
        credential: credential(protocol, client.identity.uuid),
        sub_id: client.identity.sub_id.clone(),
        flow: client.flow.clone(),
        enabled: client.enabled,
        expires_at_ms: client.expires_at_ms,
        traffic_limit: client.traffic_limit,
    }
}

/// Somebody else's client, under whatever name.
pub(crate) fn stranger(name: &ClientName) -> ObservedClient {
    ObservedClient {
        credential: "a password of theirs".to_owned(),
        sub_id: "theirs".to_owned(),
        ..shown(&Client { identity: Identity { name: name.clone(), ..identity(0) }, ..client(0) }, &Protocol::Trojan)
    }
}

/// A panel that does what it is told, and disables whoever's time is up.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    pub(crate) protocol: Protocol,
    pub(crate) clients: Vec<ObservedClient>,
}

impl Panel {
    pub(crate) fn carry_out(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Remove(identity) => self.clients.retain(|client| client.name != identity.name),
                Step::Ensure(client) => self.ensure(&shown(client, &self.protocol)),
            }
        }
        for client in &mut self.clients {
            client.enabled &= !(1..=NOW).contains(&client.expires_at_ms);
        }
    }

    fn ensure(&mut self, client: &ObservedClient) {
        let mut held = self.clients.iter_mut().filter(|held| held.name == client.name).peekable();
        if held.peek().is_none() {
            self.clients.push(client.clone());
            return;
        }
        held.for_each(|held| *held = client.clone());
    }

    pub(crate) fn listing(&self) -> Observed {
        Observed { clients: self.clients.clone(), complete: true }
    }

    /// A listing that shows no client for which `shows` has no `true` at its place.
    pub(crate) fn listing_cut_short(&self, shows: &[bool]) -> Observed {
        let each = self.clients.iter().zip(shows.iter().chain(std::iter::repeat(&false)));
        let clients = each.filter(|(_, is_shown)| **is_shown).map(|(client, _)| client.clone()).collect();
        Observed { clients, complete: false }
    }
}

/// Keys that are wanted, retired, or both by mistake.
pub(crate) fn any_desired() -> impl Strategy<Value = Desired> {
    let state = (any::<bool>(), select(vec![0, 1, NOW - 1, NOW, NOW + 1]), select(vec!["", "xtls-rprx-vision"]));
    let wanted = btree_map(1..=6_i64, (state, prop_oneof![Just(0), 1..=9_i64]), 0..=4);
    (wanted, btree_map(1..=6_i64, Just(()), 0..=3)).prop_map(|(wanted, retired)| {
        let clients = wanted.into_iter().map(|(key, ((enabled, expires_at_ms, flow), traffic_limit))| {
            let flow = flow.to_owned();
            (identity(key).name, Client { flow, enabled, expires_at_ms, traffic_limit, ..client(key) })
        });
        let retired = retired.into_keys().map(|key| (identity(key).name, identity(key)));
        Desired { clients: clients.collect(), retired: retired.collect() }
    })
}

pub(crate) fn any_protocol() -> impl Strategy<Value = Protocol> {
    let shadowsocks =
        |method: &str| Protocol::Shadowsocks { method: method.to_owned(), password: "the inbound's".to_owned() };
    select(vec![
        Protocol::Vless { encryption: None },
        Protocol::Vmess,
        Protocol::Trojan,
        shadowsocks("chacha20-ietf-poly1305"),
        shadowsocks("2022-blake3-aes-128-gcm"),
        shadowsocks("2022-blake3-aes-256-gcm"),
        Protocol::Other { name: "wireguard".to_owned() },
    ])
}

/// A client under one of our names: just so, changed in anything, or somebody else's.
fn any_observed(protocol: &Protocol) -> impl Strategy<Value = ObservedClient> + use<> {
    let protocol = protocol.clone();
    let fields = (any::<bool>(), select(vec![0, NOW - 1, NOW + 1, -5]), 0..=3_i64, select(vec!["", "some-flow"]));
    (1..=6_i64, 0..7_u8, fields).prop_map(move |(key, kind, (enabled, expires_at_ms, traffic_limit, flow))| {
        let just_so = shown(&client(key), &protocol);
        let changed =
            ObservedClient { enabled, expires_at_ms, traffic_limit, flow: flow.to_owned(), ..just_so.clone() };
        match kind {
            0 | 1 => just_so,
            2 => changed,
            3 => ObservedClient { sub_id: String::new(), ..changed },
            4 => ObservedClient { credential: "another".to_owned(), ..changed },
            5 => ObservedClient { credential: just_so.credential.to_uppercase(), ..changed },
            _ => stranger(&just_so.name),
        }
    })
}

/// A panel with clients under our names, some of them twice, and strangers between them.
pub(crate) fn any_panel(size: RangeInclusive<usize>) -> impl Strategy<Value = Panel> {
    any_protocol().prop_flat_map(move |protocol| {
        let theirs = select(vec!["alice", "", "m1-1-000000", "M1-1-ABCDEF"])
            .prop_map(|name| stranger(&ClientName::from_stored(name)));
        let each = prop_oneof![4 => any_observed(&protocol), 1 => theirs];
        vec(each, size.clone()).prop_map(move |clients| Panel { protocol: protocol.clone(), clients })
    })
}
