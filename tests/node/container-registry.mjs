// The registry client of the Azure SDK for JavaScript: every public method, as a program of a customer's would call it.
//
//     node container-registry.mjs CASE      runs the function with this name
//
// Where the server is, who signs in and where the packages are come from the environment, as 55-sdk-container-registry-js.sh sets
// it. Methods that succeeded are noted in KEEP, and the last case compares them with the declarations that the package comes with.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Readable } from "node:stream";

const { ENDPOINT, LOGIN, TENANT, CLIENT_ID, CLIENT_SECRET, KEEP, PACKAGES } = process.env;
const require = createRequire(`${PACKAGES}/`);
const sdk = require("@azure/container-registry");
const { ClientSecretCredential } = require("@azure/identity");

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";

// --- clients ---------------------------------------------------------------------------------------------------------

function credential() {
  return new ClientSecretCredential(TENANT, CLIENT_ID, CLIENT_SECRET, { authorityHost: LOGIN, disableInstanceDiscovery: true });
}

const registry = () => new sdk.ContainerRegistryClient(ENDPOINT, credential());
const anybody = () => new sdk.ContainerRegistryClient(ENDPOINT);
const content = (repository) => new sdk.ContainerRegistryContentClient(ENDPOINT, repository, credential());

// Notes which methods of a class succeeded.
function watch(name, prototype) {
  for (const method of Object.getOwnPropertyNames(prototype)) {
    const original = prototype[method];
    if (method === "constructor" || typeof original !== "function") continue;
    prototype[method] = function (...given) {
      const note = (answer) => (appendFileSync(KEEP, `${name}.${method}\n`), answer);
      const answer = original.apply(this, given);
      return answer instanceof Promise ? answer.then(note) : note(answer);
    };
  }
}

watch("ContainerRegistryClient", sdk.ContainerRegistryClient.prototype);
watch("ContainerRegistryContentClient", sdk.ContainerRegistryContentClient.prototype);
watch("ContainerRepository", Object.getPrototypeOf(anybody().getRepository("x")));
watch("RegistryArtifact", Object.getPrototypeOf(anybody().getArtifact("x", "y")));

// --- artifacts -------------------------------------------------------------------------------------------------------

const digestOf = (bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const descriptor = (mediaType, bytes) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
const configOf = (note) => Buffer.from(JSON.stringify({ architecture: "arm64", os: "linux", author: note }));
const layerOf = (note) => Buffer.from(`layer of ${note}`);

function manifestOf(note) {
  return {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptor("application/vnd.oci.image.config.v1+json", configOf(note)),
    layers: [descriptor("application/vnd.oci.image.layer.v1.tar", layerOf(note))],
  };
}

async function push(repository, note, tag) {
  const client = content(repository);
  await client.uploadBlob(configOf(note));
  await client.uploadBlob(Readable.from([layerOf(note)]));
  return (await client.setManifest(manifestOf(note), { tag })).digest;
}

async function all(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

async function bytesOf(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function refused(status, work) {
  try {
    await work();
  } catch (error) {
    assert.equal(Number(error.statusCode), status, `${error.name}: ${error.message}`);
    return error;
  }
  assert.fail(`should have been refused with ${status}`);
}

// --- cases -----------------------------------------------------------------------------------------------------------

const cases = {
  async blobsAndManifestsGoUpAndComeDown() {
    const client = content("js/app");
    const large = randomBytes(9_000_000); // three chunks of the client's
    const uploaded = await client.uploadBlob(Readable.from([large]));
    assert.deepEqual(uploaded, { digest: digestOf(large), sizeInBytes: large.length });
    const downloaded = await client.downloadBlob(uploaded.digest);
    assert.ok((await bytesOf(downloaded.content)).equals(large), "the blob comes back");
    const digest = await push("js/app", "first", "v1");
    for (const reference of ["v1", digest]) {
      const found = await client.getManifest(reference);
      assert.deepEqual([found.digest, found.mediaType, found.manifest], [digest, OCI_MANIFEST, manifestOf("first")]);
      assert.equal(digestOf(found.content), digest);
    }
    const bytes = Buffer.from(JSON.stringify(manifestOf("first")));
    assert.equal((await client.setManifest(bytes)).digest, digest);
    assert.equal((await client.setManifest(Readable.from([bytes]), { tag: "v2" })).digest, digest);
    const list = { schemaVersion: 2, mediaType: DOCKER_LIST, manifests: [{ ...descriptor(OCI_MANIFEST, bytes), platform: { architecture: "arm64", os: "linux" } }] };
    const index = await client.setManifest(list, { tag: "list", mediaType: DOCKER_LIST });
    assert.equal((await client.getManifest("list")).digest, index.digest);
    await refused(404, () => client.getManifest("absent"));
    await refused(404, () => client.downloadBlob(digestOf("absent")));
    await client.deleteBlob(uploaded.digest);
    await client.deleteBlob(uploaded.digest); // what is gone may be deleted
    await client.deleteManifest(index.digest);
    await refused(404, () => client.getManifest("list"));
  },

  async repositoriesAreListedAndDescribed() {
    for (const name of ["js/a", "js/b", "js/c"]) await push(name, name, "v1");
    const names = await all(registry().listRepositoryNames());
    assert.deepEqual(names.filter((name) => /^js\/[abc]$/.test(name)), ["js/a", "js/b", "js/c"]);
    const pages = await all(registry().listRepositoryNames().byPage({ maxPageSize: 2 }));
    assert.ok(pages.every((page) => page.length <= 2));
    assert.deepEqual(pages.flat(), names);
    const repository = registry().getRepository("js/a");
    assert.equal(repository.name, "js/a");
    const found = await repository.getProperties();
    assert.deepEqual([found.name, found.registryLoginServer, found.manifestCount, found.tagCount], ["js/a", new URL(ENDPOINT).host, 1, 1]);
    assert.ok(Math.abs(Date.now() - found.createdOn.getTime()) < 300_000, found.createdOn);
    assert.deepEqual([found.canDelete, found.canList, found.canRead, found.canWrite], [true, true, true, true]);
    assert.equal(repository.getArtifact("v1").fullyQualifiedReference, `${new URL(ENDPOINT).host}/js/a:v1`);
    await refused(404, () => registry().getRepository("js/absent").getProperties());
  },

  async tagsAndManifestsAreListedInEveryOrder() {
    const digests = [];
    for (const tag of ["b", "c", "a"]) digests.push(await push("js/many", tag, tag));
    const repository = registry().getRepository("js/many");
    const artifact = registry().getArtifact("js/many", "b");
    await push("js/many", "b", "b2");
    const ascending = [digests[1], digests[2], digests[0]]; // the first was pushed again
    for (const [order, expected] of [
      [undefined, [...digests].sort()],
      ["LastUpdatedOnAscending", ascending],
      ["LastUpdatedOnDescending", [...ascending].reverse()],
    ]) {
      const listed = await all(repository.listManifestProperties({ order }));
      assert.deepEqual(listed.map((manifest) => manifest.digest), expected, order);
      const pages = await all(repository.listManifestProperties({ order }).byPage({ maxPageSize: 2 }));
      assert.deepEqual(pages.map((page) => page.length), [2, 1], order);
    }
    for (const [order, expected] of [
      [undefined, ["a", "b", "b2", "c"]], // of the whole repository, though it is an artifact that is asked
      ["LastUpdatedOnAscending", ["b", "c", "a", "b2"]],
      ["LastUpdatedOnDescending", ["b2", "a", "c", "b"]],
    ]) {
      const listed = await all(artifact.listTagProperties({ order }));
      assert.deepEqual(listed.map((tag) => tag.name), expected, order);
      assert.ok(listed.every((tag) => tag.repositoryName === "js/many" && digests.includes(tag.digest)));
    }
    const pages = await all(artifact.listTagProperties().byPage({ maxPageSize: 3 }));
    assert.deepEqual(pages.map((page) => page.length), [3, 1]);
    assert.equal((await artifact.getTagProperties("b2")).digest, digests[0]);
    const manifest = await artifact.getManifestProperties();
    assert.deepEqual([manifest.digest, manifest.tags, manifest.architecture, manifest.operatingSystem], [digests[0], ["b", "b2"], "arm64", "linux"]);
    assert.equal(manifest.sizeInBytes, configOf("b").length + layerOf("b").length);
    await refused(404, () => artifact.getTagProperties("absent"));
    await refused(404, () => registry().getArtifact("js/many", digestOf("absent")).getManifestProperties());
  },

  async propertiesAreChangedAndHold() {
    const digest = await push("js/locked", "locked", "v1");
    const artifact = registry().getArtifact("js/locked", "v1");
    const tag = await artifact.updateTagProperties("v1", { canWrite: false });
    assert.deepEqual([tag.canWrite, tag.canDelete], [false, true]);
    await refused(405, () => artifact.deleteTag("v1"));
    await refused(405, () => content("js/locked").setManifest(manifestOf("locked"), { tag: "v1" }));
    assert.equal((await artifact.updateTagProperties("v1", { canWrite: true })).canWrite, true);
    const manifest = await artifact.updateManifestProperties({ canDelete: false, canRead: false });
    assert.deepEqual([manifest.canDelete, manifest.canRead], [false, false]);
    await refused(405, () => content("js/locked").getManifest("v1"));
    await refused(405, () => content("js/locked").deleteManifest(digest));
    await refused(405, () => artifact.delete());
    assert.equal((await artifact.updateManifestProperties({ canDelete: true, canRead: true })).canRead, true);
    const repository = registry().getRepository("js/locked");
    const changed = await repository.updateProperties({ canDelete: false, canList: false });
    assert.deepEqual([changed.canDelete, changed.canList], [false, false]);
    assert.ok(!(await all(registry().listRepositoryNames())).includes("js/locked"));
    await refused(405, () => repository.delete());
    assert.equal((await repository.updateProperties({ canDelete: true, canList: true })).canList, true);
  },

  async thingsAreDeleted() {
    await push("js/gone", "gone", "v1");
    await content("js/gone").setManifest(manifestOf("gone"), { tag: "v2" });
    const artifact = registry().getArtifact("js/gone", "v2");
    await artifact.deleteTag("v1");
    await artifact.deleteTag("v1"); // what is gone may be deleted
    assert.deepEqual((await all(artifact.listTagProperties())).map((tag) => tag.name), ["v2"]);
    await artifact.delete();
    await artifact.delete();
    await refused(404, () => registry().getRepository("js/gone").getProperties());
    await push("js/gone", "again", "v1");
    await registry().getRepository("js/gone").delete();
    await registry().getRepository("js/gone").delete();
    await push("js/gone", "once more", "v1");
    await registry().deleteRepository("js/gone");
    await refused(404, () => all(registry().getRepository("js/gone").listManifestProperties()));
  },

  async nobodyReadsWithoutAnonymousPull() {
    await refused(401, () => all(anybody().listRepositoryNames()));
  },

  async everybodyReadsWithAnonymousPull() {
    const digest = await push("js/public", "public", "v1");
    assert.ok((await all(anybody().listRepositoryNames())).includes("js/public"));
    const repository = anybody().getRepository("js/public");
    const artifact = anybody().getArtifact("js/public", "v1");
    assert.equal((await repository.getProperties()).tagCount, 1);
    assert.deepEqual((await all(repository.listManifestProperties())).map((found) => found.digest), [digest]);
    assert.deepEqual((await all(artifact.listTagProperties())).map((tag) => tag.name), ["v1"]);
    assert.equal((await artifact.getManifestProperties()).digest, digest);
    assert.equal((await artifact.getTagProperties("v1")).digest, digest);
    await refused(401, () => artifact.deleteTag("v1"));
    await refused(401, () => artifact.delete());
    await refused(401, () => artifact.updateTagProperties("v1", { canRead: false }));
    await refused(401, () => repository.updateProperties({ canRead: false }));
    await refused(401, () => anybody().deleteRepository("js/public"));
  },

  // The declarations of the package say which methods there are.
  async everyPublicMethodWasCalled() {
    const declared = [];
    for (const [name, file] of Object.entries({
      ContainerRegistryClient: "containerRegistryClient",
      ContainerRepository: "containerRepository",
      RegistryArtifact: "registryArtifact",
      ContainerRegistryContentClient: "content/containerRegistryContentClient",
    })) {
      const text = readFileSync(`${PACKAGES}/node_modules/@azure/container-registry/dist/commonjs/${file}.d.ts`, "utf8");
      const [, body] = text.match(new RegExp(`export (?:declare class|interface) ${name} \\{\\n([^]*?)\\n\\}`));
      for (const [, method] of body.matchAll(/^ {4}(\w+)\(/gm)) if (method !== "constructor") declared.push(`${name}.${method}`);
    }
    const called = new Set(readFileSync(KEEP, "utf8").split("\n"));
    assert.ok(declared.length >= 22, declared.join(", "));
    assert.deepEqual(declared.filter((method) => !called.has(method)), []);
  },
};

await cases[process.argv[2]]();
