#!/usr/bin/env bash
# Every kind of content that the OCI specifications allow, pushed, read back, listed, found through its subject and deleted,
# in sha256 and sha512, over HTTP and HTTPS. It covers what the options of the main branch's conformance program cover.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/conformance/content.sh"

start_server
cd "$WORK"

image() {
  image_of "$1" "$(config)" "$(layer gzip)" "$(layer gzip)"
}

image_uncompressed() {
  image_of "$1" "$(config)" "$(layer tar)" "$(layer tar)"
}

# Just under the 4 MiB that every registry has to take.
large_manifest() {
  image_of "$1" "$(config)" "$(layer gzip)" >/dev/null
  change_last "$1" '.annotations += ([range(390) | {key: "note-\(.)", value: ("A" * 10000)}] | from_entries)'
}

index() { index_of "$1" "$(image "")" "$(image "")"; }

nested_index() { index_of "$1" "$(index "")" "$(index "")"; }

empty_index() { index_of "$1"; }

artifact() {
  TYPE=application/vnd.example.thing image_of "$1" "$(empty)" "$(layer plain)"
}

artifact_index() {
  TYPE=application/vnd.example.thing index_of "$1" "$(artifact "")" "$(artifact "")"
}

artifact_without_layers() {
  TYPE=application/vnd.example.thing image_of "$1" "$(empty)" "$(empty)"
}

subjects() {
  local subject
  subject=$(image "$1")
  SUBJECT=$subject image_of "" "$(config)" "$(layer gzip)"
  SUBJECT=$subject TYPE=application/vnd.example.first image_of "${1:+$1-first}" "$(empty)" "$(layer plain)"
  SUBJECT=$subject TYPE=application/vnd.example.second image_of "" "$(empty)" "$(layer plain)"
}

index_with_subject() {
  local subject
  subject=$(index "$1")
  SUBJECT=$subject TYPE=application/vnd.example.index index_of "" "$(artifact "")"
}

# The subject may be pushed later or never; the referrer is found all the same.
missing_subject() {
  local nowhere
  nowhere=$(jq -nc --arg d "sha256:$(head -c 32 /dev/urandom | sha256sum | cut -d' ' -f1)" \
    '{mediaType: "application/vnd.oci.image.manifest.v1+json", size: 123, digest: $d}')
  SUBJECT=$nowhere TYPE=application/vnd.example.first image_of "$1" "$(empty)" "$(layer plain)"
}

data_field() {
  local with_data
  with_data=$(empty | jq -c '. + {data: "e30="}')
  image_of "$1" "$with_data" "$(layer gzip)"
}

# Layers that are elsewhere: the registry need not have them.
nondistributable() {
  local foreign
  foreign=$(jq -nc --arg d "sha256:$(head -c 32 /dev/urandom | sha256sum | cut -d' ' -f1)" '{digest: $d, size: 12345,
    mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", urls: ["https://store.example.com/\($d)"]}')
  image_of "$1" "$(config)" "$foreign" "$(layer gzip)"
}

custom_fields() {
  image_of "$1" "$(config)" "$(layer gzip)" >/dev/null
  change_last "$1" '. + {"org.example.unknown": {"a": [1, 2, {"b": null}]}}'
}

no_layers() { image_of "$1" "$(config)"; }

empty_layer() { image_of "$1" "$(config)" "$(layer none)"; }

docker_schema2() {
  DOCKER=1 image_of "$1" "$(config)" "$(layer gzip)"
}

docker_list() {
  DOCKER=1 index_of "$1" "$(docker_schema2 "")" "$(docker_schema2 "")"
}

# A whole round with one kind: make it, push it, read it, list it, find it, delete it.
round() { # kind how
  local kind=$1 how=$2
  start_content "${kind//_/-}-$how"
  # A tag in the path makes the server compute a sha256; other digests are pushed by digest.
  case $how in plain) "$kind" "${kind//_/-}" ;; *) "$kind" "" ;; esac >/dev/null
  push_content "$how"
  read_content
  list_content
  find_content
  delete_content
}

kinds=(image image_uncompressed large_manifest index nested_index empty_index artifact artifact_index artifact_without_layers
  subjects index_with_subject missing_subject data_field nondistributable custom_fields no_layers empty_layer docker_schema2 docker_list)

BASE=http://$HTTP ALGORITHM=sha256
for kind in "${kinds[@]}"; do check "${kind//_/ }" round "$kind" plain; done
check "an index whose tags are parameters" round index tag-parameters

BASE=https://$HTTPS ALGORITHM=sha512
for kind in "${kinds[@]}"; do check "${kind//_/ } in sha512 over HTTPS" round "$kind" by-digest; done
check "an index in sha512 whose tags are parameters" round index tag-parameters

bad_digest() {
  start_content bad
  image "" >/dev/null
  push_blobs
  local digest file type
  read -r digest file type _ <manifests
  echo "  " >>"$file"
  equal "$(fetch PUT "/v2/$REPOSITORY/manifests/$digest" --data-binary "@$file" -H "Content-Type: $type")" 400
  equal "$(jq -r '.errors[0].code' body)" DIGEST_INVALID
  equal "$(fetch HEAD "/v2/$REPOSITORY/manifests/$digest" -H "Accept: */*")" 404
}

check "a manifest that is not what its digest says" bad_digest
