//! The state of a session that travels in its URL, as `_state`.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use wharf_model::{Algorithm, Timestamp, UploadId};

use crate::Target;

/// A session as its client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadState {
    /// Its id.
    pub id: UploadId,
    /// How many bytes of it were acknowledged, as far as this client knows.
    pub offset: u64,
    /// The algorithm that its bytes are hashed with as they arrive.
    pub algorithm: Algorithm,
    /// When it began.
    pub started_at: Timestamp,
}

/// The words of docker-distribution, whose form ACR keeps (`acr/data-plane.md` 4.1).
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Wire {
    #[serde(rename = "UUID")]
    uuid: uuid::Uuid,
    offset: u64,
    started_at: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sha512: bool,
}

impl UploadState {
    /// The state as text for a URL. Registry and repository are in the signature, so it is of use nowhere else.
    pub(super) fn encode(&self, key: &hmac::Key, target: Target<'_>) -> String {
        let wire = Wire {
            uuid: self.id.0,
            offset: self.offset,
            started_at: self.started_at.0,
            sha512: self.algorithm == Algorithm::Sha512,
        };
        let json = serde_json::to_vec(&wire).expect("numbers and a UUID always serialise");
        let mut text = sign(key, target, &json).as_ref().to_vec();
        text.extend_from_slice(&json);
        URL_SAFE_NO_PAD.encode(text)
    }

    /// The state that was given out as `text` for this session of this repository, or `None`.
    pub(super) fn decode(key: &hmac::Key, target: Target<'_>, id: UploadId, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (tag, json) = bytes.split_at_checked(TAG_BYTES)?;
        hmac::verify(key, &signed(target, json), tag).ok()?;
        let wire: Wire = serde_json::from_slice(json).ok()?;
        let state = Self {
            id: UploadId(wire.uuid),
            offset: wire.offset,
            algorithm: if wire.sha512 { Algorithm::Sha512 } else { Algorithm::Sha256 },
            started_at: Timestamp(wire.started_at),
        };
        (state.id == id).then_some(state)
    }
}

fn sign(key: &hmac::Key, target: Target<'_>, json: &[u8]) -> hmac::Tag {
    hmac::sign(key, &signed(target, json))
}

/// Registry, repository and state, each ended by a byte that none of them holds.
fn signed(target: Target<'_>, json: &[u8]) -> Vec<u8> {
    let mut message = target.registry.uid.0.as_bytes().to_vec();
    message.extend_from_slice(target.repository.as_str().as_bytes());
    message.push(0);
    message.extend_from_slice(json);
    message
}

/// The length of an HMAC-SHA-256 tag.
const TAG_BYTES: usize = 32;
