//! Another registry, which sends a part of a large layer and holds the rest back.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use wharf_testkit::{Image, Quirks, Upstream, image};

use crate::random::Random;
use crate::server::Site;

/// Runs beside the test, which waits for nobody.
pub(crate) struct Elsewhere {
    pub(crate) upstream: Upstream,
    _runtime: Runtime,
}

/// The length of the large layer.
pub(crate) const LAYER: usize = 3 << 20;

/// What a server may fetch from.
pub(crate) const ALLOW_LOOPBACK: &str = "allow_internal = [\"127.0.0.0/8\"]\n[gc]\ninterval_seconds = 0\n";

impl Elsewhere {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let upstream = runtime.block_on(Upstream::start());
        Self { upstream, _runtime: runtime }
    }

    /// Sends so many bytes of each blob that is longer, and no more.
    pub(crate) fn hold_back_after(&self, bytes: usize) {
        self.upstream.quirks().pause_after = Some((bytes, Arc::new(Semaphore::new(0))));
    }

    /// From now on, sends everything.
    pub(crate) fn let_go(&self) {
        *self.upstream.quirks() = Quirks::default();
    }

    /// Puts an image with a layer of [`LAYER`] bytes under a tag.
    pub(crate) fn put(&self, repository: &str, tag: &str) -> Image {
        let mut image = image(tag);
        let mut random = Random::new(tag.bytes().fold(1, |seed, byte| seed * 31 + u64::from(byte)));
        let layer: Vec<u8> = (0..LAYER / 8).flat_map(|_| random.next().to_le_bytes()).collect();
        let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
        manifest["layers"][0]["digest"] = json!(crate::content::digest(&layer));
        manifest["layers"][0]["size"] = json!(layer.len());
        image.manifest = manifest.to_string().into_bytes();
        image.blobs[1] = layer;
        self.upstream.put_image(repository, Some(tag), &image);
        image
    }
}

/// How many bytes the large layer's file has, of a fetch that is under way.
pub(crate) fn arrived(site: &Site) -> u64 {
    let length = |path: &std::path::PathBuf| std::fs::metadata(path).map_or(0, |found| found.len());
    site.blob_files().iter().map(length).max().unwrap_or(0)
}
