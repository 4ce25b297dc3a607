//! Inbounds and keys of every kind that a link is made for, with every text that may stand in them.

use fleet::{
    id::{InboundId, KeyId, UserId},
    inbound::{ExternalProxy, Inbound, Protocol, Security, TcpHttp, Transport},
    key::{ClientName, Identity},
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};
use uuid::Uuid;

/// Whatever may break a link: separators, percent signs, quotes, spaces, and letters of other scripts.
const TEXT: &str = "[a-zA-Z0-9&#%+ /?=:@;,.\"'\\\\\\[\\]<>éжß中🔑-]{0,12}";
const FILLED: &str = "[a-zA-Z0-9&#%+ /?=:@;,.\"'\\\\\\[\\]<>éжß中🔑-]{1,12}";

pub(crate) fn any_text() -> impl Strategy<Value = String> {
    TEXT
}

pub(crate) fn any_identity() -> impl Strategy<Value = Identity> {
    (any::<u128>(), 1..=99_i64, prop_oneof![Just(String::new()), "[a-z0-9]{16}"]).prop_map(|(bits, id, sub_id)| {
        let uuid = Uuid::from_u128(bits);
        Identity { name: ClientName::of(UserId(id), KeyId(id), uuid), uuid, sub_id }
    })
}

/// A name or an address, IPv6 with and without brackets.
pub(crate) fn any_host() -> impl Strategy<Value = String> {
    let name = "[a-z][a-z0-9-]{0,8}[a-z0-9]\\.(example|test)";
    let v4 = any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string());
    let v6 = any::<std::net::Ipv6Addr>;
    prop_oneof![name, v4, v6().prop_map(|address| address.to_string()), v6().prop_map(|address| format!("[{address}]"))]
}

fn shadowsocks() -> impl Strategy<Value = Protocol> {
    let methods = vec!["aes-256-gcm", "chacha20-ietf-poly1305", "2022-blake3-aes-128-gcm", "2022-blake3-aes-256-gcm"];
    (select(methods), FILLED)
        .prop_map(|(method, password)| Protocol::Shadowsocks { method: method.to_owned(), password })
}

fn any_protocol() -> impl Strategy<Value = Protocol> {
    let encryption = prop_oneof![Just(None), Just(Some("none".to_owned())), FILLED.prop_map(Some)];
    prop_oneof![
        2 => encryption.prop_map(|encryption| Protocol::Vless { encryption }),
        1 => Just(Protocol::Vmess),
        1 => Just(Protocol::Trojan),
        2 => shadowsocks(),
    ]
}

/// Further settings of XHTTP, some under the names of settings that every link has.
fn any_extra() -> impl Strategy<Value = Option<Value>> {
    prop::option::of((TEXT, any::<bool>(), FILLED).prop_map(
        |(key, flag, padding)| json!({"xPaddingBytes": padding, "noGRPCHeader": flag, "headers": {"X-Key": key}}),
    ))
}

fn any_transport() -> impl Strategy<Value = Transport> {
    prop_oneof![
        2 => Just(Transport::Tcp { http: None }),
        1 => (TEXT, TEXT).prop_map(|(path, host)| Transport::Tcp { http: Some(TcpHttp { path, host }) }),
        1 => (TEXT, TEXT).prop_map(|(path, host)| Transport::Ws { path, host }),
        1 => (TEXT, TEXT).prop_map(|(path, host)| Transport::HttpUpgrade { path, host }),
        1 => (TEXT, TEXT, any::<bool>()).prop_map(|(service_name, authority, multi_mode)| Transport::Grpc {
            service_name,
            authority,
            multi_mode,
        }),
        1 => (TEXT, TEXT, select(vec!["", "auto", "packet-up"]), TEXT, any_extra()).prop_map(
            |(path, host, mode, x_padding_bytes, extra)| Transport::Xhttp {
                path,
                host,
                mode: mode.to_owned(),
                x_padding_bytes,
                extra,
            }
        ),
    ]
}

fn any_tls() -> impl Strategy<Value = Security> {
    let alpn = proptest::sample::subsequence(vec!["h3".to_owned(), "h2".to_owned(), "http/1.1".to_owned()], 0..=3);
    let pins = vec("[0-9A-F]{4}(:[0-9A-F]{2}){0,3}", 0..=3);
    (TEXT, alpn, select(vec!["", "chrome"]), TEXT, pins, TEXT).prop_map(
        |(sni, alpn, fingerprint, ech, pinned_sha256, verify_name)| Security::Tls {
            sni,
            alpn,
            fingerprint: fingerprint.to_owned(),
            ech,
            pinned_sha256,
            verify_name,
        },
    )
}

pub(crate) fn any_reality() -> impl Strategy<Value = Security> {
    let names = (vec(TEXT, 0..=3), FILLED).prop_map(|(mut names, one)| {
        names.push(one);
        names
    });
    (names, vec("[0-9a-f]{0,8}", 0..=4), FILLED, select(vec!["", "firefox"]), TEXT, TEXT).prop_map(
        |(server_names, short_ids, public_key, fingerprint, spider_x, mldsa65_verify)| Security::Reality {
            server_names,
            short_ids,
            public_key,
            fingerprint: fingerprint.to_owned(),
            spider_x,
            mldsa65_verify,
        },
    )
}

/// An inbound that keys can live on. VMess comes without REALITY, for which its links have no words.
pub(crate) fn any_inbound() -> impl Strategy<Value = Inbound> {
    let security = (any_tls(), any_reality(), 0..3_u8);
    (any_protocol(), any_transport(), security, 1..=u16::MAX).prop_map(|(protocol, transport, security, port)| {
        let security = match security {
            (_, reality, 2) if protocol != Protocol::Vmess => reality,
            (tls, _, 1) => tls,
            _ => Security::None,
        };
        Inbound { port, protocol, transport, security, ..plain() }
    })
}

/// VLESS over bare TCP.
pub(crate) fn plain() -> Inbound {
    Inbound {
        id: InboundId(1),
        remark: "main".to_owned(),
        enabled: true,
        listen: String::new(),
        port: 443,
        protocol: Protocol::Vless { encryption: Some("none".to_owned()) },
        transport: Transport::Tcp { http: None },
        security: Security::None,
        external_proxies: Vec::new(),
    }
}

/// VLESS over REALITY, with a choice of names and of short ids.
pub(crate) fn reality(server_names: &[&str], short_ids: &[&str]) -> Inbound {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let security = Security::Reality {
        server_names: owned(server_names),
        short_ids: owned(short_ids),
        public_key: "public".to_owned(),
        fingerprint: "chrome".to_owned(),
        spider_x: "/".to_owned(),
        mldsa65_verify: String::new(),
    };
    Inbound { security, ..plain() }
}

pub(crate) fn proxy(host: &str, port: u16, tls: Option<bool>) -> ExternalProxy {
    ExternalProxy { host: host.to_owned(), port, tls }
}
