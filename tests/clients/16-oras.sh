#!/usr/bin/env bash
# oras: any file as an artifact, things attached to it, and the single calls of the distribution API by hand.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"

start_server
cd "$WORK"
make_index "$WORK/index" v1 >"$WORK/index.digest"
# Every call over HTTPS, verified; oras would take plain HTTP for localhost.
S=(--ca-file "$CA" --plain-http=false)
APP=$HTTPS/team/app
echo "hello" >hello.txt
echo '{"packages":[]}' >sbom.json
echo 'none' >report.txt

login() {
  oras login --plain-http -u "$USERNAME" --password-stdin "$HTTP" <<<"$PASSWORD"
  oras login "${S[@]}" -u "$USERNAME" --password-stdin "$HTTPS" <<<"$PASSWORD"
}

pushes() {
  oras push "${S[@]}" "$APP:v1,latest" --artifact-type application/vnd.example.text hello.txt:text/plain \
    --annotation org.example=1 --format json >push.json
  equal "$(oras resolve "${S[@]}" "$APP:latest")" "$(jq -r .digest push.json)"
}

pulls() {
  oras pull "${S[@]}" -o pulled "$APP:v1"
  cmp hello.txt pulled/hello.txt
  oras pull --plain-http -o pulled-http "$HTTP/team/app:v1"
  cmp hello.txt pulled-http/hello.txt
}

# The referrers API: attached things are found through what they are attached to, also filtered by type, also in depth.
attaches() {
  oras attach "${S[@]}" "$APP:v1" --artifact-type application/vnd.example.sbom sbom.json:application/json --format json >sbom.out
  oras attach "${S[@]}" "$APP:v1" --artifact-type application/vnd.example.report report.txt
  oras attach "${S[@]}" "$APP@$(jq -r .digest sbom.out)" --artifact-type application/vnd.example.report report.txt
  # Had the server no referrers API, oras would have kept an index under a tag named after the digest.
  equal "$(oras repo tags "${S[@]}" "$APP" | tr '\n' ' ')" "latest v1 " "tags"
}

discovers() {
  oras discover "${S[@]}" --format json --depth 1 "$APP:v1" >all.json
  equal "$(jq '[.. | .artifactType? | strings] | map(select(startswith("application/vnd.example."))) | length' all.json)" 2
  oras discover "${S[@]}" --format json --artifact-type application/vnd.example.sbom "$APP:v1" >sbom.found
  equal "$(jq -r '[.referrers[].digest] | join(" ")' sbom.found)" "$(jq -r .digest sbom.out)"
  contains "$(oras discover "${S[@]}" --format tree "$APP:v1")" application/vnd.example.report
}

pulls_attached() {
  oras pull "${S[@]}" --include-subject -o attached "$APP@$(jq -r .digest sbom.out)"
  cmp sbom.json attached/sbom.json
  cmp hello.txt attached/hello.txt
}

copies() {
  local from=(--from-ca-file "$CA" --from-plain-http=false) to=(--to-ca-file "$CA" --to-plain-http=false)
  oras cp --recursive "${from[@]}" "${to[@]}" "$APP:v1" "$HTTPS/copy/app:v1"
  equal "$(oras discover "${S[@]}" --format json --depth 1 "$HTTPS/copy/app:v1" | jq '.referrers | length')" 2 "referrers copied"
  oras cp --from-oci-layout "${to[@]}" "index:v1" "$HTTPS/team/many:v1"
  equal "$(oras resolve "${S[@]}" "$HTTPS/team/many:v1")" "$(cat index.digest)"
}

blobs() {
  local digest
  digest=$(digest_of hello.txt)
  oras blob push "${S[@]}" "$HTTPS/blobs/app" hello.txt
  oras blob fetch "${S[@]}" -o fetched "$HTTPS/blobs/app@$digest"
  cmp hello.txt fetched
  equal "$(oras blob fetch "${S[@]}" --descriptor "$HTTPS/blobs/app@$digest" | jq .size)" 6
  oras blob delete "${S[@]}" --force "$HTTPS/blobs/app@$digest"
  refused oras blob fetch "${S[@]}" -o fetched "$HTTPS/blobs/app@$digest"
}

manifests() {
  oras manifest fetch "${S[@]}" -o manifest.json "$APP:v1"
  oras manifest fetch-config "${S[@]}" -o config.json "$APP:v1"
  oras manifest push "${S[@]}" "$APP:again,once-more" manifest.json
  equal "$(oras resolve "${S[@]}" "$APP:once-more")" "$(digest_of manifest.json)"
  oras manifest delete "${S[@]}" --force "$HTTPS/copy/app:v1"
  refused oras resolve "${S[@]}" "$HTTPS/copy/app:v1"
}

index() {
  oras manifest index create "${S[@]}" "$APP:index" v1
  equal "$(oras manifest fetch "${S[@]}" "$APP:index" | jq '.manifests | length')" 1
}

backs_up() {
  oras backup "${S[@]}" --include-referrers --output backup.tar "$APP:v1"
  oras restore "${S[@]}" --input backup.tar "$HTTPS/restored/app:v1"
  equal "$(oras resolve "${S[@]}" "$HTTPS/restored/app:v1")" "$(oras resolve "${S[@]}" "$APP:v1")"
}

lists() {
  oras tag "${S[@]}" "$APP:v1" v2 v3
  equal "$(oras repo tags "${S[@]}" --last v1 "$APP" | tr '\n' ' ')" "v2 v3 "
  # A repository is there while it has a manifest: copy/app has lost its last, blobs/app never had one.
  equal "$(oras repo ls "${S[@]}" "$HTTPS" | tr '\n' ' ')" "restored/app team/app team/many "
  equal "$(oras repo ls "${S[@]}" "$HTTPS/team" | tr '\n' ' ')" "app many "
}

logged_out() {
  oras logout "$HTTPS"
  refused oras pull "${S[@]}" -o nothing "$APP:v1"
}

check "oras login over HTTP and HTTPS" login
check "push an artifact with two tags" pushes
check "pull it" pulls
check "attach, also to what is attached" attaches
check "discover, also by type" discovers
check "pull an attached artifact with its subject" pulls_attached
check "cp between repositories with referrers, and from a layout" copies
check "blob push, fetch and delete" blobs
check "manifest push, fetch and delete" manifests
check "manifest index create" index
check "backup and restore" backs_up
check "repo tags and repo ls" lists
check "after oras logout, pull is refused" logged_out
