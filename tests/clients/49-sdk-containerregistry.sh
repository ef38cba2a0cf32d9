#!/usr/bin/env bash
# The Azure SDK for Python: the registry client, sync and async, every public method.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"

start_azure
export TENANT CLIENT_ID CLIENT_SECRET LOGIN=https://login.$DOMAIN ENDPOINT=https://wharf.$DOMAIN KEEP=$WORK/called

# A case of python/containerregistry.py, where its assertions are.
sdk() { PYTHONDONTWRITEBYTECODE=1 "${TOOLS%/bin}/sdk/bin/python" "$TESTS/python/containerregistry.py" "$1"; }

lets_everybody_pull() {
  sign_in
  az acr update -n wharf --anonymous-pull-enabled true >/dev/null
  sdk everybody_reads_with_anonymous_pull
}

check "blobs and manifests go up and come down" sdk blobs_and_manifests_go_up_and_come_down
check "repositories are listed and described" sdk repositories_are_listed_and_described
check "tags and manifests are listed in every order" sdk tags_and_manifests_are_listed_in_every_order
check "properties are changed and hold" sdk properties_are_changed_and_hold
check "things are deleted" sdk things_are_deleted
check "nobody reads without anonymous pull" sdk nobody_reads_without_anonymous_pull
check "everybody reads with anonymous pull" lets_everybody_pull
check "the asynchronous client does the same" sdk the_asynchronous_client_does_the_same
check "every public method was called" sdk every_public_method_was_called
