//! `…/oauth2/devicecode`: a code for a device that cannot show a browser. Source: RFC 8628, section 3.1.

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::json;

use crate::answer;
use crate::authority::AuthorityPath;
use crate::clients::SignInClient;
use crate::error::OAuthError;
use crate::form::Form;
use crate::router::Call;
use crate::scope::Wanted;

pub(crate) async fn start(call: &Call<'_>, at: &AuthorityPath, form: &Form) -> Result<Response<Body>, OAuthError> {
    call.place(at).await?;
    let client_id = form.require("client_id")?;
    let client = SignInClient::find(call.identity, client_id).await?;
    let client = client.ok_or_else(|| OAuthError::unknown_client(client_id))?;
    if !client.is_public() {
        return Err(crate::client::no_proof());
    }
    // What cannot be asked for is told now, and not when somebody has typed the code.
    let scope = form.get("scope").unwrap_or_default();
    Wanted::parse(scope, form.get("resource"))?;
    let scope = match form.get("resource") {
        // Kept as the scope that means the same.
        Some(resource) => format!("{resource}/.default openid offline_access"),
        None => scope.to_owned(),
    };
    let code = call.identity.start_device_code(client_id, &scope, call.context.client.address).await?;

    let page = format!("{}/login/device", call.context.endpoints.login);
    Ok(answer::json(
        StatusCode::OK,
        &json!({
            "user_code": code.user_code,
            "device_code": code.device_code,
            "verification_uri": page,
            // As version 1.0 calls it.
            "verification_url": page,
            "expires_in": code.expires_in.as_secs(),
            "interval": code.interval.as_secs(),
            "message": format!(
                "To sign in, use a web browser to open the page {page} and enter the code {} to authenticate.",
                code.user_code
            ),
        }),
    ))
}
