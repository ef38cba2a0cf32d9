#!/usr/bin/env bash
# The Azure CLI and other clients: the policies of a registry. Retention beside soft delete, quarantine with a scanner of its own,
# tags that are written once, export.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"
. "$TESTS/images.sh"

REGISTRY=contoso
LOGIN_SERVER=$REGISTRY.$DOMAIN
GUARDED=guarded
GUARDED_SERVER=$GUARDED.$DOMAIN

start_azure
resolve "$LOGIN_SERVER" "$GUARDED_SERVER"
cd "$WORK"

prepares() {
  sign_in
  az group create -n g1 -l eastus >/dev/null
  for registry in $REGISTRY $GUARDED; do
    az acr create -g g1 -n "$registry" --sku Premium --admin-enabled true >/dev/null
    oras login --ca-file "$CA" -u "$registry" -p "$(query 'passwords[0].value' acr credential show -n "$registry")" "$registry.$DOMAIN" 2>&1
  done
  query id acr show -n $REGISTRY >registry.id
  query id acr show -n $GUARDED >guarded.id
  make_image one v1 >one.digest
  make_image two v2 >two.digest
  make_index many multi >many.digest
}

push() { # layout:tag repository:tag [login server]
  oras cp --from-oci-layout --to-ca-file "$CA" "$1" "${3:-$LOGIN_SERVER}/$2" 2>&1
}

# A change of a registry's properties by PATCH: change registry.id '{…}'
change() {
  az rest --method patch --url "$ARM$(cat "$1")?api-version=2025-11-01" --body "{\"properties\":$2}" -o json
}

manifests() { az acr manifest list-metadata -r $REGISTRY -n "$1" -o json | jq -r 'map(.digest) | join(" ")'; }

# Waits until a command says what is wanted, 30 s at most.
until_equal() { # wanted command…
  local wanted=$1 last=
  shift
  for _ in $(seq 60); do
    last=$("$@")
    [ "$last" = "$wanted" ] && return
    sleep 0.5
  done
  equal "$last" "$wanted"
}

configures() {
  local shown
  equal "$(query status acr config retention show -r $REGISTRY)" disabled
  shown=$(az acr config retention update -r $REGISTRY --status enabled --days 3 --type UntaggedManifests -o json)
  equal "$(jq -c '[.days, .status]' <<<"$shown")" '[3,"enabled"]'
  shown=$(az acr config soft-delete update -r $REGISTRY --status enabled --days 9 -y -o json)
  equal "$(jq -c '[.retentionDays, .status]' <<<"$shown")" '[9,"enabled"]'
  equal "$(query status acr config retention show -r $REGISTRY)" enabled "both at once"
  equal "$(query retentionDays acr config soft-delete show -r $REGISTRY)" 9
  # It can be switched off alone, by now.
  az acr config content-trust update -r $REGISTRY --status disabled -y >/dev/null
  equal "$(query status acr config content-trust show -r $REGISTRY)" disabled
  az acr config authentication-as-arm update -r $REGISTRY --status disabled >/dev/null
  equal "$(query status acr config authentication-as-arm show -r $REGISTRY)" disabled
  az acr config authentication-as-arm update -r $REGISTRY --status enabled >/dev/null
  fails_with days acr config retention update -r $REGISTRY --days 366 --type UntaggedManifests
}

keeps_to_tiers() {
  az acr create -g g1 -n small --sku Basic >/dev/null
  fails_with Premium acr config retention update -r small --status enabled --days 3 --type UntaggedManifests
  az acr config soft-delete update -r small --status enabled --days 7 -y >/dev/null
  query id acr show -n small >small.id
  refused change small.id '{"policies":{"quarantinePolicy":{"status":"enabled"}}}'
  refused change small.id '{"policies":{"exportPolicy":{"status":"disabled"}},"publicNetworkAccess":"Disabled"}'
  az acr delete -n small -y
}

removes_untagged() {
  az acr config retention update -r $REGISTRY --status enabled --days 0 --type UntaggedManifests >/dev/null
  push one:v1 team/app:v1
  push two:v2 team/app:stays
  push many:multi team/app:multi
  equal "$(manifests team/app | wc -w)" 6 "two images, and an index of three"
  push two:v2 team/app:v1
  az acr repository untag -n $REGISTRY --image team/app:multi
  until_equal "$(cat two.digest)" manifests team/app
  equal "$(az acr repository show-tags -n $REGISTRY --repository team/app -o json | jq -c .)" '["stays","v1"]'
}

restores_what_retention_removed() {
  contains "$(az acr manifest list-deleted -r $REGISTRY -n team/app -o json)" "$(cat one.digest)"
  az acr config retention update -r $REGISTRY --status disabled --type UntaggedManifests >/dev/null
  az acr manifest restore -r $REGISTRY -n team/app:v1 -d "$(cat one.digest)" -f -y >/dev/null
  equal "$(query digest acr repository show -n $REGISTRY --image team/app:v1)" "$(cat one.digest)"
  az acr config soft-delete update -r $REGISTRY --status disabled -y >/dev/null
}

writes_once() {
  local said
  equal "$(change registry.id '{"writeOnceTags":["v*"]}' | jq -c .properties.writeOnceTags)" '["v*"]'
  push one:v1 once/app:v1
  push one:v1 once/app:v1
  said=$(refused push two:v2 once/app:v1)
  contains "$said" "the tag v1 of once/app is written once"
  push one:v1 once/app:latest
  push two:v2 once/app:latest
  said=$(refused skopeo copy --dest-creds "$REGISTRY:$(query 'passwords[0].value' acr credential show -n $REGISTRY)" \
    oci:two:v2 "docker://$LOGIN_SERVER/once/app:v1" 2>&1)
  contains "$said" "written once"
  equal "$(query digest acr repository show -n $REGISTRY --image once/app:v1)" "$(cat one.digest)"
  az acr repository untag -n $REGISTRY --image once/app:v1
  push two:v2 once/app:v1
  # What az changes afterwards leaves it alone.
  az acr update -n $REGISTRY --anonymous-pull-enabled true >/dev/null
  refused push one:v1 once/app:v1
  fails_with writeOnceTags rest --method patch --url "$ARM$(cat registry.id)?api-version=2025-11-01" \
    --body '{"properties":{"writeOnceTags":["a b"]}}'
  equal "$(change registry.id '{"writeOnceTags":[]}' | jq -c .properties.writeOnceTags)" null
  push one:v1 once/app:v1
}

# An access token of the registry: token login-server user password scope
token() {
  fetch_json "https://$1/oauth2/token?service=$1&scope=$4" -u "$2:$3" | jq -r .access_token
}

fetch_json() { curl -sS --fail-with-body --cacert "$CA" "$@"; }

writes_once_in_a_repository() {
  local password bearer said
  password=$(query 'passwords[0].value' acr credential show -n $REGISTRY)
  bearer=$(token "$LOGIN_SERVER" $REGISTRY "$password" "repository:once/app:metadata_write")
  fetch_json -X PATCH -H "Authorization: Bearer $bearer" -d '{"writeOnceTags":["release-?"]}' "https://$LOGIN_SERVER/acr/v1/once/app" >patched.json
  equal "$(jq -c .changeableAttributes.writeOnceTags patched.json)" '["release-?"]'
  equal "$(query 'changeableAttributes.writeOnceTags' acr repository show -n $REGISTRY --repository once/app)" "release-?"
  push one:v1 once/app:release-1
  said=$(refused push two:v2 once/app:release-1)
  contains "$said" "written once"
  push two:v2 once/app:v1
  az acr repository update -n $REGISTRY --repository once/app --delete-enabled false >/dev/null
  refused push two:v2 once/app:release-1
  az acr repository update -n $REGISTRY --repository once/app --delete-enabled true >/dev/null
}

quarantines() {
  local said
  push one:v1 app:before "$GUARDED_SERVER"
  az resource update --ids "$(cat guarded.id)" --set properties.policies.quarantinePolicy.status=enabled --api-version 2025-11-01 >/dev/null
  equal "$(query policies.quarantinePolicy.status acr show -n $GUARDED)" enabled
  az ad sp create-for-rbac -n puller --role AcrPull --scopes "$(cat guarded.id)" -o json >puller
  az ad sp create-for-rbac -n scanner --role AcrQuarantineWriter --scopes "$(cat guarded.id)" -o json >scanner
  push two:v2 app:v2 "$GUARDED_SERVER"
  equal "$(query changeableAttributes.quarantineState acr repository show -n $GUARDED --image "app@$(cat two.digest)")" Quarantined
  oras login --ca-file "$CA" --registry-config puller.json -u "$(jq -r .appId puller)" -p "$(jq -r .password puller)" "$GUARDED_SERVER" 2>&1
  for tag in v2 before; do
    said=$(refused pull app:$tag)
    contains "$said" "not found"
  done
  said=$(refused pull "app@$(cat two.digest)")
  contains "$said" "operation is disallowed"
}

pull() { # reference
  rm -rf pulled
  oras cp --from-registry-config puller.json --from-ca-file "$CA" --to-oci-layout "$GUARDED_SERVER/$1" pulled:v1 2>&1
}

# The scanner's way, as Azure's documentation has it: a token for pull and push, the image by digest, the mark by PATCH.
lets_pass() {
  local user password bearer bearer_of_puller path digest layer
  user=$(jq -r .appId scanner)
  password=$(jq -r .password scanner)
  digest=$(cat two.digest)
  bearer=$(token "$GUARDED_SERVER" "$user" "$password" "repository:app:pull,push")
  fetch_json -H "Authorization: Bearer $bearer" "https://$GUARDED_SERVER/v2/app/manifests/$digest" >manifest.json
  layer=$(jq -r '.layers[0].digest' manifest.json)
  fetch_json -H "Authorization: Bearer $bearer" "https://$GUARDED_SERVER/v2/app/blobs/$layer" -o layer
  equal "sha256:$(sha256sum layer | cut -d' ' -f1)" "$layer"
  path=https://$GUARDED_SERVER/acr/v1/app/_manifests/$digest
  bearer_of_puller=$(token "$GUARDED_SERVER" "$(jq -r .appId puller)" "$(jq -r .password puller)" "repository:app:pull,push,metadata_write")
  refused fetch_json -X PATCH -H "Authorization: Bearer $bearer_of_puller" -d '{"quarantineState":"Passed"}' "$path"
  refused fetch_json -H "Authorization: Bearer $bearer_of_puller" "https://$GUARDED_SERVER/v2/app/blobs/$layer" -o stolen
  fetch_json -X PATCH -H "Authorization: Bearer $bearer" "$path" \
    -d '{"quarantineState":"Passed","quarantineDetails":"{\"state\":\"scan passed\",\"link\":\"http://scan.example/1\"}"}' >passed.json
  equal "$(jq -r .manifest.changeableAttributes.quarantineState passed.json)" Passed
  equal "$(jq -r '.manifest.changeableAttributes.quarantineDetails | fromjson | .state' passed.json)" "scan passed"
  equal "$(jq -r .manifest.quarantineTag passed.json)" v2
  pull app:v2
  equal "$(jq -r '.manifests[0].digest' pulled/index.json)" "$digest"
  refused pull app:before
  az resource update --ids "$(cat guarded.id)" --set properties.policies.quarantinePolicy.status=disabled --api-version 2025-11-01 >/dev/null
  pull app:before
}

forbids_export() {
  fails_with "public network access" acr update -n $GUARDED --allow-exports false
  az acr update -n $GUARDED --public-network-enabled false --allow-exports false >/dev/null
  equal "$(query policies.exportPolicy.status acr show -n $GUARDED)" disabled
  fails_with "export policy" acr update -n $GUARDED --public-network-enabled true
  az acr update -n $GUARDED --allow-exports true >/dev/null
  equal "$(query policies.exportPolicy.status acr show -n $GUARDED)" enabled
}

check "two registries and images are prepared" prepares
check "az acr config retention, soft-delete, content-trust, authentication-as-arm" configures
check "what tiers lack is refused" keeps_to_tiers
check "untagged manifests of all media types go at their date" removes_untagged
check "what retention removed is restored" restores_what_retention_removed
check "tags that match a registry's patterns are written once" writes_once
check "and those that match a repository's" writes_once_in_a_repository
check "what is pushed is in quarantine, and what was there before" quarantines
check "a scanner lets an image pass" lets_pass
check "the export policy" forbids_export
