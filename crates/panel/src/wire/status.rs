//! `panel/api/server/status`.

use super::{object, text};
use crate::report::{Generation, Status, Version, Xray, XrayState};
use serde_json::{Map, Value};

/// Reads the status object. Null is "not yet": a panel that started a moment ago. `None` when it is anything else
/// than an object.
pub(crate) fn status(obj: &Value, generation: Generation) -> Option<Status> {
    let empty = Map::new();
    let (fields, known) = match obj {
        Value::Null => (&empty, false),
        Value::Object(fields) => (fields, true),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return None,
    };
    let xray = object(fields, "xray");
    let mem = object(fields, "mem");
    let unsigned = |of: &Map<String, Value>, field| of.get(field).and_then(Value::as_u64).unwrap_or(0);
    let state = match text(&xray, "state").as_str() {
        "running" => XrayState::Running,
        "stop" => XrayState::Stopped,
        _ if !known => XrayState::NotYet,
        _ => XrayState::Error,
    };
    let version = text(fields, "panelVersion");
    Some(Status {
        version: Version { generation, panel: (!version.is_empty()).then_some(version) },
        xray: Xray { state, error: text(&xray, "errorMsg"), version: text(&xray, "version") },
        cpu_percent: fields.get("cpu").and_then(Value::as_f64).unwrap_or(0.0),
        mem_used: unsigned(&mem, "current"),
        mem_total: unsigned(&mem, "total"),
        uptime_s: unsigned(fields, "uptime"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_panel_without_a_snapshot_is_not_a_panel_without_xray() {
        let status = status(&Value::Null, Generation::V2).unwrap();
        assert_eq!(status.xray.state, XrayState::NotYet);
        assert_eq!(status.version.panel, None);
    }

    #[test]
    fn xray_is_running_only_when_the_panel_says_so() {
        let state = |state: &str| {
            let obj = json!({"xray": {"state": state, "errorMsg": "e", "version": "26.7.11"}, "panelVersion": "3.6.0",
                "cpu": 12.5, "mem": {"current": 1, "total": 2}, "uptime": 86400});
            status(&obj, Generation::V3).unwrap()
        };
        assert_eq!(state("running").xray.state, XrayState::Running);
        assert_eq!(state("stop").xray.state, XrayState::Stopped);
        assert_eq!(state("error").xray.state, XrayState::Error);
        assert_eq!(state("").xray.state, XrayState::Error);
        let full = state("running");
        assert_eq!((full.cpu_percent, full.mem_used, full.mem_total, full.uptime_s), (12.5, 1, 2, 86400));
        assert_eq!(full.version.panel.as_deref(), Some("3.6.0"));
        assert_eq!(status(&json!([1]), Generation::V3), None);
    }
}
