//! How a panel is reached: its address, our credentials, what of TLS is checked, how long we wait.

use crate::otp::Otp;
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use url::Url;

/// Everything that is needed to talk to one panel. Prints without its secrets.
#[derive(Debug, Clone)]
pub struct Access {
    /// The panel's address with its base path, as it stands in the operator's browser; a missing last `/` is added.
    pub url: Url,
    /// An API token (3x-ui 3.0 and later); used before the login.
    pub token: Option<SecretString>,
    /// User name and password; the only way into a 2.x panel, and what is left when the token is refused.
    pub login: Option<Login>,
    /// What is asked of the panel's certificate.
    pub tls: Tls,
    /// Whether plain `http` may be spoken. Credentials then travel in the clear.
    pub allow_http: bool,
    /// How long we wait.
    pub deadlines: Deadlines,
}

/// An operator's credentials on the panel.
#[derive(Debug, Clone)]
pub struct Login {
    /// User name.
    pub username: String,
    /// Password.
    pub password: SecretString,
    /// The secret of the second factor in base32, as the panel showed it, when it asks for one.
    pub totp_secret: Option<SecretString>,
}

/// What is asked of the panel's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tls {
    /// It is signed by a public authority for the host name in the address.
    #[default]
    Verify,
    /// It is exactly this one: SHA-256 over the leaf certificate's DER form. Name, dates and issuer do not matter.
    Pin([u8; 32]),
    /// Nothing. Whoever is in between can read the credentials.
    Skip,
}

/// How long we wait before we give up. Every call ends within `connect` plus its own deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For name, TCP and TLS together.
    pub connect: Duration,
    /// For a whole call that only reads, connecting included.
    pub read: Duration,
    /// For a whole call that writes, connecting included.
    pub write: Duration,
}

impl Default for Deadlines {
    /// 3 s, 8 s and 35 s: panels of generation 3 cut an answer off after 30 s, and by waiting longer than that we
    /// see the cut, not a timeout of our own.
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), read: Duration::from_secs(8), write: Duration::from_secs(35) }
    }
}

/// Why no client can be built from an [`Access`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Neither `http` nor `https`.
    #[error("the panel's address begins with {0}://; only https:// (or http://, where allowed) is spoken")]
    Scheme(String),
    /// `http` without [`Access::allow_http`].
    #[error(
        "the panel's address begins with http://, which is not allowed for this node: use https://, or allow plain http for it"
    )]
    PlainHttp,
    /// No host in the address.
    #[error("the panel's address names no host")]
    NoHost,
    /// `user:password@` in the address.
    #[error("the panel's address contains a user name or password: give them as login, not in the address")]
    CredentialsInUrl,
    /// Neither token nor login.
    #[error("neither an API token nor a login is given for the panel")]
    NoCredentials,
    /// An empty user name or password: a panel refuses these before it looks.
    #[error("the login for the panel lacks a {0}")]
    IncompleteLogin(&'static str),
    /// A token that cannot be sent in a header.
    #[error("the API token is empty or holds characters that no token has")]
    BadToken,
    /// Not base32, or empty.
    #[error("the secret of the second factor is not base32 text as the panel shows it")]
    BadTotpSecret,
    /// The HTTP client could not be built.
    #[error("no HTTP client could be built")]
    Client(#[source] crate::Cause),
}

impl Access {
    /// Checks what can be checked without asking the panel, and gives the base address with a last `/`.
    pub(crate) fn base(&self) -> Result<Url, AccessError> {
        match self.url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return Err(AccessError::PlainHttp),
            other => return Err(AccessError::Scheme(other.to_owned())),
        }
        if self.url.host_str().is_none_or(str::is_empty) {
            return Err(AccessError::NoHost);
        }
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return Err(AccessError::CredentialsInUrl);
        }
        self.check_credentials()?;
        let mut base = self.url.clone();
        base.set_query(None);
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(base)
    }

    fn check_credentials(&self) -> Result<(), AccessError> {
        if self.token.is_none() && self.login.is_none() {
            return Err(AccessError::NoCredentials);
        }
        if let Some(token) = &self.token {
            let token = token.expose_secret();
            if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(AccessError::BadToken);
            }
        }
        if let Some(login) = &self.login {
            if login.username.is_empty() {
                return Err(AccessError::IncompleteLogin("user name"));
            }
            if login.password.expose_secret().is_empty() {
                return Err(AccessError::IncompleteLogin("password"));
            }
            if let Some(secret) = &login.totp_secret {
                Otp::new(secret)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(url: &str) -> Access {
        Access {
            url: Url::parse(url).unwrap(),
            token: Some("t0ken".into()),
            login: None,
            tls: Tls::Verify,
            allow_http: false,
            deadlines: Deadlines::default(),
        }
    }

    fn login(username: &str, password: &str, totp_secret: Option<&str>) -> Login {
        Login { username: username.into(), password: password.into(), totp_secret: totp_secret.map(Into::into) }
    }

    #[test]
    fn the_base_path_always_ends_with_a_slash() {
        for (given, base) in [
            ("https://panel.test", "https://panel.test/"),
            ("https://panel.test:2053/secret", "https://panel.test:2053/secret/"),
            ("https://panel.test/secret/?x=1#y", "https://panel.test/secret/"),
        ] {
            assert_eq!(access(given).base().unwrap().as_str(), base);
        }
    }

    #[test]
    fn every_unusable_access_has_its_own_error() {
        assert_eq!(access("http://panel.test/").base(), Err(AccessError::PlainHttp));
        assert_eq!(access("ftp://panel.test/").base(), Err(AccessError::Scheme("ftp".into())));
        assert_eq!(access("https://a:b@panel.test/").base(), Err(AccessError::CredentialsInUrl));
        let nobody = Access { token: None, ..access("https://panel.test/") };
        assert_eq!(nobody.base(), Err(AccessError::NoCredentials));
        for token in ["", "with space", "ümlaut", "new\nline"] {
            let bad = Access { token: Some(token.into()), ..access("https://panel.test/") };
            assert_eq!(bad.base(), Err(AccessError::BadToken), "{token:?}");
        }
        for (login, error) in [
            (login("", "p", None), AccessError::IncompleteLogin("user name")),
            (login("u", "", None), AccessError::IncompleteLogin("password")),
            (login("u", "p", Some("not base32!")), AccessError::BadTotpSecret),
            (login("u", "p", Some("")), AccessError::BadTotpSecret),
        ] {
            let bad = Access { login: Some(login), ..access("https://panel.test/") };
            assert_eq!(bad.base(), Err(error));
        }
    }

    #[test]
    fn printing_an_access_shows_no_secret() {
        let full = Access {
            token: Some("tok-secret".into()),
            login: Some(login("u", "pw-secret", Some("JBSWY3DPEHPK3PXP"))),
            ..access("https://panel.test/")
        };
        let text = format!("{full:?}");
        assert!(!text.contains("-secret") && !text.contains("JBSWY"), "{text}");
    }
}
