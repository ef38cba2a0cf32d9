//! Blobs of other registries, as streams.

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use wharf_egress::AnswerStream;
use wharf_model::{Digest, RepositoryName};

use crate::request::Ask;
use crate::{UpstreamClient, UpstreamError};

/// A blob that is being fetched. When the connection breaks, it goes on where it was: by `Range` where the registry
/// understands that, else by leaving out what came before.
///
/// The length is held to what was announced and what is expected. The digest is not compared here: whoever stores does.
pub struct BlobStream {
    client: UpstreamClient,
    ask: Ask,
    answer: Option<AnswerStream>,
    /// How much of the answer lies before the position and is left out.
    skip_bytes: u64,
    position: u64,
    size_bytes: Option<u64>,
    /// Failures since bytes came last, and in all.
    attempt: u32,
    cuts: u32,
}

impl UpstreamClient {
    /// Begins to fetch a blob, from `from_offset` on.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn open_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        from_offset: u64,
    ) -> Result<BlobStream, UpstreamError> {
        let what = format!("the blob {digest} of {repository}");
        let mut stream = BlobStream {
            client: self.clone(),
            ask: Ask::get(format!("v2/{repository}/blobs/{digest}"), Some(repository), what),
            answer: None,
            skip_bytes: 0,
            position: from_offset,
            size_bytes: None,
            attempt: 0,
            cuts: 0,
        };
        stream.connect().await?;
        Ok(stream)
    }
}

impl BlobStream {
    /// The size of the whole blob, if it is known.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// Holds the blob to the size that a manifest states.
    ///
    /// # Errors
    /// [`UpstreamError::Lied`] when another one was announced.
    pub fn expecting(mut self, size_bytes: u64) -> Result<Self, UpstreamError> {
        match self.size_bytes {
            Some(announced) if announced != size_bytes => {
                let reason = format!("it announces {announced} bytes where the manifest says {size_bytes}");
                Err(self.client.lied(&self.ask.what, reason))
            }
            _ => {
                self.size_bytes = Some(size_bytes);
                Ok(self)
            }
        }
    }

    /// The next bytes; `None` at the end, which comes after exactly as many bytes as there should be.
    ///
    /// # Errors
    /// [`UpstreamError`], after which there is nothing more to come.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            let piece = match &mut self.answer {
                Some(answer) => answer.next_piece().await,
                None => {
                    self.connect().await?;
                    continue;
                }
            };
            match piece {
                Ok(Some(piece)) => {
                    let skipped = self.skip_bytes.min(piece.len() as u64);
                    self.skip_bytes -= skipped;
                    let piece = piece.slice(usize::try_from(skipped).unwrap_or(piece.len())..);
                    if piece.is_empty() {
                        continue;
                    }
                    self.position += piece.len() as u64;
                    if let Some(size_bytes) = self.size_bytes.filter(|size| self.position > *size) {
                        let reason = format!("it has more than the {size_bytes} bytes that it should have");
                        return Err(self.client.lied(&self.ask.what, reason));
                    }
                    self.attempt = 0;
                    return Ok(Some(piece));
                }
                Ok(None) if self.size_bytes.is_none_or(|size_bytes| size_bytes == self.position) => return Ok(None),
                Ok(None) => {
                    let (position, size_bytes) = (self.position, self.size_bytes.unwrap_or_default());
                    let reason = format!("it ends after {position} of {size_bytes} bytes");
                    self.fail(self.client.lied(&self.ask.what, reason), true).await?;
                }
                // All is there; how the connection ended does not matter.
                Err(_) if self.size_bytes == Some(self.position) => return Ok(None),
                Err(error) => self.fail(UpstreamError::network(&self.client.name, error), false).await?,
            }
        }
    }

    /// The same as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, UpstreamError>> + Send + Unpin {
        Box::pin(stream::try_unfold(
            self,
            |mut blob| async move { Ok(blob.next_piece().await?.map(|piece| (piece, blob))) },
        ))
    }

    /// Waits before the blob is asked for again; gives up when it was asked for often enough. An end that comes too early
    /// is a cut too: some proxies hide it.
    async fn fail(&mut self, error: UpstreamError, is_cut: bool) -> Result<(), UpstreamError> {
        self.answer = None;
        self.attempt += 1;
        self.cuts += 1;
        if self.cuts > MOST_CUTS {
            return Err(error);
        }
        if is_cut {
            let (registry, status) = (self.client.name.to_string(), 200);
            let cut = UpstreamError::Unavailable { registry, status, message: None };
            return self.client.wait_after(cut, self.attempt).await.map_err(|_| error);
        }
        self.client.wait_after(error, self.attempt).await
    }

    async fn connect(&mut self) -> Result<(), UpstreamError> {
        self.ask.headers.remove(header::RANGE);
        if self.position > 0 {
            let range = HeaderValue::try_from(format!("bytes={}-", self.position)).expect("digits fit a header");
            self.ask.headers.insert(header::RANGE, range);
        }
        let client = self.client.clone();
        let answer = client.ask(&self.ask).await?;
        let size_bytes = match answer.status() {
            StatusCode::OK => {
                self.skip_bytes = self.position;
                answer.stream.content_length()
            }
            StatusCode::PARTIAL_CONTENT if self.position > 0 => {
                let range = answer.header(header::CONTENT_RANGE).and_then(parse_content_range);
                let Some((_, total)) = range.filter(|(first, _)| *first == self.position) else {
                    return Err(client.lied(&self.ask.what, "it sends another range than the one asked for"));
                };
                self.skip_bytes = 0;
                total
            }
            StatusCode::RANGE_NOT_SATISFIABLE if self.position > 0 => {
                return Err(client.lied(&self.ask.what, format!("it has no more than {} bytes", self.position)));
            }
            _ => return Err(answer.into_error().await),
        };
        match (self.size_bytes, size_bytes) {
            (Some(before), Some(now)) if before != now => {
                return Err(client.lied(&self.ask.what, format!("it announces {now} bytes, and {before} before")));
            }
            (None, Some(_)) => self.size_bytes = size_bytes,
            _ => {}
        }
        self.answer = Some(answer.stream);
        Ok(())
    }
}

impl std::fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("BlobStream");
        shown.field("position", &self.position).field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

/// The first byte and the whole length out of `bytes 5-9/10` or `bytes 5-9/*`.
fn parse_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()))
}

/// How often a connection may break under one blob.
const MOST_CUTS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_content_range("bytes 5-9/*"), Some((5, None)));
        for bad in ["", "5-9/10", "bytes */10", "bytes x-9/10", "bytes 5"] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }
}
