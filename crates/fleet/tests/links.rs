//! Links, read back as an app reads them: whatever the inbound says, the app hears.

use crate::{
    app::{self, Profile},
    chance::cases,
    shares::{any_host, any_identity, any_inbound, any_reality, any_text, plain, proxy, reality},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fleet::{
    client::{VISION, credential},
    id::InboundId,
    inbound::{Inbound, Protocol, Security, TcpHttp, Transport, Unusable},
    key::Identity,
    link::{link, links},
};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use url::Host;
use uuid::Uuid;

fn identity(bits: u128) -> Identity {
    Identity { uuid: Uuid::from_u128(bits), ..crate::panels::identity(1) }
}

fn user(inbound: &Inbound, identity: &Identity) -> Vec<String> {
    let secret = credential(&inbound.protocol, identity.uuid);
    match &inbound.protocol {
        Protocol::Shadowsocks { method, password } if method.starts_with("2022") => {
            vec![method.clone(), password.clone(), secret]
        }
        Protocol::Shadowsocks { method, .. } => vec![method.clone(), secret],
        Protocol::Vless { .. } | Protocol::Vmess | Protocol::Trojan | Protocol::Other { .. } => vec![secret],
    }
}

fn scheme(protocol: &Protocol) -> &'static str {
    match protocol {
        Protocol::Vless { .. } => "vless",
        Protocol::Vmess => "vmess",
        Protocol::Trojan => "trojan",
        Protocol::Shadowsocks { .. } => "ss",
        Protocol::Other { .. } => "none",
    }
}

/// What an app can be told: of the dress as HTTP, Shadowsocks links have the host only.
fn tellable(inbound: &Inbound) -> Transport {
    match (&inbound.protocol, &inbound.transport) {
        (Protocol::Shadowsocks { .. }, Transport::Tcp { http: Some(http) }) => {
            Transport::Tcp { http: Some(TcpHttp { path: String::new(), host: http.host.clone() }) }
        }
        (_, transport) => transport.clone(),
    }
}

/// Checks the values of REALITY that a link chooses, and takes them for the inbound's own.
fn same_security(told: &Security, own: &Security) -> Result<(), TestCaseError> {
    let (
        Security::Reality { server_names, short_ids, spider_x, .. },
        Security::Reality { server_names: names, short_ids: ids, .. },
    ) = (told, own)
    else {
        prop_assert_eq!(told, own);
        return Ok(());
    };
    prop_assert!(names.contains(&server_names[0]) && !server_names[0].is_empty(), "{:?} of {:?}", server_names, names);
    let filled: Vec<&String> = ids.iter().filter(|id| !id.is_empty()).collect();
    let allowed = if filled.is_empty() { short_ids[0].is_empty() } else { filled.contains(&&short_ids[0]) };
    prop_assert!(allowed, "{:?} of {:?}", short_ids, ids);
    let digits = spider_x.strip_prefix('/').unwrap_or_default();
    prop_assert!(digits.len() == 15 && digits.chars().all(|c| c.is_ascii_hexdigit()), "{}", spider_x);
    let mut chosen = own.clone();
    if let Security::Reality { server_names: names, short_ids: ids, spider_x: seed, .. } = &mut chosen {
        (*names, *ids, *seed) = (server_names.clone(), short_ids.clone(), spider_x.clone());
    }
    prop_assert_eq!(told, &chosen);
    Ok(())
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

proptest! {
    #![proptest_config(cases(700))]

    #[test]
    fn a_link_tells_the_inbounds_own_values(
        inbound in any_inbound(), key in any_identity(), host in any_host(), remark in any_text(),
    ) {
        let text = link(&inbound, &key, &host, &remark).unwrap();
        let told = app::read(&text);
        same_security(&told.security, &inbound.security)?;
        let Protocol::Vless { encryption } = &inbound.protocol else {
            prop_assert_eq!((&told.encryption, &told.flow), (&None, &None));
            return same_values(&told, &inbound, &key, &host, &remark);
        };
        prop_assert_eq!(&told.encryption, encryption);
        let flow = Some(inbound.flow().to_owned()).filter(|flow| !flow.is_empty());
        prop_assert_eq!(&told.flow, &flow);
        same_values(&told, &inbound, &key, &host, &remark)?;
    }

    #[test]
    fn the_choice_among_names_and_short_ids_is_the_keys_alone(
        security in any_reality(), key in any_identity(), host in any_host(), remark in any_text(), port: u16,
    ) {
        let here = Inbound { security: security.clone(), ..plain() };
        let there = Inbound { security, port, protocol: Protocol::Trojan, ..plain() };
        let first = app::read(&link(&here, &key, "a.example", "").unwrap()).security;
        prop_assert_eq!(&first, &app::read(&link(&here, &key, "a.example", "").unwrap()).security);
        prop_assert_eq!(&first, &app::read(&link(&there, &key, &host, &remark).unwrap()).security);
    }

    #[test]
    fn the_first_of_all_links_is_the_link(inbound in any_inbound(), key in any_identity(), host in any_host()) {
        let all = links(&inbound, &key, &host, "x").unwrap();
        prop_assert_eq!(all, [link(&inbound, &key, &host, "x").unwrap()]);
        let fronted = Inbound { external_proxies: vec![proxy("a.test", 1, None), proxy(&host, 2, Some(true))], ..inbound };
        let all = links(&fronted, &key, &host, "x").unwrap();
        prop_assert_eq!(&all[0], &link(&fronted, &key, "unused.test", "x").unwrap());
        let doors: Vec<(Host, u16)> = all.iter().map(|l| app::read(l)).map(|p| (p.host, p.port)).collect();
        prop_assert_eq!(doors, [(app::host("a.test"), 1), (app::host(bare(&host)), 2)]);
    }
}

fn same_values(
    told: &Profile,
    inbound: &Inbound,
    key: &Identity,
    host: &str,
    remark: &str,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(told.scheme.as_str(), scheme(&inbound.protocol));
    prop_assert_eq!(&told.user, &user(inbound, key));
    prop_assert_eq!(&told.host, &app::host(bare(host)));
    prop_assert_eq!(told.port, inbound.port);
    prop_assert_eq!(told.remark.as_str(), remark);
    prop_assert_eq!(&told.transport, &tellable(inbound));
    Ok(())
}

#[test]
fn a_link_over_reality_reads_so() {
    let inbound = reality(&["target.example"], &["0a1b"]);
    insta::assert_snapshot!(link(&inbound, &identity(7), "203.0.113.5", "Óslo #1 50%").unwrap(), @"vless://00000000-0000-0000-0000-000000000007@203.0.113.5:443?encryption=none&flow=xtls-rprx-vision&fp=chrome&pbk=public&security=reality&sid=0a1b&sni=target.example&spx=%2Fbda0cbed3bad101&type=tcp#%C3%93slo%20%231%2050%25");
}

#[test]
fn a_shadowsocks_link_of_2022_reads_so() {
    let protocol = Protocol::Shadowsocks { method: "2022-blake3-aes-128-gcm".into(), password: "cGFzcw+/==".into() };
    let inbound = Inbound { protocol, ..plain() };
    insta::assert_snapshot!(link(&inbound, &identity(7), "2001:db8::1", "ss").unwrap(), @"ss://2022-blake3-aes-128-gcm:cGFzcw%2B%2F%3D%3D:a65CaCLfUsr53DbIMZJH1g%3D%3D@[2001:db8::1]:443?type=tcp#ss");
}

#[test]
fn an_ipv6_host_stands_in_brackets_once() {
    for host in ["2001:db8::1", "[2001:db8::1]"] {
        let link = link(&plain(), &identity(1), host, "").unwrap();
        assert!(link.contains("@[2001:db8::1]:443?"), "{link}");
    }
}

#[test]
fn every_allowed_name_and_short_id_is_used_by_some_key() {
    let inbound = reality(&["a.test", "b.test", "", "c.test"], &["01", "", "02"]);
    let mut used = BTreeSet::new();
    for bits in 0..200 {
        let Security::Reality { server_names, short_ids, .. } =
            app::read(&link(&inbound, &identity(bits), "h.test", "").unwrap()).security
        else {
            panic!("REALITY was not told");
        };
        used.extend(server_names.into_iter().chain(short_ids));
    }
    assert_eq!(used, ["01", "02", "a.test", "b.test", "c.test"].map(str::to_owned).into());
}

#[test]
fn keys_of_2022_ciphers_have_the_length_of_the_cipher() {
    for (method, length) in [("2022-blake3-aes-128-gcm", 16), ("2022-blake3-aes-256-gcm", 32)] {
        let protocol = Protocol::Shadowsocks { method: method.to_owned(), password: String::new() };
        assert_eq!(STANDARD.decode(credential(&protocol, Uuid::from_u128(5))).unwrap().len(), length, "{method}");
    }
}

#[test]
fn an_address_in_front_may_wrap_otherwise_than_the_inbound() {
    let mut inbound = reality(&["target.test"], &["01"]);
    inbound.external_proxies =
        vec![proxy("same.test", 1, None), proxy("plain.test", 2, Some(false)), proxy("tls.test", 3, Some(true))];
    let told: Vec<Profile> = links(&inbound, &identity(1), "h", "").unwrap().iter().map(|l| app::read(l)).collect();
    assert!(matches!(told[0].security, Security::Reality { .. }));
    assert_eq!((&told[1].security, &told[1].flow), (&Security::None, &None));
    assert!(matches!(told[2].security, Security::Tls { .. }));
    assert_eq!(told[2].flow.as_deref(), Some(VISION));
}

#[test]
fn further_settings_of_xhttp_do_not_replace_the_links_own() {
    let extra = Some(json!({"path": "/theirs", "id": "theirs", "xmux": {"maxConcurrency": "16"}}));
    let transport = Transport::Xhttp {
        path: "/own".into(),
        host: String::new(),
        mode: "auto".into(),
        x_padding_bytes: String::new(),
        extra,
    };
    let inbound = Inbound { protocol: Protocol::Vmess, transport, ..plain() };
    let told = app::read(&link(&inbound, &identity(9), "h.test", "").unwrap());
    assert_eq!(told.user, [credential(&Protocol::Vmess, Uuid::from_u128(9))]);
    let Transport::Xhttp { path, extra, .. } = told.transport else { panic!("XHTTP was not told") };
    assert_eq!((path.as_str(), extra), ("/own", Some(json!({"xmux": {"maxConcurrency": "16"}}))));
}

#[test]
fn an_inbound_that_carries_no_keys_has_no_links() {
    let disabled = Inbound { enabled: false, ..plain() };
    let foreign = Inbound { protocol: Protocol::Other { name: "wireguard".into() }, ..plain() };
    let kcp = Inbound { transport: Transport::Other { network: "kcp".into() }, ..plain() };
    let nameless = reality(&[""], &["01"]);
    for (inbound, why) in [
        (disabled, Unusable::Disabled),
        (foreign, Unusable::Protocol("wireguard".to_owned())),
        (kcp, Unusable::Transport("kcp".to_owned())),
        (nameless, Unusable::Reality("server name")),
    ] {
        assert_eq!(link(&inbound, &identity(1), "h.test", "x"), Err(why.clone()));
        assert_eq!(links(&inbound, &identity(1), "h.test", "x"), Err(why));
    }
}

#[test]
fn one_inbound_read_twice_is_alike_whatever_was_edited_and_another_server_s_is_not() {
    let inbound = reality(&["a.test"], &["ab"]);
    let mut edited = Inbound { remark: "renamed".into(), enabled: false, ..reality(&["b.test"], &["cd"]) };
    assert!(inbound.is_alike(&edited) && edited.is_alike(&inbound));
    if let Security::Reality { public_key, .. } = &mut edited.security {
        *public_key = "another".into();
    }
    assert!(!inbound.is_alike(&edited), "another server's key");
    assert!(!inbound.is_alike(&Inbound { port: inbound.port + 1, ..inbound.clone() }));
    assert!(!inbound.is_alike(&Inbound { id: InboundId(inbound.id.0 + 1), ..inbound.clone() }));
    assert!(!inbound.is_alike(&plain()));
}
