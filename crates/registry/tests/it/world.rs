//! A registry without HTTP.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use wharf_blobs::FileStore;
use wharf_metadata::registries::RegistryChange;
use wharf_metadata::{Database, DatabaseUrl, NewRegistry, RegistryRow, RegistrySettings, registries};
use wharf_model::{Algorithm, Clock as _, Digest, FakeClock, Reference, RegistryUid, RepositoryName, Timestamp};
use wharf_registry::{
    Artifacts, BlobContent, BodyError, PutManifest, PutManifestError, PutOutcome, Settings, Sight, Target,
};

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(crate) struct World {
    pub(crate) artifacts: Artifacts,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) registry: RegistryRow,
    pub(crate) directory: Arc<tempfile::TempDir>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        // Files get the machine's time, so the clock starts there, and what the tests add lies ahead.
        let clock = Arc::new(FakeClock::at(wharf_model::Clock::now(&wharf_model::SystemClock)));
        let artifacts = open(directory.path(), clock.clone()).await;
        let new = NewRegistry {
            uid: RegistryUid(uuid::Uuid::new_v4()),
            name: "contoso".parse().unwrap(),
            sku: "Premium".into(),
            admin_user_enabled: true,
            anonymous_pull_enabled: false,
            admin_passwords: [vec![], vec![]],
            created_at: Timestamp(0),
            resource_id: wharf_model::ResourceId::root(),
            settings: Default::default(),
        };
        let database = artifacts.database().clone();
        database.write(move |c| Box::pin(async move { registries::insert(c, &new).await })).await.unwrap();
        let registry = artifacts.find_registry(&"contoso".parse().unwrap()).await.unwrap().unwrap();
        Self { artifacts, clock, registry: (*registry).clone(), directory }
    }

    /// Changes the policies of the registry.
    pub(crate) async fn set_policies(&mut self, change: impl FnOnce(&mut RegistrySettings)) {
        let mut changed = RegistryChange::from(&self.registry);
        change(&mut changed.settings);
        let (id, now) = (self.registry.id, self.clock.now());
        let database = self.artifacts.database();
        let write =
            database.write(move |c| Box::pin(async move { registries::update(c, id, &changed, "test", now).await }));
        write.await.unwrap();
        self.artifacts.forget_registry(&self.registry.name);
        let row = self.artifacts.find_registry(&self.registry.name).await.unwrap().unwrap();
        self.registry = (*row).clone();
    }

    /// Another process on the same data, or this one after a restart.
    pub(crate) async fn again(&self) -> Self {
        let artifacts = open(self.directory.path(), self.clock.clone()).await;
        Self {
            artifacts,
            clock: self.clock.clone(),
            registry: self.registry.clone(),
            directory: self.directory.clone(),
        }
    }

    pub(crate) fn files(&self) -> usize {
        let mut open = vec![self.directory.path().join("blobs")];
        let mut count = 0;
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                } else {
                    count += 1;
                }
            }
        }
        count
    }

    pub(crate) async fn push_blob(&self, repository: &str, content: &[u8]) -> Digest {
        self.push_blob_as(repository, content, Algorithm::Sha256).await
    }

    pub(crate) async fn push_blob_as(&self, repository: &str, content: &[u8], algorithm: Algorithm) -> Digest {
        let digest = Digest::of(algorithm, content);
        let name = repository.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        let state = self.artifacts.start_upload(Algorithm::Sha256);
        let length = Some(content.len() as u64);
        self.artifacts.complete_upload(target, &state, None, body(content), length, &digest).await.unwrap();
        digest
    }

    pub(crate) async fn read_blob(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        use futures_util::StreamExt as _;
        let name = repository.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        match self.artifacts.open_blob(target, digest, Sight::Everything).await.unwrap()? {
            BlobContent::Inline(bytes) => Some(bytes.to_vec()),
            BlobContent::Stored(blob) => {
                let size = blob.size();
                let mut stream = blob.stream(0..size);
                let mut whole = Vec::new();
                while let Some(bytes) = stream.next().await {
                    whole.extend_from_slice(&bytes.unwrap());
                }
                Some(whole)
            }
        }
    }

    pub(crate) async fn try_push(
        &self,
        repository: &str,
        reference: &str,
        bytes: Vec<u8>,
        media_type: &str,
    ) -> Result<PutOutcome, PutManifestError> {
        let name: RepositoryName = repository.parse().unwrap();
        let put = PutManifest {
            reference: reference.parse().unwrap(),
            tags: Vec::new(),
            content_type: Some(media_type.into()),
            bytes: bytes.into(),
            only_new: false,
            actor: "test".into(),
        };
        self.artifacts.put_manifest(Target { registry: &self.registry, repository: &name }, put).await
    }

    /// Pushes an image of the given layers, each a blob of its own, and returns its digest.
    pub(crate) async fn push_image(&self, repository: &str, tag: &str, layers: &[&[u8]]) -> Digest {
        let config = self.push_blob(repository, b"{}").await;
        let mut digests = Vec::new();
        for layer in layers {
            digests.push((self.push_blob(repository, layer).await, layer.len()));
        }
        let bytes = image((&config, 2), &digests, tag, None);
        self.try_push(repository, tag, bytes, IMAGE).await.unwrap().digest
    }

    pub(crate) async fn manifest(&self, repository: &str, reference: &str) -> Option<Vec<u8>> {
        let name = repository.parse().unwrap();
        let reference: Reference = reference.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        self.artifacts
            .get_manifest(target, &reference, Sight::Everything)
            .await
            .unwrap()
            .map(|manifest| manifest.bytes.to_vec())
    }

    pub(crate) async fn delete(&self, repository: &str, reference: &str) -> bool {
        let name = repository.parse().unwrap();
        let reference: Reference = reference.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        self.artifacts.delete_manifest(target, &reference, "test").await.is_ok()
    }

    /// Lets leases and graces run out and collects everything there is to collect.
    pub(crate) async fn collect_all(&self) {
        self.clock.advance(Duration::from_secs(48 * 60 * 60));
        self.artifacts.collect(false).await.unwrap();
        self.clock.advance(Duration::from_secs(60 * 60));
        self.artifacts.collect(false).await.unwrap();
    }

    pub(crate) async fn assert_sound(&self) {
        let report = self.artifacts.verify(|_, _| {}).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }
}

async fn open(directory: &Path, clock: Arc<FakeClock>) -> Artifacts {
    let database = Database::open(&DatabaseUrl::Sqlite(directory.join("metadata.db"))).await.unwrap();
    let blobs = FileStore::open(directory.join("blobs")).unwrap();
    Artifacts::new(database, Arc::new(blobs), clock, Settings::default(), &[7; 32])
}

pub(crate) fn body(content: &[u8]) -> impl futures_util::Stream<Item = Result<Bytes, BodyError>> + Send + use<> {
    // Several frames, as a network would deliver them.
    let frames: Vec<_> = content.chunks(content.len().div_ceil(3).max(1)).map(Bytes::copy_from_slice).map(Ok).collect();
    stream::iter(frames)
}

pub(crate) fn image(
    config: (&Digest, usize),
    layers: &[(Digest, usize)],
    note: &str,
    subject: Option<&Digest>,
) -> Vec<u8> {
    let describe = |kind: &str, digest: &Digest, size: usize| serde_json::json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest.as_str(), "size": size});
    let mut document = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": describe("config.v1+json", config.0, config.1),
        "layers": layers.iter().map(|(digest, size)| describe("layer.v1.tar", digest, *size)).collect::<Vec<_>>(),
        "annotations": {"note": note},
    });
    if let Some(subject) = subject {
        document["subject"] = serde_json::json!({"mediaType": IMAGE, "digest": subject.as_str(), "size": 1});
        document["artifactType"] = "application/vnd.example.signature".into();
    }
    serde_json::to_vec(&document).unwrap()
}

pub(crate) fn index(children: &[Digest], note: &str) -> Vec<u8> {
    let manifests: Vec<_> = children
        .iter()
        .map(|digest| serde_json::json!({"mediaType": IMAGE, "digest": digest.as_str(), "size": 1}))
        .collect();
    serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": {"note": note},
    }))
    .unwrap()
}
