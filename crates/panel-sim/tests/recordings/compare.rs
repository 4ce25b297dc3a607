//! Where an answer is not what was recorded.

use serde_json::Value;

/// One line per difference. `<ms>` and its like stand for any value of that kind, `{"<embedded>": …}` for a string
/// that holds that JSON.
pub(crate) fn differences(want: &Value, got: &Value, at: &str) -> Vec<String> {
    match (want, got) {
        (Value::String(kind), got) if kind.starts_with('<') && kind.ends_with('>') && is_kind(kind, got).is_some() => {
            if is_kind(kind, got) == Some(true) {
                vec![]
            } else {
                vec![format!("{at}: wanted {kind}, got {got}")]
            }
        }
        (Value::Object(want), Value::String(text)) if want.contains_key("<embedded>") => {
            match serde_json::from_str::<Value>(text) {
                Ok(inner) => differences(&want["<embedded>"], &inner, &format!("{at}(json text)")),
                Err(_) => vec![format!("{at}: wanted JSON text, got {text:?}")],
            }
        }
        (Value::Object(want), Value::Object(got)) => {
            let missing = want.keys().filter(|k| !got.contains_key(*k)).map(|k| format!("{at}.{k}: missing"));
            let more = got.iter().filter(|(k, _)| !want.contains_key(*k));
            let mut found: Vec<String> = missing.collect();
            found.extend(more.map(|(k, v)| format!("{at}.{k}: not in the recording (got {v})")));
            for (key, want) in want {
                if let Some(got) = got.get(key) {
                    found.extend(differences(want, got, &format!("{at}.{key}")));
                }
            }
            found
        }
        (Value::Array(want), Value::Array(got)) if want.len() == got.len() => {
            let pairs = want.iter().zip(got).enumerate();
            pairs.flat_map(|(i, (want, got))| differences(want, got, &format!("{at}[{i}]"))).collect()
        }
        (Value::Array(want), Value::Array(_)) => vec![format!("{at}: {} items recorded, got {got}", want.len())],
        (want, got) if want == got => vec![],
        (want, got) => vec![format!("{at}: recorded {want}, got {got}")],
    }
}

/// Whether a value is of a kind; `None` for a word that names no kind.
fn is_kind(kind: &str, value: &Value) -> Option<bool> {
    let whole = value.as_i64();
    Some(match kind {
        "<any>" => true,
        "<int>" => value.is_i64() || value.is_u64(),
        "<number>" => value.is_number(),
        "<string>" => value.is_string(),
        "<text>" => value.as_str().is_some_and(|text| !text.is_empty()),
        "<bool>" => value.is_boolean(),
        "<ms>" => whole.is_some_and(|n| n > 1_000_000_000_000),
        "<seconds>" => whole.is_some_and(|n| n > 1_000_000_000 && n < 100_000_000_000),
        "<uuid>" => value.as_str().is_some_and(is_uuid),
        "<object>" => value.is_object(),
        "<object or null>" => value.is_object() || value.is_null(),
        "<array>" => value.is_array(),
        _ => return None,
    })
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || matches!(c, '0'..='9' | 'a'..='f'))
}
