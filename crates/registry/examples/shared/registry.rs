//! A registry without HTTP, in a directory that goes with it.

use std::sync::Arc;

use futures_util::stream;
use serde_json::json;
use wharf_blobs::FileStore;
use wharf_metadata::{Database, DatabaseUrl, NewRegistry, RegistryRow, registries};
use wharf_model::{Algorithm, Clock as _, Digest, RegistryUid, RepositoryName, ResourceId, SystemClock};
use wharf_oci::media_type;
use wharf_registry::{Artifacts, PutManifest, Settings, Target};

/// What is measured.
pub(crate) struct Measured {
    pub(crate) artifacts: Artifacts,
    pub(crate) registry: RegistryRow,
    _directory: tempfile::TempDir,
}

impl Measured {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let url = DatabaseUrl::Sqlite(directory.path().join("metadata.db"));
        let database = Database::open(&url).await.expect("SQLite opens");
        let blobs = FileStore::open(directory.path().join("blobs")).expect("the store opens");
        let new = NewRegistry {
            uid: RegistryUid(uuid::Uuid::new_v4()),
            name: "contoso".parse().expect("it is a name"),
            sku: "Premium".into(),
            admin_user_enabled: true,
            anonymous_pull_enabled: false,
            admin_passwords: [vec![], vec![]],
            created_at: SystemClock.now(),
            resource_id: ResourceId::root(),
            settings: Default::default(),
        };
        let name = new.name.clone();
        database.write(move |c| Box::pin(async move { registries::insert(c, &new).await })).await.expect("it is new");
        let artifacts = Artifacts::new(database, Arc::new(blobs), Arc::new(SystemClock), Settings::default(), &[7; 32]);
        let registry = artifacts.find_registry(&name).await.expect("it is found").expect("it is there");
        Self { artifacts, registry: (*registry).clone(), _directory: directory }
    }

    pub(crate) async fn push_blob(&self, repository: &str, content: &[u8]) {
        let name: RepositoryName = repository.parse().expect("it is a name");
        let target = Target { registry: &self.registry, repository: &name };
        let state = self.artifacts.start_upload(Algorithm::Sha256);
        let body = stream::iter([Ok(bytes::Bytes::copy_from_slice(content))]);
        let digest = Digest::of(Algorithm::Sha256, content);
        let length = Some(content.len() as u64);
        self.artifacts.complete_upload(target, &state, None, body, length, &digest).await.expect("it is stored");
    }

    /// Pushes an image of one layer, which is there, and a tag that makes it another one.
    pub(crate) async fn push_manifest(&self, repository: &str, tag: &str, layer: &[u8]) {
        let name: RepositoryName = repository.parse().expect("it is a name");
        let describe = |media_type: &str, content: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(Algorithm::Sha256, content).as_str(), "size": content.len()});
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": describe(media_type::OCI_CONFIG, b"{}"),
            "layers": [describe("application/vnd.oci.image.layer.v1.tar", layer)],
            "annotations": {"tag": tag},
        });
        let put = PutManifest {
            reference: tag.parse().expect("it is a tag"),
            tags: Vec::new(),
            content_type: None,
            bytes: document.to_string().into_bytes().into(),
            only_new: false,
            actor: "example".to_owned(),
        };
        let target = Target { registry: &self.registry, repository: &name };
        self.artifacts.put_manifest(target, put).await.expect("it is stored");
    }
}
