//! What the wire can do to us, against a real server that does it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod raw;

use fleet::id::InboundId;
use panel::{Deadlines, Layer, PanelError, Step, Tls};
use raw::{Raw, Reply, Seen, like_a_panel, panel, short, yes};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::rustls::{self, pki_types::PrivateKeyDer};

fn layer(error: &PanelError) -> Option<Layer> {
    if let PanelError::Unreachable { layer, .. } = error { Some(*layer) } else { None }
}

#[tokio::test]
async fn a_panel_that_is_not_there_is_told_by_the_layer_that_failed() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = panel(&format!("http://{closed}/"), Tls::Verify, Deadlines::default()).status().await.unwrap_err();
    assert_eq!(layer(&refused), Some(Layer::Tcp), "{refused:?}");
    let nowhere = panel("http://nowhere.invalid/", Tls::Verify, Deadlines::default()).status().await.unwrap_err();
    assert_eq!(layer(&nowhere), Some(Layer::Name), "{nowhere:?}");
    let proxy = Raw::start(|_| Reply::Answer(502, vec![], b"<html>bad gateway".to_vec())).await;
    let proxied = proxy.panel().status().await.unwrap_err();
    assert_eq!(layer(&proxied), Some(Layer::Http), "{proxied:?}");
}

#[tokio::test]
async fn a_panel_that_swallows_everything_ends_every_call() {
    let hole = Raw::start(|_| Reply::Silence).await;
    let panel = hole.panel();
    let status = panel.status().await.unwrap_err();
    assert_eq!(layer(&status), Some(Layer::Http), "{status:?}");
    assert!(panel.observe(InboundId(1)).await.unwrap_err().is_unreachable());
    let seen = panel.examine().await;
    assert!(seen.tcp.is_good() && matches!(seen.panel, Step::Bad { .. }), "{seen:?}");
    assert_eq!(seen.authorised, Step::NotReached);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let half = br#"{"success":true,"msg":"","obj":[1,2,3,4,5,6,7,8,9,10]}"#;
    let server = Raw::start(move |seen| like_a_panel(seen).unwrap_or_else(|| Reply::CutOff(half.to_vec()))).await;
    let error = server.panel().inbounds().await.unwrap_err();
    assert_eq!(layer(&error), Some(Layer::Http), "{error:?}");
    let server = Raw::start(|seen| like_a_panel(seen).unwrap_or(Reply::Nothing)).await;
    let error = server.panel().inbounds().await.unwrap_err();
    assert_eq!(layer(&error), Some(Layer::Http), "{error:?}");
}

#[tokio::test]
async fn an_answer_of_any_size_is_read_only_up_to_a_bound() {
    let server = Raw::start(|_| Reply::Endless).await;
    let patient = Deadlines { read: Duration::from_mins(1), ..Deadlines::default() };
    let error = panel(&server.url, Tls::Verify, patient).status().await.unwrap_err();
    assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
}

#[tokio::test]
async fn a_small_answer_that_unpacks_to_a_large_one_is_bounded_too() {
    let packed = zeros_packed(2 << 20);
    assert!(packed.len() < 20_000);
    let server = Raw::start(move |_| Reply::Answer(200, vec!["Content-Encoding: gzip".into()], packed.clone())).await;
    let error = panel(&server.url, Tls::Verify, Deadlines::default()).status().await.unwrap_err();
    assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
}

/// Gzip of this many zeros, written by hand: fixed Huffman codes, each 13 bits repeating 258 bytes. Without the
/// checksum at its end, which nobody should get to see.
fn zeros_packed(length: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = vec![true, true, false]; // last block, fixed codes
    bits.extend([false, false, true, true, false, false, false, false]); // literal 0
    for _ in 0..length / 258 {
        bits.extend([true, true, false, false, false, true, false, true]); // length 258
        bits.extend([false; 5]); // distance 1
    }
    bits.extend([false; 7]); // end of block
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    packed.extend(bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |b, (at, bit)| b | u8::from(*bit) << at)));
    packed
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_names_where_it_leads() {
    let elsewhere = Raw::start(|_| yes(&json!({}))).await;
    let to = format!("Location: {}panel/", elsewhere.url);
    let server = Raw::start(move |_| Reply::Answer(307, vec![to.clone()], vec![])).await;
    let error = server.panel().status().await.unwrap_err();
    assert!(error.is_misconfigured() && error.to_string().contains(&elsewhere.url), "{error}");
    assert_eq!(elsewhere.seen().len(), 0, "a token must not travel to where a stranger points");
}

#[tokio::test]
async fn another_web_server_is_not_taken_for_a_panel() {
    let page = format!("<html>{}", "welcome ".repeat(500));
    let server = Raw::start(move |_| Reply::Answer(200, vec![], page.clone().into_bytes())).await;
    let error = server.panel().status().await.unwrap_err();
    let PanelError::Unexpected { excerpt, .. } = &error else { panic!("{error:?}") };
    assert!(excerpt.starts_with("<html>welcome") && excerpt.len() < 200, "{excerpt}");
}

#[tokio::test]
async fn every_call_says_that_a_program_is_asking() {
    let server = Raw::start(|seen| like_a_panel(seen).unwrap()).await;
    server.panel().status().await.unwrap();
    let seen: Vec<Seen> = server.seen();
    assert!(!seen.is_empty());
    for seen in seen {
        assert_eq!(seen.header("x-requested-with"), Some("XMLHttpRequest"));
        assert_eq!(seen.header("authorization"), Some("Bearer t0ken"));
    }
}

/// A server with a certificate that no authority signed, and the certificate's SHA-256.
async fn self_signed() -> (Raw, [u8; 32]) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let sha256 = Sha256::digest(cert.der()).into();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::Pkcs8(signing_key.serialize_der().into()))
        .unwrap();
    (Raw::start_tls(config, |seen| like_a_panel(seen).unwrap_or(Reply::Nothing)).await, sha256)
}

#[tokio::test]
async fn a_certificate_is_accepted_when_it_is_the_pinned_one_or_when_nobody_looks() {
    let (server, sha256) = self_signed().await;
    for tls in [Tls::Pin(sha256), Tls::Skip] {
        panel(&server.url, tls, Deadlines::default()).status().await.unwrap();
    }
}

#[tokio::test]
async fn any_other_certificate_is_refused_before_anything_is_sent() {
    let (server, sha256) = self_signed().await;
    for tls in [Tls::Pin([7; 32]), Tls::Verify] {
        let error = panel(&server.url, tls, Deadlines::default()).status().await.unwrap_err();
        assert_eq!(layer(&error), Some(Layer::Tls), "{error:?}");
    }
    assert_eq!(server.seen().len(), 0);
    let seen = panel(&server.url, Tls::Verify, Deadlines::default()).examine().await;
    let Step::Bad { why, .. } = &seen.tls else { panic!("{seen:?}") };
    assert!(why.contains("vouches for its certificate") && why.contains("pin it"), "{why}");
    assert_eq!(seen.certificate_sha256, Some(hex::encode(sha256)), "what an operator needs in order to pin it");
    assert_eq!(seen.panel, Step::NotReached);
}

#[tokio::test]
async fn plain_http_sent_to_a_tls_port_ends_in_an_error() {
    let (server, _) = self_signed().await;
    let url = server.url.replace("https", "http");
    assert!(panel(&url, Tls::Verify, short()).status().await.is_err());
}
