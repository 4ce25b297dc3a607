//! The second factor: a six-digit code from a shared secret and the time (RFC 6238 as panels use it: SHA-1, 30 s).

use crate::access::AccessError;
use secrecy::{ExposeSecret, SecretString};
use std::time::{SystemTime, UNIX_EPOCH};
use totp_rs::{Builder, Secret, Totp};

/// Makes codes. Its secret is wiped when it is dropped.
pub(crate) struct Otp(Totp);

impl Otp {
    /// From base32 text; blanks, dashes and lower case, as people copy it, are accepted. Short secrets are the
    /// panel's business, so only an empty one or one that is not base32 fails.
    pub(crate) fn new(secret: &SecretString) -> Result<Self, AccessError> {
        let text: String = secret
            .expose_secret()
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '='))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let secret = Secret::try_from_base32(&text).map_err(|_| AccessError::BadTotpSecret)?;
        if secret.as_bytes().is_empty() {
            return Err(AccessError::BadTotpSecret);
        }
        Ok(Self(Builder::new().with_secret(secret).build_noncompliant()))
    }

    /// The code at this time. 2.x panels accept no other step than the current one.
    pub(crate) fn code(&self, now: SystemTime) -> String {
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.0.generate(seconds).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // RFC 6238, appendix B, SHA-1, the last six of its eight digits.
        let otp = Otp::new(&"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".into()).unwrap();
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(otp.code(UNIX_EPOCH + Duration::from_secs(seconds)), code);
        }
    }

    #[test]
    fn a_secret_may_be_written_as_people_copy_it() {
        let now = UNIX_EPOCH + Duration::from_secs(59);
        let neat = Otp::new(&"JBSWY3DPEHPK3PXP".into()).unwrap().code(now);
        assert_eq!(Otp::new(&" jbsw y3dp-ehpk 3pxp ".into()).unwrap().code(now), neat);
    }
}
