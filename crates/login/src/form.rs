//! Parameters of a query or a form.

use std::time::Duration;

use axum::body::Body;
use http::StatusCode;
use http_body_util::{BodyExt as _, Limited};
use tokio::time::timeout;

use crate::error::OAuthError;

/// Parameters by their names. Of one that comes up twice, the first counts.
#[derive(Clone, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads what is encoded as HTML forms are.
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(encoded).take(MOST_PARAMETERS);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// When it is too long, breaks off or does not come in time.
    pub(crate) async fn read(body: Body) -> Result<Self, OAuthError> {
        let refused = |status, message: &str| OAuthError::new(status, "invalid_request", 900_144, message);
        match timeout(READ_WITHIN, Limited::new(body, LONGEST_BODY).collect()).await {
            Ok(Ok(collected)) => Ok(Self::parse(&collected.to_bytes())),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too long."))
            }
            Ok(Err(_)) => Err(refused(StatusCode::BAD_REQUEST, "The request body broke off.")),
            Err(_) => Err(refused(StatusCode::REQUEST_TIMEOUT, "The request body did not arrive in time.")),
        }
    }

    /// The value of a parameter, unless it is missing or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of a parameter that must be there.
    pub(crate) fn require(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::missing(name))
    }

    /// The parameters of this one, and those of another that it does not have.
    pub(crate) fn or(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

/// Bytes of the longest form: a few tokens.
const LONGEST_BODY: usize = 64 << 10;
const MOST_PARAMETERS: usize = 100;
/// How long a form may take to arrive.
const READ_WITHIN: Duration = Duration::from_secs(20);
