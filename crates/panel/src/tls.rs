//! What is asked of a panel's certificate, as rustls understands it.
//!
//! One verifier serves all three modes, so that the certificate that was shown is known also when it was refused:
//! that is what an operator needs in order to pin it.

use crate::{access::Tls, error::Cause};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage, OtherError, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use sha2::{Digest, Sha256};
use std::{
    io,
    sync::{Arc, LazyLock, OnceLock},
};

/// Where the SHA-256 of the first certificate shown is put.
pub(crate) type Shown = Arc<OnceLock<[u8; 32]>>;

/// For all who need nothing of their own: a thousand panels hold one list of public authorities.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));
static PUBLIC: LazyLock<Result<Arc<WebPkiServerVerifier>, Cause>> = LazyLock::new(|| {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), PROVIDER.clone());
    verifier.build().map_err(|e| Cause(e.to_string()))
});
static TRUSTING: LazyLock<Result<Arc<ClientConfig>, Cause>> =
    LazyLock::new(|| config(Tls::Skip, Shown::default()).map(Arc::new));

/// For hellos to public ports: whose certificate REALITY shows is not ours to judge.
pub(crate) fn trusting() -> Result<Arc<ClientConfig>, Cause> {
    TRUSTING.clone()
}

/// A TLS configuration of this mode. Carries its own crypto provider, so nothing needs to be installed
/// process-wide. No session is resumed: every handshake looks at the certificate.
pub(crate) fn config(tls: Tls, shown: Shown) -> Result<ClientConfig, Cause> {
    let public = match tls {
        Tls::Verify => Some(PUBLIC.clone()?),
        Tls::Pin(_) | Tls::Skip => None,
    };
    let check = Check { tls, public, provider: PROVIDER.clone(), shown };
    let mut config = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| Cause(e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(check))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The certificate shown is another one than the pinned one.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is not the pinned one; its SHA-256 is {0}")]
struct NotPinned(String);

#[derive(Debug)]
struct Check {
    tls: Tls,
    /// Present for [`Tls::Verify`].
    public: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    shown: Shown,
}

impl Check {
    /// Whether any certificate will do. Then it proves nothing that its key signed the handshake, and a thousand nodes
    /// are greeted some thirty times a second.
    fn trusts_anybody(&self) -> bool {
        self.tls == Tls::Skip
    }
}

impl ServerCertVerifier for Check {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let sha256: [u8; 32] = Sha256::digest(leaf.as_ref()).into();
        self.shown.get_or_init(|| sha256);
        if let Some(public) = &self.public {
            return public.verify_server_cert(leaf, intermediates, name, ocsp, now);
        }
        match self.tls {
            Tls::Pin(pinned) if pinned != sha256 => {
                let error = OtherError(Arc::new(NotPinned(hex::encode(sha256))));
                Err(rustls::Error::InvalidCertificate(CertificateError::Other(error)))
            }
            Tls::Pin(_) | Tls::Skip | Tls::Verify => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.trusts_anybody() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.trusts_anybody() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What went wrong, in words that say what to do about it.
pub(crate) fn words_of(error: &rustls::Error) -> String {
    const VOUCH: &str =
        "nobody whom this machine trusts vouches for its certificate, perhaps it is self-signed: pin it";
    if matches!(error, rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) {
        return "what answers there does not speak TLS: perhaps its address begins with http://".to_owned();
    }
    if matches!(error, rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) {
        return VOUCH.to_owned();
    }
    let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error else {
        return error.to_string();
    };
    if inner.is::<NotPinned>() {
        inner.to_string()
    } else if inner.to_string() == "CaUsedAsEndEntity" {
        VOUCH.to_owned()
    } else {
        format!("its certificate cannot be verified: {inner}")
    }
}

/// The same of what ended a handshake, if it was TLS that did.
pub(crate) fn words_in(error: &io::Error) -> Option<String> {
    Some(words_of(error.get_ref()?.downcast_ref()?))
}
