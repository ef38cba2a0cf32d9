//! Answers whose body is still to come.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use url::Url;

use crate::error::{EgressError, failure, shown};

/// The head of an answer, and its body piece by piece.
#[derive(Debug)]
pub struct AnswerStream {
    /// The status; a redirect is not followed.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    url: Url,
    response: reqwest::Response,
    left_bytes: usize,
    most_bytes: usize,
    patience: Duration,
}

impl AnswerStream {
    pub(crate) fn new(
        url: &Url,
        mut response: reqwest::Response,
        most_bytes: usize,
        patience: Duration,
    ) -> Result<Self, EgressError> {
        if response.content_length().is_some_and(|length| length > most_bytes as u64) {
            return Err(EgressError::TooLarge { url: shown(url), most_bytes });
        }
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        Ok(Self { status, headers, url: url.clone(), response, left_bytes: most_bytes, most_bytes, patience })
    }

    /// The length that the head states, in bytes.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// When the connection breaks or stands still, or the body is longer than was to be read.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, EgressError> {
        let too_slow = |_| EgressError::TooSlow { url: shown(&self.url), seconds: self.patience.as_secs() };
        let piece = tokio::time::timeout(self.patience, self.response.chunk()).await.map_err(too_slow)?;
        let Some(piece) = piece.map_err(|error| failure(&self.url, error))? else { return Ok(None) };
        let Some(left_bytes) = self.left_bytes.checked_sub(piece.len()) else {
            return Err(EgressError::TooLarge { url: shown(&self.url), most_bytes: self.most_bytes });
        };
        self.left_bytes = left_bytes;
        Ok(Some(piece))
    }
}
