//! The parameters of a link, and how they are written.

use super::{Door, stable};
use crate::{
    inbound::{Inbound, Security, Transport},
    key::Identity,
};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt::Write as _};

/// By name, which is the order they are written in.
pub(super) type Params = BTreeMap<&'static str, String>;

/// Transport and security; what the protocols share.
pub(super) fn params(door: &Door, inbound: &Inbound, identity: &Identity) -> Params {
    let mut params = Params::new();
    transport(&mut params, &inbound.transport);
    security(&mut params, &door.security, identity);
    params
}

/// `a=1&b=2`, form-encoded: a space is a plus. Empty values stay.
pub(super) fn encode(params: &Params) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

fn transport(params: &mut Params, transport: &Transport) {
    let mut set = |key, value: &str| {
        params.insert(key, value.to_owned());
    };
    match transport {
        Transport::Tcp { http } => {
            set("type", "tcp");
            if let Some(http) = http {
                set("headerType", "http");
                set("path", &http.path);
                set("host", &http.host);
            }
        }
        Transport::Ws { path, host } => {
            set("type", "ws");
            set("path", path);
            set("host", host);
        }
        Transport::HttpUpgrade { path, host } => {
            set("type", "httpupgrade");
            set("path", path);
            set("host", host);
        }
        Transport::Grpc { service_name, authority, multi_mode } => {
            set("type", "grpc");
            set("serviceName", service_name);
            set("authority", authority);
            if *multi_mode {
                set("mode", "multi");
            }
        }
        Transport::Xhttp { path, host, mode, x_padding_bytes, extra } => {
            set("type", "xhttp");
            set("path", path);
            set("host", host);
            set("mode", mode);
            if !x_padding_bytes.is_empty() {
                set("x_padding_bytes", x_padding_bytes);
            }
            if let Some(extra) = extra {
                set("extra", &extra.to_string());
            }
        }
        Transport::Other { network } => set("type", network),
    }
}

fn security(params: &mut Params, security: &Security, identity: &Identity) {
    let mut set = |key, value: &str| {
        params.insert(key, value.to_owned());
    };
    match security {
        Security::None => set("security", "none"),
        Security::Tls { sni, alpn, fingerprint, ech, pinned_sha256, verify_name } => {
            set("security", "tls");
            let lists = [("alpn", alpn.join(",")), ("pcs", pinned_sha256.join(","))];
            let texts = [("sni", sni), ("fp", fingerprint), ("ech", ech), ("vcn", verify_name)];
            for (key, value) in lists.iter().map(|(k, v)| (*k, v)).chain(texts) {
                if !value.is_empty() {
                    set(key, value);
                }
            }
        }
        Security::Reality { server_names, short_ids, public_key, fingerprint, spider_x, mldsa65_verify } => {
            set("security", "reality");
            set("sni", stable(server_names, identity));
            set("pbk", public_key);
            set("sid", stable(short_ids, identity));
            for (key, value) in [("fp", fingerprint), ("pqv", mldsa65_verify)] {
                if !value.is_empty() {
                    set(key, value);
                }
            }
            set("spx", &spider_path(spider_x, identity));
        }
    }
}

/// The path that a REALITY client wanders along: another one for every key, the same one each time, as 3x-ui 3.x
/// derives it (`/` and 15 hexadecimal digits of SHA-256 over the inbound's seed and the subscription id).
fn spider_path(seed: &str, identity: &Identity) -> String {
    let key = if identity.sub_id.is_empty() { identity.name.as_str() } else { &identity.sub_id };
    let digest = Sha256::digest(format!("{seed}|{key}"));
    let mut digits = String::new();
    for byte in &digest[..8] {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    format!("/{}", &digits[..15])
}
