//! Who a server may be on an encrypted connection: the meanings of libpq's `sslmode`. Does not know how the
//! encryption is asked for.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::tls;

/// What a connection has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TlsMode {
    /// Not encrypted.
    Disable,
    /// Encrypted when the server can; its certificate is not checked.
    Prefer,
    /// Encrypted, whoever the server is; of a certificate from `sslrootcert`, when that is given.
    Require,
    /// Encrypted, and the certificate is from a known authority, whatever its name.
    VerifyCa,
    /// Encrypted, and the certificate is the server's.
    VerifyFull,
}

impl TlsMode {
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        match name {
            "disable" => Ok(TlsMode::Disable),
            "prefer" => Ok(TlsMode::Prefer),
            "require" => Ok(TlsMode::Require),
            "verify-ca" => Ok(TlsMode::VerifyCa),
            "verify-full" => Ok(TlsMode::VerifyFull),
            _ => Err("sslmode must be disable, prefer, require, verify-ca or verify-full".to_owned()),
        }
    }

    /// Whether plaintext is out of the question.
    pub(super) fn is_required(self) -> bool {
        match self {
            TlsMode::Disable | TlsMode::Prefer => false,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => true,
        }
    }
}

/// How to encrypt, if at all; believes the authorities in the file `roots`, or else the system's.
pub(super) fn connector(mode: TlsMode, roots: Option<&str>) -> Result<Option<MakeRustlsConnect>, String> {
    let provider = tls::provider();
    let verifier: Arc<dyn ServerCertVerifier> = match (mode, roots) {
        (TlsMode::Disable, _) => return Ok(None),
        (TlsMode::Prefer, _) | (TlsMode::Require, None) => {
            Arc::new(AnyNameVerifier { trust: None, provider: provider.clone() })
        }
        (TlsMode::Require, Some(_)) | (TlsMode::VerifyCa, _) => {
            let trust = Some(trusted(roots, &provider)?);
            Arc::new(AnyNameVerifier { trust, provider: provider.clone() })
        }
        (TlsMode::VerifyFull, _) => trusted(roots, &provider)?,
    };
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.dangerous().with_custom_certificate_verifier(verifier);
    Ok(Some(MakeRustlsConnect::new(config.with_no_client_auth())))
}

fn trusted(roots: Option<&str>, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    // libpq's name for what the system believes.
    let path = roots.filter(|path| *path != "system").map(Path::new);
    let store = tls::authorities(path).map_err(|why| format!("sslrootcert: {why}"))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone());
    verifier.build().map_err(|error| error.to_string())
}

/// Accepts a certificate whatever name is on it, and, without `trust`, whatever authority signed it.
#[derive(Debug)]
struct AnyNameVerifier {
    trust: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyNameVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        // The name is looked at last: when it alone is wrong, the rest has been verified.
        match trust.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
