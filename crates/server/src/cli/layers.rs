//! What was seen of a panel, one line per layer.

use super::print::{Printed, table};
use fleet::health::reading::{LayerResult, Reading, Xray};
use panel::{Examination, Step};
use serde_json::json;

/// What an examination found, and whether it is good.
pub(super) fn examined(seen: &Examination) -> Printed {
    let good = seen.is_good();
    Printed { text: layers(seen), document: json!({"good": good, "seen": seen}), good }
}

/// What an examination found, one line per layer.
pub(super) fn layers(seen: &Examination) -> String {
    let inbounds = |found: &Vec<panel::InboundFound>| {
        let each = found.iter().map(|i| {
            let state = i.unusable.as_deref().unwrap_or("usable");
            format!("{} {} on port {} {:?}: {state}", i.id, i.protocol, i.port, i.remark)
        });
        each.collect::<Vec<_>>().join("; ")
    };
    let rows = [
        ("name", line(&seen.name, |a| a.join(", "))),
        ("tcp", line(&seen.tcp, Clone::clone)),
        ("tls", line(&seen.tls, |t| t.as_ref().map_or("none: plain http".to_owned(), |t| t.protocol.clone()))),
        (
            "panel",
            line(&seen.panel, |v| format!("3x-ui {}", v.panel.clone().unwrap_or_else(|| v.generation.to_string()))),
        ),
        ("authorised", line(&seen.authorised, |c| format!("by {c:?}").to_lowercase())),
        ("xray", line(&seen.xray, |x| format!("{:?} {}", x.state, x.version).to_lowercase())),
        ("inbounds", line(&seen.inbounds, inbounds)),
    ];
    let certificate =
        seen.certificate_sha256.iter().map(|sha| vec!["  certificate".to_owned(), String::new(), format!("pin:{sha}")]);
    let rows = rows.into_iter().map(|(name, (state, words))| vec![name.to_owned(), state.to_owned(), words]);
    table(&[], rows.chain(certificate))
}

fn line<T>(step: &Step<T>, words: impl Fn(&T) -> String) -> (&'static str, String) {
    match step {
        Step::Good { ms, found } => ("ok", format!("{} ({ms} ms)", words(found))),
        Step::Bad { why, found, .. } => {
            let found = found.as_ref().map(words).filter(|f| !f.is_empty());
            let found = found.map(|f| format!(" [{f}]")).unwrap_or_default();
            ("FAILED", format!("{why}{found}"))
        }
        Step::NotReached => ("-", "not reached".to_owned()),
    }
}

/// What a reading of the prober found, one line per layer.
pub(super) fn reading(reading: &Reading) -> String {
    let panel = &reading.panel;
    let tls = panel.tls.as_ref().map_or(("-", "none: plain http".to_owned()), result);
    let mut rows = vec![
        ("name".to_owned(), result(&panel.name)),
        ("tcp".to_owned(), result(&panel.tcp)),
        ("tls".to_owned(), tls),
        ("http".to_owned(), result(&panel.http)),
        ("path".to_owned(), result(&panel.path)),
        ("authorised".to_owned(), result(&panel.authorised)),
        ("xray".to_owned(), xray(&panel.xray)),
    ];
    for port in &reading.ports {
        rows.push((format!("port {}", port.port), result(&port.tcp)));
        rows.extend(port.tls.as_ref().map(|tls| (format!("port {} tls", port.port), result(tls))));
    }
    table(&[], rows.into_iter().map(|(name, (state, words))| vec![name, state.to_owned(), words]))
}

fn result(layer: &LayerResult) -> (&'static str, String) {
    match layer {
        LayerResult::Good { ms } => ("ok", format!("({ms} ms)")),
        LayerResult::Bad { why, ms } => ("FAILED", format!("{why} ({ms} ms)")),
        LayerResult::NotReached => ("-", "not reached".to_owned()),
    }
}

fn xray(xray: &Xray) -> (&'static str, String) {
    match xray {
        Xray::NotReached => ("-", "not reached".to_owned()),
        Xray::NotYet { ms } => ("-", format!("the panel started a moment ago and does not know yet ({ms} ms)")),
        Xray::Running { ms } => ("ok", format!("running ({ms} ms)")),
        Xray::Stopped { ms } => ("FAILED", format!("stopped ({ms} ms)")),
        Xray::Error { why, ms } => ("FAILED", format!("does not run: {why} ({ms} ms)")),
    }
}
