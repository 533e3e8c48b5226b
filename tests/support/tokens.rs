//! Keys and tokens of the tests' own, well signed and badly. Knows tokens as an issuer does.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use ring::{hmac, signature::ECDSA_P256_SHA256_FIXED_SIGNING};
use serde_json::{Value, json};

use super::planted::plant;

/// An RSA key of 2,048 bits, of no use anywhere else.
const RSA: &[u8] = include_bytes!("../fixtures/keys/rsa2048.pkcs8.der");

/// Signs tokens.
pub enum Signer {
    Hs256(Vec<u8>),
    Rs256(Box<RsaKeyPair>),
    Es256(Box<EcdsaKeyPair>),
    EdDsa(Box<Ed25519KeyPair>),
}

impl Signer {
    /// With a secret of 32 bytes that are all the same.
    pub fn hs256(byte: u8) -> Self {
        Self::Hs256(vec![byte; 32])
    }

    pub fn rs256() -> Self {
        Self::Rs256(Box::new(RsaKeyPair::from_pkcs8(RSA).expect("the key is one")))
    }

    pub fn es256() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key is made");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random);
        Self::Es256(Box::new(pair.expect("the key is one")))
    }

    pub fn eddsa() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key is made");
        Self::EdDsa(Box::new(Ed25519KeyPair::from_pkcs8(key.as_ref()).expect("the key is one")))
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Hs256(_) => "HS256",
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    /// The secret in base64url.
    pub fn secret(&self) -> String {
        match self {
            Self::Hs256(secret) => {
                let secret = base64url(secret);
                plant(&secret);
                secret
            }
            Self::Rs256(_) | Self::Es256(_) | Self::EdDsa(_) => panic!("it has none"),
        }
    }

    /// The public key.
    pub fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Hs256(secret) => json!({"kty": "oct", "k": base64url(secret), "kid": id}),
            Self::Rs256(pair) => {
                let key: signature::RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
                json!({"kty": "RSA", "n": base64url(&key.n), "e": base64url(&key.e), "kid": id})
            }
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": base64url(&point[1..33]), "y": base64url(&point[33..]), "kid": id})
            }
            Self::EdDsa(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref()), "kid": id})
            }
        }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Hs256(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signature).expect("it is signed");
                signature
            }
            Self::Es256(pair) => pair.sign(&SystemRandom::new(), message).expect("it is signed").as_ref().to_vec(),
            Self::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token of such a header and such claims, whatever they are.
    pub fn token_of(&self, header: &[u8], claims: &[u8]) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let signature = base64url(&self.sign(message.as_bytes()));
        plant(&signature);
        format!("{message}.{signature}")
    }

    /// A token of such claims that names its key.
    pub fn token(&self, id: &str, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "typ": "JWT", "kid": id});
        self.token_of(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }
}

/// Claims that all is well with.
pub fn claims(subject: &str, expires_s: u64, grants: &Value) -> Value {
    json!({"sub": subject, "exp": expires_s, "aud": "synckairos", "synckairos": {"grants": grants}})
}

pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An API key of a name, and its digest as the file of keys has it.
pub fn api_key(id: &str) -> (String, String) {
    let secret = base64url(digest(&SHA256, id.as_bytes()).as_ref());
    plant(&secret);
    let key = format!("synk_{id}_{secret}");
    let sha256 = digest(&SHA256, key.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    (key, sha256)
}
