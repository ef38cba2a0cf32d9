//! Signing in, and what ends it, over a real database.

use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;
use wharf_metadata::directory::Properties;
use wharf_metadata::roles;
use wharf_metadata::{ApplicationId, PrincipalRow, RoleAssignmentRow};
use wharf_model::{Client, Clock as _, PrincipalId, PrincipalKind, ResourceId, Timestamp};

use super::*;
use crate::tests::Installation;

const TENANT: Uuid = Uuid::from_u128(7);
const PASSWORD: &str = "correct horse";

fn from(address: &str) -> Option<Client> {
    Some(Client { address: address.parse().unwrap(), is_private: false })
}

/// An application with a service principal and a generated secret.
struct Ci {
    application: ApplicationId,
    principal: PrincipalRow,
    app_id: Uuid,
    key_id: Uuid,
    secret: SecretString,
}

impl Ci {
    async fn create(wharf: &Installation) -> Self {
        Self::create_with(wharf, NewSecret::default()).await
    }

    async fn create_with(wharf: &Installation, secret: NewSecret) -> Self {
        let identity = wharf.identity.clone();
        let now = wharf.clock.now();
        let new = NewClient { tenant_id: TENANT, display_name: "ci".into(), app_id: None, secret: Some(secret), now };
        let created = wharf
            .database
            .write_access(move |c| Box::pin(async move { identity.create_client(c, new).await }))
            .await
            .unwrap();
        let (row, secret) = created.secret.unwrap();
        Self {
            application: created.application.id,
            app_id: created.application.app_id,
            principal: created.principal,
            key_id: row.key_id,
            secret,
        }
    }

    async fn sign_in(&self, wharf: &Installation) -> Result<SignedIn, SignInError> {
        wharf.identity.check_client_secret(self.app_id, self.secret.expose_secret(), from("192.0.2.1")).await
    }
}

async fn user(wharf: &Installation, name: &str) -> PrincipalRow {
    let new = NewUser {
        tenant_id: TENANT,
        user_name: format!("{name}@example.com"),
        display_name: name.into(),
        password: Some(PASSWORD.into()),
        must_change_password: false,
        is_enabled: true,
        properties: Properties::new(),
    };
    wharf.identity.create_user(new).await.unwrap()
}

async fn group(wharf: &Installation, members: &[PrincipalId]) -> PrincipalId {
    let new = NewGroup {
        tenant_id: TENANT,
        display_name: "group".into(),
        properties: Properties::new(),
        owners: vec![],
        members: members.to_vec(),
    };
    wharf.identity.create_group(new).await.unwrap().id
}

async fn switch(identity: &crate::Identity, id: PrincipalId, on: bool) -> Result<PrincipalRow, DirectoryError> {
    let change = move |row: &mut PrincipalRow| {
        row.is_enabled = on;
        Ok(())
    };
    identity.update_principal(id, change).await
}

#[tokio::test]
async fn a_client_signs_in_with_its_secret_and_nothing_else() {
    let wharf = Installation::start().await;
    let ci = Ci::create(&wharf).await;
    let signed_in = ci.sign_in(&wharf).await.unwrap();
    assert_eq!(signed_in.principal.id, ci.principal.id);
    assert_eq!(signed_in.principal.kind, PrincipalKind::ServicePrincipal);
    assert_eq!((signed_in.principal.name.as_str(), signed_in.principal.app_id), ("ci", Some(ci.app_id)));
    assert_eq!(wharf.identity.find_principal_by_app(ci.app_id).await.unwrap(), Some(signed_in.principal));

    let other = Ci::create(&wharf).await;
    let long = "a".repeat(100_000);
    for (app_id, secret) in [
        (ci.app_id, other.secret.expose_secret()),
        (other.app_id, ci.secret.expose_secret()),
        (ci.app_id, ""),
        (ci.app_id, &long),
        (Uuid::nil(), ci.secret.expose_secret()),
        (Uuid::nil(), ""),
        // The object id is not what signs in.
        (ci.principal.id.0, ci.secret.expose_secret()),
    ] {
        let refusal = wharf.identity.check_client_secret(app_id, secret, from("192.0.2.1")).await.unwrap_err();
        assert!(matches!(refusal, SignInError::BadCredentials), "{refusal}");
    }
}

#[tokio::test]
async fn a_secret_counts_from_its_beginning_to_its_end() {
    let wharf = Installation::start().await;
    let now = wharf.clock.now();
    let ends = SecretEnd::At(now + Duration::from_secs(20));
    let starts_at = Some(now + Duration::from_secs(10));
    let ci = Ci::create_with(&wharf, NewSecret { starts_at, ends, ..NewSecret::default() }).await;
    assert!(matches!(ci.sign_in(&wharf).await, Err(SignInError::NotYetValid { .. })));
    wharf.clock.advance(Duration::from_secs(10));
    ci.sign_in(&wharf).await.unwrap();
    wharf.clock.advance(Duration::from_secs(10));
    assert!(matches!(ci.sign_in(&wharf).await, Err(SignInError::Expired { .. })));
    let wrong = wharf.identity.check_client_secret(ci.app_id, "wrong", None).await;
    assert!(matches!(wrong, Err(SignInError::BadCredentials)), "who does not know it is not told that it ended");

    // Another that counts makes up for one that does not.
    let chosen: SecretString = ci.secret.expose_secret().into();
    let again = NewSecret { chosen: Some(chosen), ends: SecretEnd::Never, ..NewSecret::default() };
    wharf.identity.add_secret(Holder::ServicePrincipal(ci.principal.id), again).await.unwrap();
    ci.sign_in(&wharf).await.unwrap();
}

#[tokio::test]
async fn secrets_of_the_application_and_of_its_service_principal_sign_in_the_same() {
    let wharf = Installation::start().await;
    let ci = Ci::create(&wharf).await;
    for holder in [Holder::Application(ci.application), Holder::ServicePrincipal(ci.principal.id)] {
        let (row, text) = wharf.identity.add_secret(holder, NewSecret::default()).await.unwrap();
        assert_eq!(row.hint.as_deref(), text.expose_secret().get(..3));
        assert_eq!(row.ends_at, Some(wharf.clock.now() + Duration::from_hours(2 * 365 * 24)));
        assert!(!String::from_utf8_lossy(&row.value).contains(text.expose_secret()));
        assert!(!format!("{row:?} {text:?}").contains(text.expose_secret()));
        let signed_in = wharf.identity.check_client_secret(ci.app_id, text.expose_secret(), None).await.unwrap();
        assert_eq!(signed_in.principal.id, ci.principal.id);
        wharf.identity.remove_secret(holder, row.key_id).await.unwrap();
        let refusal = wharf.identity.check_client_secret(ci.app_id, text.expose_secret(), None).await;
        assert!(matches!(refusal, Err(SignInError::BadCredentials)), "at once");
    }
    let gone = wharf.identity.remove_secret(Holder::Application(ci.application), Uuid::nil()).await;
    assert!(matches!(gone, Err(DirectoryError::NotFound { what: "secret", .. })));
    for _ in 0..49 {
        wharf.identity.add_secret(Holder::Application(ci.application), NewSecret::default()).await.unwrap();
    }
    let full = wharf.identity.add_secret(Holder::Application(ci.application), NewSecret::default()).await;
    assert!(matches!(full, Err(DirectoryError::TooMany { .. })));
}

#[tokio::test]
async fn what_ends_a_principals_tokens() {
    let wharf = Installation::start().await;
    let identity = &wharf.identity;
    let ci = Ci::create(&wharf).await;
    let generation = async || identity.find_signed_in(ci.principal.id).await.unwrap().map(|found| found.generation);
    assert_eq!(generation().await, Some(1));
    let holder = Holder::ServicePrincipal(ci.principal.id);
    let (second, _) = identity.add_secret(holder, NewSecret::default()).await.unwrap();
    assert_eq!(generation().await, Some(1), "a credential more ends nothing");
    identity.remove_secret(holder, second.key_id).await.unwrap();
    assert_eq!(generation().await, Some(2));
    identity.remove_secret(Holder::Application(ci.application), ci.key_id).await.unwrap();
    assert_eq!(generation().await, Some(3), "also one of the application");

    let certificate = || CertificateEntry::New {
        key_id: Uuid::new_v4(),
        display_name: None,
        certificate: ParsedCertificate::parse(&certificate()).unwrap(),
        starts_at: None,
        ends_at: None,
    };
    identity.set_certificates(holder, vec![certificate()]).await.unwrap();
    assert_eq!(generation().await, Some(3));
    let (_, certificates) = identity.client_certificates(ci.app_id).await.unwrap().unwrap();
    let kept = certificates[0].key_id;
    identity.set_certificates(holder, vec![CertificateEntry::Kept(kept), certificate()]).await.unwrap();
    assert_eq!(generation().await, Some(3));
    identity.set_certificates(holder, vec![CertificateEntry::Kept(kept)]).await.unwrap();
    assert_eq!(generation().await, Some(4));

    let switch = |on: bool| switch(identity, ci.principal.id, on);
    switch(true).await.unwrap();
    assert_eq!(generation().await, Some(4), "nothing changed");
    switch(false).await.unwrap();
    assert_eq!(generation().await, None, "switched off");
    switch(true).await.unwrap();
    assert_eq!(generation().await, Some(5), "what was issued before stays void");
    identity.delete_application(ci.application).await.unwrap();
    assert_eq!(generation().await, None, "gone with its application");
}

#[tokio::test]
async fn who_is_switched_off_is_told_so_only_with_the_right_secret() {
    let wharf = Installation::start().await;
    let ci = Ci::create(&wharf).await;
    let anna = user(&wharf, "anna").await;
    for id in [ci.principal.id, anna.id] {
        switch(&wharf.identity, id, false).await.unwrap();
    }
    assert!(matches!(ci.sign_in(&wharf).await, Err(SignInError::Disabled)));
    let sign_in = |password| wharf.identity.check_user_password("anna@example.com", password, None);
    assert!(matches!(sign_in(PASSWORD).await, Err(SignInError::Disabled)));
    assert!(matches!(sign_in("wrong").await, Err(SignInError::BadCredentials)));
    assert_eq!(wharf.identity.find_user("anna@example.com").await.unwrap(), None);
}

#[tokio::test]
async fn a_user_signs_in_by_name_in_any_case_and_password() {
    let wharf = Installation::start().await;
    let anna = user(&wharf, "Anna").await;
    let signed_in = wharf.identity.check_user_password("ANNA@example.com", PASSWORD, from("192.0.2.1")).await.unwrap();
    assert_eq!((signed_in.principal.id, signed_in.principal.name.as_str()), (anna.id, "Anna@example.com"));
    assert_eq!(wharf.identity.find_user("anna@Example.com").await.unwrap(), Some(signed_in.principal));
    let bert = NewUser {
        tenant_id: TENANT,
        user_name: "bert@example.com".into(),
        display_name: "Bert".into(),
        password: None,
        must_change_password: false,
        is_enabled: true,
        properties: Properties::new(),
    };
    wharf.identity.create_user(bert).await.unwrap();
    let long = "a".repeat(10_000);
    for (name, password) in [
        ("Anna@example.com", "Correct horse"),
        ("Anna@example.com", ""),
        ("Anna@example.com", &long),
        ("bert@example.com", ""),
        ("bert@example.com", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("", ""),
        (&long, PASSWORD),
    ] {
        let refusal = wharf.identity.check_user_password(name, password, None).await.unwrap_err();
        assert!(matches!(refusal, SignInError::BadCredentials), "{name:.20} {refusal}");
    }
    let twin = NewUser {
        tenant_id: TENANT,
        user_name: "ANNA@EXAMPLE.COM".into(),
        display_name: "Anna".into(),
        password: Some(PASSWORD.into()),
        must_change_password: false,
        is_enabled: true,
        properties: Properties::new(),
    };
    assert!(matches!(wharf.identity.create_user(twin).await, Err(DirectoryError::Taken { .. })));
}

#[tokio::test]
async fn a_changed_password_ends_the_old_one_and_its_tokens() {
    let wharf = Installation::start().await;
    let identity = &wharf.identity;
    let anna = user(&wharf, "anna").await;
    let sign_in = |password| identity.check_user_password("anna@example.com", password, None);
    assert_eq!(sign_in(PASSWORD).await.unwrap().generation, 1);
    identity.set_user_password(anna.id, &"battery staple".into(), true).await.unwrap();
    assert!(matches!(sign_in(PASSWORD).await, Err(SignInError::BadCredentials)));
    assert!(matches!(sign_in("battery staple").await, Err(SignInError::PasswordChangeRequired)));

    let change =
        async |present, new: &str| identity.change_user_password("anna@example.com", present, &new.into(), None).await;
    assert!(matches!(change("wrong", "something else").await, Err(ChangePasswordError::SignIn(_))));
    assert!(matches!(change("battery staple", "battery staple").await, Err(ChangePasswordError::Refused(_))));
    assert!(matches!(change("battery staple", "short").await, Err(ChangePasswordError::Refused(_))));
    let signed_in = change("battery staple", "something else").await.unwrap();
    assert_eq!(signed_in.generation, 3);
    assert_eq!(sign_in("something else").await.unwrap(), signed_in);
    let nobody = identity.set_user_password(PrincipalId(Uuid::nil()), &"something else".into(), false).await;
    assert!(matches!(nobody, Err(DirectoryError::NotFound { .. })));
}

#[tokio::test]
async fn groups_count_through_others_at_once() {
    let wharf = Installation::start().await;
    let anna = user(&wharf, "anna").await;
    let inner = group(&wharf, &[anna.id]).await;
    let outer = group(&wharf, &[inner]).await;
    let groups = async || wharf.identity.find_principal(anna.id).await.unwrap().unwrap().groups.clone();
    let mut both = vec![inner, outer];
    both.sort_unstable();
    assert_eq!(groups().await, both);
    assert!(wharf.identity.remove_group_member(outer, inner).await.unwrap());
    assert!(!wharf.identity.remove_group_member(outer, inner).await.unwrap());
    assert_eq!(groups().await, [inner]);
    assert_eq!(wharf.identity.find_principal(inner).await.unwrap(), None, "groups do not sign in");

    let add = |group, member| wharf.identity.add_group_member(group, member);
    assert!(matches!(add(inner, inner).await, Err(DirectoryError::Invalid { .. })));
    assert!(matches!(add(anna.id, inner).await, Err(DirectoryError::NotFound { what: "group", .. })));
    assert!(matches!(add(inner, PrincipalId(Uuid::nil())).await, Err(DirectoryError::NotFound { .. })));
    assert!(!add(inner, anna.id).await.unwrap(), "already");
    wharf.identity.delete_principal(inner).await.unwrap();
    assert!(groups().await.is_empty());
}

#[tokio::test]
async fn a_deleted_principal_takes_its_role_assignments_along() {
    let wharf = Installation::start().await;
    let anna = user(&wharf, "anna").await;
    let ci = Ci::create(&wharf).await;
    let identity = wharf.identity.clone();
    let resource: ResourceId = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001/resourceGroups/g".parse().unwrap();
    let of = resource.clone();
    let managed = wharf
        .database
        .write_access(move |c| {
            Box::pin(async move {
                let new = NewManagedIdentity { name: "id", tenant_id: TENANT, resource_id: &of, now: Timestamp(0) };
                identity.create_managed_identity(c, &new).await
            })
        })
        .await
        .unwrap();
    let found = wharf.identity.find_principal_by_resource(&resource).await.unwrap().unwrap();
    assert_eq!((found.id, found.app_id), (managed.principal_id, Some(managed.client_id)));
    assert_eq!(found.kind, PrincipalKind::ManagedIdentity);
    let by_hand = wharf.identity.delete_principal(managed.principal_id).await;
    assert!(matches!(by_hand, Err(DirectoryError::Invalid { .. })), "it goes with its resource");

    let principals = [anna.id, ci.principal.id, managed.principal_id];
    for (number, principal_id) in (1_u128..).zip(principals) {
        let row = RoleAssignmentRow {
            id: Uuid::from_u128(number),
            scope: ResourceId::root(),
            principal_id,
            principal_type: "User".into(),
            role_id: Uuid::nil(),
            condition: None,
            condition_version: None,
            description: None,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            created_by: String::new(),
            updated_by: String::new(),
        };
        let insert = wharf.database.write(move |c| Box::pin(async move { roles::insert_assignment(c, &row).await }));
        assert!(insert.await.unwrap());
    }
    let held = async || wharf.database.read(|c| Box::pin(roles::count_at_and_below(c, &ROOT))).await.unwrap();
    assert_eq!(held().await, 3);
    wharf.identity.delete_principal(anna.id).await.unwrap();
    wharf.identity.delete_application(ci.application).await.unwrap();
    assert_eq!(held().await, 1);
    let identity = wharf.identity.clone();
    wharf
        .database
        .write_access(move |c| {
            Box::pin(async move {
                identity.delete_managed_identity(c, PrincipalId(Uuid::nil())).await?;
                identity.delete_managed_identity(c, managed.principal_id).await
            })
        })
        .await
        .unwrap();
    assert_eq!(held().await, 0);
    assert_eq!(wharf.identity.find_principal(managed.principal_id).await.unwrap(), None);
}

static ROOT: std::sync::LazyLock<ResourceId> = std::sync::LazyLock::new(ResourceId::root);

#[tokio::test]
async fn an_application_changes_with_its_service_principal_but_never_its_ids() {
    let wharf = Installation::start().await;
    let ci = Ci::create(&wharf).await;
    let changed = wharf
        .identity
        .update_application(ci.application, None, |row| {
            row.display_name = "renamed".into();
            row.app_id = Uuid::nil();
            row.identifier_uris = vec!["api://ci".into()];
            row.properties.insert("web".into(), serde_json::json!({"redirectUris": ["https://a.example.com/cb"]}));
            row.properties.insert("spa".into(), serde_json::json!({"redirectUris": ["https://b.example.com/cb"]}));
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(changed.app_id, ci.app_id);
    assert_eq!(wharf.identity.find_principal(ci.principal.id).await.unwrap().unwrap().name, "renamed");
    let known = wharf.identity.find_application(ci.app_id).await.unwrap().unwrap();
    assert_eq!(known.web_redirect_uris, ["https://a.example.com/cb"]);
    assert_eq!(known.public_redirect_uris, ["https://b.example.com/cb"]);
    assert!(!known.is_public_client);

    let second = Ci::create(&wharf).await;
    let thief = wharf.identity.update_application(second.application, None, |row| {
        row.identifier_uris = vec!["API://CI".into()];
        Ok(())
    });
    assert!(matches!(thief.await, Err(DirectoryError::Taken { .. })));
    let twin = NewServicePrincipal { app_id: ci.app_id, is_enabled: true, properties: Properties::new(), owner: None };
    assert!(matches!(wharf.identity.create_service_principal(twin).await, Err(DirectoryError::Taken { .. })));
    let nobodys =
        NewServicePrincipal { app_id: Uuid::nil(), is_enabled: true, properties: Properties::new(), owner: None };
    assert!(matches!(wharf.identity.create_service_principal(nobodys).await, Err(DirectoryError::NotFound { .. })));
}

fn certificate() -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    CertificateParams::new(vec!["ci".into()]).unwrap().self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn certificates_are_read_in_every_form_that_clients_send() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let der = certificate();
    let base64 = STANDARD.encode(&der);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    for form in [der.clone(), base64.clone().into_bytes(), pem.clone().into_bytes(), STANDARD.encode(&pem).into_bytes()]
    {
        assert_eq!(ParsedCertificate::parse(&form).unwrap().der, der);
    }
    for bad in [&b""[..], b"x", b"AAAA", &der[..der.len() - 1], &[&der[..], b"x"].concat(), &vec![b'A'; 100_000]] {
        assert!(ParsedCertificate::parse(bad).is_err());
    }
}

#[tokio::test]
async fn ten_thousand_failures_leave_others_alone() {
    let wharf = Installation::start().await;
    let identity = &wharf.identity;
    let ci = Ci::create(&wharf).await;
    let chosen = NewSecret { chosen: Some("a secret of their own".into()), ..NewSecret::default() };
    let owner = Ci::create_with(&wharf, chosen).await;
    user(&wharf, "anna").await;
    user(&wharf, "bert").await;
    let home = from("198.51.100.7");
    identity.check_user_password("anna@example.com", PASSWORD, home).await.unwrap();

    let attacker = from("192.0.2.66");
    let began = std::time::Instant::now();
    let mut refused = 0;
    for attempt in 0..10_000 {
        let refusal = match attempt % 3 {
            0 => identity.check_user_password("anna@example.com", "guess", attacker).await,
            1 => identity.check_client_secret(ci.app_id, "guess", attacker).await,
            _ => identity.check_client_secret(owner.app_id, "guess", attacker).await,
        };
        match refusal.unwrap_err() {
            SignInError::Throttled(_) => refused += 1,
            SignInError::BadCredentials => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(refused, 10_000 - 30, "ten guesses at each");
    eprintln!("10,000 failed sign-ins took {:?}", began.elapsed());

    let refusal = identity.check_user_password("anna@example.com", PASSWORD, attacker).await.unwrap_err();
    assert!(refusal.retry_after().is_some_and(|wait| wait <= Duration::from_mins(1)), "not even with the right one");
    let refusal = identity.check_client_secret(owner.app_id, "a secret of their own", attacker).await.unwrap_err();
    assert!(refusal.retry_after().is_some(), "what was chosen may be guessed");
    ci.sign_in(&wharf).await.expect("what was generated was not");
    for (name, address) in [
        ("anna@example.com", home),
        ("anna@example.com", from("203.0.113.9")),
        ("bert@example.com", from("203.0.113.9")),
        ("bert@example.com", attacker),
    ] {
        identity.check_user_password(name, PASSWORD, address).await.expect("others are not affected");
    }
    owner.sign_in(&wharf).await.unwrap();
    wharf.clock.advance(Duration::from_mins(1));
    identity.check_user_password("anna@example.com", PASSWORD, attacker).await.expect("one more try after a minute");
}

/// Who does not exist takes as long as who does: a hash is what takes time, and one is made in each case.
#[tokio::test]
async fn unknown_and_wrong_take_as_long() {
    let wharf = Installation::start().await;
    user(&wharf, "anna").await;
    let mut fastest = [Duration::MAX; 2];
    for address in 0..9 {
        for (fastest, name) in fastest.iter_mut().zip(["anna@example.com", "nobody@example.com"]) {
            let began = std::time::Instant::now();
            let refused = wharf.identity.check_user_password(name, "wrong", from(&format!("192.0.2.{address}"))).await;
            assert!(matches!(refused, Err(SignInError::BadCredentials)));
            *fastest = began.elapsed().min(*fastest);
        }
    }
    let [known, unknown] = fastest;
    let ratio = known.as_secs_f64() / unknown.as_secs_f64();
    // Without a hash one of them would be some hundred times faster; less is the machine's own unrest.
    assert!((0.2..5.0).contains(&ratio), "known {known:?}, unknown {unknown:?}");
}

/// What a request with a client's secret costs, once the client is known.
#[tokio::test]
async fn a_secret_is_cheap_enough_for_every_request() {
    let wharf = Installation::start().await;
    let ci = Ci::create(&wharf).await;
    ci.sign_in(&wharf).await.unwrap();
    let began = std::time::Instant::now();
    for _ in 0..1_000 {
        ci.sign_in(&wharf).await.unwrap();
    }
    let each = began.elapsed() / 1_000;
    eprintln!("a sign-in by secret took {each:?} (without optimization)");
    assert!(each < Duration::from_millis(1), "{each:?}");
}

#[tokio::test]
async fn nothing_secret_is_kept_in_the_clear() {
    let wharf = Installation::start().await;
    let ci = Ci::create(&wharf).await;
    user(&wharf, "anna").await;
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("copy.db");
    assert!(wharf.database.copy_to(&file).await.unwrap());
    let bytes = std::fs::read(&file).unwrap();
    for secret in [ci.secret.expose_secret(), PASSWORD] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}
