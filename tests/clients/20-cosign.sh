#!/usr/bin/env bash
# cosign with a local key pair and no transparency log: signatures under a tag (the old way) and as referrers (OCI 1.1).
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"

start_server
cd "$WORK"
export SSL_CERT_FILE=$CA COSIGN_PASSWORD=secret
make_image "$WORK/image" v1 >"$WORK/image.digest"
DIGEST=$(cat image.digest)

prepares() {
  local address repository
  for address in "$HTTP" "$HTTPS"; do crane auth login -u "$USERNAME" --password-stdin "$address" <<<"$PASSWORD"; done
  for repository in old new http; do crane push "$WORK/image" "$HTTPS/$repository:v1"; done
}

# Nothing here may ask the public services: they cannot be reached, and a registry's test does not need them.
sign() { cosign sign --yes --key cosign.key --use-signing-config=false --tlog-upload=false "$@"; }
verify() { cosign verify --key cosign.pub --insecure-ignore-tlog=true --private-infrastructure=true "$@"; }

makes_keys() {
  cosign generate-key-pair
  [ -s cosign.key ] && [ -s cosign.pub ]
}

old_style() {
  refused verify --new-bundle-format=false "$HTTPS/old@$DIGEST"
  sign --new-bundle-format=false "$HTTPS/old@$DIGEST"
  verify --new-bundle-format=false "$HTTPS/old@$DIGEST"
  # The old way keeps the signature under a tag made from the digest.
  equal "$(crane ls "$HTTPS/old" | tr '\n' ' ')" "${DIGEST/:/-}.sig v1 "
  equal "$(cosign triangulate "$HTTPS/old@$DIGEST")" "$HTTPS/old:${DIGEST/:/-}.sig"
}

new_style() {
  sign "$HTTPS/new@$DIGEST"
  verify "$HTTPS/new@$DIGEST"
  equal "$(crane ls "$HTTPS/new")" v1 "tags: the signature has none"
  equal "$(fetch GET "/v2/new/referrers/$DIGEST")" 200
  equal "$(jq '.manifests | length' body)" 1
}

second_signature() {
  sign -a by=second --new-bundle-format=false "$HTTPS/old@$DIGEST"
  verify -a by=second --new-bundle-format=false "$HTTPS/old@$DIGEST"
}

attests() {
  echo '{"tested": true}' >predicate.json
  cosign attest --yes --key cosign.key --use-signing-config=false --tlog-upload=false --predicate predicate.json --type custom \
    "$HTTPS/new@$DIGEST"
  cosign verify-attestation --key cosign.pub --insecure-ignore-tlog=true --private-infrastructure=true --type custom \
    "$HTTPS/new@$DIGEST"
  equal "$(fetch GET "/v2/new/referrers/$DIGEST")" 200
  equal "$(jq '.manifests | length' body)" 2
}

other_key() {
  mkdir -p other
  (cd other && cosign generate-key-pair)
  refused cosign verify --key other/cosign.pub --insecure-ignore-tlog=true --private-infrastructure=true "$HTTPS/new@$DIGEST"
}

shows_tree() {
  contains "$(cosign tree "$HTTPS/new@$DIGEST" 2>&1)" sha256:
}

over_http() {
  sign --allow-http-registry "$HTTP/http@$DIGEST"
  verify --allow-http-registry "$HTTP/http@$DIGEST"
}

check "push what is to be signed" prepares
check "cosign generate-key-pair" makes_keys
check "sign and verify, signature under a tag" old_style
check "sign and verify, signature as a referrer" new_style
check "a second signature, with an annotation" second_signature
check "attest and verify-attestation" attests
check "another key does not verify" other_key
check "cosign tree" shows_tree
check "sign and verify over HTTP" over_http
