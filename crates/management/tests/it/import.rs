//! Importing artifacts from other registries, also from such as misbehave.

use std::time::Duration;

use serde_json::{Value, json};
use wharf_identity::Egress;
use wharf_jobs::Filter;
use wharf_model::{Digest, Reference};
use wharf_registry::{Page, Sight, Target};
use wharf_testkit::{Image, Options, SignIn, Upstream, image, index};

use crate::arm::{ACR_PULL, Arm, READER, group};

/// A management plane with a registry, and another registry to import from.
struct World {
    arm: Arm,
    upstream: Upstream,
}

/// What is told of an operation that has ended.
#[derive(Debug)]
struct Ended {
    status: Value,
    /// The answer at `Location`.
    result: (u16, Value),
}

impl World {
    async fn start() -> Self {
        let egress = Egress::new(["127.0.0.0/8".parse().unwrap()]);
        let arm = Arm::start_with(Options { egress, ..Options::default() }).await;
        let world = Self { arm, upstream: Upstream::start().await };
        world.registry("contoso", json!({})).await;
        world
    }

    async fn registry(&self, name: &str, properties: Value) {
        let body = json!({"location": "eastus", "sku": {"name": "Premium"}, "properties": properties});
        let made = self.arm.put(&id(name), body).await;
        assert!(made.status.is_success(), "{made:?}");
    }

    /// A body that imports from the other registry.
    fn body(&self, image: &str) -> Value {
        json!({"source": {"registryUri": self.upstream.address(), "sourceImage": image}})
    }

    /// Imports into contoso and waits for the end.
    async fn import(&self, body: Value) -> Ended {
        self.import_into("contoso", self.arm.owner(), body).await
    }

    async fn import_into(&self, registry: &str, token: &str, body: Value) -> Ended {
        let path = format!("{}/importImage", id(registry));
        let begun = self.arm.send(token, http::Method::POST, &path, Some(body)).await;
        assert_eq!((begun.status.as_u16(), &begun.body), (202, &Value::Null), "{begun:?}");
        assert_eq!(begun.header("retry-after"), "1");
        let place = |header: &str| begun.header(header).strip_prefix(crate::arm::HOST).unwrap().to_owned();
        let (status, result) = (place("azure-asyncoperation"), place("location"));
        // Retries wait for the clock, which stands still.
        for _ in 0..8 {
            self.arm.server.settle_jobs().await;
            if self.arm.get(&status).await.body["status"] != "InProgress" {
                break;
            }
            self.arm.server.advance(Duration::from_secs(120));
        }
        let (status, result) = (self.arm.get(&status).await, self.arm.get(&result).await);
        Ended { status: status.body, result: (result.status.as_u16(), result.body) }
    }

    /// The digest that a reference of a repository names.
    async fn find(&self, registry: &str, repository: &str, reference: &str) -> Option<Digest> {
        let registry = self.arm.server.registry(registry).await;
        let (repository, reference): (_, Reference) = (repository.parse().unwrap(), reference.parse().unwrap());
        let target = Target { registry: &registry, repository: &repository };
        let found = self.arm.server.artifacts().get_manifest(target, &reference, Sight::Everything).await.unwrap();
        found.map(|manifest| manifest.digest.clone())
    }

    async fn holds_blob(&self, registry: &str, repository: &str, digest: &Digest) -> bool {
        let registry = self.arm.server.registry(registry).await;
        let repository = repository.parse().unwrap();
        let target = Target { registry: &registry, repository: &repository };
        self.arm.server.artifacts().find_blob(target, digest, Sight::Everything).await.unwrap().is_some()
    }
}

fn id(registry: &str) -> String {
    format!("{}/providers/Microsoft.ContainerRegistry/registries/{registry}", group("default"))
}

/// An image with a layer that is large enough to be cut.
fn large_image() -> Image {
    let mut image = image("large");
    let layer: Vec<u8> = (0_u32..50_000).flat_map(u32::to_le_bytes).collect();
    let digest = Digest::of(wharf_model::Algorithm::Sha256, &layer);
    let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["layers"][0]["digest"] = json!(digest.as_str());
    manifest["layers"][0]["size"] = json!(layer.len());
    image.manifest = manifest.to_string().into_bytes();
    image.blobs[1] = layer;
    image
}

#[tokio::test]
async fn an_index_is_imported_with_its_platforms_and_what_refers_to_them() {
    let world = World::start().await;
    let (one, two) = (image("amd64"), image("arm64"));
    let inner = index(&[&two]);
    let root = index(&[&one, &inner]);
    let signature = image("signature").about(&root, "application/vnd.example.signature");
    let sbom = image("sbom").about(&one, "application/vnd.example.sbom");
    let of_signature = image("countersignature").about(&signature, "application/vnd.example.signature");
    for child in [&one, &two, &inner, &signature, &sbom, &of_signature] {
        world.upstream.put_image("team/app", None, child);
    }
    world.upstream.put_image("team/app", Some("v1"), &root);
    let mut body = world.body("team/app:v1");
    body["targetTags"] = json!(["app:v1", "app:latest", "mirror/app"]);
    body["untaggedTargetRepositories"] = json!(["plain"]);
    let ended = world.import(body).await;
    assert_eq!(ended.status["status"], "Succeeded", "{ended:?}");
    assert_eq!(ended.status["percentComplete"], 100);
    assert_eq!(ended.status["properties"]["manifests"], 7);
    assert_eq!(ended.result.0, 200);

    for (repository, tag) in [("app", "v1"), ("app", "latest"), ("mirror/app", "v1")] {
        assert_eq!(world.find("contoso", repository, tag).await, Some(root.digest()), "{repository}:{tag}");
    }
    assert_eq!(world.find("contoso", "plain", "v1").await, None);
    for manifest in [&root, &inner, &one, &two, &signature, &sbom, &of_signature] {
        for repository in ["app", "mirror/app", "plain"] {
            let digest = manifest.digest();
            assert_eq!(world.find("contoso", repository, digest.as_str()).await, Some(digest.clone()), "{repository}");
        }
    }
    let registry = world.arm.server.registry("contoso").await;
    let repository = "app".parse().unwrap();
    let target = Target { registry: &registry, repository: &repository };
    let page = Page { last: None, limit: 10 };
    let listed =
        world.arm.server.artifacts().list_referrers(target, &root.digest(), None, page, Sight::Everything).await;
    assert_eq!(listed.unwrap().items[0].digest, signature.digest());

    let mut body = world.body("team/app:v1");
    body["targetTags"] = json!(["bare:v1"]);
    body["includeReferrers"] = json!(false);
    assert_eq!(world.import(body).await.status["properties"]["manifests"], 4);
    assert_eq!(world.find("contoso", "bare", signature.digest().as_str()).await, None);
}

#[tokio::test]
async fn a_tag_that_is_there_is_moved_by_force_alone() {
    let world = World::start().await;
    let (first, second) = (image("first"), image("second"));
    world.upstream.put_image("team/app", Some("v1"), &first);
    assert_eq!(world.import(world.body("team/app:v1")).await.status["status"], "Succeeded");
    world.upstream.put_image("team/app", Some("v1"), &second);
    let _ = world.upstream.take_seen();
    let path = format!("{}/importImage", id("contoso"));
    let refused = world.arm.post(&path, world.body("team/app:v1")).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "Conflict"), "{refused:?}");
    assert_eq!(world.upstream.take_seen(), [], "nothing was copied");
    assert_eq!(world.find("contoso", "team/app", "v1").await, Some(first.digest()));
    let mut body = world.body("team/app:v1");
    body["mode"] = json!("Force");
    assert_eq!(world.import(body).await.status["status"], "Succeeded");
    assert_eq!(world.find("contoso", "team/app", "v1").await, Some(second.digest()));
}

#[tokio::test]
async fn what_is_here_is_not_fetched_again_and_digests_need_no_tag() {
    let world = World::start().await;
    let image = image("one");
    let digest = world.upstream.put_image("team/app", Some("v1"), &image);
    world.import(world.body("team/app:v1")).await;
    let _ = world.upstream.take_seen();
    let mut body = world.body(&format!("team/app@{digest}"));
    body["targetTags"] = json!([]);
    body["untaggedTargetRepositories"] = json!(["copy"]);
    let ended = world.import(body).await;
    assert_eq!(ended.status["properties"]["fetchedBytes"], 0, "{ended:?}");
    assert_eq!(world.find("contoso", "copy", digest.as_str()).await, Some(digest));
    assert!(!world.upstream.take_seen().iter().any(|seen| seen.path.contains("/blobs/")));
}

#[tokio::test]
async fn credentials_sign_in_at_the_source_and_are_kept_by_nobody() {
    let world = World::start().await;
    world.upstream.put_image("team/app", Some("v1"), &image("one"));
    world.upstream.quirks().sign_in = SignIn::Token;
    let ended = world.import(world.body("team/app:v1")).await;
    assert_eq!(ended.status["error"]["code"], "ImportImageFailed");
    assert_eq!(ended.result.0, 400);
    let told = ended.status["error"]["message"].as_str().unwrap();
    assert!(told.contains("wants credentials") && told.contains("team/app:v1"), "{told}");

    let mut body = world.body("team/app:v1");
    body["source"]["credentials"] = json!({"username": "user", "password": Upstream::PASSWORD});
    let ended = world.import(body).await;
    assert_eq!(ended.status["status"], "Succeeded", "{ended:?}");
    let jobs = world.arm.server.artifacts().jobs().list(&Filter::default(), None, 100).await.unwrap();
    assert!(!jobs.is_empty());
    let shown = format!("{jobs:?} {ended:?}");
    assert!(!shown.contains(Upstream::PASSWORD), "{shown}");
    let left = tokio::fs::read(world.arm.server.directory().join("wharf.db")).await.unwrap();
    assert!(!left.windows(8).any(|window| window == b"\"secret\""), "in plain text");
}

#[tokio::test]
async fn a_source_cut_at_every_tenth_is_imported_all_the_same() {
    let world = World::start().await;
    let image = large_image();
    world.upstream.put_image("team/app", Some("v1"), &image);
    let size = image.blobs[1].len();
    for ranges in [true, false] {
        for tenth in 0..10 {
            {
                let mut quirks = world.upstream.quirks();
                quirks.ranges = ranges;
                (quirks.cut_after, quirks.cuts) = (Some(size * tenth / 10), 1);
            }
            world.registry(&format!("cut{ranges}{tenth}"), json!({})).await;
            let body = world.body("team/app:v1");
            let ended = world.import_into(&format!("cut{ranges}{tenth}"), world.arm.owner(), body).await;
            assert_eq!(ended.status["status"], "Succeeded", "{tenth}0 %, {ranges}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn lies_are_never_stored_and_the_next_import_works() {
    let world = World::start().await;
    let image = large_image();
    let layer = Digest::of(wharf_model::Algorithm::Sha256, &image.blobs[1]);
    world.upstream.put_image("team/app", Some("v1"), &image);
    let lie = async |set: &dyn Fn(&mut wharf_testkit::Quirks), expected: &str| {
        set(&mut world.upstream.quirks());
        let ended = world.import(world.body("team/app:v1")).await;
        let told = ended.status["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(told.contains(expected), "{expected}: {ended:?}");
        assert!(!world.holds_blob("contoso", "team/app", &layer).await, "{expected}");
        assert_eq!(world.find("contoso", "team/app", "v1").await, None, "{expected}");
        *world.upstream.quirks() = wharf_testkit::Quirks::default();
    };
    lie(&|quirks| quirks.wrong_blobs = usize::MAX, "gave other bytes").await;
    lie(&|quirks| quirks.blob_length = Some(100), "announces 100 bytes").await;
    lie(&|quirks| quirks.endless_blobs = true, "more than the").await;
    lie(&|quirks| quirks.blobs_at = Some("http://10.0.0.1/x".to_owned()), "internal address").await;
    lie(&|quirks| quirks.blobs_at = Some("gopher://x/".to_owned()), "no http or https").await;
    lie(&|quirks| quirks.stated_digest = Some(layer.to_string()), "its digest is").await;
    let forever = |quirks: &mut wharf_testkit::Quirks| {
        quirks.failures =
            (0..200).map(|_| (429, vec![("retry-after", "30".to_owned())], bytes::Bytes::new())).collect();
    };
    lie(&forever, "is throttling requests").await;
    world.upstream.quirks().wrong_blobs = 1;
    let ended = world.import(world.body("team/app:v1")).await;
    assert_eq!(ended.status["status"], "Succeeded", "an accident is repaired: {ended:?}");
    assert_eq!(world.find("contoso", "team/app", "v1").await, Some(image.digest()));
}

#[tokio::test]
async fn failures_that_pass_are_tried_again() {
    let world = World::start().await;
    world.upstream.put_image("team/app", Some("v1"), &image("one"));
    let failures = |count: usize, status: u16| (0..count).map(move |_| (status, vec![], bytes::Bytes::new()));
    // More than one attempt's own patience.
    world.upstream.quirks().failures = failures(6, 503).collect();
    assert_eq!(world.import(world.body("team/app:v1")).await.status["status"], "Succeeded");
}

#[tokio::test]
async fn a_lying_manifest_gets_no_bytes_that_other_registries_hold() {
    let world = World::start().await;
    world.registry("fabrikam", json!({})).await;
    let secret = image("secret");
    world.upstream.put_image("theirs", Some("v1"), &secret);
    assert_eq!(
        world.import_into("fabrikam", world.arm.owner(), world.body("theirs:v1")).await.status["status"],
        "Succeeded"
    );
    // The digest is all that the other registry knows of it.
    for blob in &secret.blobs {
        world.upstream.remove_blob(&Digest::of(wharf_model::Algorithm::Sha256, blob));
    }
    let ended = world.import(world.body("theirs:v1")).await;
    let told = ended.status["error"]["message"].as_str().unwrap_or_default();
    assert!(told.contains("was not found"), "{ended:?}");
    assert_eq!(world.find("contoso", "theirs", "v1").await, None);

    // Within one registry it is linked for those alone who may read it there.
    world.registry("shared", json!({})).await;
    for blob in &secret.blobs {
        world.upstream.put_blob(blob.clone());
    }
    world.import_into("shared", world.arm.owner(), world.body("theirs:v1")).await;
    for blob in &secret.blobs {
        world.upstream.remove_blob(&Digest::of(wharf_model::Algorithm::Sha256, blob));
    }
    let mut body = world.body("theirs:v1");
    body["targetTags"] = json!(["mine:v1"]);
    let importer =
        ["Microsoft.ContainerRegistry/registries/importImage/action", "Microsoft.ContainerRegistry/registries/read"];
    let token = world.arm.role("importer", &importer, &group("default")).await;
    let ended = world.import_into("shared", &token, body.clone()).await;
    assert_eq!(ended.status["status"], "Failed", "{ended:?}");
    let ended = world.import_into("shared", world.arm.owner(), body).await;
    assert_eq!(ended.status["status"], "Succeeded", "{ended:?}");
}

#[tokio::test]
async fn another_registry_of_the_installation_is_linked_from_if_the_caller_may_pull() {
    let world = World::start().await;
    world.registry("fabrikam", json!({})).await;
    let digest = world.upstream.put_image("team/app", Some("v1"), &image("one"));
    world.import(world.body("team/app:v1")).await;
    let _ = world.upstream.take_seen();
    let body = |image: &str| json!({"source": {"resourceId": id("Contoso"), "sourceImage": image}});
    let ended = world.import_into("fabrikam", world.arm.owner(), body("team/app:v1")).await;
    assert_eq!(ended.status["status"], "Succeeded", "{ended:?}");
    assert_eq!(ended.status["properties"]["fetchedBytes"], 0);
    assert_eq!(world.find("fabrikam", "team/app", "v1").await, Some(digest));
    // By its address it is the same.
    let by_address = json!({
        "source": {"registryUri": "contoso.example.com", "sourceImage": "team/app:v1"}, "targetTags": ["again:v1"]
    });
    let ended = world.import_into("fabrikam", world.arm.owner(), by_address).await;
    assert_eq!(ended.status["status"], "Succeeded", "{ended:?}");
    let ended = world.import_into("fabrikam", world.arm.owner(), body("team/app:v9")).await;
    assert!(ended.status["error"]["message"].as_str().unwrap().contains("team/app:v9 was not found"), "{ended:?}");

    // Who may import into one, and not pull from the other.
    let importer =
        ["Microsoft.ContainerRegistry/registries/importImage/action", "Microsoft.ContainerRegistry/registries/read"];
    let token = world.arm.role("importer", &importer, &id("fabrikam")).await;
    let path = format!("{}/importImage", id("fabrikam"));
    let mut copy = body("team/app:v1");
    copy["targetTags"] = json!(["copy:v1"]);
    let refused = world.arm.send(&token, http::Method::POST, &path, Some(copy.clone())).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "LinkedAuthorizationFailed"));
    let mut elsewhere = copy.clone();
    elsewhere["source"]["resourceId"] = json!(id("nowhere"));
    let refused = world.arm.send(&token, http::Method::POST, &path, Some(elsewhere)).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (403, "LinkedAuthorizationFailed"),
        "the same as if it were there"
    );
    // Reader and AcrPull may pull there, and not import here.
    for role in [READER, ACR_PULL] {
        let token = world.arm.principal("reader", role, &group("default")).await;
        let refused = world.arm.send(&token, http::Method::POST, &path, Some(copy.clone())).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (403, "AuthorizationFailed"));
    }
    // Credentials of the source stand for the right.
    let mut signed = copy;
    signed["source"]["credentials"] = json!({"username": "contoso", "password": "wrong"});
    let refused = world.arm.post(&path, signed).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "LinkedAuthorizationFailed"));
}

#[tokio::test]
async fn a_registry_that_exports_nothing_is_no_source() {
    let world = World::start().await;
    world.upstream.put_image("team/app", Some("v1"), &image("one"));
    let closed = json!({"publicNetworkAccess": "Disabled", "policies": {"exportPolicy": {"status": "disabled"}}});
    world.registry("fortress", closed).await;
    world.import_into("fortress", world.arm.owner(), world.body("team/app:v1")).await;
    let body = json!({"source": {"resourceId": id("fortress"), "sourceImage": "team/app:v1"}});
    let refused = world.arm.post(&format!("{}/importImage", id("contoso")), body).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "OperationNotAllowed"));
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("export policy"), "{refused:?}");
}

#[tokio::test]
async fn an_internal_address_is_refused_unless_the_operator_allows_it() {
    let arm = Arm::start().await;
    let world = World { arm, upstream: Upstream::start().await };
    world.registry("contoso", json!({})).await;
    let ended = world.import(world.body("team/app:v1")).await;
    let told = ended.status["error"]["message"].as_str().unwrap();
    assert!(told.contains("--allow-internal"), "{told}");
    assert_eq!(world.upstream.take_seen(), []);
}

#[tokio::test]
async fn an_import_that_is_called_off_ends_and_leaves_no_tag() {
    let world = World::start().await;
    world.upstream.put_image("team/app", Some("v1"), &large_image());
    // It waits for its next attempt when it is called off.
    world.upstream.quirks().failures = (0..50).map(|_| (503, vec![], bytes::Bytes::new())).collect();
    let path = format!("{}/importImage", id("contoso"));
    let begun = world.arm.post(&path, world.body("team/app:v1")).await;
    let status = begun.header("azure-asyncoperation").strip_prefix(crate::arm::HOST).unwrap().to_owned();
    let pending = world.arm.get(&status).await;
    assert_eq!((&pending.body["status"], pending.header("retry-after")), (&json!("InProgress"), "1"));
    let jobs = world.arm.server.artifacts().jobs().clone();
    let job = jobs.list(&Filter::default(), None, 1).await.unwrap()[0].id;
    let database = world.arm.server.artifacts().database();
    database.write(move |c| Box::pin(async move { jobs.cancel(c, job).await })).await.unwrap();
    world.arm.server.settle_jobs().await;
    let ended = world.arm.get(&status).await.body;
    assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("Canceled"), &json!("ImportImageCanceled")));
    assert_eq!(world.find("contoso", "team/app", "v1").await, None);
}
