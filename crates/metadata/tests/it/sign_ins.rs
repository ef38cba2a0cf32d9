//! Codes and tokens of sign-ins, and who is trusted to say who somebody is.

use std::collections::BTreeMap;

use uuid::Uuid;
use wharf_metadata::federation::{self, EndpointCaller, EndpointRow, IssuerRow, IssuerSettings, RuleRow, StandsForRow};
use wharf_metadata::sign_ins::{self, AuthorizationCodeRow, DeviceCodeRow, DeviceState, RefreshTokenRow, SignInRow};
use wharf_metadata::{Database, Error};
use wharf_model::{PrincipalId, Timestamp};

use crate::suite::{NOW, read, write};

all_engines!(
    a_device_code_is_answered_once_and_used_up_once,
    device_codes_are_counted_by_neighbourhood,
    an_authorization_code_is_redeemed_by_one,
    refresh_tokens_are_found_prolonged_trimmed_and_ended,
    assertions_are_remembered_for_what_they_were_used_for,
    what_has_expired_is_removed,
    issuers_take_their_rules_along,
    people_are_remembered_by_issuer_and_subject,
    endpoints_are_found_by_header_and_listed_by_address,
);

const SOON: Timestamp = Timestamp(NOW.0 + 1_000_000);

fn who(rule: Option<Uuid>) -> SignInRow {
    SignInRow { principal: PrincipalId(Uuid::from_u128(1)), generation: 3, rule, authenticated_at: NOW }
}

fn device(code: &[u8], user_code: &str) -> DeviceCodeRow {
    DeviceCodeRow {
        code_mac: code.to_vec(),
        user_code: user_code.into(),
        client_id: "az".into(),
        scope: "arm".into(),
        address: "203.0.113.7".into(),
        neighbourhood: "203.0.113.7".into(),
        state: DeviceState::Pending,
        interval_seconds: 5,
        polled_before: None,
        expires_at: SOON,
    }
}

pub(crate) async fn a_device_code_is_answered_once_and_used_up_once(db: Database) {
    let row = device(b"code", "BCDF");
    let same_user_code = device(b"other", "BCDF");
    assert!(write!(db, c => sign_ins::insert_device_code(c, &row)).unwrap());
    assert!(!write!(db, c => sign_ins::insert_device_code(c, &same_user_code)).unwrap());
    let found = read!(db, c => sign_ins::find_device_code(c, "BCDF")).unwrap().unwrap();
    assert_eq!(found, device(b"code", "BCDF"));
    assert_eq!(read!(db, c => sign_ins::find_device_code(c, "GHJK")).unwrap(), None);

    let first = write!(db, c => sign_ins::poll_device_code(c, b"code", NOW)).unwrap().unwrap();
    assert_eq!(first.polled_before, None);
    let second = write!(db, c => sign_ins::poll_device_code(c, b"code", SOON)).unwrap().unwrap();
    assert_eq!(second.polled_before, Some(NOW));
    write!(db, c => sign_ins::slow_device_down(c, b"code", 10)).unwrap();

    let rule = Uuid::from_u128(9);
    assert!(!write!(db, c => sign_ins::answer_device_code(c, "BCDF", Some(&who(None)), SOON)).unwrap(), "too late");
    assert!(write!(db, c => sign_ins::answer_device_code(c, "BCDF", Some(&who(Some(rule))), NOW)).unwrap());
    assert!(!write!(db, c => sign_ins::answer_device_code(c, "BCDF", None, NOW)).unwrap(), "answered already");
    let polled = write!(db, c => sign_ins::poll_device_code(c, b"code", NOW)).unwrap().unwrap();
    assert_eq!((polled.state, polled.interval_seconds), (DeviceState::Approved(who(Some(rule))), 10));
    assert!(write!(db, c => sign_ins::delete_device_code(c, b"code")).unwrap());
    assert!(!write!(db, c => sign_ins::delete_device_code(c, b"code")).unwrap());
    assert_eq!(write!(db, c => sign_ins::poll_device_code(c, b"code", NOW)).unwrap(), None);
}

pub(crate) async fn device_codes_are_counted_by_neighbourhood(db: Database) {
    assert_eq!(read!(db, c => sign_ins::count_device_codes(c, "2001:db8::", NOW)).unwrap(), (0, 0));
    for (number, neighbourhood) in ["2001:db8::", "2001:db8::", "198.51.100.1"].into_iter().enumerate() {
        let user_code = format!("CODE{number}");
        let row = DeviceCodeRow { neighbourhood: neighbourhood.into(), ..device(user_code.as_bytes(), &user_code) };
        write!(db, c => sign_ins::insert_device_code(c, &row)).unwrap();
    }
    assert_eq!(read!(db, c => sign_ins::count_device_codes(c, "2001:db8::", NOW)).unwrap(), (3, 2));
    let expired = read!(db, c => sign_ins::count_device_codes(c, "2001:db8::", SOON)).unwrap();
    assert_eq!(expired, (0, 0), "what has expired does not count, removed or not");
}

fn authorization_code() -> AuthorizationCodeRow {
    AuthorizationCodeRow {
        code_mac: b"code".to_vec(),
        client_id: "az".into(),
        redirect_uri: "http://localhost".into(),
        code_challenge: Some("challenge".into()),
        scope: "arm".into(),
        nonce: None,
        sign_in: who(None),
        family: Uuid::from_u128(5),
        is_redeemed: false,
        expires_at: SOON,
    }
}

pub(crate) async fn an_authorization_code_is_redeemed_by_one(db: Database) {
    let row = authorization_code();
    write!(db, c => sign_ins::insert_authorization_code(c, &row)).unwrap();
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let db = db.clone();
        tasks.push(tokio::spawn(async move { write!(db, c => sign_ins::redeem_authorization_code(c, b"code")) }));
    }
    let mut fresh = 0;
    for task in tasks {
        let found = task.await.unwrap().unwrap().unwrap();
        fresh += usize::from(!found.is_redeemed);
        assert_eq!(AuthorizationCodeRow { is_redeemed: false, ..found }, authorization_code());
    }
    assert_eq!(fresh, 1);
    assert_eq!(write!(db, c => sign_ins::redeem_authorization_code(c, b"none")).unwrap(), None);
}

fn refresh_token(number: u8, family: u128) -> RefreshTokenRow {
    RefreshTokenRow {
        token_mac: vec![number],
        family: Uuid::from_u128(family),
        client_id: "az".into(),
        sign_in: who(None),
        scope: "arm".into(),
        resource: (number == 3).then(|| "arm".into()),
        is_proven: number == 3,
        issued_at: Timestamp(NOW.0 + i64::from(number)),
        expires_at: SOON,
    }
}

pub(crate) async fn refresh_tokens_are_found_prolonged_trimmed_and_ended(db: Database) {
    for number in 1..=5 {
        let row = refresh_token(number, u128::from(number % 2));
        write!(db, c => sign_ins::insert_refresh_token(c, &row, 3)).unwrap();
    }
    let find = async |number: u8| read!(db, c => sign_ins::find_refresh_token(c, &[number])).unwrap();
    assert_eq!(find(2).await, None, "the oldest made room");
    assert_eq!(find(3).await, Some(refresh_token(3, 1)));
    let later = Timestamp(SOON.0 + 1);
    write!(db, c => sign_ins::prolong_refresh_token(c, &[3], later)).unwrap();
    assert_eq!(find(3).await.unwrap().expires_at, later);
    assert_eq!(write!(db, c => sign_ins::delete_family(c, Uuid::from_u128(1))).unwrap(), 2);
    assert_eq!((find(3).await, find(5).await), (None, None));
    assert!(find(4).await.is_some());
}

pub(crate) async fn assertions_are_remembered_for_what_they_were_used_for(db: Database) {
    assert_eq!(write!(db, c => sign_ins::use_assertion(c, b"a", NOW, SOON)).unwrap(), None);
    assert_eq!(write!(db, c => sign_ins::use_assertion(c, b"a", SOON, SOON)).unwrap(), Some(NOW));
    assert_eq!(write!(db, c => sign_ins::use_assertion(c, b"b", SOON, SOON)).unwrap(), None);
}

pub(crate) async fn what_has_expired_is_removed(db: Database) {
    let (device, code, token) = (device(b"code", "BCDF"), authorization_code(), refresh_token(1, 1));
    write!(db, c => sign_ins::insert_device_code(c, &device)).unwrap();
    write!(db, c => sign_ins::insert_authorization_code(c, &code)).unwrap();
    write!(db, c => sign_ins::insert_refresh_token(c, &token, 3)).unwrap();
    write!(db, c => sign_ins::use_assertion(c, b"a", NOW, SOON)).unwrap();
    assert!(!read!(db, c => sign_ins::has_expired(c, NOW)).unwrap());
    assert_eq!(write!(db, c => sign_ins::delete_expired(c, NOW)).unwrap(), 0);
    assert!(read!(db, c => sign_ins::has_expired(c, SOON)).unwrap());
    assert_eq!(write!(db, c => sign_ins::delete_expired(c, SOON)).unwrap(), 4);
    assert!(!read!(db, c => sign_ins::has_expired(c, SOON)).unwrap());
}

fn issuer(number: u128, name: &str) -> IssuerRow {
    IssuerRow {
        id: Uuid::from_u128(number),
        name: name.into(),
        issuer: format!("https://{name}.example.com"),
        settings: IssuerSettings {
            client_id: Some("wharf".into()),
            scopes: vec!["email".into()],
            ..Default::default()
        },
        sealed_client_secret: Some(vec![1, 2]),
        created_at: NOW,
    }
}

fn rule(number: u128, issuer: u128, stands_for: StandsForRow) -> RuleRow {
    RuleRow {
        id: Uuid::from_u128(number),
        issuer_id: Uuid::from_u128(issuer),
        audience: "api://wharf".into(),
        conditions: BTreeMap::from([("sub".to_owned(), "repo:*".to_owned())]),
        stands_for,
        created_at: Timestamp(NOW.0 + number as i64),
    }
}

pub(crate) async fn issuers_take_their_rules_along(db: Database) {
    let (dex, github) = (issuer(1, "dex"), issuer(2, "github"));
    for row in [&github, &dex] {
        let row = row.clone();
        assert!(write!(db, c => federation::insert_issuer(c, &row)).unwrap());
    }
    for taken in
        [IssuerRow { name: "dex".into(), ..issuer(3, "x") }, IssuerRow { name: "x".into(), ..issuer(1, "dex") }]
    {
        assert!(!write!(db, c => federation::insert_issuer(c, &taken)).unwrap());
    }
    assert_eq!(read!(db, c => federation::list_issuers(c)).unwrap(), [dex, github]);

    let principal = PrincipalId(Uuid::from_u128(7));
    let first = rule(11, 1, StandsForRow::Principal(principal));
    let second = rule(12, 2, StandsForRow::User { claim: "email".into(), creates: true, trusts_names: true });
    for row in [&second, &first] {
        let row = row.clone();
        write!(db, c => federation::insert_rule(c, &row)).unwrap();
    }
    let orphan = rule(13, 99, StandsForRow::Principal(principal));
    let refused: Result<(), Error> = write!(db, c => federation::insert_rule(c, &orphan));
    assert!(refused.is_err());
    assert_eq!(read!(db, c => federation::list_rules(c)).unwrap(), [first.clone(), second.clone()]);

    let (gone, there) = (Uuid::from_u128(99), first.id);
    assert!(!write!(db, c => federation::insert_sign_in(c, gone, principal)).unwrap());
    for _ in 0..2 {
        assert!(write!(db, c => federation::insert_sign_in(c, there, principal)).unwrap());
    }
    assert!(read!(db, c => federation::has_signed_in(c, there, principal)).unwrap());
    assert_eq!(write!(db, c => federation::take_sign_ins(c, there)).unwrap(), [principal]);
    assert!(!read!(db, c => federation::has_signed_in(c, there, principal)).unwrap());

    assert!(write!(db, c => federation::delete_issuer(c, Uuid::from_u128(1))).unwrap());
    assert!(!write!(db, c => federation::delete_issuer(c, Uuid::from_u128(1))).unwrap());
    assert_eq!(read!(db, c => federation::list_rules(c)).unwrap(), std::slice::from_ref(&second));
    assert!(write!(db, c => federation::delete_rule(c, second.id)).unwrap());
    assert!(!write!(db, c => federation::delete_rule(c, second.id)).unwrap());
}

pub(crate) async fn endpoints_are_found_by_header_and_listed_by_address(db: Database) {
    let principal = PrincipalId(Uuid::from_u128(7));
    let endpoint = |number: u128, caller| EndpointRow {
        id: Uuid::from_u128(number),
        principal,
        caller,
        description: Some("CI".into()),
        created_at: Timestamp(NOW.0 + number as i64),
    };
    let header = endpoint(1, EndpointCaller::Header(vec![1, 2, 3]));
    let range = endpoint(2, EndpointCaller::Addresses("10.0.0.0/8".into()));
    for row in [&range, &header] {
        let row = row.clone();
        write!(db, c => federation::insert_endpoint(c, &row)).unwrap();
    }
    assert_eq!(read!(db, c => federation::find_endpoint(c, &[1, 2, 3])).unwrap(), Some(header.clone()));
    assert_eq!(read!(db, c => federation::find_endpoint(c, &[1, 2])).unwrap(), None);
    assert_eq!(read!(db, c => federation::list_endpoints(c, false)).unwrap(), [header.clone(), range.clone()]);
    assert_eq!(read!(db, c => federation::list_endpoints(c, true)).unwrap(), [range]);
    assert_eq!(write!(db, c => federation::delete_endpoint(c, header.id)).unwrap(), Some(principal));
    assert_eq!(write!(db, c => federation::delete_endpoint(c, header.id)).unwrap(), None);
}

pub(crate) async fn people_are_remembered_by_issuer_and_subject(db: Database) {
    let (anna, bert) = (PrincipalId(Uuid::from_u128(1)), PrincipalId(Uuid::from_u128(2)));
    let find = async |issuer: &str, subject: &str| {
        let (issuer, subject) = (issuer.to_owned(), subject.to_owned());
        read!(db, c => federation::find_person(c, &issuer, &subject)).unwrap()
    };
    assert_eq!(find("https://dex", "1").await, None);
    write!(db, c => federation::link_person(c, "https://dex", "1", anna, NOW)).unwrap();
    assert_eq!(find("https://dex", "1").await, Some(anna));
    assert_eq!((find("https://dex", "2").await, find("https://other", "1").await), (None, None));
    assert!(read!(db, c => federation::has_account(c, "https://dex", anna)).unwrap());
    assert!(!read!(db, c => federation::has_account(c, "https://other", anna)).unwrap());
    assert!(!read!(db, c => federation::has_account(c, "https://dex", bert)).unwrap());
    write!(db, c => federation::link_person(c, "https://dex", "1", bert, SOON)).unwrap();
    assert_eq!(find("https://dex", "1").await, Some(bert));
    assert_eq!(write!(db, c => federation::unlink_person(c, "https://dex", "1")).unwrap(), Some(bert));
    assert_eq!(write!(db, c => federation::unlink_person(c, "https://dex", "1")).unwrap(), None);
    assert_eq!(find("https://dex", "1").await, None);
}
