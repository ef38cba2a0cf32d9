#!/usr/bin/env bash
# The protocol itself, with curl: what clients rely on but do not show. Sections are those of the distribution specification.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"

start_server
cd "$WORK"
head -c 1000 /dev/urandom >thousand
THOUSAND=$(digest_of thousand)

# Opens an upload; prints its address.
open_upload() { # repository
  equal "$(fetch POST "/v2/$1/blobs/uploads/")" 202 >&2
  absolute "$(header location)"
}

absolute() {
  case $1 in http*) echo "$1" ;; *) echo "http://$HTTP$1" ;; esac
}

with_digest() { # location digest
  case $1 in *\?*) echo "$1&digest=$2" ;; *) echo "$1?digest=$2" ;; esac
}

push_blob() { # repository file
  local location
  location=$(open_upload "$1")
  equal "$(fetch PUT "$(with_digest "$location" "$(digest_of "$2")")" --data-binary "@$2" \
    -H 'Content-Type: application/octet-stream')" 201
}

# A manifest with an empty config and one layer; prints its digest.
push_manifest() { # repository tag layer-file
  echo -n '{}' >empty.json
  push_blob "$1" empty.json >&2
  push_blob "$1" "$3" >&2
  jq -nc --arg c "$(digest_of empty.json)" --arg l "$(digest_of "$3")" --argjson s "$(stat -c %s "$3")" --arg tag "$2" '{schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json", annotations: {tag: $tag},
    config: {mediaType: "application/vnd.oci.empty.v1+json", digest: $c, size: 2},
    layers: [{mediaType: "application/octet-stream", digest: $l, size: $s}]}' >manifest.json
  equal "$(fetch PUT "/v2/$1/manifests/$2" --data-binary @manifest.json \
    -H 'Content-Type: application/vnd.oci.image.manifest.v1+json')" 201 >&2
  digest_of manifest.json
}

probes() {
  local path
  for path in /healthz /readyz /metrics; do equal "$(curl -s -o body -w '%{http_code}' "http://$HTTP$path")" 200 "$path"; done
  grep -q '^# TYPE ' body
}

challenges() {
  equal "$(fetch_anonymous GET /v2/)" 401
  contains "$(header www-authenticate)" 'Bearer realm="'
  contains "$(header www-authenticate)" '/oauth2/token",service="'
  lacks "$(header www-authenticate)" scope
  equal "$(jq -r '.errors[0].code' body)" UNAUTHORIZED
  equal "$(fetch_anonymous GET /v2/team/app/manifests/v1)" 401
  contains "$(header www-authenticate)" 'scope="repository:team/app:pull"'
  equal "$(fetch_anonymous POST /v2/team/app/blobs/uploads/)" 401
  contains "$(header www-authenticate)" 'scope="repository:team/app:pull,push"'
}

# As docker does it: read the challenge, take a token from the realm, come back with it.
tokens() {
  local realm service scope token
  fetch_anonymous GET /v2/_catalog >status
  realm=$(header www-authenticate | sed 's/.*realm="\([^"]*\)".*/\1/')
  service=$(header www-authenticate | sed 's/.*service="\([^"]*\)".*/\1/')
  scope=$(header www-authenticate | sed 's/.*scope="\([^"]*\)".*/\1/')
  equal "$scope" "registry:catalog:*"
  equal "$(fetch GET "$realm" -G --data-urlencode "service=$service" --data-urlencode "scope=$scope")" 200
  token=$(jq -er '.access_token // .token' body)
  equal "$(fetch_anonymous GET /v2/_catalog -H "Authorization: Bearer $token")" 200
  equal "$(fetch_anonymous POST "$realm" -d grant_type=password -d "username=$USERNAME" --data-urlencode "password=$PASSWORD" \
    --data-urlencode "service=$service" --data-urlencode "scope=repository:team/app:pull")" 200
  token=$(jq -er .access_token body)
  equal "$(fetch_anonymous GET /v2/_catalog -H "Authorization: Bearer $token")" 401 "a token for something else"
  equal "$(fetch_anonymous GET "$realm" -u "$USERNAME:wrong" -G -d "service=$service")" 401 "token for a wrong password"
  equal "$(fetch_anonymous GET /v2/ -H "Authorization: Bearer x.y.z")" 401 "a token that is none"
}

uploads_at_once() {
  push_blob upload/once thousand
  equal "$(header docker-content-digest)" "$THOUSAND"
  equal "$(fetch GET "/v2/upload/once/blobs/$THOUSAND")" 200
  cmp body thousand
}

# Chunks with Content-Range in order; one out of order is refused and the upload goes on where it was.
uploads_in_chunks() {
  local location
  location=$(open_upload upload/chunks)
  equal "$(fetch PATCH "$location" --data-binary "@-" -H 'Content-Range: 0-399' -H 'Content-Type: application/octet-stream' \
    < <(head -c 400 thousand))" 202
  equal "$(header range)" 0-399
  location=$(absolute "$(header location)")
  equal "$(fetch PATCH "$location" --data-binary "@-" -H 'Content-Range: 600-999' -H 'Content-Type: application/octet-stream' \
    < <(tail -c 400 thousand))" 416
  equal "$(fetch GET "$location")" 204
  equal "$(header range)" 0-399
  location=$(absolute "$(header location)")
  equal "$(fetch PATCH "$location" --data-binary "@-" -H 'Content-Range: 400-699' -H 'Content-Type: application/octet-stream' \
    < <(tail -c 600 thousand | head -c 300))" 202
  location=$(absolute "$(header location)")
  equal "$(fetch PUT "$(with_digest "$location" "$THOUSAND")" --data-binary "@-" -H 'Content-Range: 700-999' \
    -H 'Content-Type: application/octet-stream' < <(tail -c 300 thousand))" 201
  equal "$(fetch GET "/v2/upload/chunks/blobs/$THOUSAND")" 200
  cmp body thousand
}

# Docker sends one PATCH without a length.
uploads_as_stream() {
  local location
  location=$(open_upload upload/stream)
  equal "$(fetch PATCH "$location" -T - -H 'Transfer-Encoding: chunked' <thousand)" 202
  location=$(absolute "$(header location)")
  equal "$(fetch PUT "$(with_digest "$location" "$THOUSAND")" -H 'Content-Length: 0')" 201
}

cancels() {
  local location
  location=$(open_upload upload/cancelled)
  equal "$(fetch DELETE "$location")" 204
  equal "$(fetch GET "$location")" 404
}

wrong_digest() {
  local location other=sha256:0000000000000000000000000000000000000000000000000000000000000000
  location=$(open_upload upload/wrong)
  equal "$(fetch PUT "$(with_digest "$location" $other)" --data-binary @thousand -H 'Content-Type: application/octet-stream')" 400
  equal "$(jq -r '.errors[0].code' body)" DIGEST_INVALID
  equal "$(fetch HEAD "/v2/upload/wrong/blobs/$other")" 404
  equal "$(fetch HEAD "/v2/upload/wrong/blobs/$THOUSAND")" 404
}

mounts() {
  equal "$(fetch POST "/v2/upload/mounted/blobs/uploads/?mount=$THOUSAND&from=upload/once")" 201
  equal "$(fetch HEAD "/v2/upload/mounted/blobs/$THOUSAND")" 200
  equal "$(fetch POST "/v2/upload/mounted/blobs/uploads/?mount=$THOUSAND&from=upload/nowhere")" 202 "mount from nowhere"
}

ranges() {
  local url=/v2/upload/once/blobs/$THOUSAND
  equal "$(fetch HEAD "$url")" 200
  equal "$(header content-length) $(header accept-ranges) $(header docker-content-digest)" "1000 bytes $THOUSAND"
  equal "$(fetch GET "$url" -H 'Range: bytes=0-9')" 206
  equal "$(header content-range)" "bytes 0-9/1000"
  cmp body <(head -c 10 thousand)
  equal "$(fetch GET "$url" -H 'Range: bytes=990-')" 206
  cmp body <(tail -c 10 thousand)
  equal "$(fetch GET "$url" -H 'Range: bytes=-5')" 206
  equal "$(header content-range)" "bytes 995-999/1000"
  equal "$(fetch GET "$url" -H 'Range: bytes=1000-')" 416
  equal "$(header content-range)" "bytes */1000"
}

not_modified() {
  push_manifest cached/app v1 thousand >digest
  equal "$(fetch GET /v2/cached/app/manifests/v1 -H "Accept: $MANIFESTS")" 200
  equal "$(header etag)" "\"$(cat digest)\""
  equal "$(fetch GET /v2/cached/app/manifests/v1 -H "Accept: $MANIFESTS" -H "If-None-Match: \"$(cat digest)\"")" 304
  equal "$(fetch GET /v2/cached/app/manifests/v1 -H "Accept: $MANIFESTS" -H 'If-None-Match: "sha256:other"')" 200
  equal "$(fetch GET "/v2/cached/app/blobs/$THOUSAND")" 200
  equal "$(fetch GET "/v2/cached/app/blobs/$THOUSAND" -H "If-None-Match: $(header etag)")" 304
}

http2() {
  equal "$(curl -sS --http2 --cacert "$CA" -u "$USERNAME:$PASSWORD" -o body -w '%{http_code} %{http_version}' "https://$HTTPS/v2/")" "200 2"
  equal "$(curl -sS --http1.1 --cacert "$CA" -u "$USERNAME:$PASSWORD" -o body -w '%{http_code} %{http_version}' "https://$HTTPS/v2/")" "200 1.1"
  equal "$(curl -sS --http2 --cacert "$CA" -u "$USERNAME:$PASSWORD" "https://$HTTPS/v2/upload/once/blobs/$THOUSAND" | sha256sum)" \
    "${THOUSAND#sha256:}  -"
  # An answer to HEAD has no body, also when it is an error: over HTTP/2 a body there breaks the connection.
  equal "$(BASE=https://$HTTPS fetch HEAD /v2/upload/once/manifests/never --http2)" 404
  equal "$(BASE=https://$HTTPS fetch HEAD /v2/ --http2)" 200
  refused curl -sS --cacert /dev/null "https://$HTTPS/v2/"
}

pages() {
  local tag
  for tag in v1 v10 v2 v3 v4; do push_manifest paged/app $tag thousand; done
  equal "$(fetch GET '/v2/paged/app/tags/list?n=2')" 200
  equal "$(jq -c .tags body)" '["v1","v10"]'
  contains "$(header link)" 'rel="next"'
  equal "$(fetch GET "$(header link | sed 's/<\([^>]*\)>.*/\1/')")" 200
  equal "$(jq -c .tags body)" '["v2","v3"]'
  equal "$(fetch GET "$(header link | sed 's/<\([^>]*\)>.*/\1/')")" 200
  equal "$(jq -c .tags body)" '["v4"]'
  equal "$(header link)" ""
  equal "$(fetch GET '/v2/_catalog?n=1&last=cached/app')" 200
  equal "$(jq -c .repositories body)" '["paged/app"]'
}

missing_blob() {
  jq '.layers[0].digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"' manifest.json >missing.json
  local status
  status=$(fetch PUT /v2/paged/app/manifests/missing --data-binary @missing.json -H 'Content-Type: application/vnd.oci.image.manifest.v1+json')
  [[ $status =~ ^40[04]$ ]] || equal "$status" "400 or 404"
  equal "$(jq -r '.errors[0].code' body)" MANIFEST_BLOB_UNKNOWN
}

# A blob in use cannot be deleted; deleting a tag leaves the manifest; deleting the manifest takes its tags.
deletes() {
  local digest
  digest=$(push_manifest deleted/app v1 thousand)
  equal "$(fetch DELETE "/v2/deleted/app/blobs/$THOUSAND")" 405
  equal "$(fetch PUT /v2/deleted/app/manifests/v2 --data-binary @manifest.json -H 'Content-Type: application/vnd.oci.image.manifest.v1+json')" 201
  equal "$(fetch DELETE /v2/deleted/app/manifests/v1)" 202
  equal "$(fetch HEAD /v2/deleted/app/manifests/v1 -H "Accept: $MANIFESTS")" 404
  equal "$(fetch HEAD "/v2/deleted/app/manifests/$digest" -H "Accept: $MANIFESTS")" 200
  equal "$(fetch DELETE "/v2/deleted/app/manifests/$digest")" 202
  equal "$(fetch HEAD /v2/deleted/app/manifests/v2 -H "Accept: $MANIFESTS")" 404
  equal "$(fetch DELETE "/v2/deleted/app/blobs/$THOUSAND")" 202
  equal "$(fetch HEAD "/v2/deleted/app/blobs/$THOUSAND")" 404
  equal "$(fetch HEAD "/v2/upload/once/blobs/$THOUSAND")" 200 "the same bytes in another repository"
}

empty_blob() {
  : >nothing
  push_blob upload/empty nothing
  equal "$(fetch GET "/v2/upload/empty/blobs/$(digest_of nothing)")" 200
  equal "$(header content-length)" 0
}

check "health, readiness and metrics need no login" probes
check "no credentials: a challenge that names the scope" challenges
check "tokens from the realm" tokens
check "upload in one request" uploads_at_once
check "upload in chunks, one of them out of order" uploads_in_chunks
check "upload as a stream without length" uploads_as_stream
check "cancel an upload" cancels
check "a wrong digest stores nothing" wrong_digest
check "mount from another repository" mounts
check "range requests: 206 and 416" ranges
check "ETag and If-None-Match: 304" not_modified
check "HTTP/2 and HTTP/1.1 over TLS" http2
check "tags and repositories by the page" pages
check "a manifest whose blob is missing" missing_blob
check "what deleting takes along and what it refuses" deletes
check "a blob of zero bytes" empty_blob
