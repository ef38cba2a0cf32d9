#!/usr/bin/env bash
# regctl (regclient): image copies, tags, artifacts, referrers, blobs. It follows the specification to the letter.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"

start_server
cd "$WORK"
make_image "$WORK/image" v1 >"$WORK/image.digest"
make_index "$WORK/index" v1 >"$WORK/index.digest"
APP=$HTTP/team/app

login() {
  regctl registry set --skip-check --tls disabled "$HTTP"
  regctl registry set --skip-check --cacert "$(cat "$CA")" "$HTTPS"
  regctl registry login -u "$USERNAME" --pass-stdin "$HTTP" <<<"$PASSWORD"
  regctl registry login -u "$USERNAME" --pass-stdin "$HTTPS" <<<"$PASSWORD"
}

copies() {
  regctl image copy "ocidir://image:v1" "$APP:v1"
  equal "$(regctl image digest "$APP:v1")" "$(cat image.digest)"
  regctl image copy "ocidir://index:v1" "$HTTPS/team/many:v1"
  equal "$(regctl image digest "$HTTPS/team/many:v1")" "$(cat index.digest)"
  regctl image copy "$HTTPS/team/many:v1" "$HTTPS/copy/many:v1"
  equal "$(regctl image digest --platform linux/arm64 "$HTTPS/copy/many:v1")" \
    "$(regctl image digest --platform linux/arm64 "$HTTPS/team/many:v1")"
}

checks() {
  equal "$(regctl image config "$APP:v1" --format '{{.Architecture}}')" amd64
  regctl image export "$APP:v1" export.tar
  contains "$(tar -tf export.tar)" index.json
}

modifies() {
  regctl image mod "$APP:v1" --create "$APP:mod" --annotation org.example=1
  equal "$(regctl manifest get "$APP:mod" --format body | jq -r '.annotations["org.example"]')" 1
}

tags() {
  regctl image copy "$APP:v1" "$APP:v2"
  equal "$(regctl tag ls "$APP" | tr '\n' ' ')" "mod v1 v2 "
  regctl tag rm "$APP:v2"
  equal "$(regctl tag ls "$APP" | tr '\n' ' ')" "mod v1 "
  equal "$(regctl image digest "$APP:v1")" "$(cat image.digest)" "the manifest stays"
}

artifacts() {
  echo "a note" | regctl artifact put --artifact-type application/vnd.example.note "$APP:note"
  equal "$(regctl artifact get "$APP:note")" "a note"
  echo "signed off" | regctl artifact put --artifact-type application/vnd.example.approval --subject "$APP:v1"
  echo "tested" | regctl artifact put --artifact-type application/vnd.example.report --subject "$APP:v1"
  equal "$(regctl artifact list "$APP:v1" --format '{{len .Descriptors}}')" 2
  equal "$(regctl artifact list "$APP:v1" --filter-artifact-type application/vnd.example.report --format '{{len .Descriptors}}')" 1
  equal "$(regctl artifact get --subject "$APP:v1" --filter-artifact-type application/vnd.example.approval)" "signed off"
  contains "$(regctl artifact tree "$APP:v1")" application/vnd.example.approval
}

copies_referrers() {
  regctl image copy --referrers "$APP:v1" "$HTTP/copy/app:v1"
  equal "$(regctl artifact list "$HTTP/copy/app:v1" --format '{{len .Descriptors}}')" 2
}

blobs() {
  local digest
  head -c 3000000 /dev/urandom >blob
  digest=$(digest_of blob)
  equal "$(cat blob | regctl blob put "$APP")" "$digest"
  regctl blob get "$APP" "$digest" | cmp - blob
  equal "$(regctl blob head "$APP" "$digest" | sed -n 's/^Content-Length: //Ip' | tr -d '\r')" 3000000
  regctl blob copy "$APP" "$HTTP/other/app" "$digest"
  regctl blob delete "$APP" "$digest"
  refused regctl blob head "$APP" "$digest"
  regctl blob head "$HTTP/other/app" "$digest"
}

deletes() {
  regctl manifest delete "$APP@$(cat image.digest)"
  refused regctl manifest head "$APP:v1"
  equal "$(regctl repo ls "$HTTP" | grep -c '^team/')" 2
}

check "regctl registry login" login
check "image copy of an image and an index" copies
check "image config and export" checks
check "image mod" modifies
check "tag ls and tag rm" tags
check "artifact put, list, get and tree" artifacts
check "image copy --referrers" copies_referrers
check "blob put, get, copy and delete" blobs
check "manifest delete and repo ls" deletes
