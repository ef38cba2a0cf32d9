#!/usr/bin/env bash
# The Azure CLI: repositories, tags and manifests of a registry, their attributes and locks.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"
. "$TESTS/images.sh"

REGISTRY=contoso
LOGIN_SERVER=$REGISTRY.$DOMAIN

start_azure
resolve "$LOGIN_SERVER"
cd "$WORK"

# Two images, an index of three platforms, and a signature of a list of parts.
prepares() {
  sign_in
  az group create -n g1 -l eastus >/dev/null
  az acr create -g g1 -n $REGISTRY --sku Premium --admin-enabled true >/dev/null
  oras login --ca-file "$CA" -u $REGISTRY -p "$(query 'passwords[0].value' acr credential show -n $REGISTRY)" "$LOGIN_SERVER" 2>&1
  make_image one v1 >one.digest
  make_image two v2 >two.digest
  make_index many multi >many.digest
  push one:v1 team/app:v1
  push two:v2 team/app:v2
  push many:multi team/many:multi
  push one:v1 other:v1
  oras tag --ca-file "$CA" "$LOGIN_SERVER/team/app:v1" stable
  echo '{}' >sbom.json
  oras attach --ca-file "$CA" --artifact-type application/vnd.example.sbom --format json \
    "$LOGIN_SERVER/team/app:v1" sbom.json:application/json | jq -r .digest >sbom.digest
  oras attach --ca-file "$CA" --artifact-type application/vnd.example.signature --format json \
    "$LOGIN_SERVER/team/app@$(cat sbom.digest)" sbom.json:application/json | jq -r .digest >signature.digest
}

push() { # layout:tag repository:tag
  oras cp --from-oci-layout --to-ca-file "$CA" "$1" "$LOGIN_SERVER/$2"
}

repository() { az acr repository "$1" -n $REGISTRY "${@:2}" -o json; }
manifest() { az acr manifest "$1" -r $REGISTRY "${@:2}" -o json; }

lists_repositories() {
  equal "$(repository list | jq -c .)" '["other","team/app","team/many"]'
  equal "$(repository list --top 1 | jq -c .)" '["other"]'
  equal "$(az acr repository list -n $REGISTRY --username $REGISTRY \
    --password "$(query 'passwords[1].value' acr credential show -n $REGISTRY)" -o json | jq length)" 3
}

shows_a_repository() {
  local shown rc=0
  shown=$(repository show --repository team/app)
  equal "$(jq -r .imageName <<<"$shown")" team/app
  equal "$(jq -r .registry <<<"$shown")" "$LOGIN_SERVER"
  equal "$(jq -c '[.manifestCount, .tagCount]' <<<"$shown")" '[4,3]'
  equal "$(jq -c .changeableAttributes <<<"$shown")" '{"deleteEnabled":true,"listEnabled":true,"readEnabled":true,"writeEnabled":true}'
  [[ $(jq -r .createdTime <<<"$shown") =~ ^2[0-9]{3}-[0-9-]+T[0-9:]+\.[0-9]{7}Z$ ]]
  repository show --repository absent || rc=$?
  equal $rc 3 "az's exit code for what is not there"
}

lists_tags() {
  equal "$(repository show-tags --repository team/app | jq -c .)" '["stable","v1","v2"]'
  equal "$(repository show-tags --repository team/app --orderby time_desc --top 2 | jq -c .)" '["stable","v2"]'
  equal "$(repository show-tags --repository team/app --orderby time_asc | jq -c .)" '["v1","v2","stable"]'
  repository show-tags --repository team/app --detail >tags.json
  equal "$(jq -r '.[1].name' tags.json)" v1
  equal "$(jq -r '.[1].digest' tags.json)" "$(cat one.digest)"
  equal "$(jq -r '.[1].signed' tags.json)" false
  contains "$(az acr repository show-tags -n $REGISTRY --repository team/app --detail -o table)" stable
}

lists_manifests() {
  equal "$(repository show-manifests --repository team/app | jq length)" 4
  repository show-manifests --repository team/app --detail --orderby time_asc >manifests.json
  # The first image was pushed again when it got its second tag.
  equal "$(jq -r '.[0].digest' manifests.json)" "$(cat two.digest)"
  equal "$(jq -c '.[1] | [.architecture, .os, .tags]' manifests.json)" '["amd64","linux",["stable","v1"]]'
  equal "$(manifest list-metadata -n team/app | jq length)" 4
  equal "$(manifest list-metadata -n team/app --orderby time_desc --top 1 | jq -r '.[0].digest')" "$(cat signature.digest)"
  equal "$(manifest list -n team/app | jq -r 'map(.config.mediaType) | unique | length')" 2
  equal "$(az acr manifest list-metadata "$LOGIN_SERVER/team/many" -o json | jq length)" 4
}

shows_an_image() {
  equal "$(repository show --image team/app:v1 | jq -r .digest)" "$(cat one.digest)"
  equal "$(repository show --image "team/app@$(cat one.digest)" | jq -r .configMediaType)" application/vnd.oci.image.config.v1+json
  equal "$(manifest show-metadata -n team/app:v1 | jq -r .name)" v1
  manifest show-metadata -n "team/many@$(cat many.digest)" >index.json
  equal "$(jq -c '.references | map([.architecture, .os])' index.json)" '[["amd64","linux"],["arm64","linux"],["s390x","linux"]]'
  equal "$(jq 'has("architecture")' index.json)" false
  equal "$(manifest show -n team/app:v1 | jq -r .config.digest)" \
    "$(jq -r .config.digest "one/blobs/sha256/$(sed s/sha256:// one.digest)")"
  contains "$(az acr manifest show -r $REGISTRY -n team/app:v1 --raw)" schemaVersion
}

lists_referrers() {
  equal "$(manifest list-referrers -n team/app:v1 | jq -r '.manifests[0].digest')" "$(cat sbom.digest)"
  contains "$(manifest list-referrers -n team/app:v1 --recursive)" "$(cat signature.digest)"
  lacks "$(manifest list-referrers -n team/app:v1 --artifact-type application/vnd.example.other)" "$(cat sbom.digest)"
}

locks_a_tag() {
  equal "$(repository update --image team/app:v2 --write-enabled false | jq -c .changeableAttributes.writeEnabled)" false
  refused push one:v1 team/app:v2
  fails_with disallowed acr repository untag -n $REGISTRY --image team/app:v2
  fails_with disallowed acr repository delete -n $REGISTRY --image team/app:v2 -y
  equal "$(repository show --image "team/app@$(cat two.digest)" | jq -c .changeableAttributes.writeEnabled)" true
  equal "$(repository update --image team/app:v2 --write-enabled true --delete-enabled false | jq -c .changeableAttributes.deleteEnabled)" false
  push two:v2 team/app:v2
  fails_with disallowed acr repository untag -n $REGISTRY --image team/app:v2
  repository update --image team/app:v2 --delete-enabled true >/dev/null
}

locks_a_manifest() {
  local two
  two=team/app@$(cat two.digest)
  manifest update-metadata -n "$two" --read-enabled false >/dev/null
  refused oras pull --ca-file "$CA" -o "$WORK/pulled" "$LOGIN_SERVER/team/app:v2"
  manifest update-metadata -n "$two" --read-enabled true --list-enabled false >/dev/null
  equal "$(manifest list-metadata -n team/app | jq length)" 3
  az acr manifest metadata update -r $REGISTRY -n "$two" --list-enabled true >/dev/null
  equal "$(az acr manifest metadata list -r $REGISTRY -n team/app -o json | jq length)" 4
  equal "$(az acr manifest metadata show -r $REGISTRY -n team/app:v2 -o json | jq -r .digest)" "$(cat two.digest)"
}

locks_a_repository() {
  repository update --repository team/many --write-enabled false >/dev/null
  refused push one:v1 team/many:new
  fails_with disallowed acr repository delete -n $REGISTRY --repository team/many -y
  fails_with disallowed acr repository update -n $REGISTRY --image team/many:multi --delete-enabled false
  repository update --repository team/many --write-enabled true --list-enabled false >/dev/null
  equal "$(repository list | jq -c .)" '["other","team/app"]'
  repository update --repository team/many --list-enabled true >/dev/null
}

untags() {
  az acr repository untag -n $REGISTRY --image team/app:stable
  equal "$(repository show-tags --repository team/app | jq -c .)" '["v1","v2"]'
  fails_with "not found" acr repository untag -n $REGISTRY --image team/app:stable
}

deletes() {
  local rc=0
  az acr manifest delete -r $REGISTRY -n "team/app@$(cat two.digest)" -y
  equal "$(repository show-tags --repository team/app | jq -c .)" '["v1"]'
  az acr repository delete -n $REGISTRY --image team/app:v1 -y
  repository show --repository team/app || rc=$?
  equal $rc 3 "an image takes its referrers along, and a repository ends with its last manifest"
  az acr repository delete -n $REGISTRY --repository team/many -y -o json >deleted.json
  equal "$(jq -c '[(.manifestsDeleted | length), .tagsDeleted]' deleted.json)" '[4,["multi"]]'
  equal "$(repository list | jq -c .)" '["other"]'
  fails_with "repository name not known to registry" acr repository delete -n $REGISTRY --repository team/many -y
  push many:multi team/many:multi
  equal "$(repository show-tags --repository team/many | jq -c .)" '["multi"]'
}

check "a registry with images is prepared" prepares
check "az acr repository list" lists_repositories
check "az acr repository show" shows_a_repository
check "az acr repository show-tags" lists_tags
check "az acr repository show-manifests, az acr manifest list-metadata, list" lists_manifests
check "az acr repository show --image, az acr manifest show, show-metadata" shows_an_image
check "az acr manifest list-referrers" lists_referrers
check "az acr repository update: a tag is locked" locks_a_tag
check "az acr manifest update-metadata: a manifest is locked" locks_a_manifest
check "az acr repository update: a repository is locked" locks_a_repository
check "az acr repository untag" untags
check "az acr manifest delete, az acr repository delete" deletes
