//! A user's app: it reads a link back into what an inbound's settings were. It fails on a parameter it does not
//! know, so that none is written for nobody.

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use fleet::inbound::{Security, TcpHttp, Transport};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use url::{Host, Url};

/// What an app makes of a link.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Profile {
    pub(crate) scheme: String,
    /// UUID or password; for Shadowsocks cipher and passwords.
    pub(crate) user: Vec<String>,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) remark: String,
    pub(crate) encryption: Option<String>,
    pub(crate) flow: Option<String>,
    pub(crate) transport: Transport,
    /// REALITY with the one name and the one short id of this link, and its path in place of the seed.
    pub(crate) security: Security,
}

struct Params(BTreeMap<String, String>);

impl Params {
    fn find(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    fn take(&mut self, key: &str) -> String {
        self.find(key).unwrap_or_else(|| panic!("no {key} in {:?}", self.0))
    }

    fn take_or_empty(&mut self, key: &str) -> String {
        self.find(key).unwrap_or_default()
    }

    fn take_list(&mut self, key: &str) -> Vec<String> {
        self.find(key).map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default()
    }
}

pub(crate) fn read(link: &str) -> Profile {
    assert!(link.is_ascii() && !link.contains(char::is_whitespace), "not safe to paste: {link}");
    match link.strip_prefix("vmess://") {
        Some(body) => read_vmess(&STANDARD.decode(body).expect("base64")),
        None => read_url(link),
    }
}

/// A host as written, without brackets. In a URL only brackets make it an IPv6 address.
pub(crate) fn host(text: &str) -> Host {
    text.parse().map_or_else(|_| Host::Domain(text.to_owned()), Host::Ipv6)
}

fn read_url(link: &str) -> Profile {
    let url = Url::parse(link).expect("a URL");
    let (_, rest) = link.split_once("://").expect("a scheme");
    let user: Vec<String> = rest.split('@').next().expect("a user").split(':').map(decoded).collect();
    let mut params = Params(BTreeMap::new());
    for (key, value) in url.query_pairs() {
        assert_eq!(params.0.insert(key.to_string(), value.to_string()), None, "{key} twice in {link}");
    }
    let profile = Profile {
        user: if url.scheme() == "ss" { shadowsocks_user(user) } else { user },
        host: url.host().expect("a host").to_owned(),
        port: url.port().expect("a port"),
        remark: decoded(url.fragment().expect("a remark")),
        encryption: params.find("encryption"),
        flow: params.find("flow"),
        transport: transport(&mut params),
        security: security(&mut params),
        scheme: url.scheme().to_owned(),
    };
    assert_eq!(params.0, BTreeMap::new(), "left over in {link}");
    profile
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().expect("UTF-8").into_owned()
}

/// SIP002: base64, or for the ciphers of 2022 (SIP022) plain text.
fn shadowsocks_user(user: Vec<String>) -> Vec<String> {
    let [encoded] = user.as_slice() else { return user };
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).expect("base64")).expect("UTF-8");
    text.splitn(2, ':').map(str::to_owned).collect()
}

fn transport(params: &mut Params) -> Transport {
    if let Some(plugin) = params.find("plugin") {
        let host = plugin.strip_prefix("obfs-local;obfs=http;obfs-host=").expect("the plugin for HTTP").to_owned();
        return Transport::Tcp { http: Some(TcpHttp { path: String::new(), host }) };
    }
    match params.take("type").as_str() {
        "tcp" => {
            let http = params.find("headerType").map(|kind| {
                assert_eq!(kind, "http");
                TcpHttp { path: params.take("path"), host: params.take("host") }
            });
            Transport::Tcp { http }
        }
        "ws" => Transport::Ws { path: params.take("path"), host: params.take("host") },
        "httpupgrade" => Transport::HttpUpgrade { path: params.take("path"), host: params.take("host") },
        "grpc" => Transport::Grpc {
            service_name: params.take("serviceName"),
            authority: params.take("authority"),
            multi_mode: params.find("mode").is_some_and(|mode| mode == "multi"),
        },
        "xhttp" => Transport::Xhttp {
            path: params.take("path"),
            host: params.take("host"),
            mode: params.take("mode"),
            x_padding_bytes: params.take_or_empty("x_padding_bytes"),
            extra: params.find("extra").map(|extra| serde_json::from_str(&extra).expect("JSON")),
        },
        other => panic!("transport {other}"),
    }
}

fn security(params: &mut Params) -> Security {
    match params.find("security").as_deref() {
        None | Some("none") => Security::None,
        Some("tls") => tls(params),
        Some("reality") => Security::Reality {
            server_names: vec![params.take("sni")],
            short_ids: vec![params.take("sid")],
            public_key: params.take("pbk"),
            fingerprint: params.take_or_empty("fp"),
            spider_x: params.take("spx"),
            mldsa65_verify: params.take_or_empty("pqv"),
        },
        Some(other) => panic!("security {other}"),
    }
}

fn tls(params: &mut Params) -> Security {
    Security::Tls {
        sni: params.take_or_empty("sni"),
        alpn: params.take_list("alpn"),
        fingerprint: params.take_or_empty("fp"),
        ech: params.take_or_empty("ech"),
        pinned_sha256: params.take_list("pcs"),
        verify_name: params.take_or_empty("vcn"),
    }
}

/// Further settings of XHTTP are whatever is left over.
fn read_vmess(json: &[u8]) -> Profile {
    let mut object: Map<String, Value> = serde_json::from_slice(json).expect("an object");
    let port = object.remove("port").and_then(|port| port.as_u64()).expect("a port that is a number");
    let texts = object.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    let mut params = Params(texts.collect());
    assert_eq!((params.take("v").as_str(), params.take("scy").as_str()), ("2", "auto"));
    let kind = params.take("type");
    let net = params.take("net");
    let security = match params.take("tls").as_str() {
        "none" => Security::None,
        "tls" => tls(&mut params),
        other => panic!("security {other}"),
    };
    let mut profile = Profile {
        scheme: "vmess".to_owned(),
        user: vec![params.take("id")],
        host: host(&params.take("add")),
        port: u16::try_from(port).expect("a port"),
        remark: params.take("ps"),
        encryption: None,
        flow: None,
        transport: vmess_transport(&mut params, &net, &kind),
        security,
    };
    object.retain(|key, value| !value.is_string() || params.0.contains_key(key));
    if let Transport::Xhttp { extra, .. } = &mut profile.transport {
        *extra = (!object.is_empty()).then_some(Value::Object(object));
    } else {
        assert_eq!(object, Map::new(), "left over");
    }
    profile
}

fn vmess_transport(params: &mut Params, net: &str, kind: &str) -> Transport {
    match (net, kind) {
        ("tcp", "none") => Transport::Tcp { http: None },
        ("tcp", "http") => {
            Transport::Tcp { http: Some(TcpHttp { path: params.take("path"), host: params.take("host") }) }
        }
        ("ws", "none") => Transport::Ws { path: params.take("path"), host: params.take("host") },
        ("httpupgrade", "none") => Transport::HttpUpgrade { path: params.take("path"), host: params.take("host") },
        ("grpc", "none" | "multi") => Transport::Grpc {
            service_name: params.take("path"),
            authority: params.take("authority"),
            multi_mode: kind == "multi",
        },
        ("xhttp", "none") => Transport::Xhttp {
            path: params.take("path"),
            host: params.take("host"),
            mode: params.take("mode"),
            x_padding_bytes: params.take_or_empty("x_padding_bytes"),
            extra: None,
        },
        other => panic!("transport {other:?}"),
    }
}
