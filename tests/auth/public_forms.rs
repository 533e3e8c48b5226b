//! A public key in all the forms that it is handed out in: whoever takes a public key for a secret takes one of these.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// The bytes that a public key is known by: its JWK, its numbers, DER and PEM.
pub(super) fn public_forms(jwk: &Value) -> Vec<Vec<u8>> {
    let number = |name: &str| {
        let text = jwk[name].as_str().expect("it is there");
        (text.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(text).expect("it is base64url"))
    };
    let mut forms = vec![jwk.to_string().into_bytes()];
    let (key, algorithm) = match jwk["kty"].as_str() {
        Some("EC") => {
            let point = [vec![4], number("x").1, number("y").1].concat();
            let curve = [der(6, b"\x2a\x86\x48\xce\x3d\x02\x01"), der(6, b"\x2a\x86\x48\xce\x3d\x03\x01\x07")];
            (point, curve.concat())
        }
        _ => {
            let (text, modulus) = number("n");
            forms.push(text);
            let numbers = [der(2, &[vec![0], modulus].concat()), der(2, &number("e").1)].concat();
            (der(0x30, &numbers), [der(6, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"), der(5, b"")].concat())
        }
    };
    let whole = der(0x30, &[der(0x30, &algorithm), der(3, &[vec![0], key.clone()].concat())].concat());
    for (label, bytes) in [("PUBLIC KEY", whole), ("RSA PUBLIC KEY", key)] {
        let base64 = STANDARD.encode(&bytes);
        let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
        let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----", lines.join("\n"));
        forms.extend([bytes, pem.clone().into_bytes(), format!("{pem}\n").into_bytes()]);
    }
    forms
}

/// A value with its tag and length.
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let len = value.len();
    let len = match len {
        0..=0x7f => vec![len as u8],
        0x80..=0xff => vec![0x81, len as u8],
        _ => vec![0x82, (len >> 8) as u8, len as u8],
    };
    [vec![tag], len, value.to_vec()].concat()
}
