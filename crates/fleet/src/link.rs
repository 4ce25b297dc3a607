//! The share link of a key on an inbound: what a user pastes into his app.
//!
//! Always built from the inbound as its own panel describes it, never by rewriting the host of another link: REALITY
//! keys, names, short ids, ports and paths differ from node to node. Where an inbound allows several server names
//! or short ids, the choice depends on the key alone, so a key's link is the same whenever it is written.
//! The forms are those of 3x-ui 3.6, which the users' apps read as well as those of 2.9.

mod query;
mod vmess;

use crate::{
    client::credential,
    inbound::{ExternalProxy, Inbound, Protocol, Security, Transport, Unusable},
    key::Identity,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use std::net::Ipv6Addr;

/// Everything but what RFC 3986 leaves unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The link of a key on an inbound of the node at `host` (a name or an address, IPv6 with or without brackets).
/// `remark` is shown by the app. Fails when the inbound cannot carry keys.
///
/// With addresses in front of the inbound, it is the link through the first of them; [`links`] gives all.
pub fn link(inbound: &Inbound, identity: &Identity, host: &str, remark: &str) -> Result<String, Unusable> {
    inbound.may_carry_keys()?;
    let door = inbound.external_proxies.first().map_or(Door::own(inbound, host), |proxy| Door::through(inbound, proxy));
    Ok(through(&door, inbound, identity, remark))
}

/// All links of a key on an inbound: one per address in front of it, else the one to the node itself.
pub fn links(inbound: &Inbound, identity: &Identity, host: &str, remark: &str) -> Result<Vec<String>, Unusable> {
    inbound.may_carry_keys()?;
    if inbound.external_proxies.is_empty() {
        return Ok(vec![through(&Door::own(inbound, host), inbound, identity, remark)]);
    }
    let proxies = inbound.external_proxies.iter();
    Ok(proxies.map(|proxy| through(&Door::through(inbound, proxy), inbound, identity, remark)).collect())
}

/// Where an app connects, and how the connection is wrapped there.
pub(crate) struct Door {
    host: String,
    port: u16,
    security: Security,
}

impl Door {
    fn own(inbound: &Inbound, host: &str) -> Self {
        Self { host: host.to_owned(), port: inbound.port, security: inbound.security.clone() }
    }

    fn through(inbound: &Inbound, proxy: &ExternalProxy) -> Self {
        let security = match (proxy.tls, &inbound.security) {
            (Some(false), _) => Security::None,
            (Some(true), Security::None | Security::Reality { .. }) => Security::Tls {
                sni: String::new(),
                alpn: Vec::new(),
                fingerprint: String::new(),
                ech: String::new(),
                pinned_sha256: Vec::new(),
                verify_name: String::new(),
            },
            (Some(true) | None, own) => own.clone(),
        };
        Self { host: proxy.host.clone(), port: proxy.port, security }
    }

    /// `host:port`, an IPv6 host in brackets.
    fn authority(&self) -> String {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<Ipv6Addr>() {
            Ok(_) => format!("[{host}]:{}", self.port),
            Err(_) => format!("{host}:{}", self.port),
        }
    }
}

fn through(door: &Door, inbound: &Inbound, identity: &Identity, remark: &str) -> String {
    let credential = credential(&inbound.protocol, identity.uuid);
    match &inbound.protocol {
        Protocol::Vmess => vmess::link(door, inbound, &credential, remark),
        Protocol::Vless { encryption } => {
            let mut params = query::params(door, inbound, identity);
            if let Some(encryption) = encryption {
                params.insert("encryption", encryption.clone());
            }
            if !inbound.flow().is_empty() && !matches!(door.security, Security::None) {
                params.insert("flow", inbound.flow().to_owned());
            }
            assemble("vless", &credential, door, &params, remark)
        }
        Protocol::Trojan => {
            let params = query::params(door, inbound, identity);
            assemble("trojan", &escape(&credential), door, &params, remark)
        }
        Protocol::Shadowsocks { method, password } => {
            let params = shadowsocks_params(door, inbound, identity);
            assemble("ss", &shadowsocks_user(method, password, &credential), door, &params, remark)
        }
        // Refused by `may_carry_keys`, which every way here has asked.
        Protocol::Other { .. } => String::new(),
    }
}

/// Apps that follow SIP002 know no `headerType` but a plugin that does the same, and take no TLS for granted.
fn shadowsocks_params(door: &Door, inbound: &Inbound, identity: &Identity) -> query::Params {
    let mut params = query::params(door, inbound, identity);
    if let Transport::Tcp { http: Some(http) } = &inbound.transport {
        for key in ["type", "headerType", "host", "path"] {
            params.remove(key);
        }
        params.insert("plugin", format!("obfs-local;obfs=http;obfs-host={}", http.host));
    }
    if matches!(door.security, Security::None) {
        params.remove("security");
    }
    params
}

/// The 2022 ciphers carry the inbound's password and the client's, in the clear; the older ones are base64.
fn shadowsocks_user(method: &str, password: &str, credential: &str) -> String {
    if method.starts_with("2022") {
        format!("{}:{}:{}", escape(method), escape(password), escape(credential))
    } else {
        URL_SAFE_NO_PAD.encode(format!("{method}:{credential}"))
    }
}

fn assemble(scheme: &str, user: &str, door: &Door, params: &query::Params, remark: &str) -> String {
    format!("{scheme}://{user}@{}?{}#{}", door.authority(), query::encode(params), escape(remark))
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// One of several allowed values, always the same one for a key. Empty values are skipped while others are there.
fn stable<'a>(values: &'a [String], identity: &Identity) -> &'a str {
    let filled: Vec<&String> = values.iter().filter(|v| !v.is_empty()).collect();
    let digest = Sha256::digest(identity.uuid.as_bytes());
    let lot = usize::from(digest[0]) << 8 | usize::from(digest[1]);
    match filled.len() {
        0 => "",
        count => filled[lot % count],
    }
}
