#!/usr/bin/env bash
# crane (go-containerregistry, the library under ko, kaniko, cosign and many pipelines).
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"

start_server
make_image "$WORK/image" v1 >"$WORK/image.digest"
make_index "$WORK/index" v1 >"$WORK/index.digest"
# crane tries HTTPS on every port first; with the authority known, it also verifies.
export SSL_CERT_FILE=$CA
APP=$HTTP/team/app

login() {
  crane auth login -u "$USERNAME" --password-stdin "$HTTP" <<<"$PASSWORD"
  crane auth login -u "$USERNAME" --password-stdin "$HTTPS" <<<"$PASSWORD"
}

pushes() {
  crane push "$WORK/image" "$APP:v1"
  equal "$(crane digest "$APP:v1")" "$(cat "$WORK/image.digest")"
  crane push "$WORK/index" "$HTTPS/team/many:v1"
  equal "$(crane digest "$HTTPS/team/many:v1")" "$(cat "$WORK/index.digest")"
  crane validate --remote "$APP:v1"
  crane validate --remote "$HTTPS/team/many:v1"
}

pulls() {
  crane pull --format oci "$APP:v1" "$WORK/pulled"
  equal "$(jq -r '.manifests[0].digest' "$WORK/pulled/index.json")" "$(cat "$WORK/image.digest")"
  crane export "$APP:v1" - | tar -xO etc/greeting | grep -qx "hello from v1"
}

copies_and_tags() {
  crane copy "$APP:v1" "$HTTP/copy/app:v1"
  crane copy "$HTTPS/team/many:v1" "$HTTPS/copy/many:v1"
  crane tag "$APP:v1" v2
  equal "$(crane digest "$APP:v2")" "$(crane digest "$APP:v1")"
}

lists() {
  equal "$(crane ls "$APP" | tr '\n' ' ')" "v1 v2 "
  equal "$(crane catalog "$HTTP" | tr '\n' ' ')" "copy/app copy/many team/app team/many "
}

mutates() {
  crane mutate --label org.example=1 --tag "$APP:labelled" "$APP:v1"
  equal "$(crane config "$APP:labelled" | jq -r '.config.Labels["org.example"]')" 1
}

appends() {
  echo "one more" >"$WORK/more"
  tar -C "$WORK" -cf "$WORK/more.tar" more
  crane append --base "$APP:v1" --new_layer "$WORK/more.tar" --new_tag "$APP:more"
  crane export "$APP:more" - | tar -xO more | grep -qx "one more"
}

# A blob of no bytes is legal, and some tools make such layers.
zero_byte_layer() {
  : >"$WORK/empty"
  crane append --oci-empty-base --new_layer "$WORK/empty" --new_tag "$APP:empty"
  local digest
  digest=$(crane manifest "$APP:empty" | jq -r '.layers[0].digest')
  crane blob "$APP@$digest" >"$WORK/empty.back"
  equal "$(fetch GET "/v2/team/app/blobs/$digest")" 200
}

indexes() {
  crane index append -m "$APP:v1" -m "$APP:labelled" -t "$APP:index"
  equal "$(crane manifest "$APP:index" | jq '.manifests | length')" 2
  crane index filter "$HTTP/team/many:v1" --platform linux/arm64 -t "$HTTP/team/many:arm"
  equal "$(crane manifest "$HTTP/team/many:arm" | jq -r '.manifests[].platform.architecture')" arm64
  equal "$(crane config --platform linux/s390x "$HTTP/team/many:v1" | jq -r .architecture)" s390x
}

# By tag only the tag goes; by digest the manifest and all its tags.
deletes() {
  crane delete "$APP:v2"
  crane digest "$APP:v1"
  refused crane digest "$APP:v2"
  crane delete "$APP@$(cat "$WORK/image.digest")"
  refused crane digest "$APP:v1"
}

without_login() {
  crane auth logout "$HTTP"
  local said
  said=$(refused crane digest "$APP:index" 2>&1)
  contains "${said^^}" UNAUTHORIZED
}

check "crane auth login" login
check "push an image and an index, and validate them" pushes
check "pull and export" pulls
check "copy and tag" copies_and_tags
check "ls and catalog" lists
check "mutate" mutates
check "append a layer" appends
check "append a layer of zero bytes" zero_byte_layer
check "index append and filter" indexes
check "delete by tag and by digest" deletes
check "without login, reading is refused" without_login
