//! Tokens of the token service, exchanged for those of a registry.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wharf_model::{Action, PrincipalId, ResourceKind};

use super::people::{ACR, TENANT};
use super::setup::{Installation, LOGIN_SERVER, group_id, problem};
use crate::{AuthError, ExchangeError, Exchanged, TokenProblem, may};

const ARM: &str = "https://management.example.com";

impl Installation {
    async fn exchange(&self, token: &str, tenant: Option<&str>) -> Result<String, ExchangeError> {
        let exchanged = Exchanged::AccessToken(token);
        let is_management = |audience: &str| audience == ARM;
        let done = self.identity.exchange(&self.contoso, LOGIN_SERVER, exchanged, tenant, None, is_management).await?;
        Ok(done.1)
    }

    async fn exchange_of(&self, id: PrincipalId) -> Result<String, ExchangeError> {
        self.exchange(&self.principal_token(id, ACR).await, None).await
    }
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn an_application_gets_a_refresh_token_that_gets_access_tokens() {
    let wharf = Installation::start().await;
    let robot = wharf.robot().await;
    wharf.assign(robot.id, "AcrPush", &group_id()).await;
    let refresh = wharf.exchange_of(robot.id).await.unwrap();
    let mut said = claims(&refresh);
    for volatile in ["jti", "rid"] {
        said.as_object_mut().unwrap().remove(volatile);
    }
    let issued = wharf.now() - 900;
    assert_eq!(
        said,
        json!({
            "sub": robot.id, "nbf": issued, "exp": issued + 11_700, "iat": issued, "iss": "Azure Container Registry",
            "aud": LOGIN_SERVER, "version": "1.0", "permissions": {"Actions": ["read", "write"], "NotActions": null},
            "roles": [], "grant_type": "refresh_token", "appid": robot.app_id,
            "wharf": {"subject": "principal", "id": robot.id, "generation": 1, "mode": "registry"},
        })
    );
    let caller = wharf.refresh(&refresh).await.unwrap();
    let access = wharf.token_for(&caller, "repository:a:pull,push,delete,metadata_read").await;
    assert_eq!(
        claims(&access)["access"],
        json!([{"type": "repository", "name": "a", "actions": ["pull", "push", "delete"]}]),
        "delete, since a tag may be removed"
    );
    let caller = wharf.bearer(&access).await.unwrap();
    let on = |action| may(&caller, action, ResourceKind::Repository, "a");
    assert!(on(Action::Push) && !on(Action::Delete));
}

#[tokio::test]
async fn a_person_is_named_by_tenant_and_the_mode_is_told() {
    let mut wharf = Installation::start().await;
    let anna = wharf.person("anna").await;
    wharf.assign(anna, "Container Registry Repository Reader", &group_id()).await;
    assert!(matches!(wharf.exchange_of(anna).await, Err(ExchangeError::NoRights { principal }) if principal == anna));
    wharf.by_repository(true);
    let refresh = wharf.exchange_of(anna).await.unwrap();
    let said = claims(&refresh);
    assert_eq!((&said["tenant"], &said["appid"]), (&json!(TENANT), &Value::Null));
    assert_eq!(said["aad_identity"], json!({"oid": anna, "tid": TENANT}));
    let caller = wharf.refresh(&refresh).await.unwrap();
    assert_eq!(caller.name(), "anna@example.com");
    wharf.by_repository(false);
    assert_eq!(problem(wharf.refresh(&refresh).await), Some(TokenProblem::Revoked));
}

#[tokio::test]
async fn only_tokens_for_registries_and_if_allowed_for_management_are_taken() {
    let mut wharf = Installation::start().await;
    let robot = wharf.robot().await;
    wharf.assign(robot.id, "AcrPull", &group_id()).await;
    for (audience, slash) in [(ACR, ""), (ACR, "/"), (ARM, ""), (ARM, "/")] {
        let token = wharf.principal_token(robot.id, &format!("{audience}{slash}")).await;
        wharf.exchange(&token, None).await.unwrap();
    }
    for audience in ["https://graph.microsoft.com", "https://contoso.example.com", "api://something"] {
        let token = wharf.principal_token(robot.id, audience).await;
        assert!(matches!(wharf.exchange(&token, None).await, Err(ExchangeError::Audience { .. })), "{audience}");
    }
    let mut settings = (*wharf.contoso.settings).clone();
    settings.accepts_arm_tokens = false;
    wharf.contoso.settings = settings.into();
    let [arm, acr] = [wharf.principal_token(robot.id, ARM).await, wharf.principal_token(robot.id, ACR).await];
    assert!(matches!(wharf.exchange(&arm, None).await, Err(ExchangeError::ManagementTokensDisabled)));
    wharf.exchange(&acr, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_gives_nothing_that_outlives_its_own_generation() {
    let wharf = Installation::start().await;
    let robot = wharf.robot().await;
    wharf.assign(robot.id, "AcrPull", &group_id()).await;
    let token = wharf.principal_token(robot.id, ARM).await;
    // After the token was looked at, and before anything is given for it.
    let start_anew = |_: &str| {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for is_enabled in [false, true] {
                    let switch = move |row: &mut wharf_metadata::PrincipalRow| {
                        row.is_enabled = is_enabled;
                        Ok(())
                    };
                    wharf.identity.update_principal(robot.id, switch).await.unwrap();
                }
            });
        });
        true
    };
    let exchanged = Exchanged::AccessToken(&token);
    let refusal = wharf.identity.exchange(&wharf.contoso, LOGIN_SERVER, exchanged, None, None, start_anew).await;
    let Err(ExchangeError::InvalidToken(error)) = refusal else { panic!("{refusal:?}") };
    assert!(matches!(error, AuthError::InvalidToken(TokenProblem::Revoked)), "{error}");
}

#[tokio::test]
async fn the_tenant_that_is_named_must_be_the_principals() {
    let wharf = Installation::start().await;
    let robot = wharf.robot().await;
    wharf.assign(robot.id, "AcrPull", &group_id()).await;
    let token = wharf.principal_token(robot.id, ACR).await;
    for tenant in ["", "00000000-0000-0000-0000-000000000007", "{00000000-0000-0000-0000-000000000007}"] {
        wharf.exchange(&token, Some(tenant)).await.unwrap();
    }
    for tenant in ["00000000-0000-0000-0000-000000000008", "example.com"] {
        assert!(matches!(wharf.exchange(&token, Some(tenant)).await, Err(ExchangeError::OtherTenant { .. })));
    }
}

#[tokio::test]
async fn what_is_no_token_of_the_token_service_is_refused() {
    let wharf = Installation::start().await;
    let robot = wharf.robot().await;
    wharf.assign(robot.id, "AcrPull", &group_id()).await;
    let refresh = wharf.exchange_of(robot.id).await.unwrap();
    let gone = wharf.robot().await;
    let of_gone = wharf.principal_token(gone.id, ACR).await;
    wharf.identity.delete_principal(gone.id).await.unwrap();
    let admin = wharf.admin_token("repository:a:pull").await;
    for token in ["", "garbage", &refresh, &of_gone, &admin] {
        let refusal = wharf.exchange(token, None).await.unwrap_err();
        assert!(matches!(refusal, ExchangeError::InvalidToken(_)), "{refusal}");
    }
    let unknown = Exchanged::RefreshToken("1.unknown");
    let refusal = wharf.identity.exchange(&wharf.contoso, LOGIN_SERVER, unknown, None, None, |_| false).await;
    assert!(matches!(refusal, Err(ExchangeError::InvalidToken(_))));
}

#[tokio::test]
async fn a_refresh_token_of_az_is_exchanged_too() {
    let wharf = Installation::start().await;
    let anna = wharf.person("anna").await;
    wharf.assign(anna, "AcrPull", &group_id()).await;
    let signed_in = wharf.identity.find_signed_in(anna).await.unwrap().unwrap();
    let authentication = wharf.identity.authenticated_now(signed_in.principal, signed_in.generation);
    let az = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
    let new = crate::oidc::NewRefreshToken {
        authentication: &authentication,
        client_id: az,
        scope: "openid",
        resource: None,
        is_proven: false,
        family: None,
    };
    let token = wharf.identity.new_refresh_token(&new).await.unwrap();
    let exchanged = Exchanged::RefreshToken(&token);
    let done = wharf.identity.exchange(&wharf.contoso, LOGIN_SERVER, exchanged, None, None, |_| false).await;
    assert_eq!(done.unwrap().0.name(), "anna@example.com");
}

#[tokio::test]
async fn what_was_exchanged_begets_no_other_refresh_token() {
    let wharf = Installation::start().await;
    let robot = wharf.robot().await;
    wharf.assign(robot.id, "AcrPull", &group_id()).await;
    let refresh = wharf.exchange_of(robot.id).await.unwrap();
    let caller = wharf.refresh(&refresh).await.unwrap();
    let again = wharf.identity.refresh_token(&wharf.contoso, LOGIN_SERVER, &caller).await;
    assert!(matches!(again, Err(crate::IssueError::PasswordNeeded)));
}
