//! What refers to a manifest in another registry: by the API, and where there is none by the tag that stands for it.
//! Source: distribution-spec v1.1, "Listing Referrers" and "Unavailable Referrers API".

use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use wharf_model::{Digest, Reference, RepositoryName, Tag};
use wharf_oci::{Descriptor, media_type};

use crate::manifests::MANIFEST_BYTES;
use crate::request::{Answered, Ask};
use crate::{UpstreamClient, UpstreamError};

impl UpstreamClient {
    /// The manifests that name this one as their subject, in the registry's order.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn list_referrers(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, UpstreamError> {
        let what = format!("the referrers of {repository}@{digest}");
        let mut found = Vec::new();
        let mut path = format!("v2/{repository}/referrers/{digest}");
        for _ in 0..MOST_PAGES {
            let mut ask = Ask::get(path.clone(), Some(repository), what.clone());
            ask.headers.insert(header::ACCEPT, HeaderValue::from_static(media_type::OCI_INDEX));
            let answer = self.ask(&ask).await?;
            match answer.status() {
                StatusCode::OK => {}
                // It has no such API, whatever it says to what it does not know.
                StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST | StatusCode::METHOD_NOT_ALLOWED => {
                    return self.fallback_referrers(repository, digest).await;
                }
                _ => return Err(answer.into_error().await),
            }
            // A page for people, say, is an answer too.
            if answer.header(header::CONTENT_TYPE).and_then(media_type::essence).as_deref()
                != Some(media_type::OCI_INDEX)
            {
                return self.fallback_referrers(repository, digest).await;
            }
            let next = self.next_page(&what, &answer)?;
            found.extend(answer.read_json::<Listed>(MANIFEST_BYTES).await?.descriptors());
            match next {
                Some(next) => path = next,
                None => return Ok(found),
            }
        }
        Err(self.lied(&what, format!("the list has more than {MOST_PAGES} pages")))
    }

    async fn fallback_referrers(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, UpstreamError> {
        // The tag of a longer digest is cut, as the specification says.
        let tag: String = digest.as_str().replace(':', "-").chars().take(128).collect();
        let Ok(tag) = tag.parse::<Tag>() else { return Ok(Vec::new()) };
        match self.get_manifest(repository, &Reference::Tag(tag)).await {
            Ok(index) => {
                let listed: Listed = serde_json::from_slice(&index.bytes).unwrap_or_default();
                Ok(listed.descriptors().collect())
            }
            Err(UpstreamError::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The path of the page that follows, out of `Link: <…>; rel="next"`. It is one of the same registry.
    fn next_page(&self, what: &str, answer: &Answered<'_>) -> Result<Option<String>, UpstreamError> {
        let Some(link) = answer.header(header::LINK) else { return Ok(None) };
        let target = link.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let Some((target, parameters)) = target else { return Ok(None) };
        if !parameters.contains("next") {
            return Ok(None);
        }
        match answer.url.join(target) {
            Ok(next) if next.origin() == answer.url.origin() => {
                let query = next.query().map(|query| format!("?{query}")).unwrap_or_default();
                Ok(Some(format!("{}{query}", next.path())))
            }
            _ => Err(self.lied(what, "its next page is at another host")),
        }
    }
}

/// An index of referrers. Entries that are no descriptors of ours are passed over.
#[derive(Default, Deserialize)]
struct Listed {
    #[serde(default)]
    manifests: Option<Vec<Value>>,
}

impl Listed {
    fn descriptors(self) -> impl Iterator<Item = Descriptor> {
        self.manifests.unwrap_or_default().into_iter().filter_map(|entry| serde_json::from_value(entry).ok())
    }
}

/// How many pages of referrers are read.
const MOST_PAGES: usize = 100;
