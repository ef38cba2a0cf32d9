#!/usr/bin/env bash
# The Azure SDK for JavaScript: the management client.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"

start_azure
resolve "sdknode.$DOMAIN"
export ARM DOMAIN TENANT SUBSCRIPTION CLIENT_ID CLIENT_SECRET LOGIN=https://login.$DOMAIN KEEP=$WORK/kept
export PACKAGES=${TOOLS%/bin}/node NODE_EXTRA_CA_CERTS=$CA

# A case of node/management.mjs, where its assertions are.
sdk() { "$PACKAGES/bin/node" "$TESTS/node/management.mjs" "$1"; }

check "registries are created, found and updated" sdk registriesAreCreatedFoundAndUpdated
check "the admin user's passwords are shown and renewed" sdk theAdminUsersPasswordsAreShownAndRenewed
check "usages and private links are listed" sdk usagesAndPrivateLinksAreListed
check "scope maps are created, changed and deleted" sdk scopeMapsAreCreatedChangedAndDeleted
check "a token signs in with its passwords" sdk aTokenSignsInWithItsPasswords
check "what is taken away counts at once" sdk whatIsTakenAwayCountsAtOnce
check "every way to sign in works" sdk everyWayToSignInWorks
check "kinds that are not there say so" sdk kindsThatAreNotThereSaySo
check "a registry is deleted with everything in it" sdk aRegistryIsDeletedWithEverythingInIt
