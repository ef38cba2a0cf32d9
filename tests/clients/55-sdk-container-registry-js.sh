#!/usr/bin/env bash
# The Azure SDK for JavaScript: the registry client, every public method.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"

start_azure
export TENANT CLIENT_ID CLIENT_SECRET LOGIN=https://login.$DOMAIN ENDPOINT=https://wharf.$DOMAIN KEEP=$WORK/called
export PACKAGES=${TOOLS%/bin}/node NODE_EXTRA_CA_CERTS=$CA

# A case of node/container-registry.mjs, where its assertions are.
sdk() { "$PACKAGES/bin/node" "$TESTS/node/container-registry.mjs" "$1"; }

lets_everybody_pull() {
  sign_in
  az acr update -n wharf --anonymous-pull-enabled true >/dev/null
  sdk everybodyReadsWithAnonymousPull
}

check "blobs and manifests go up and come down" sdk blobsAndManifestsGoUpAndComeDown
check "repositories are listed and described" sdk repositoriesAreListedAndDescribed
check "tags and manifests are listed in every order" sdk tagsAndManifestsAreListedInEveryOrder
check "properties are changed and hold" sdk propertiesAreChangedAndHold
check "things are deleted" sdk thingsAreDeleted
check "nobody reads without anonymous pull" sdk nobodyReadsWithoutAnonymousPull
check "everybody reads with anonymous pull" lets_everybody_pull
check "every public method was called" sdk everyPublicMethodWasCalled
