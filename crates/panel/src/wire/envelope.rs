//! The three keys around every answer: `success`, `msg`, `obj`.

use serde_json::{Map, Value};

/// An answer of the panel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Envelope {
    /// The only thing that says whether it was a yes.
    pub(crate) success: bool,
    /// What the panel said, without the part that it translates.
    pub(crate) msg: String,
    /// What was asked for; null when there is nothing.
    pub(crate) obj: Value,
}

impl Envelope {
    /// Reads an answer. `Err` when it is no envelope: empty, cut off, another program's page.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ()> {
        let mut fields: Map<String, Value> = serde_json::from_slice(body).map_err(|_| ())?;
        let Some(Value::Bool(success)) = fields.get("success") else { return Err(()) };
        let success = *success;
        let msg = match fields.get("msg") {
            Some(Value::String(text)) => inner(text).to_owned(),
            Some(_) | None => String::new(),
        };
        Ok(Self { success, msg, obj: fields.remove("obj").unwrap_or_default() })
    }
}

/// The English text inside the last parentheses. What stands before it is in whatever language somebody asked the
/// panel for last; the text inside may hold parentheses itself, and usually ends in a line break.
fn inner(msg: &str) -> &str {
    let msg = msg.trim();
    let Some(head) = msg.strip_suffix(')') else { return msg };
    let mut depth = 1_usize;
    for (at, c) in head.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let inside = head[at + 1..].trim();
            return if inside.is_empty() { msg } else { inside };
        }
    }
    msg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_text_is_found_whatever_the_language_in_front() {
        for (msg, text) in [
            ("Something went wrong (Duplicate email: m1-1\n)", "Duplicate email: m1-1"),
            ("Что-то пошло не так (client email is required\n)", "client email is required"),
            (" (record not found)", "record not found"),
            ("Obtain (record not found)", "record not found"),
            ("Something went wrong (Duplicate email: a (b)\n)", "Duplicate email: a (b)"),
            ("Invalid username or password or two-factor code.", "Invalid username or password or two-factor code."),
            ("unbalanced) here)", "unbalanced) here)"),
            ("()", "()"),
            ("", ""),
        ] {
            assert_eq!(inner(msg), text);
        }
    }

    #[test]
    fn what_is_no_envelope_is_told_from_a_no() {
        for body in ["", "null", "[]", "<html>", r#"{"success":"#, r#"{"msg":"x"}"#, r#"{"success":1}"#] {
            assert_eq!(Envelope::parse(body.as_bytes()), Err(()), "{body}");
        }
        let no = Envelope::parse(br#"{"success":false,"msg":"Obtain (record not found)","obj":null}"#).unwrap();
        assert_eq!(no, Envelope { success: false, msg: "record not found".into(), obj: Value::Null });
        let bare = Envelope::parse(br#"{"obj":"x","success":true}"#).unwrap();
        assert_eq!(bare, Envelope { success: true, msg: String::new(), obj: "x".into() });
    }
}
