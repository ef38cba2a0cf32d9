//! One key that signs tokens.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use secrecy::{ExposeSecret, SecretSlice};
use wharf_metadata::SigningKeyRow;
use wharf_model::Timestamp;

use crate::{Error, SealingKey, token};

/// An RSA key pair, parsed once, with the times of its row.
pub(crate) struct SigningKey {
    pub(crate) id: String,
    /// The first part of the tokens that it signs.
    pub(crate) header: String,
    pub(crate) private: RsaKeyPair,
    pub(crate) public: ParsedPublicKey,
    pub(crate) created_at: Timestamp,
    pub(crate) signs_until: Timestamp,
    pub(crate) verifies_until: Timestamp,
}

impl SigningKey {
    /// Draws a key of 2,048 bits and seals it. Takes a good part of a second: not for an executor's thread.
    pub(crate) fn generate(
        sealing: &SealingKey,
        [created_at, signs_until, verifies_until]: [Timestamp; 3],
    ) -> Result<(Self, SigningKeyRow), Error> {
        let failed = || Error::SigningKey { kid: "that is new".to_owned(), verb: "made" };
        let private = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| failed())?;
        let pkcs8: Pkcs8V1Der<'_> = private.as_der().map_err(|_| failed())?;
        let pkcs8 = SecretSlice::from(pkcs8.as_ref().to_vec());
        let (kid, public) = public_part(&private).ok_or_else(failed)?;
        let row = SigningKeyRow {
            sealed_key: sealing.seal(&context(&kid), pkcs8.expose_secret()),
            kid,
            created_at,
            signs_until,
            verifies_until,
        };
        Ok((Self::assemble(&row, private, public), row))
    }

    /// Opens a key from its row.
    pub(crate) fn open(sealing: &SealingKey, row: &SigningKeyRow) -> Result<Self, Error> {
        let failed = || Error::SigningKey { kid: row.kid.clone(), verb: "read" };
        let pkcs8 = sealing
            .unseal(&context(&row.kid), &row.sealed_key)
            .map_err(|source| Error::Sealed { what: format!("the signing key {}", row.kid), source })?;
        let pkcs8 = SecretSlice::from(pkcs8);
        let private = RsaKeyPair::from_pkcs8(pkcs8.expose_secret()).map_err(|_| failed())?;
        let (kid, public) = public_part(&private).ok_or_else(failed)?;
        if kid != row.kid {
            return Err(failed());
        }
        Ok(Self::assemble(row, private, public))
    }

    fn assemble(row: &SigningKeyRow, private: RsaKeyPair, public: ParsedPublicKey) -> Self {
        Self {
            id: row.kid.clone(),
            header: token::encode_header(&row.kid),
            private,
            public,
            created_at: row.created_at,
            signs_until: row.signs_until,
            verifies_until: row.verifies_until,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The public half, ready for verifying, and the key's id.
fn public_part(private: &RsaKeyPair) -> Option<(String, ParsedPublicKey)> {
    let der: PublicKeyX509Der<'_> = private.public_key().as_der().ok()?;
    let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.as_ref()).ok()?;
    Some((key_id(der.as_ref()), public))
}

/// The id of a public key (its SubjectPublicKeyInfo in DER), as libtrust and so docker's registries compute it: the first
/// 240 bits of its SHA-256 in base32, in 12 groups of 4 characters. Source: libtrust `util.go`, `keyIDFromCryptoKey`.
fn key_id(public_key: &[u8]) -> String {
    const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = digest(&SHA256, public_key);
    let mut id = String::with_capacity(59);
    for (position, group) in hash.as_ref()[..30].chunks_exact(5).enumerate() {
        // 5 bytes are 8 characters.
        let bits = group.iter().fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte));
        for character in 0..8 {
            if (position > 0 || character > 0) && character % 4 == 0 {
                id.push(':');
            }
            id.push(char::from(BASE32[(bits >> (35 - 5 * character) & 31) as usize]));
        }
    }
    id
}

fn context(kid: &str) -> String {
    format!("signing-key/{kid}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn key_ids_are_those_of_libtrust() {
        // base64.b32encode(hashlib.sha256(der).digest()[:30]) in Python, in groups of four.
        assert_eq!(key_id(b""), "4OYM:IQUY:7QOB:JGX3:6TEJ:S35Z:EQT2:4QPE:MSNZ:GTFE:SWMR:W6CS");
        assert_eq!(key_id(b"public key"), "6VU2:Q3J4:FSGX:3WRG:WXN6:UIF5:LQM6:5M25:7RR7:3NZE:XLCP:EHBC");
    }

    #[test]
    fn a_key_opens_from_its_row_as_it_was_made() {
        let sealing = SealingKey::ephemeral(&SystemRandom);
        let (made, row) = SigningKey::generate(&sealing, [Timestamp(1), Timestamp(2), Timestamp(3)]).unwrap();
        let opened = SigningKey::open(&sealing, &row).unwrap();
        assert_eq!((&opened.id, &opened.header), (&made.id, &made.header));
        assert_eq!(opened.public.as_ref(), made.public.as_ref());
        assert_eq!([opened.created_at, opened.signs_until, opened.verifies_until].map(|time| time.0), [1, 2, 3]);

        let renamed = SigningKeyRow { kid: "AAAA".to_owned(), ..row };
        assert!(matches!(SigningKey::open(&sealing, &renamed), Err(Error::Sealed { .. })));
    }
}
