//! The `WWW-Authenticate` header that sends a client to the token service.

use std::fmt;

use wharf_model::Scope;

/// What the 401 tells the client.
///
/// Printed without blanks after commas: `az` splits the header on blanks first (`acr/data-plane.md` 3.1).
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// Scheme and host of the registry as the client knows it, without a slash at the end.
    pub base_url: &'a str,
    /// The name of the registry for the token service: its host.
    pub service: &'a str,
    /// What a token must allow. Empty on `/v2/`.
    pub scopes: &'a [Scope],
    /// True when credentials came that were bad or not enough.
    pub rejects_credentials: bool,
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bearer realm=\"{}/oauth2/token\",service=\"{}\"", Quoted(self.base_url), Quoted(self.service))?;
        for (position, scope) in self.scopes.iter().enumerate() {
            write!(f, "{}{}", if position == 0 { ",scope=\"" } else { " " }, Quoted(&scope.to_string()))?;
        }
        if !self.scopes.is_empty() {
            f.write_str("\"")?;
        }
        if self.rejects_credentials {
            f.write_str(",error=\"invalid_token\"")?;
        }
        Ok(())
    }
}

/// The inside of a quoted string. What could end it, or the header, is left out: no host or scope of ours holds such.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split(|c: char| !c.is_ascii_graphic() || c == '"' || c == '\\') {
            f.write_str(part)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn challenges_are_written_as_azure_does() {
        let mut challenge = Challenge {
            base_url: "https://contoso.azurecr.io",
            service: "contoso.azurecr.io",
            scopes: &[],
            rejects_credentials: false,
        };
        assert_eq!(
            challenge.to_string(),
            r#"Bearer realm="https://contoso.azurecr.io/oauth2/token",service="contoso.azurecr.io""#
        );
        let scopes = ["repository:team/app:pull,push".parse().unwrap(), "repository:base:pull".parse().unwrap()];
        challenge.scopes = &scopes[..1];
        assert_eq!(
            challenge.to_string(),
            r#"Bearer realm="https://contoso.azurecr.io/oauth2/token",service="contoso.azurecr.io",scope="repository:team/app:pull,push""#
        );
        challenge.scopes = &scopes;
        challenge.rejects_credentials = true;
        assert!(
            challenge
                .to_string()
                .ends_with(r#",scope="repository:team/app:pull,push repository:base:pull",error="invalid_token""#)
        );
    }

    proptest! {
        #[test]
        fn hosts_cannot_break_out(host in ".{0,40}") {
            let challenge = Challenge { base_url: &host, service: &host, scopes: &[], rejects_credentials: true }.to_string();
            prop_assert!(http::HeaderValue::from_str(&challenge).is_ok());
            prop_assert_eq!(challenge.matches('"').count(), 6);
        }
    }
}
