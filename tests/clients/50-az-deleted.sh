#!/usr/bin/env bash
# The Azure CLI: soft delete, lists of what was deleted, restoring it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"
. "$TESTS/images.sh"

REGISTRY=contoso
LOGIN_SERVER=$REGISTRY.$DOMAIN

start_azure
resolve "$LOGIN_SERVER"
cd "$WORK"

prepares() {
  sign_in
  az group create -n g1 -l eastus >/dev/null
  az acr create -g g1 -n $REGISTRY --sku Premium --admin-enabled true >/dev/null
  oras login --ca-file "$CA" -u $REGISTRY -p "$(query 'passwords[0].value' acr credential show -n $REGISTRY)" "$LOGIN_SERVER" 2>&1
  make_image one v1 >one.digest
  make_image two v2 >two.digest
  make_index many multi >many.digest
  push one:v1 team/app:v1
  push many:multi team/many:multi
}

push() { # layout:tag repository:tag
  oras cp --from-oci-layout --to-ca-file "$CA" "$1" "$LOGIN_SERVER/$2"
}

pull() { # repository:tag layout
  rm -rf "${2:?}"
  oras cp --from-ca-file "$CA" --to-oci-layout "$LOGIN_SERVER/$1" "$2:pulled"
}

repository() { az acr repository "$1" -n $REGISTRY "${@:2}" -o json; }
manifest() { az acr manifest "$1" -r $REGISTRY "${@:2}" -o json; }

switches_it_on() {
  equal "$(az acr config soft-delete show -r $REGISTRY -o json | jq -c '[.status, .retentionDays]')" '["disabled",7]'
  equal "$(repository list-deleted | jq -c .)" '[]'
  equal "$(az acr config soft-delete update -r $REGISTRY --status enabled --days 14 -y -o json | jq -c '[.status, .retentionDays]')" \
    '["enabled",14]'
  # Where ACR has either the one or the other.
  equal "$(az acr config retention update -r $REGISTRY --status enabled --days 30 --type UntaggedManifests -o json | jq -r .status)" enabled
  equal "$(az acr config soft-delete show -r $REGISTRY -o json | jq -c '[.status, .retentionDays]')" '["enabled",14]'
}

deletes() {
  push two:v2 team/app:v1
  az acr repository untag -n $REGISTRY --image team/app:v1
  push two:v2 team/app:v2
  az acr repository delete -n $REGISTRY --image team/app:v2 -y
  az acr repository delete -n $REGISTRY --repository team/many -y >/dev/null
  equal "$(repository list | jq -c .)" '["team/app"]'
  refused pull team/app:v2 gone
  refused pull team/many:multi gone
}

lists() {
  equal "$(repository list-deleted | jq -c .)" '["team/app","team/many"]'
  manifest list-deleted -n team/app >deleted.json
  equal "$(jq -c 'map(.digest)' deleted.json)" "[\"$(cat two.digest)\"]"
  # az computes the end from the policy.
  equal "$(jq -r '.[0] | [.deletedAt, .expiresAfter] | map(sub("\\..*"; "Z") | fromdate) | (.[1] - .[0]) / 86400' deleted.json)" 14
  equal "$(manifest list-deleted -n team/many | jq length)" 4
  manifest list-deleted-tags -n team/app >tags.json
  equal "$(jq -c 'map([.tag, .digest])' tags.json)" \
    "[[\"v1\",\"$(cat one.digest)\"],[\"v1\",\"$(cat two.digest)\"],[\"v2\",\"$(cat two.digest)\"]]"
  equal "$(manifest list-deleted-tags -n team/app:v2 | jq length)" 1
  contains "$(az acr manifest list-deleted -r $REGISTRY -n team/app -o table)" "$(cat two.digest | cut -c1-20)"
}

refuses_a_push() {
  local said
  said=$(refused push two:v2 team/app:again 2>&1)
  contains "$said" "restore it instead of pushing it"
}

restores_a_tag() {
  # The last one that was deleted, which is what az proposes.
  manifest restore -n team/app:v1 -y >restored.json
  equal "$(jq -c '[.digest, .tag, .restored]' restored.json)" "[\"$(cat two.digest)\",\"v1\",[\"$(cat two.digest)\"]]"
  pull team/app:v1 back
  equal "$(jq -r '.manifests[0].digest' back/index.json)" "$(cat two.digest)"
  manifest restore -n team/app:v2 -y >/dev/null
  equal "$(repository show-tags --repository team/app | jq -c .)" '["v1","v2"]'
  fails_with "No deleted manifests found" acr manifest restore -r $REGISTRY -n team/app:never -y
}

restores_over_another_tag() {
  fails_with "with force it is replaced" acr manifest restore -r $REGISTRY -n team/app:v1 -d "$(cat one.digest)" -y
  manifest restore -n team/app:v1 -d "$(cat one.digest)" --force -y >/dev/null
  pull team/app:v1 back
  equal "$(jq -r '.manifests[0].digest' back/index.json)" "$(cat one.digest)"
  equal "$(manifest list-deleted-tags -n team/app | jq -c 'map([.tag, .digest])')" "[[\"v1\",\"$(cat two.digest)\"]]"
}

restores_an_index() {
  manifest restore -n team/many:multi -y >restored.json
  equal "$(jq -c '[(.restored | length), (.missing | map(.restorable))]' restored.json)" '[1,[true,true,true]]'
  refused pull team/many:multi back
  manifest restore -n team/many -d "$(cat many.digest)" --force >restored.json
  equal "$(jq -c '[(.restored | length), .missing]' restored.json)" '[3,null]'
  pull team/many:multi back
  equal "$(repository list-deleted | jq -c .)" '["team/app"]'
}

restores_a_digest() {
  az acr manifest delete -r $REGISTRY -n "team/app@$(cat two.digest)" -y
  manifest restore -n team/app -d "$(cat two.digest)" >/dev/null
  pull "team/app@$(cat two.digest)" back
  equal "$(repository show-tags --repository team/app | jq -c .)" '["v1"]'
}

keeps_others_out() {
  local password
  az acr token create -r $REGISTRY -n reader --repository team/app content/read metadata/read -o json >token.json
  password=$(jq -r '.credentials.passwords[0].value' token.json)
  refused az acr manifest list-deleted -r $REGISTRY -n team/app --username reader --password "$password"
  refused az acr repository list-deleted -n $REGISTRY --username reader --password "$password"
}

switches_it_off() {
  az acr config soft-delete update -r $REGISTRY --status disabled -y >/dev/null
  az acr manifest delete -r $REGISTRY -n "team/app@$(cat two.digest)" -y
  equal "$(manifest list-deleted -n team/app | jq -c .)" '[]'
  push two:v2 team/app:v2
}

stays_sound() {
  local report
  report=$("$WHARF" verify --data "$DATA" 2>&1) || { echo "$report"; return 1; }
}

check "a registry with images is prepared" prepares
check "az acr config soft-delete: on, together with retention" switches_it_on
check "what is deleted is out of sight" deletes
check "az acr repository list-deleted, az acr manifest list-deleted, list-deleted-tags" lists
check "what is in the trash is not pushed" refuses_a_push
check "az acr manifest restore: a tag" restores_a_tag
check "az acr manifest restore --force: over another tag" restores_over_another_tag
check "az acr manifest restore --force: a whole index" restores_an_index
check "az acr manifest restore: a digest" restores_a_digest
check "who may read may not see the trash" keeps_others_out
check "switched off, nothing goes into the trash" switches_it_off
check "wharf verify finds nothing wrong" stays_sound
