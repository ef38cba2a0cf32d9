# shellcheck shell=bash
# Images to push, made here: nothing can be pulled from outside, and a test should know every byte it sends.
# Each function writes an OCI image layout (directory $1) that skopeo, crane, regctl, oras, podman and ctr read.

BUSYBOX=$(command -v busybox)

# Starts an empty layout.
layout() {
  mkdir -p "$1/blobs/sha256"
  echo '{"imageLayoutVersion":"1.0.0"}' >"$1/oci-layout"
}

# Moves file $2 into layout $1; prints its descriptor with media type $3.
store() {
  local digest size
  digest=$(digest_of "$2")
  size=$(stat -c %s "$2")
  mv "$2" "$1/blobs/sha256/${digest#sha256:}"
  jq -nc --arg m "$3" --arg d "$digest" --argjson s "$size" '{mediaType: $m, digest: $d, size: $s}'
}

# A one-layer busybox image for linux/$3 that says $2; prints the manifest's descriptor.
store_image() { # layout greeting architecture
  local root layer config manifest diff
  root=$(mktemp -d "$WORK/root.XXXXXX")
  mkdir -p "$root/bin" "$root/etc"
  cp "$BUSYBOX" "$root/bin/busybox"
  ln -s busybox "$root/bin/sh"
  echo "$2" >"$root/etc/greeting"
  # Sorted, without owners and times: the same greeting gives the same digest in every run.
  tar -C "$root" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$root.tar" .
  diff=$(digest_of "$root.tar")
  gzip -n1 "$root.tar"
  layer=$(store "$1" "$root.tar.gz" application/vnd.oci.image.layer.v1.tar+gzip)
  jq -nc --arg a "$3" --arg d "$diff" '{architecture: $a, os: "linux",
    config: {Cmd: ["/bin/busybox", "cat", "/etc/greeting"]}, rootfs: {type: "layers", diff_ids: [$d]},
    history: [{created_by: "wharf tests"}]}' >"$root.config"
  config=$(store "$1" "$root.config" application/vnd.oci.image.config.v1+json)
  jq -nc --argjson c "$config" --argjson l "$layer" '{schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json", config: $c, layers: [$l]}' >"$root.manifest"
  manifest=$(store "$1" "$root.manifest" application/vnd.oci.image.manifest.v1+json)
  rm -rf "$root"
  jq -c --arg a "$3" '. + {platform: {os: "linux", architecture: $a}}' <<<"$manifest"
}

# Writes index.json, which names descriptor $2 by tag $3.
name_in_layout() {
  jq -nc --argjson d "$2" --arg t "$3" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [$d + {annotations: {"org.opencontainers.image.ref.name": $t}}]}' >"$1/index.json"
}

# An image with one platform, named by tag $2; prints its digest.
make_image() { # directory tag [greeting]
  local manifest
  layout "$1"
  manifest=$(store_image "$1" "${3:-hello from $2}" amd64)
  name_in_layout "$1" "$(jq -c 'del(.platform)' <<<"$manifest")" "$2"
  jq -r .digest <<<"$manifest"
}

# An index for amd64, arm64 and s390x, named by tag $2; prints its digest.
make_index() { # directory tag
  local manifests=() architecture index
  layout "$1"
  for architecture in amd64 arm64 s390x; do
    manifests+=("$(store_image "$1" "hello from $2 on $architecture" "$architecture")")
  done
  printf '%s\n' "${manifests[@]}" | jq -sc '{schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json", manifests: .}' >"$WORK/index.tmp"
  index=$(store "$1" "$WORK/index.tmp" application/vnd.oci.image.index.v1+json)
  name_in_layout "$1" "$index" "$2"
  jq -r .digest <<<"$index"
}
