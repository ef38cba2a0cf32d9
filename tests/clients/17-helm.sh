#!/usr/bin/env bash
# helm: charts in the registry, over HTTPS with the server's authority and over HTTP.
. "$(dirname "$0")/../lib.sh"

start_server
cd "$WORK"
CHARTS=oci://$HTTPS/charts
S=(--ca-file "$CA")

login() {
  contains "$(helm registry login "${S[@]}" -u "$USERNAME" --password-stdin "$HTTPS" <<<"$PASSWORD" 2>&1)" "Login Succeeded"
  contains "$(helm registry login --plain-http -u "$USERNAME" --password-stdin "$HTTP" <<<"$PASSWORD" 2>&1)" "Login Succeeded"
}

wrong_password() {
  refused helm registry login "${S[@]}" -u "$USERNAME" -p wrong "$HTTPS"
}

packages() {
  helm create demo
  helm package demo --version 0.1.0
  # A plus is legal in a version but not in a tag: helm pushes it as an underscore.
  helm package demo --version 0.2.0+build.7
}

pushes() {
  helm push "${S[@]}" demo-0.1.0.tgz "$CHARTS" 2>&1 | tee pushed
  helm push "${S[@]}" demo-0.2.0+build.7.tgz "$CHARTS"
  equal "$(fetch GET /v2/charts/demo/tags/list)" 200
  equal "$(jq -c .tags body)" '["0.1.0","0.2.0_build.7"]'
  equal "$(fetch GET /v2/charts/demo/manifests/0.1.0 -H "Accept: $MANIFESTS")" 200
  equal "$(jq -r .config.mediaType body)" application/vnd.cncf.helm.config.v1+json
}

pulls() {
  mkdir -p back
  helm pull "${S[@]}" "$CHARTS/demo" --version 0.1.0 -d back
  cmp demo-0.1.0.tgz back/demo-0.1.0.tgz
  helm pull "${S[@]}" "$CHARTS/demo@$(sed -n 's/^Digest: //p' pushed)" -d back --untar
  helm pull --plain-http "oci://$HTTP/charts/demo" --version 0.2.0+build.7 -d back
  cmp demo-0.2.0+build.7.tgz back/demo-0.2.0+build.7.tgz
}

# Without --version, helm lists the tags and takes the newest; with a range, the newest inside.
chooses_versions() {
  contains "$(helm show chart "${S[@]}" "$CHARTS/demo")" "version: 0.2.0+build.7"
  contains "$(helm show chart "${S[@]}" "$CHARTS/demo" --version '~0.1.0')" "version: 0.1.0"
}

renders() {
  contains "$(helm template "${S[@]}" web "$CHARTS/demo" --version 0.1.0 --set replicaCount=3)" "replicas: 3"
  contains "$(helm install web "${S[@]}" "$CHARTS/demo" --version 0.1.0 --dry-run=client 2>&1)" "STATUS: pending-install"
}

depends() {
  helm create parent
  printf 'dependencies:\n  - name: demo\n    version: 0.1.0\n    repository: %s\n' "oci://$HTTP/charts" >>parent/Chart.yaml
  helm dependency update --plain-http parent
  [ -s parent/charts/demo-0.1.0.tgz ]
}

logged_out() {
  helm registry logout "$HTTPS"
  refused helm pull "${S[@]}" "$CHARTS/demo" --version 0.1.0 -d "$WORK/home"
}

check "helm registry login" login
check "helm registry login refuses a wrong password" wrong_password
check "helm package" packages
check "helm push, with a plus in the version" pushes
check "helm pull by version and by digest" pulls
check "the newest version and version ranges" chooses_versions
check "helm template and install --dry-run=client" renders
check "a chart that depends on a chart in the registry" depends
check "after helm registry logout, pull is refused" logged_out
