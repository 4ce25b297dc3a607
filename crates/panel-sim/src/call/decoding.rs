//! How Go's JSON decoder complains: the panel passes its words on to the caller.

use serde_json::Error;

/// The complaint of a decoder that reads a request's body.
pub(crate) fn of_body(error: &Error, text: &[u8]) -> String {
    if error.is_eof() { "unexpected EOF".into() } else { complaint(error, text) }
}

/// The complaint about a text that the panel has in hand, such as the `settings` in a request.
pub(crate) fn of_text(error: &Error, text: &[u8]) -> String {
    if error.is_eof() { "unexpected end of JSON input".into() } else { complaint(error, text) }
}

fn complaint(error: &Error, text: &[u8]) -> String {
    let at = offset(error, text);
    let found = text.get(at).copied().map_or(' ', char::from);
    let words = error.to_string();
    if words.starts_with("expected ident") {
        return format!("invalid character '{found}' in literal {}", literal(text, at));
    }
    let place = [
        ("expected value", "looking for beginning of value"),
        ("key must be a string", "looking for beginning of object key string"),
        ("expected `:`", "after object key"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        ("trailing characters", "after top-level value"),
    ];
    let place = place.into_iter().find_map(|(ours, theirs)| words.starts_with(ours).then_some(theirs));
    format!("invalid character '{found}' {}", place.unwrap_or("in string literal"))
}

/// Where in the text the decoder stopped.
fn offset(error: &Error, text: &[u8]) -> usize {
    let before: usize = text.split_inclusive(|byte| *byte == b'\n').take(error.line() - 1).map(<[u8]>::len).sum();
    before + error.column().saturating_sub(1)
}

/// Which literal was begun before `at`, and which character was due.
fn literal(text: &[u8], at: usize) -> String {
    let begun = text[..at.min(text.len())].iter().rev().take_while(|byte| byte.is_ascii_lowercase()).count();
    let start = text.get(at.saturating_sub(begun));
    let whole = ["null", "true", "false"].into_iter().find(|whole| whole.as_bytes().first() == start);
    let whole = whole.unwrap_or("null");
    let due = whole.as_bytes().get(begun).copied().map_or(' ', char::from);
    format!("{whole} (expecting '{due}')")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn complaints_are_gos() {
        let of = |text: &str| of_text(&serde_json::from_str::<Value>(text).unwrap_err(), text.as_bytes());
        assert_eq!(of("nope"), "invalid character 'o' in literal null (expecting 'u')");
        assert_eq!(of("x"), "invalid character 'x' looking for beginning of value");
        assert_eq!(of("client=1"), "invalid character 'c' looking for beginning of value");
        assert_eq!(of("{"), "unexpected end of JSON input");
        assert_eq!(of("{\n \"a\" 1}"), "invalid character '1' after object key");
        assert_eq!(of(""), "unexpected end of JSON input");
    }
}
