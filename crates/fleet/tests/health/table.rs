//! The table of the design, row by row, and the words that people read.

use super::readings::{Case, GOOD, bad, full, light, port, well};
use fleet::{
    health::{
        reading::{LayerResult, Reading, Xray},
        verdict::Verdict,
    },
    id::InboundId,
};

fn verdict(change: impl FnOnce(&mut Reading)) -> String {
    let mut reading = well(0, 1);
    change(&mut reading);
    match reading.verdict() {
        Verdict::Good => "good".to_owned(),
        Verdict::Alive => "alive".to_owned(),
        Verdict::Undecided => "undecided".to_owned(),
        Verdict::Bad { why } => format!("bad: {why}"),
        Verdict::Degraded { why } => format!("degraded: {why}"),
        Verdict::Misconfigured { why } => format!("misconfigured: {why}"),
    }
}

fn light_verdict(case: Case) -> String {
    verdict(|r| *r = light(case, 0, 1))
}

fn close_port(reading: &mut Reading) {
    reading.ports = vec![port(bad("no answer within 2 s"))];
}

fn silence(reading: &mut Reading) {
    reading.panel = full(Case::Silent, 0, 1).panel;
}

#[test]
fn a_panel_that_answers_is_judged_by_its_xray_and_its_ports() {
    assert_eq!(verdict(|_| {}), "good");
    assert_eq!(verdict(close_port), "bad: port 443: no answer within 2 s");
    let xrays = [
        (Xray::Stopped { ms: 1 }, "bad: xray stopped", "bad: xray stopped"),
        (Xray::Error { why: "exit 23".to_owned(), ms: 1 }, "bad: xray failed: exit 23", "bad: xray failed: exit 23"),
        (Xray::Error { why: String::new(), ms: 1 }, "bad: xray failed", "bad: xray failed"),
        (Xray::NotYet { ms: 1 }, "undecided", "bad: port 443: no answer within 2 s"),
        (Xray::NotReached, "undecided", "bad: port 443: no answer within 2 s"),
    ];
    for (xray, with_open_port, with_closed_port) in xrays {
        assert_eq!(verdict(|r| r.panel.xray = xray.clone()), with_open_port);
        let closed = verdict(|r| {
            r.panel.xray = xray.clone();
            close_port(r);
        });
        assert_eq!(closed, with_closed_port);
    }
}

#[test]
fn a_silent_panel_is_an_outage_only_with_its_port_closed() {
    assert_eq!(verdict(silence), "degraded: tcp refused");
    let both = verdict(|r| {
        silence(r);
        close_port(r);
    });
    assert_eq!(both, "bad: tcp refused, port 443: no answer within 2 s");
    let unknown = verdict(|r| {
        silence(r);
        r.ports = vec![];
    });
    assert_eq!(unknown, "degraded: tcp refused", "nobody is moved for what is not known");
}

#[test]
fn every_layer_before_the_panel_makes_it_silent() {
    assert_eq!(verdict(|r| r.panel.name = bad("does not resolve")), "degraded: name does not resolve");
    assert_eq!(verdict(|r| r.panel.tcp = bad("refused")), "degraded: tcp refused");
    assert_eq!(verdict(|r| r.panel.tls = Some(bad("certificate expired"))), "degraded: tls certificate expired");
    assert_eq!(verdict(|r| r.panel.http = bad("status 502")), "degraded: http status 502");
}

#[test]
fn our_own_mistakes_are_no_outage_whatever_the_ports_do() {
    for ports in [vec![], vec![port(GOOD)], vec![port(bad("refused"))]] {
        let unauthorised = verdict(|r| (r.panel, r.ports) = (full(Case::Unauthorised, 0, 1).panel, ports.clone()));
        assert_eq!(unauthorised, "misconfigured: unauthorised: wrong password");
        let moved = verdict(|r| (r.panel.path, r.ports) = (bad("404"), ports));
        assert_eq!(moved, "misconfigured: no panel at that path: 404");
    }
}

#[test]
fn one_closed_port_of_several_is_closed() {
    let other = || port(GOOD);
    let no_hello = verdict(|r| {
        let tls = Some(bad("no answer within 2 s"));
        r.ports = vec![other(), fleet::health::reading::Port { inbound: InboundId(2), port: 8443, tcp: GOOD, tls }];
    });
    assert_eq!(no_hello, "bad: port 8443: tls no answer within 2 s");
    assert_eq!(verdict(|r| r.ports = vec![other(), port(LayerResult::NotReached)]), "undecided");
    assert_eq!(verdict(|r| r.ports = vec![]), "undecided", "no inbound is known");
}

#[test]
fn a_light_look_proves_life_not_health() {
    for case in [Case::Well, Case::Unauthorised, Case::Starting] {
        assert_eq!(light_verdict(case), "alive", "{case:?}");
    }
    assert_eq!(light_verdict(Case::Gone), "bad: tcp refused, port 443: refused");
    assert_eq!(light_verdict(Case::PortClosed), "bad: port 443: refused");
    assert_eq!(light_verdict(Case::Silent), "degraded: tcp refused");
}

#[test]
fn a_reading_is_kept_as_json_by_layer() {
    let reading = full(Case::Unauthorised, 5, 9);
    let json = serde_json::to_string(&reading).unwrap();
    insta::assert_snapshot!(json, @r#"{"started_ms":5,"ended_ms":9,"depth":"full","panel":{"name":{"result":"good","ms":1},"tcp":{"result":"good","ms":1},"tls":{"result":"good","ms":1},"http":{"result":"good","ms":1},"path":{"result":"good","ms":1},"authorised":{"result":"bad","why":"wrong password","ms":1},"xray":{"result":"not_reached"}},"ports":[{"inbound":1,"port":443,"tcp":{"result":"good","ms":1},"tls":null}]}"#);
    assert_eq!(serde_json::from_str::<Reading>(&json).unwrap(), reading);
}
