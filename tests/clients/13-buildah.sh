#!/usr/bin/env bash
# buildah: builds without a daemon, layer by layer and from a Dockerfile, on a base that it pulls from the registry.
. "$(dirname "$0")/../lib.sh"
. "$TESTS/images.sh"

start_server
mkdir -p "$WORK/certs"
cp "$CA" "$WORK/certs/ca.crt"

# chroot isolation and vfs storage work as root anywhere, also inside another container.
buildah() {
  BUILDAH_ISOLATION=chroot command buildah --root "$WORK/storage" --runroot "$WORK/storage-run" --storage-driver vfs "$@"
}

login() {
  contains "$(buildah login --cert-dir "$WORK/certs" -u "$USERNAME" --password-stdin "$HTTPS" <<<"$PASSWORD")" "Login Succeeded"
}

commits() {
  local container
  container=$(buildah from scratch)
  buildah copy "$container" "$BUSYBOX" /bin/busybox
  buildah run "$container" /bin/busybox --install -s /bin
  buildah config --cmd '["/bin/sh"]' --env PATH=/bin "$container"
  buildah commit "$container" "$HTTPS/base:1"
  buildah push --cert-dir "$WORK/certs" --digestfile "$WORK/digest" "$HTTPS/base:1"
  equal "$(fetch HEAD /v2/base/manifests/1 -H "Accept: $MANIFESTS")" 200
  equal "$(header docker-content-digest)" "$(cat "$WORK/digest")" "digest served"
}

builds_on_it() {
  buildah rmi -a -f
  printf 'FROM %s/base:1\nRUN echo "one" > /one\nRUN echo "two" > /two\n' "$HTTPS" >"$WORK/Dockerfile"
  buildah bud --cert-dir "$WORK/certs" --layers -t "$HTTPS/app:1" -f "$WORK/Dockerfile" "$WORK/home"
  buildah push --cert-dir "$WORK/certs" "$HTTPS/app:1"
}

pulls_back() {
  local container
  buildah rmi -a -f
  container=$(buildah from --cert-dir "$WORK/certs" "$HTTPS/app:1")
  equal "$(buildah run "$container" cat /one /two | tr '\n' ' ')" "one two "
}

over_http() {
  buildah push --tls-verify=false --creds "$USERNAME:$PASSWORD" "$HTTPS/app:1" "docker://$HTTP/app:http"
  buildah pull --tls-verify=false --creds "$USERNAME:$PASSWORD" "docker://$HTTP/app:http"
}

manifest_list() {
  buildah manifest create many
  buildah manifest add --cert-dir "$WORK/certs" --arch amd64 many "docker://$HTTPS/base:1"
  buildah manifest add --cert-dir "$WORK/certs" --arch arm64 many "docker://$HTTPS/app:1"
  buildah manifest push --cert-dir "$WORK/certs" --all many "docker://$HTTPS/many:1"
  equal "$(fetch GET /v2/many/manifests/1 -H "Accept: $MANIFESTS")" 200
  equal "$(jq '.manifests | length' "$WORK/body")" 2
}

check "buildah login" login
check "an image made step by step is pushed" commits
check "a Dockerfile is built on a base from the registry" builds_on_it
check "the image is pulled and used" pulls_back
check "push and pull over HTTP" over_http
check "buildah manifest push" manifest_list
