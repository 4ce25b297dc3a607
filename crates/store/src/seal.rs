//! Panel passwords, tokens and second-factor secrets at rest.
//!
//! XChaCha20-Poly1305 under a 32-byte key. A sealed value names its key by a short id, so keys can be rotated,
//! and is bound to the table, column and row it stands in, so that it is worthless anywhere else.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, Generate, KeyInit, Payload},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt;

/// How many bytes a key has.
pub const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;

/// Where a sealed value stands; opening it anywhere else fails.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// What identifies the row for good (its unique name, or its id).
    pub row: &'a str,
}

/// Seals with one key, opens with that and older ones. Prints nothing of itself.
#[derive(Clone)]
pub struct Sealer {
    keys: Vec<([u8; KEY_ID_BYTES], XChaCha20Poly1305)>,
}

impl Sealer {
    /// `current` seals and opens, `previous` only open.
    pub fn new(current: &[u8; KEY_BYTES], previous: &[[u8; KEY_BYTES]]) -> Self {
        let cipher = |key: &[u8; KEY_BYTES]| (key_id(key), XChaCha20Poly1305::new(key.into()));
        Self { keys: std::iter::once(current).chain(previous).map(cipher).collect() }
    }

    /// Seals `secret` for one place. The result is text of 4/3 of the secret's length plus 59 characters.
    ///
    /// Fails only when the operating system gives no random bytes or the secret is absurdly long.
    pub fn seal(&self, place: Place<'_>, secret: &SecretString) -> Option<String> {
        let (id, cipher) = self.keys.first()?;
        let nonce = XNonce::try_generate().ok()?;
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: &bound(place) };
        let mut sealed = id.to_vec();
        sealed.extend_from_slice(&nonce);
        sealed.extend(cipher.encrypt(&nonce, payload).ok()?);
        Some(STANDARD_NO_PAD.encode(sealed))
    }

    /// Opens what [`Sealer::seal`] made for the same place. `None` for an unknown key, another place, or damage.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Option<SecretString> {
        let bytes = STANDARD_NO_PAD.decode(sealed).ok()?;
        let (id, rest) = bytes.split_at_checked(KEY_ID_BYTES)?;
        let (nonce, text) = rest.split_at_checked(NONCE_BYTES)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        let (_, cipher) = self.keys.iter().find(|(known, _)| known == id)?;
        let plain = cipher.decrypt(&nonce, Payload { msg: text, aad: &bound(place) }).ok()?;
        Some(String::from_utf8(plain).ok()?.into())
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}

fn key_id(key: &[u8; KEY_BYTES]) -> [u8; KEY_ID_BYTES] {
    let digest = Sha256::new().chain_update(b"muster key id").chain_update(key).finalize();
    let mut id = [0; KEY_ID_BYTES];
    id.copy_from_slice(&digest[..KEY_ID_BYTES]);
    id
}

/// Lengths before texts, so that no two places can spell the same bytes.
fn bound(place: Place<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [place.table, place.column, place.row] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: Place<'static> = Place { table: "vpn_nodes", column: "x3ui_password", row: "ams-1" };

    proptest! {
        #[test]
        fn a_sealed_secret_opens_in_its_place_and_nowhere_else(secret in ".{0,80}", row in "[a-z]{1,9}") {
            let sealer = Sealer::new(&[7; 32], &[]);
            let sealed = sealer.seal(HERE, &secret.clone().into()).unwrap();
            let opened = sealer.open(HERE, &sealed).unwrap();
            prop_assert_eq!(opened.expose_secret(), secret);
            let (moved, renamed) = (Place { row: &row, ..HERE }, Place { column: "x3ui_token", ..HERE });
            prop_assert!(sealer.open(moved, &sealed).is_none());
            prop_assert!(sealer.open(renamed, &sealed).is_none());
            prop_assert!(Sealer::new(&[8; 32], &[]).open(HERE, &sealed).is_none());
        }

        #[test]
        fn opening_rubbish_never_panics(rubbish in ".{0,100}") {
            prop_assert!(Sealer::new(&[7; 32], &[]).open(HERE, &rubbish).is_none());
        }
    }

    #[test]
    fn an_older_key_still_opens_after_rotation() {
        let old = Sealer::new(&[1; 32], &[]).seal(HERE, &"s3cret".to_owned().into()).unwrap();
        let rotated = Sealer::new(&[2; 32], &[[1; 32]]);
        assert_eq!(rotated.open(HERE, &old).unwrap().expose_secret(), "s3cret");
        assert!(!format!("{rotated:?}").contains('2'));
    }
}
