"""The registry client of the Azure SDK for Python, sync and async: every public method, as a program of a customer's would call it.

    containerregistry.py CASE        runs the function with this name

Where the server is and who signs in come from the environment, as 49-sdk-containerregistry.sh sets it. Methods that succeeded are
noted in KEEP, and the last case compares them with those that the clients have.
"""

import asyncio
import datetime
import functools
import hashlib
import inspect
import io
import json
import os
import sys

from azure.containerregistry import (
    ArtifactManifestOrder,
    ArtifactManifestProperties,
    ArtifactTagOrder,
    ContainerRegistryClient,
)
from azure.containerregistry.aio import ContainerRegistryClient as AsyncClient
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential

LOGIN = os.environ["LOGIN"]
ENDPOINT = os.environ["ENDPOINT"]
TENANT = os.environ["TENANT"]
CLIENT_ID = os.environ["CLIENT_ID"]
CLIENT_SECRET = os.environ["CLIENT_SECRET"]
KEEP = os.environ["KEEP"]
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


# --- clients ---------------------------------------------------------------------------------------------------------


def methods_of(client_class):
    return [name for name, _ in inspect.getmembers(client_class, callable) if not name.startswith("_")]


def watch(kind, client_class):
    """Notes which methods of a class succeeded."""

    def note(name):
        with open(KEEP, "a", encoding="utf-8") as called:
            called.write(f"{kind}.{name}\n")

    def watched(name, original):
        @functools.wraps(original)
        def call(*given, **named):
            answer = original(*given, **named)
            if not inspect.isawaitable(answer):
                note(name)
                return answer

            async def awaited():
                result = await answer
                note(name)
                return result

            return awaited()

        return call

    for name in methods_of(client_class):
        setattr(client_class, name, watched(name, getattr(client_class, name)))


watch("sync", ContainerRegistryClient)
watch("async", AsyncClient)


def client():
    options = {"authority": LOGIN, "disable_instance_discovery": True}
    return ContainerRegistryClient(ENDPOINT, ClientSecretCredential(TENANT, CLIENT_ID, CLIENT_SECRET, **options))


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def descriptor(media_type, content):
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def config_of(note):
    return json.dumps({"architecture": "arm64", "os": "linux", "author": note}).encode()


def manifest_of(note):
    """An image that says `note`, whose blobs must have been pushed."""
    config, layer = config_of(note), b"layer of " + note.encode()
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, config),
        "layers": [descriptor(OCI_LAYER, layer)],
    }


def push(registry, repository, note, tag=None):
    for content in (config_of(note), b"layer of " + note.encode()):
        registry.upload_blob(repository, io.BytesIO(content))
    return registry.set_manifest(repository, manifest_of(note), tag=tag)


# --- assertions: each says what it saw -------------------------------------------------------------------------------


def equal(got, wanted, about="value"):
    assert got == wanted, f"{about}: got {got!r}, wanted {wanted!r}"


def fails(expected, call, status=None):
    try:
        call()
    except expected as error:
        if status is not None:
            equal(error.status_code, status, "status")
        return error
    raise AssertionError(f"should have failed with {expected.__name__}")


async def fails_later(expected, call, status=None):
    try:
        await call
    except expected as error:
        if status is not None:
            equal(error.status_code, status, "status")
        return
    raise AssertionError(f"should have failed with {expected.__name__}")


# --- cases -----------------------------------------------------------------------------------------------------------


def blobs_and_manifests_go_up_and_come_down():
    with client() as registry:
        large = os.urandom(9_000_000)  # three chunks of the client's
        digest, size = registry.upload_blob("sdk/blobs", io.BytesIO(large))
        equal((digest, size), (digest_of(large), len(large)))
        with registry.download_blob("sdk/blobs", digest) as stream:
            equal(b"".join(stream) == large, True, "the blob comes back")
        manifest = manifest_of("first")
        digest = push(registry, "sdk/app", "first", "v1")
        for reference in ("v1", digest):
            found = registry.get_manifest("sdk/app", reference)
            equal((found.manifest, found.media_type, found.digest), (manifest, OCI_MANIFEST, digest))
        fails(ResourceNotFoundError, lambda: registry.get_manifest("sdk/app", "absent"))
        fails(ResourceNotFoundError, lambda: registry.download_blob("sdk/app", digest_of(b"absent")))
        by_digest = registry.set_manifest("sdk/app", manifest)
        equal(by_digest, digest)
        listed = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [
            descriptor(OCI_MANIFEST, json.dumps(manifest).encode()) | {"digest": digest, "platform": {"architecture": "arm64", "os": "linux"}}
        ]}
        index = registry.set_manifest("sdk/app", listed, tag="list", media_type=DOCKER_LIST)
        equal(registry.get_manifest("sdk/app", "list").digest, index)
        blob, _ = registry.upload_blob("sdk/app", io.BytesIO(b"nobody's"))
        registry.delete_blob("sdk/app", blob)
        registry.delete_blob("sdk/app", blob)  # what is gone may be deleted


def repositories_are_listed_and_described():
    with client() as registry:
        for name in ("sdk/a", "sdk/b", "sdk/c"):
            push(registry, name, name, "v1")
        names = list(registry.list_repository_names())
        equal([name for name in names if name in ("sdk/a", "sdk/b", "sdk/c")], ["sdk/a", "sdk/b", "sdk/c"])
        pages = [list(page) for page in registry.list_repository_names(results_per_page=2).by_page()]
        equal([len(page) <= 2 for page in pages], [True] * len(pages))
        equal([name for page in pages for name in page], names)
        found = registry.get_repository_properties("sdk/a")
        equal((found.name, found.manifest_count, found.tag_count), ("sdk/a", 1, 1))
        now = datetime.datetime.now(datetime.timezone.utc)
        assert abs((now - found.created_on).total_seconds()) < 300, found.created_on
        equal((found.can_delete, found.can_list, found.can_read, found.can_write), (True, True, True, True))
        fails(ResourceNotFoundError, lambda: registry.get_repository_properties("sdk/absent"))


def tags_and_manifests_are_listed_in_every_order():
    with client() as registry:
        digests = [push(registry, "sdk/many", tag, tag) for tag in ("b", "c", "a")]
        orders = {None: ["a", "b", "c"], ArtifactTagOrder.LAST_UPDATED_ON_ASCENDING: ["b", "c", "a"],
                  ArtifactTagOrder.LAST_UPDATED_ON_DESCENDING: ["a", "c", "b"]}
        for order, expected in orders.items():
            listed = registry.list_tag_properties("sdk/many", order_by=order, results_per_page=1)
            equal([tag.name for tag in listed], expected, order)
        for order, expected in {None: sorted(digests), ArtifactManifestOrder.LAST_UPDATED_ON_ASCENDING: digests,
                                ArtifactManifestOrder.LAST_UPDATED_ON_DESCENDING: digests[::-1]}.items():
            listed = registry.list_manifest_properties("sdk/many", order_by=order, results_per_page=2)
            equal([manifest.digest for manifest in listed], expected, order)
        tag = registry.get_tag_properties("sdk/many", "b")
        equal((tag.name, tag.digest), ("b", digests[0]))
        for reference in ("b", digests[0]):
            manifest = registry.get_manifest_properties("sdk/many", reference)
            equal((manifest.digest, manifest.tags, str(manifest.architecture.value), str(manifest.operating_system.value)),
                  (digests[0], ["b"], "arm64", "linux"))
            equal(manifest.size_in_bytes, len(config_of("b")) + len(b"layer of b"))
        fails(ResourceNotFoundError, lambda: registry.get_tag_properties("sdk/many", "absent"))
        fails(ResourceNotFoundError, lambda: registry.get_manifest_properties("sdk/many", digest_of(b"absent")))


def properties_are_changed_and_hold():
    with client() as registry:
        digest = push(registry, "sdk/locked", "locked", "v1")
        tag = registry.update_tag_properties("sdk/locked", "v1", can_write=False)
        equal((tag.can_write, tag.can_delete), (False, True))
        fails(HttpResponseError, lambda: registry.delete_tag("sdk/locked", "v1"), 405)
        fails(HttpResponseError, lambda: registry.set_manifest("sdk/locked", manifest_of("locked"), tag="v1"), 405)
        tag.can_write = True
        equal(registry.update_tag_properties("sdk/locked", "v1", tag).can_write, True)
        manifest = registry.update_manifest_properties("sdk/locked", digest, can_delete=False, can_read=False)
        equal((manifest.can_delete, manifest.can_read), (False, False))
        fails(HttpResponseError, lambda: registry.get_manifest("sdk/locked", "v1"), 405)
        fails(HttpResponseError, lambda: registry.delete_manifest("sdk/locked", digest), 405)
        open_again = ArtifactManifestProperties(can_delete=True, can_read=True, can_write=True, can_list=True)
        equal(registry.update_manifest_properties("sdk/locked", "v1", open_again).can_read, True)
        repository = registry.update_repository_properties("sdk/locked", can_delete=False, can_list=False)
        equal((repository.can_delete, repository.can_list), (False, False))
        equal("sdk/locked" in list(registry.list_repository_names()), False)
        fails(HttpResponseError, lambda: registry.delete_repository("sdk/locked"), 405)
        repository.can_delete = repository.can_list = True
        equal(registry.update_repository_properties("sdk/locked", repository).can_list, True)


def things_are_deleted():
    with client() as registry:
        digest = push(registry, "sdk/gone", "gone", "v1")
        registry.set_manifest("sdk/gone", manifest_of("gone"), tag="v2")
        registry.delete_tag("sdk/gone", "v1")
        registry.delete_tag("sdk/gone", "v1")  # what is gone may be deleted
        equal([tag.name for tag in registry.list_tag_properties("sdk/gone")], ["v2"])
        registry.delete_manifest("sdk/gone", "v2")
        registry.delete_manifest("sdk/gone", digest)
        fails(ResourceNotFoundError, lambda: registry.get_repository_properties("sdk/gone"))
        push(registry, "sdk/gone", "again", "v1")
        registry.delete_repository("sdk/gone")
        registry.delete_repository("sdk/gone")
        fails(ResourceNotFoundError, lambda: list(registry.list_manifest_properties("sdk/gone")))


def nobody_reads_without_anonymous_pull():
    registry = ContainerRegistryClient(ENDPOINT)
    fails(ClientAuthenticationError, lambda: list(registry.list_repository_names()))
    registry.close()


def everybody_reads_with_anonymous_pull():
    with client() as registry:
        digest = push(registry, "sdk/public", "public", "v1")
    with ContainerRegistryClient(ENDPOINT) as registry:
        equal("sdk/public" in list(registry.list_repository_names()), True)
        equal([tag.name for tag in registry.list_tag_properties("sdk/public")], ["v1"])
        equal(registry.get_manifest_properties("sdk/public", "v1").digest, digest)
        equal(registry.get_repository_properties("sdk/public").tag_count, 1)
        equal(registry.get_manifest("sdk/public", "v1").digest, digest)
        fails(ClientAuthenticationError, lambda: registry.delete_tag("sdk/public", "v1"))
        fails(ClientAuthenticationError, lambda: registry.update_tag_properties("sdk/public", "v1", can_read=False))
        fails(ClientAuthenticationError, lambda: registry.upload_blob("sdk/public", io.BytesIO(b"x")))


def the_asynchronous_client_does_the_same():
    asyncio.run(asynchronously())


async def asynchronously():
    options = {"authority": LOGIN, "disable_instance_discovery": True}
    async with AsyncClientSecretCredential(TENANT, CLIENT_ID, CLIENT_SECRET, **options) as credential:
        async with AsyncClient(ENDPOINT, credential) as registry:
            name, manifest = "sdk/async", manifest_of("async")
            for content in (config_of("async"), b"layer of async"):
                digest, size = await registry.upload_blob(name, io.BytesIO(content))
                equal((digest, size), (digest_of(content), len(content)))
            digest = await registry.set_manifest(name, manifest, tag="v1")
            for reference in ("v1", digest):
                found = await registry.get_manifest(name, reference)
                equal((found.manifest, found.media_type, found.digest), (manifest, OCI_MANIFEST, digest))
            await fails_later(ResourceNotFoundError, registry.get_manifest(name, "absent"))
            large = os.urandom(9_000_000)  # three chunks of the client's
            uploaded = await registry.upload_blob(name, io.BytesIO(large))
            equal(uploaded, (digest_of(large), len(large)))
            stream = await registry.download_blob(name, uploaded[0])
            equal(b"".join([chunk async for chunk in stream]) == large, True, "the blob comes back")
            await stream.close()
            await fails_later(ResourceNotFoundError, registry.download_blob(name, digest_of(b"absent")))
            equal(name in [found async for found in registry.list_repository_names(results_per_page=1)], True)
            found = await registry.get_repository_properties(name)
            equal((found.name, found.manifest_count, found.tag_count), (name, 1, 1))
            equal(await registry.set_manifest(name, manifest, tag="v2"), digest)
            for order, expected in {None: ["v1", "v2"], ArtifactTagOrder.LAST_UPDATED_ON_ASCENDING: ["v1", "v2"],
                                    ArtifactTagOrder.LAST_UPDATED_ON_DESCENDING: ["v2", "v1"]}.items():
                listed = registry.list_tag_properties(name, order_by=order, results_per_page=1)
                equal([tag.name async for tag in listed], expected, order)
            for order in (None, ArtifactManifestOrder.LAST_UPDATED_ON_ASCENDING, ArtifactManifestOrder.LAST_UPDATED_ON_DESCENDING):
                listed = registry.list_manifest_properties(name, order_by=order)
                equal([(found.digest, found.tags) async for found in listed], [(digest, ["v1", "v2"])], order)
            await registry.delete_tag(name, "v2")
            await registry.delete_tag(name, "v2")  # what is gone may be deleted
            equal((await registry.get_tag_properties(name, "v1")).digest, digest)
            await fails_later(ResourceNotFoundError, registry.get_tag_properties(name, "v2"))
            found = await registry.get_manifest_properties(name, "v1")
            equal((found.tags, found.architecture.value, found.size_in_bytes),
                  (["v1"], "arm64", len(config_of("async")) + len(b"layer of async")))
            equal((await registry.update_tag_properties(name, "v1", can_write=False)).can_write, False)
            await fails_later(HttpResponseError, registry.delete_tag(name, "v1"), 405)
            equal((await registry.update_tag_properties(name, "v1", can_write=True)).can_write, True)
            equal((await registry.update_manifest_properties(name, digest, can_list=False)).can_list, False)
            equal((await registry.update_manifest_properties(name, "v1", can_list=True)).can_list, True)
            equal((await registry.update_repository_properties(name, can_read=False)).can_read, False)
            equal((await registry.update_repository_properties(name, can_read=True)).can_read, True)
            blob, _ = await registry.upload_blob(name, io.BytesIO(b"nobody's"))
            await registry.delete_blob(name, blob)
            await registry.delete_tag(name, "v1")
            await registry.delete_manifest(name, digest)
            await registry.set_manifest(name, manifest, tag="v2")
            await registry.delete_repository(name)
            await fails_later(ResourceNotFoundError, registry.get_repository_properties(name))
    # The case before this one lets everybody pull.
    registry = AsyncClient(ENDPOINT)
    equal((await registry.get_manifest("sdk/public", "v1")).media_type, OCI_MANIFEST)
    equal([tag.name async for tag in registry.list_tag_properties("sdk/public")], ["v1"])
    await fails_later(ClientAuthenticationError, registry.delete_repository("sdk/public"))
    await registry.close()


def every_public_method_was_called():
    with open(KEEP, encoding="utf-8") as called:
        called = set(called.read().split())
    for kind, client_class in (("sync", ContainerRegistryClient), ("async", AsyncClient)):
        methods = methods_of(client_class)
        assert len(methods) >= 18, methods
        equal([name for name in methods if f"{kind}.{name}" not in called], [], f"{kind} methods that were not called")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
