#!/usr/bin/env bash
# notation (Notary Project): signs with a local test key, stores the signature as a referrer, and verifies what it finds there.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"

start_server
cd "$WORK"
export SSL_CERT_FILE=$CA NOTATION_USERNAME=$USERNAME NOTATION_PASSWORD=$PASSWORD
make_image "$WORK/image" v1 >"$WORK/image.digest"
HTTPS=127.0.0.1:$HTTPS_PORT # notation takes plain HTTP for localhost, whatever it is told
APP=$HTTPS/team/app@$(cat image.digest)

prepares() {
  crane auth login -u "$USERNAME" --password-stdin "$HTTPS" <<<"$PASSWORD"
  crane push "$WORK/image" "$HTTPS/team/app:v1"
  crane copy "$HTTPS/team/app:v1" "$HTTPS/team/unsigned:v1"
}

makes_key() {
  notation cert generate-test --default wharf-tests
  cat >policy.json <<'END'
{"version": "1.0", "trustPolicies": [{"name": "ours", "registryScopes": ["*"], "trustedIdentities": ["*"],
  "signatureVerification": {"level": "strict"}, "trustStores": ["ca:wharf-tests"]}]}
END
  notation policy import policy.json
}

signs() {
  refused notation verify "$APP"
  notation sign --force-referrers-tag=false "$APP"
  notation sign --force-referrers-tag=false --signature-format cose "$APP"
}

verifies() {
  contains "$(notation verify "$APP" 2>&1)" "Successfully verified signature"
  contains "$(notation verify "$HTTPS/team/app:v1" 2>&1)" "Successfully verified signature"
}

# Both signatures are referrers of the image, under Notary's artifact type, and neither has a tag.
finds_them_through_referrers() {
  equal "$(fetch GET "/v2/team/app/referrers/$(cat image.digest)?artifactType=application/vnd.cncf.notary.signature")" 200
  equal "$(jq '.manifests | length' body)" 2
  equal "$(notation list "$APP" | grep -c sha256:)" 3 "lines with a digest: the image and two signatures"
  equal "$(crane ls "$HTTPS/team/app")" v1
}

unsigned() {
  contains "$(refused notation verify "$HTTPS/team/unsigned:v1" 2>&1)" "no signature is associated"
}

# Somebody else's key is not in the trust store, so what it signs does not count.
untrusted() {
  crane mutate --label other=1 --tag "$HTTPS/team/other:v1" "$HTTPS/team/app:v1"
  notation cert generate-test other
  notation cert delete --type ca --store other --all --yes
  notation sign --force-referrers-tag=false --key other "$HTTPS/team/other@$(crane digest "$HTTPS/team/other:v1")"
  refused notation verify "$HTTPS/team/other:v1"
}

over_http() {
  notation sign --force-referrers-tag=false --insecure-registry "$HTTP/team/app@$(cat image.digest)"
  notation verify --insecure-registry "$HTTP/team/app@$(cat image.digest)"
}

# Signatures follow the image they belong to.
deletes_with_subject() {
  crane delete "$APP"
  equal "$(fetch GET "/v2/team/app/referrers/$(cat image.digest)")" 200
  equal "$(jq -c .manifests body)" "[]"
}

check "push what is to be signed" prepares
check "make a test key and trust it" makes_key
check "sign in both formats" signs
check "verify by digest and by tag" verifies
check "the signatures are referrers" finds_them_through_referrers
check "an unsigned image does not verify" unsigned
check "a signature by an unknown key does not verify" untrusted
check "sign and verify over HTTP" over_http
check "deleting the image deletes its signatures" deletes_with_subject
