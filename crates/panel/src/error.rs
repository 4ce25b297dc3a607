//! What can go wrong between us and a panel, told by what a caller may do about it.

use serde::Serialize;
use std::fmt;

/// Why a call came to nothing.
///
/// One value may be shared by all clients of a batch, so it can be cloned. `Display` is for people and never
/// holds a secret; the cause is in `source`.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PanelError {
    /// Nobody answered. Nothing was applied.
    #[error("the panel cannot be reached ({layer})")]
    Unreachable {
        /// How far we came.
        layer: Layer,
        /// What happened there.
        #[source]
        source: Cause,
    },
    /// A write was sent, and neither its answer nor reading back could tell whether it was applied. Observe the
    /// panel later; repeating is safe.
    #[error("the panel may or may not have done it: {what}")]
    Unclear {
        /// What we know.
        what: String,
    },
    /// The panel did not accept our credentials. Our configuration is wrong, not the node.
    #[error("the panel does not let us in: {why}")]
    Unauthorised {
        /// Which credential, what happens next.
        why: String,
    },
    /// The panel said no, and nothing was applied.
    #[error("the panel refused: {message}")]
    Refused {
        /// The panel's reason in English.
        message: String,
    },
    /// Something answers, but no panel that we can drive: a wrong base path, another web server, a panel older
    /// than 2.7. Our configuration is wrong, not the node.
    #[error("what answers there is not a panel that can be used: {why}")]
    Unsuitable {
        /// What answers instead, and what to check.
        why: String,
    },
    /// An answer that makes no sense.
    #[error("the panel's answer makes no sense: {what}{}{excerpt}", if .excerpt.is_empty() { "" } else { ": " })]
    Unexpected {
        /// What was expected, what came.
        what: String,
        /// The beginning of the answer, printable and short; empty when there is nothing to show.
        excerpt: String,
    },
}

impl PanelError {
    /// Nobody answered: the node may be down.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// The write may have been applied.
    pub fn is_unclear(&self) -> bool {
        matches!(self, Self::Unclear { .. })
    }

    /// Our credentials were not accepted.
    pub fn is_unauthorised(&self) -> bool {
        matches!(self, Self::Unauthorised { .. })
    }

    /// The panel understood and said no.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// An operator has to correct address or credentials; waiting will not help, and users need not be moved.
    pub fn is_misconfigured(&self) -> bool {
        matches!(self, Self::Unauthorised { .. } | Self::Unsuitable { .. })
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused { message: message.into() }
    }

    pub(crate) fn unexpected(what: impl Into<String>, body: &[u8]) -> Self {
        Self::Unexpected { what: what.into(), excerpt: excerpt(body) }
    }
}

/// How far a call came before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The host name has no address.
    Name,
    /// No TCP connection; also when it is unknown at what point connecting ran out of time.
    Tcp,
    /// TCP, but no TLS that we accept.
    Tls,
    /// Connected, but no answer, or only one of a proxy without a panel behind it.
    Http,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Http => "HTTP",
        })
    }
}

/// The innermost reason of a failed connection, as text: an operating system's word, a certificate's fault, a
/// deadline. Holds no address and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Cause(pub(crate) String);

/// The longest excerpt of an answer that is shown, in characters.
const EXCERPT: usize = 160;

/// The beginning of an answer on one printable line.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT)]);
    let mut shown: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT + 1).collect::<String>();
    if shown.chars().count() > EXCERPT {
        shown = shown.chars().take(EXCERPT).collect();
        shown.push('…');
    }
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_printable_whatever_the_answer() {
        assert_eq!(excerpt(b"<html>\n\x1b[31mno\x00"), "<html>  [31mno");
        assert_eq!(excerpt(&[0xff; 10_000]).chars().count(), EXCERPT + 1);
        assert_eq!(excerpt(b""), "");
    }

    #[test]
    fn an_error_without_excerpt_does_not_end_in_a_colon() {
        assert_eq!(PanelError::unexpected("no body", b"").to_string(), "the panel's answer makes no sense: no body");
    }
}
