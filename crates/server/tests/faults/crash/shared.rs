//! The repository that all workers write to at once, and the content that they have in common.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::oracle::SharedTag;
use super::worker::ACKNOWLEDGED;
use crate::client::Client;
use crate::content::{digest, manifest};
use crate::random::Random;

/// Images that stay, and tags that move between them.
pub(super) struct Shared {
    manifests: Vec<Vec<u8>>,
    contents: Vec<Arc<Vec<u8>>>,
    held: BTreeSet<String>,
    tags: Mutex<Vec<SharedTag>>,
}

impl Shared {
    pub(super) const REPOSITORY: &str = "crash/shared";
    const TAGS: usize = 4;

    /// Pushes the images.
    pub(super) fn new(address: SocketAddr, random: &mut Random) -> Self {
        let mut client = Client::new(address);
        let mut manifests = Vec::new();
        let mut contents = Vec::new();
        for (number, length) in [100, 10_000, 30_000, 1_000_000].into_iter().enumerate() {
            let content = random.bytes(length);
            client.push_blob(Self::REPOSITORY, &content);
            let bytes = manifest(std::slice::from_ref(&content), None, &number.to_string());
            let pushed = client.put_manifest(Self::REPOSITORY, &digest(&bytes), &bytes).unwrap();
            assert_eq!(pushed.status, 201, "{pushed:?}");
            manifests.push(bytes);
            contents.push(content);
        }
        let held = contents.iter().map(|content| digest(content)).collect();
        // Those that nobody pushed yet: the first push of each is a race.
        contents.extend([50, 5_000, 40_000, 300_000].map(|length| random.bytes(length)));
        let tags = Mutex::new((0..Self::TAGS).map(|_| SharedTag::default()).collect());
        Self { manifests, contents, held, tags }
    }

    pub(super) fn some_content(&self, random: &mut Random) -> Arc<Vec<u8>> {
        random.pick(&self.contents).expect("there are some").clone()
    }

    /// Whether the repository holds a blob for good.
    pub(super) fn holds(&self, digest: &str) -> bool {
        self.held.contains(digest)
    }

    /// Moves or deletes a tag. Fails with what is wrong, or with a broken connection.
    pub(super) fn step(&self, client: &mut Client, random: &mut Random) -> Result<(), Result<io::Error, String>> {
        let number = random.below(Self::TAGS);
        let moves = random.chance(80);
        let target = random.pick(&self.manifests).filter(|_| moves);
        let write = self.tags.lock().unwrap()[number].begin(target.map(|bytes| digest(bytes)));
        let answer = match target {
            Some(bytes) => client.put_manifest(Self::REPOSITORY, &tag(number), bytes),
            None => client.delete(&format!("/v2/{}/manifests/{}", Self::REPOSITORY, tag(number))),
        };
        let answer = answer.map_err(Ok)?;
        match (answer.status, target) {
            (201, Some(_)) | (202, None) => {
                ACKNOWLEDGED.fetch_add(1, Ordering::Relaxed);
                self.tags.lock().unwrap()[number].end(write);
                Ok(())
            }
            // It was deleted already, by this moment.
            (404, None) => {
                self.tags.lock().unwrap()[number].end(write);
                Ok(())
            }
            _ => Err(Err(format!("shared tag: {}", answer.outcome()))),
        }
    }

    /// After the next start: every tag names the last write that was acknowledged, or one beside it.
    pub(super) fn check(&self, address: SocketAddr) -> Result<(), String> {
        let mut client = Client::new(address);
        for (number, history) in self.tags.lock().unwrap().iter_mut().enumerate() {
            let answer = client
                .get(&format!("/v2/{}/manifests/{}", Self::REPOSITORY, tag(number)))
                .map_err(|error| error.to_string())?;
            let found = match answer.status {
                200 => Some(digest(&answer.body)),
                404 => None,
                _ => return Err(format!("shared tag {}: {}", tag(number), answer.outcome())),
            };
            history.settle(found.as_deref()).map_err(|text| format!("shared tag {}: {text}", tag(number)))?;
        }
        Ok(())
    }
}

fn tag(number: usize) -> String {
    format!("common-{number}")
}
