//! Keys that sign tokens, for the tests that play the token endpoint.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};

/// A signing key, made for this run of the tests and kept nowhere.
pub struct SigningKey {
    pub key: EncodingKey,
    pub kid: &'static str,
}

impl SigningKey {
    pub fn new(kid: &'static str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        // PKCS#8 wraps the RSAPrivateKey; for a key of this size the wrapping is 26 bytes long.
        Self { key: EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]), kid }
    }

    /// The public half as the pool's key set shows it.
    pub fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, Algorithm::RS256).unwrap();
        with(serde_json::to_value(jwk).unwrap(), &json!({ "kid": self.kid, "use": "sig", "alg": "RS256" }))
    }

    pub fn sign(&self, claims: &Value) -> String {
        encode(&Header { kid: Some(self.kid.to_owned()), ..Header::new(Algorithm::RS256) }, claims, &self.key).unwrap()
    }
}

/// An object with these fields added or replaced.
pub fn with(mut object: Value, more: &Value) -> Value {
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}
