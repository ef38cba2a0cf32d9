#!/usr/bin/env bash
# skopeo: copies whole images and indexes in and out, between repositories, inspects, lists and deletes.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"

start_server
mkdir -p "$WORK/certs"
cp "$CA" "$WORK/certs/ca.crt"
make_image "$WORK/image" v1 >"$WORK/image.digest"
make_index "$WORK/index" v1 >"$WORK/index.digest"
REPOSITORY=docker://$HTTP/team/app

login() {
  skopeo login --tls-verify=false -u "$USERNAME" --password-stdin "$HTTP" <<<"$PASSWORD"
  skopeo login --cert-dir "$WORK/certs" -u "$USERNAME" --password-stdin "$HTTPS" <<<"$PASSWORD"
}

copies_in() {
  skopeo copy --dest-tls-verify=false "oci:$WORK/image:v1" "$REPOSITORY:v1"
  equal "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "$REPOSITORY:v1")" "$(cat "$WORK/image.digest")"
}

copies_out() {
  skopeo copy --src-tls-verify=false "$REPOSITORY:v1" "dir:$WORK/out"
  equal "$(digest_of "$WORK/out/manifest.json")" "$(cat "$WORK/image.digest")" "manifest that came back"
}

inspects() {
  skopeo inspect --tls-verify=false "$REPOSITORY:v1" >"$WORK/inspect"
  equal "$(jq -r .Architecture "$WORK/inspect")" amd64
  equal "$(jq -c .RepoTags "$WORK/inspect")" '["v1"]'
  equal "$(skopeo inspect --tls-verify=false --config "$REPOSITORY:v1" | jq -r .os)" linux
}

# All three platforms and the index itself, byte for byte.
copies_index() {
  skopeo copy --all --dest-cert-dir "$WORK/certs" "oci:$WORK/index:v1" "docker://$HTTPS/team/many:v1"
  equal "$(skopeo inspect --cert-dir "$WORK/certs" --raw "docker://$HTTPS/team/many:v1" | sha256sum | cut -d' ' -f1)" \
    "$(sed 's/sha256://' "$WORK/index.digest")" "raw index"
  skopeo copy --all --src-cert-dir "$WORK/certs" "docker://$HTTPS/team/many:v1" "oci:$WORK/index-back:v1"
  equal "$(jq -r '.manifests[0].digest' "$WORK/index-back/index.json")" "$(cat "$WORK/index.digest")" "index that came back"
}

picks_platform() {
  local architecture
  for architecture in arm64 s390x; do
    equal "$(skopeo inspect --tls-verify=false --override-arch $architecture "docker://$HTTP/team/many:v1" | jq -r .Architecture)" $architecture
  done
}

between_repositories() {
  skopeo copy --src-tls-verify=false --dest-tls-verify=false "$REPOSITORY:v1" "docker://$HTTP/other/app:v1"
  skopeo copy --src-tls-verify=false --dest-tls-verify=false --format v2s2 "$REPOSITORY:v1" "$REPOSITORY:docker"
  equal "$(skopeo inspect --tls-verify=false --raw "$REPOSITORY:docker" | jq -r .mediaType)" \
    application/vnd.docker.distribution.manifest.v2+json
}

lists_tags() {
  equal "$(skopeo list-tags --tls-verify=false "$REPOSITORY" | jq -c .Tags)" '["docker","v1"]'
}

syncs() {
  skopeo sync --src docker --dest dir --src-tls-verify=false "$HTTP/team/app" "$WORK/sync"
  equal "$(find "$WORK/sync" -name manifest.json | wc -l)" 2 "images synchronised"
}

# skopeo deletes by digest: the manifest goes, and with it every tag that names it.
deletes() {
  skopeo delete --tls-verify=false "$REPOSITORY:v1"
  refused skopeo inspect --tls-verify=false "$REPOSITORY:v1"
  equal "$(skopeo list-tags --tls-verify=false "$REPOSITORY" | jq -c .Tags)" '["docker"]'
  skopeo inspect --tls-verify=false "docker://$HTTP/other/app:v1" >/dev/null # other repositories keep it
}

check "skopeo login over HTTP and HTTPS" login
check "copy an image in" copies_in
check "copy it out again, with the same digest" copies_out
check "inspect an image and its config" inspects
check "copy --all of an index over HTTPS, byte for byte" copies_index
check "the index serves each platform" picks_platform
check "copy between repositories and formats" between_repositories
check "list-tags in order" lists_tags
check "sync a repository to a directory" syncs
check "delete takes the tags along, other repositories stay" deletes
