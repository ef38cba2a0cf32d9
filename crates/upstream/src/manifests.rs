//! Manifests of other registries.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use wharf_model::{Algorithm, Digest, Reference, RepositoryName};
use wharf_oci::{ParsedManifest, media_type};

use crate::request::{Answered, Ask};
use crate::{UpstreamClient, UpstreamError};

/// What another registry says about a manifest without sending it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// Its digest; old registries do not say.
    pub digest: Option<Digest>,
    /// Its media type.
    pub media_type: Option<String>,
    /// Its size.
    pub size_bytes: Option<u64>,
}

/// A manifest, whose bytes have the digest and the form that they should have.
#[derive(Clone, Debug)]
pub struct FetchedManifest {
    /// The digest that it was asked for by, else the one that the registry says, else the SHA-256 one.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// The bytes.
    pub bytes: Bytes,
    /// What they say.
    pub content: ParsedManifest,
}

impl UpstreamClient {
    /// Asks about a manifest.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn head_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<ManifestHead, UpstreamError> {
        let ask = Ask { method: Method::HEAD, ..manifest(repository, reference) };
        let answer = self.ask(&ask).await?;
        if answer.status() != StatusCode::OK {
            return Err(answer.into_error().await);
        }
        let digest = answer.header(DIGEST).and_then(|text| text.parse().ok());
        if let (Reference::Digest(wanted), Some(found)) = (reference, &digest)
            && wanted.algorithm() == Digest::algorithm(found)
            && wanted != found
        {
            return Err(self.lied(&ask.what, format!("it says that the digest is {found}")));
        }
        Ok(ManifestHead {
            digest,
            media_type: answer.header(header::CONTENT_TYPE).and_then(media_type::essence),
            size_bytes: answer.header(header::CONTENT_LENGTH).and_then(|text| text.parse().ok()),
        })
    }

    /// Fetches a manifest of at most 4 MiB.
    ///
    /// # Errors
    /// [`UpstreamError`]: also when the bytes have another digest than they should, or are no manifest.
    pub async fn get_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<FetchedManifest, UpstreamError> {
        let ask = manifest(repository, reference);
        let mut attempt = 1;
        loop {
            let answer = self.ask(&ask).await?;
            match self.read_manifest(&ask.what, reference, answer).await {
                Ok(fetched) => return Ok(fetched),
                // The connection broke after the head.
                Err(error) => self.wait_after(error, attempt).await?,
            }
            attempt += 1;
        }
    }

    async fn read_manifest(
        &self,
        what: &str,
        reference: &Reference,
        answer: Answered<'_>,
    ) -> Result<FetchedManifest, UpstreamError> {
        if answer.status() != StatusCode::OK {
            return Err(answer.into_error().await);
        }
        let content_type = answer.header(header::CONTENT_TYPE).map(str::to_owned).filter(|text| !is_generic(text));
        let stated = answer.header(DIGEST).and_then(|text| text.parse::<Digest>().ok());
        let bytes = answer.read(MANIFEST_BYTES).await?;
        let expected = match reference {
            Reference::Digest(digest) => Some(digest.clone()),
            Reference::Tag(_) => stated,
        };
        let algorithm = expected.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
        let digest = Digest::of(algorithm, &bytes);
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            return Err(self.lied(what, format!("its digest is {digest}, not {expected}")));
        }
        let content = ParsedManifest::parse(content_type.as_deref(), &bytes);
        let content = content.map_err(|error| self.lied(what, error.to_string()))?;
        if matches!(content.media_type.as_str(), media_type::DOCKER_SCHEMA1 | media_type::DOCKER_SCHEMA1_SIGNED) {
            return Err(UpstreamError::Unsupported { registry: self.name.to_string(), what: what.to_owned() });
        }
        Ok(FetchedManifest { digest, media_type: content.media_type.clone(), bytes, content })
    }
}

fn manifest(repository: &RepositoryName, reference: &Reference) -> Ask {
    let what = match reference {
        Reference::Tag(tag) => format!("{repository}:{tag}"),
        Reference::Digest(digest) => format!("{repository}@{digest}"),
    };
    let mut ask = Ask::get(format!("v2/{repository}/manifests/{reference}"), Some(repository), what);
    ask.headers.insert(header::ACCEPT, HeaderValue::from_static(ACCEPT));
    ask
}

/// Media types that say nothing about a manifest, as storage and proxies put them in.
fn is_generic(content_type: &str) -> bool {
    let essence = media_type::essence(content_type);
    let generic = ["application/json", "application/octet-stream", "binary/octet-stream", "text/plain"];
    essence.is_none_or(|essence| generic.contains(&essence.as_str()))
}

/// Every form that is taken, and any other.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.oci.artifact.manifest.v1+json, application/vnd.cncf.oras.artifact.manifest.v1+json, */*;q=0.1";
const DIGEST: &str = "docker-content-digest";
/// The largest manifest. Source: `acr/semantics.md` section 1.
pub(crate) const MANIFEST_BYTES: usize = 4 << 20;
