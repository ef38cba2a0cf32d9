//! `/oauth2/exchange`: a refresh token of the registry for a token of the token service (`acr/data-plane.md` 3.2).
//!
//! | `grant_type` | what is exchanged |
//! | --- | --- |
//! | `access_token` | `access_token`, for container registries or for the management API |
//! | `access_token_refresh_token` (deprecated) | `access_token`, or `refresh_token` without one |
//! | `refresh_token` (deprecated) | `refresh_token` |
//!
//! Whoever is not who they say gets 401, and whoever has no rights here 403. `service` is not looked at: the host already
//! says which registry is meant.

use http::StatusCode;
use serde::Serialize;
use tracing::debug;
use wharf_identity::{AuthError, ExchangeError, Exchanged};
use wharf_model::error_chain;
use wharf_oci::{Code, OciError};

use crate::access::AccessInfo;
use crate::answer::Answer;
use crate::body::RequestBody;
use crate::failure::Failure;
use crate::guard::challenge;
use crate::router::{Plane, RequestHost};
use crate::token::{handed_out, read};

#[derive(Serialize)]
struct Tokens {
    refresh_token: String,
}

pub(crate) async fn answer(
    plane: &Plane,
    host: &RequestHost,
    body: &mut RequestBody,
    access: &mut AccessInfo,
) -> Answer {
    let form = Form::parse(&read(body).await?);
    let exchanged = form.exchanged()?;
    let outcome = plane
        .identity
        .exchange(&host.registry, &host.login_server, exchanged, Some(&form.tenant), Some(host.client), |audience| {
            is_management(plane, audience)
        })
        .await;
    match outcome {
        Ok((caller, refresh_token)) => {
            access.set_caller(caller);
            Ok(handed_out(&Tokens { refresh_token }))
        }
        Err(error) => Err(refuse(host, error)),
    }
}

fn refuse(host: &RequestHost, error: ExchangeError) -> Failure {
    match error {
        ExchangeError::Unavailable(error) => Failure::of_ours(OciError::new(Code::Unavailable), error),
        ExchangeError::InvalidToken(error @ (AuthError::Throttled(_) | AuthError::Unavailable(_))) => error.into(),
        ExchangeError::NoRights { .. } => OciError::new(Code::Denied).with_message(error.to_string()).into(),
        ExchangeError::InvalidToken(_)
        | ExchangeError::Audience { .. }
        | ExchangeError::ManagementTokensDisabled
        | ExchangeError::OtherTenant { .. } => {
            debug!(registry = %host.registry.name, "Refused to exchange a token: {}", error_chain(&error));
            challenge(host, &[], true)
        }
    }
}

/// Whether an audience, without a slash at the end, is the management API: by one of its own names, or by those that
/// clients use which were told no other. Not by the host of this request: whoever got a token for a service of their own
/// could send it here with that service's name.
fn is_management(plane: &Plane, audience: &str) -> bool {
    let own = plane.config.management_audiences.iter().map(String::as_str);
    own.chain(AZURE).any(|name| name.eq_ignore_ascii_case(audience))
}

/// What Azure's own management API is called.
const AZURE: [&str; 2] = ["https://management.azure.com", "https://management.core.windows.net"];

/// The fields of a form, as far as they matter.
#[derive(Default)]
struct Form {
    grant_type: String,
    access_token: String,
    refresh_token: String,
    tenant: String,
}

impl Form {
    fn parse(form: &[u8]) -> Self {
        let mut fields = Self::default();
        for (key, value) in form_urlencoded::parse(form) {
            match &*key {
                "grant_type" => fields.grant_type = value.into_owned(),
                "access_token" => fields.access_token = value.into_owned(),
                "refresh_token" => fields.refresh_token = value.into_owned(),
                "tenant" => fields.tenant = value.into_owned(),
                _ => {}
            }
        }
        fields
    }

    fn exchanged(&self) -> Result<Exchanged<'_>, Failure> {
        let bad = |message: &'static str| {
            OciError::new(Code::Unsupported).with_status(StatusCode::BAD_REQUEST).with_message(message).into()
        };
        let (access_token, refresh_token) = (&self.access_token, &self.refresh_token);
        match self.grant_type.as_str() {
            "access_token" | "access_token_refresh_token" if !access_token.is_empty() => {
                Ok(Exchanged::AccessToken(access_token))
            }
            "access_token_refresh_token" | "refresh_token" if !refresh_token.is_empty() => {
                Ok(Exchanged::RefreshToken(refresh_token))
            }
            "access_token" => Err(bad("access_token is missing")),
            "access_token_refresh_token" | "refresh_token" => Err(bad("refresh_token is missing")),
            _ => Err(bad("grant_type must be access_token, access_token_refresh_token or refresh_token")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_tell_which_token_counts() {
        let read = |form: &str| {
            let form = Form::parse(form.as_bytes());
            match form.exchanged() {
                Ok(Exchanged::AccessToken(token)) => format!("access {token}"),
                Ok(Exchanged::RefreshToken(token)) => format!("refresh {token}"),
                Err(failure) => failure.error().status.to_string(),
            }
        };
        assert_eq!(read("grant_type=access_token&service=s&tenant=t&access_token=a"), "access a");
        assert_eq!(read("grant_type=access_token_refresh_token&access_token=a&refresh_token=r"), "access a");
        assert_eq!(read("grant_type=access_token_refresh_token&refresh_token=r"), "refresh r");
        assert_eq!(read("grant_type=refresh_token&refresh_token=r&access_token=a"), "refresh r");
        for bad in ["", "grant_type=access_token", "grant_type=refresh_token", "grant_type=password&access_token=a"] {
            assert_eq!(read(bad), "400 Bad Request", "{bad}");
        }
    }
}
