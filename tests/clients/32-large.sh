#!/usr/bin/env bash
# A layer of 1 GiB: pushed and pulled by two clients over HTTP and HTTPS, every byte verified, in bounded memory.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"

start_server
cd "$WORK"
export SSL_CERT_FILE=$CA CASE_SECONDS=300
mkdir -p certs
cp "$CA" certs/ca.crt

makes_image() {
  local layer config manifest
  layout big
  openssl rand -out layer $((1 << 30)) # random: nothing on the way can compress it
  digest_of layer >layer.digest
  layer=$(store big layer application/vnd.oci.image.layer.v1.tar)
  jq -nc --arg d "$(cat layer.digest)" '{architecture: "amd64", os: "linux", config: {}, rootfs: {type: "layers", diff_ids: [$d]}}' >config
  config=$(store big config application/vnd.oci.image.config.v1+json)
  jq -nc --argjson c "$config" --argjson l "$layer" '{schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json", config: $c, layers: [$l]}' >manifest
  manifest=$(store big manifest application/vnd.oci.image.manifest.v1+json)
  name_in_layout big "$manifest" v1
  crane auth login -u "$USERNAME" --password-stdin "$HTTP" <<<"$PASSWORD"
  crane auth login -u "$USERNAME" --password-stdin "$HTTPS" <<<"$PASSWORD"
}

crane_pushes() {
  crane push big "$HTTP/large/app:v1"
}

# The same bytes into another repository, by a client that does not mount.
skopeo_pushes() {
  skopeo copy --preserve-digests --dest-cert-dir certs oci:big:v1 "docker://$HTTPS/large/again:v1"
}

crane_pulls() {
  equal "sha256:$(crane blob "$HTTPS/large/app@$(cat layer.digest)" | sha256sum | cut -d' ' -f1)" "$(cat layer.digest)"
}

skopeo_pulls() {
  skopeo copy --src-tls-verify=false "docker://$HTTP/large/again:v1" dir:back
  equal "sha256:$(sha256sum <"back/$(sed s/sha256:// layer.digest)" | cut -d' ' -f1)" "$(cat layer.digest)"
  rm -rf back
}

# A broken download goes on where it stopped.
resumes() {
  local url
  url=http://$HTTP/v2/large/app/blobs/$(cat layer.digest)
  curl -sS -u "$USERNAME:$PASSWORD" -r 0-599999999 -o part "$url"
  equal "$(stat -c %s part)" 600000000
  curl -sS -u "$USERNAME:$PASSWORD" -C - -o part "$url"
  equal "$(digest_of part)" "$(cat layer.digest)"
  rm part
}

bounded_memory() {
  local peak
  peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(cat server.pid)/status")
  echo "the server's peak: $peak KiB"
  [ "$peak" -lt $((400 * 1024)) ]
}

check "make an image with a layer of 1 GiB" makes_image
check "crane push over HTTP" crane_pushes
check "skopeo copy over HTTPS" skopeo_pushes
check "crane pulls it back over HTTPS" crane_pulls
check "skopeo pulls it back over HTTP" skopeo_pulls
check "a download goes on where it stopped" resumes
check "the server stayed below 400 MiB of memory" bounded_memory
