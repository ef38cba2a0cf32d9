//! Somebody who pushes, tags, deletes and looks, until the server dies under their hands; and who then looks whether
//! everything is as it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::oracle::{Manifest, Repository};
use super::shared::Shared;
use crate::client::{Client, Response};
use crate::content::{digest, manifest};
use crate::random::Random;

/// How long blobs that nothing refers to are kept, as configured.
pub(super) const GRACE: Duration = Duration::from_secs(4);

/// Requests that were acknowledged and changed something, and answers that were compared with the oracle.
pub(super) static ACKNOWLEDGED: AtomicU64 = AtomicU64::new(0);
pub(super) static COMPARED: AtomicU64 = AtomicU64::new(0);

pub(super) struct Worker {
    name: String,
    random: Random,
    shared: Arc<Shared>,
    state: Repository,
    /// The other state that the repository may be in, while a request is under way.
    under_way: Option<Repository>,
    upload: Option<Upload>,
}

/// An upload in chunks.
struct Upload {
    location: String,
    content: Arc<Vec<u8>>,
    /// How much was acknowledged.
    acknowledged: usize,
    /// How much was sent.
    sent: usize,
    /// A request that ends it is under way.
    ending: bool,
}

/// Why a worker stops.
enum Stop {
    /// The connection broke.
    Dead(io::Error),
    /// The server did what it must not do.
    Wrong(String),
}

type Step<T = ()> = Result<T, Stop>;

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Dead(error)
    }
}

fn wrong<T>(text: impl Into<String>) -> Step<T> {
    Err(Stop::Wrong(text.into()))
}

impl Worker {
    pub(super) fn new(number: u64, random: Random, shared: Arc<Shared>) -> Self {
        let name = format!("crash/worker-{number}");
        Self { name, random, shared, state: Repository::default(), under_way: None, upload: None }
    }

    /// Works until the connection breaks. `is_killed` tells whether it may.
    pub(super) fn work(&mut self, address: SocketAddr, is_killed: &dyn Fn() -> bool) -> Result<(), String> {
        let mut client = Client::new(address);
        loop {
            match self.step(&mut client) {
                Ok(()) => {}
                Err(Stop::Dead(_)) if is_killed() => return Ok(()),
                Err(Stop::Dead(error)) => return Err(format!("{}: the server lives but hangs up: {error}", self.name)),
                Err(Stop::Wrong(text)) => return Err(format!("{}: {text}", self.name)),
            }
        }
    }

    fn step(&mut self, client: &mut Client) -> Step {
        match self.random.below(100) {
            0..30 => self.push_image(client, None),
            30..38 => self.push_referrer(client),
            38..46 => self.tag_again(client),
            46..52 => self.delete_tag(client),
            52..60 => self.delete_manifest(client),
            60..66 => self.push_blob(client).map(|_| ()),
            66..70 => self.delete_blob(client),
            70..82 => self.upload_on(client),
            82..88 => self.look(client),
            _ => self.shared.clone().step(client, &mut self.random).map_err(|stop| match stop {
                Ok(error) => Stop::Dead(error),
                Err(text) => Stop::Wrong(text),
            }),
        }
    }

    /// Sends a request that leads from this state to the state that `change` makes. Answers are for the caller.
    fn change(
        &mut self,
        change: impl FnOnce(&mut Repository),
        expected: &[u16],
        send: impl FnOnce() -> io::Result<Response>,
    ) -> Step<Response> {
        let mut after = self.state.clone();
        change(&mut after);
        self.under_way = Some(after);
        let response = send()?;
        let after = self.under_way.take();
        if response.status < 300
            && let Some(after) = after
        {
            ACKNOWLEDGED.fetch_add(1, Ordering::Relaxed);
            self.state = after;
        }
        if response.status < 300 || expected.contains(&response.status) {
            Ok(response)
        } else {
            wrong(format!("{} {}", response.outcome(), String::from_utf8_lossy(&response.body)))
        }
    }

    fn some_content(&mut self) -> Arc<Vec<u8>> {
        match self.random.below(10) {
            // What others push as well, perhaps at this moment.
            0..3 => self.shared.some_content(&mut self.random),
            3..7 => {
                let length = self.random.between(1, 20_000);
                self.random.bytes(length)
            }
            7..9 => {
                let length = self.random.between(20_000, 400_000);
                self.random.bytes(length)
            }
            _ => {
                let length = self.random.between(400_000, 3_000_000);
                self.random.bytes(length)
            }
        }
    }

    fn push_blob(&mut self, client: &mut Client) -> Step<Arc<Vec<u8>>> {
        let content = self.some_content();
        let (name, digest) = (self.name.clone(), digest(&content));
        let (whole, hash) = (content.clone(), digest.clone());
        let put = move |repository: &mut Repository| repository.put_blob(&hash, &whole);
        match self.random.below(4) {
            0 => {
                let target = format!("/v2/{name}/blobs/uploads/?digest={digest}");
                self.change(put, &[], || client.send("POST", &target, &[], &content))?;
            }
            1 => {
                let location = client.start_upload(&name)?;
                let streamed = client.stream("PATCH", &location, &content)?;
                if streamed.status != 202 {
                    return wrong(format!("PATCH: {}", streamed.outcome()));
                }
                let target = format!("{}&digest={digest}", streamed.header("location"));
                self.change(put, &[], || client.send("PUT", &target, &[], b""))?;
            }
            2 if self.shared.holds(&digest) => {
                let target = format!("/v2/{name}/blobs/uploads/?mount={digest}&from={}", Shared::REPOSITORY);
                let mounted = self.change(put, &[], || client.send("POST", &target, &[], b""))?;
                if mounted.status != 201 {
                    return wrong(format!("mount of a blob that is there: {}", mounted.outcome()));
                }
            }
            _ => {
                let target = format!("{}&digest={digest}", client.start_upload(&name)?);
                self.change(put, &[], || client.send("PUT", &target, &[], &content))?;
            }
        }
        Ok(content)
    }

    fn push_image(&mut self, client: &mut Client, subject: Option<(String, usize)>) -> Step {
        let mut blobs = Vec::new();
        for _ in 0..self.random.between(1, 4) {
            let known: Vec<&str> = self.state.blobs.keys().map(String::as_str).collect();
            // Layers are shared between images, and then not pushed again if they are still there.
            if self.random.chance(25)
                && let Some(known) = self.random.pick(&known).map(|known| known.to_string())
            {
                let head = client.send("HEAD", &format!("/v2/{}/blobs/{known}", self.name), &[], b"")?;
                let blob = self.state.blobs.get_mut(&known).expect("just picked");
                if head.status == 200 {
                    blobs.push(blob.content.clone());
                    continue;
                }
            }
            blobs.push(self.push_blob(client)?);
        }
        let note = self.random.next().to_string();
        let bytes = manifest(&blobs, subject.as_ref().map(|(digest, size)| (digest.as_str(), *size)), &note);
        let tag = self.random.chance(70).then(|| format!("v{}", self.random.below(6)));
        let digest = digest(&bytes);
        let pushed = Manifest {
            bytes: Arc::new(bytes.clone()),
            subject: subject.map(|(digest, _)| digest),
            blobs: blobs.iter().map(|blob| crate::content::digest(blob)).collect(),
        };
        let (name, needed) = (self.name.clone(), pushed.blobs.clone());
        let reference = tag.clone().unwrap_or_else(|| digest.clone());
        let put = |repository: &mut Repository| repository.put_manifest(&digest, pushed, tag.as_deref());
        let answer = self.change(put, &[400], || client.put_manifest(&name, &reference, &bytes))?;
        if answer.status == 400 {
            // Right only if the collector was allowed to take one of the blobs.
            let may_be_gone =
                |blob: &String| self.state.blobs.get(blob).is_none_or(|blob| blob.since.elapsed() > GRACE);
            if answer.code() != "MANIFEST_BLOB_UNKNOWN" || !needed.iter().any(may_be_gone) {
                return wrong(format!("PUT manifest: {}", answer.outcome()));
            }
        }
        Ok(())
    }

    fn push_referrer(&mut self, client: &mut Client) -> Step {
        let subjects: Vec<(String, usize)> =
            self.state.manifests.iter().map(|(digest, manifest)| (digest.clone(), manifest.bytes.len())).collect();
        let Some(subject) = self.random.pick(&subjects).cloned() else { return Ok(()) };
        self.push_image(client, Some(subject))
    }

    fn some_manifest(&mut self) -> Option<String> {
        let digests: Vec<&String> = self.state.manifests.keys().collect();
        self.random.pick(&digests).map(|digest| digest.to_string())
    }

    fn tag_again(&mut self, client: &mut Client) -> Step {
        let Some(digest) = self.some_manifest() else { return Ok(()) };
        let manifest = self.state.manifests[&digest].clone();
        let (name, tag, bytes) = (self.name.clone(), format!("v{}", self.random.below(6)), manifest.bytes.clone());
        let put = |repository: &mut Repository| repository.put_manifest(&digest, manifest, Some(&tag));
        self.change(put, &[], || client.put_manifest(&name, &tag, &bytes))?;
        Ok(())
    }

    fn delete_tag(&mut self, client: &mut Client) -> Step {
        let tags: Vec<&String> = self.state.tags.keys().collect();
        let Some(tag) = self.random.pick(&tags).map(|tag| tag.to_string()) else { return Ok(()) };
        let target = format!("/v2/{}/manifests/{tag}", self.name);
        let delete = |repository: &mut Repository| drop(repository.tags.remove(&tag));
        self.change(delete, &[], || client.delete(&target))?;
        let again = client.get(&target)?;
        if again.status == 404 { Ok(()) } else { wrong(format!("{tag} after its deletion: {}", again.outcome())) }
    }

    fn delete_manifest(&mut self, client: &mut Client) -> Step {
        // Keeps the repository from growing.
        for _ in 0..1 + self.state.manifests.len() / 20 {
            let Some(digest) = self.some_manifest() else { return Ok(()) };
            let target = format!("/v2/{}/manifests/{digest}", self.name);
            self.change(|repository| repository.delete_manifest(&digest), &[], || client.delete(&target))?;
            let again = client.get(&target)?;
            if again.status != 404 {
                return wrong(format!("{digest} after its deletion: {}", again.outcome()));
            }
        }
        Ok(())
    }

    fn delete_blob(&mut self, client: &mut Client) -> Step {
        let blobs: Vec<&String> = self.state.blobs.keys().collect();
        let Some(digest) = self.random.pick(&blobs).map(|digest| digest.to_string()) else { return Ok(()) };
        let target = format!("/v2/{}/blobs/{digest}", self.name);
        if self.state.needs(&digest) {
            let refused = client.delete(&target)?;
            return if refused.status == 405 {
                Ok(())
            } else {
                wrong(format!("deleting a blob in use: {}", refused.outcome()))
            };
        }
        let may_be_gone = self.state.blobs[&digest].since.elapsed() > GRACE;
        let expected: &[u16] = if may_be_gone { &[404] } else { &[] };
        let deleted = self.change(|repository| repository.delete_blob(&digest), expected, || client.delete(&target))?;
        if deleted.status == 404 {
            self.state.blobs.remove(&digest);
        }
        Ok(())
    }

    /// The next step of an upload in chunks.
    fn upload_on(&mut self, client: &mut Client) -> Step {
        let Some(mut upload) = self.upload.take() else {
            let length = self.random.between(30_000, 1_500_000);
            let location = client.start_upload(&self.name)?;
            let content = self.random.bytes(length);
            self.upload = Some(Upload { location, content, acknowledged: 0, sent: 0, ending: false });
            return Ok(());
        };
        let (begin, length) = (upload.acknowledged, upload.content.len());
        let location = upload.location.clone();
        if begin == length {
            let digest = digest(&upload.content);
            let content = upload.content.clone();
            upload.ending = true;
            self.upload = Some(upload);
            let put = |repository: &mut Repository| repository.put_blob(&digest, &content);
            let target = format!("{location}&digest={digest}");
            self.change(put, &[], || client.send("PUT", &target, &[], b""))?;
            self.upload = None;
        } else if begin > 0 && self.random.chance(5) {
            upload.ending = true;
            self.upload = Some(upload);
            let cancelled = client.delete(&location)?;
            if cancelled.status != 204 {
                return wrong(format!("cancelling an upload: {}", cancelled.outcome()));
            }
            self.upload = None;
        } else {
            let end = (begin + self.random.between(1_000, 500_000)).min(length);
            upload.sent = end;
            let content = upload.content.clone();
            self.upload = Some(upload);
            let range = format!("{begin}-{}", end - 1);
            let taken = client.send("PATCH", &location, &[("Content-Range", &range)], &content[begin..end])?;
            if taken.status != 202 || taken.header("range") != format!("0-{}", end - 1) {
                return wrong(format!("a chunk: {} {}", taken.outcome(), taken.header("range")));
            }
            ACKNOWLEDGED.fetch_add(1, Ordering::Relaxed);
            let upload = self.upload.as_mut().expect("just set");
            upload.acknowledged = end;
            upload.location = taken.header("location").to_owned();
        }
        Ok(())
    }

    /// Looks at a tag and at a blob.
    fn look(&mut self, client: &mut Client) -> Step {
        let tag = format!("v{}", self.random.below(6));
        let answer = client.get(&format!("/v2/{}/manifests/{tag}", self.name))?;
        match self.state.tags.get(&tag) {
            Some(digest) if answer.status == 200 && answer.body == *self.state.manifests[digest].bytes => {}
            None if answer.status == 404 => {}
            expected => return wrong(format!("{tag} is {}, not {expected:?}", answer.outcome())),
        }
        COMPARED.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// After the next start: everything that was acknowledged is there, byte by byte, and nothing else.
    pub(super) fn check(&mut self, address: SocketAddr) -> Result<(), String> {
        let mut client = Client::new(address);
        let checked = self.check_upload(&mut client).and_then(|()| self.check_all(&mut client));
        checked.map_err(|stop| match stop {
            Stop::Dead(error) => format!("{}: cannot look: {error}", self.name),
            Stop::Wrong(text) => format!("{}: {text}", self.name),
        })
    }

    fn check_all(&mut self, client: &mut Client) -> Step {
        let other = self.under_way.take();
        let both = [Some(&self.state), other.as_ref()];
        let states = || both.into_iter().flatten();

        let mut known: BTreeMap<String, Arc<Vec<u8>>> = BTreeMap::new();
        known.extend(states().flat_map(|state| state.manifests.iter().map(|(d, m)| (d.clone(), m.bytes.clone()))));
        let mut manifests = BTreeSet::new();
        for (digest, bytes) in &known {
            let answer = client.get(&format!("/v2/{}/manifests/{digest}", self.name))?;
            match answer.status {
                200 if answer.body == **bytes => drop(manifests.insert(digest.clone())),
                404 => {}
                _ => return wrong(format!("manifest {digest}: {}", answer.outcome())),
            }
        }
        let tags = self.list_tags(client)?;
        let Some(found) = states().find(|state| state.shows_the_same(&manifests, &tags)) else {
            let mut text = format!("found {tags:#?} and manifests {manifests:#?}; right would have been");
            for state in states() {
                let _ = write!(text, "\n{:#?} and {:#?}", state.tags, state.manifests.keys());
            }
            return wrong(text);
        };
        let mut found = found.clone();

        for (tag, digest) in &tags {
            let answer = client.get(&format!("/v2/{}/manifests/{tag}", self.name))?;
            if answer.status != 200 || answer.body != *known[digest] {
                return wrong(format!("tag {tag}: {}", answer.outcome()));
            }
        }
        for digest in &manifests {
            let answer = client.get(&format!("/v2/{}/referrers/{digest}", self.name))?;
            let index: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let listed = index["manifests"].as_array().into_iter().flatten().filter_map(|item| item["digest"].as_str());
            let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
            if answer.status != 200 || listed != found.referrers(digest) {
                return wrong(format!("the referrers of {digest}: {} {listed:?}", answer.outcome()));
            }
        }

        // Of a blob whose next push was under way it is not known which lease it has: it may be the one before, which may
        // have run out, while the push never reached the server.
        let mut blobs: BTreeMap<&String, super::oracle::Blob> = BTreeMap::new();
        for (digest, blob) in states().flat_map(|state| &state.blobs) {
            let known = blobs.entry(digest).or_insert_with(|| blob.clone());
            known.since = known.since.min(blob.since);
        }
        let mut gone = Vec::new();
        for (digest, blob) in blobs {
            let answer = client.get(&format!("/v2/{}/blobs/{digest}", self.name))?;
            // Pushed in both states it must be there, unless the collector may have taken it.
            let is_safe = found.needs(digest) || blob.since.elapsed() < GRACE;
            let is_acknowledged = found.needs(digest) || states().all(|state| state.blobs.contains_key(digest));
            match answer.status {
                200 if answer.body == *blob.content => drop(found.blobs.insert(digest.clone(), blob.clone())),
                404 if is_safe && is_acknowledged => return wrong(format!("blob {digest} is lost")),
                404 => gone.push(digest.clone()),
                _ => return wrong(format!("blob {digest}: {} {} bytes", answer.outcome(), answer.body.len())),
            }
            COMPARED.fetch_add(1, Ordering::Relaxed);
        }
        gone.iter().for_each(|digest| drop(found.blobs.remove(digest)));

        let deleted: Vec<String> =
            found.gone.iter().filter(|d| states().all(|s| s.gone.contains(*d))).cloned().collect();
        for digest in &deleted {
            for kind in ["manifests", "blobs"] {
                let answer = client.get(&format!("/v2/{}/{kind}/{digest}", self.name))?;
                if answer.status != 404 {
                    return wrong(format!("{digest} was deleted, but {kind} has it: {}", answer.outcome()));
                }
                COMPARED.fetch_add(1, Ordering::Relaxed);
            }
        }
        // Looked at once or twice; there would be too many.
        found.gone = deleted.into_iter().filter(|_| self.random.chance(30)).collect();
        COMPARED.fetch_add((known.len() + tags.len() + manifests.len()) as u64, Ordering::Relaxed);
        self.state = found;
        Ok(())
    }

    fn list_tags(&self, client: &mut Client) -> Step<BTreeMap<String, String>> {
        let answer = client.get(&format!("/v2/{}/tags/list?n=1000", self.name))?;
        if answer.status == 404 {
            return Ok(BTreeMap::new());
        }
        let list: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let mut tags = BTreeMap::new();
        for tag in list["tags"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let head = client.send("HEAD", &format!("/v2/{}/manifests/{tag}", self.name), &[], b"")?;
            if head.status != 200 {
                return wrong(format!("tag {tag} is listed, but answers {}", head.outcome()));
            }
            tags.insert(tag.to_owned(), head.header("docker-content-digest").to_owned());
        }
        Ok(tags)
    }

    /// An upload goes on where its last acknowledgement, or its last request, left it.
    fn check_upload(&mut self, client: &mut Client) -> Step {
        let Some(mut upload) = self.upload.take() else { return Ok(()) };
        let answer = client.get(&upload.location)?;
        let range = answer.header("range").strip_prefix("0-").and_then(|end| end.parse::<usize>().ok());
        match (answer.status, range) {
            (404, _) if upload.ending || upload.acknowledged == 0 => return Ok(()),
            (204, Some(end)) => {
                let offset = if end == 0 { 0 } else { end + 1 };
                if offset != upload.acknowledged && offset != upload.sent {
                    let (least, most) = (upload.acknowledged, upload.sent);
                    return wrong(format!("an upload stands at {offset}, not at {least} or {most}"));
                }
                upload.acknowledged = offset;
                upload.sent = offset;
                upload.ending = false;
                upload.location = answer.header("location").to_owned();
            }
            _ => return wrong(format!("an upload of {} bytes: {}", upload.acknowledged, answer.outcome())),
        }
        COMPARED.fetch_add(1, Ordering::Relaxed);
        self.upload = Some(upload);
        Ok(())
    }

    /// When the worker has nothing under way.
    pub(super) fn finish(&mut self, address: SocketAddr) -> Result<(), String> {
        let mut client = Client::new(address);
        let began = Instant::now();
        while self.upload.is_some() {
            assert!(began.elapsed() < Duration::from_secs(30), "an upload comes to no end");
            self.upload_on(&mut client).map_err(|stop| match stop {
                Stop::Dead(error) => error.to_string(),
                Stop::Wrong(text) => format!("{}: {text}", self.name),
            })?;
        }
        Ok(())
    }
}
