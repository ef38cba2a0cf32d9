#!/usr/bin/env bash
# Charts the older way: az acr helm, and helm with the registry added as a repository of charts. What one client pushes the
# others have, whichever way they go.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"

REGISTRY=contoso
LOGIN_SERVER=$REGISTRY.$DOMAIN
REPO=https://$LOGIN_SERVER/helm/v1/repo

start_azure
resolve "$LOGIN_SERVER"
cd "$WORK"

prepares() {
  sign_in
  az group create -n g1 -l eastus >/dev/null
  az acr create -g g1 -n $REGISTRY --sku Premium --admin-enabled true >/dev/null
  query 'passwords[0].value' acr credential show -n $REGISTRY >password
  helm create web
  mkdir added back newest artifact signed signed-artifact unsigned # helm makes no directories
  for version in 0.1.0 0.2.0+build.7 0.10.0; do
    helm package web --version "$version" --app-version "1.$version"
  done
}

acr_helm() { az acr helm "$1" -n $REGISTRY "${@:2}" -o json; }

pushes() {
  equal "$(acr_helm push web-0.1.0.tgz | jq -c .)" '{"saved":true}'
  acr_helm push web-0.2.0+build.7.tgz
  fails_with "is there already" acr helm push -n $REGISTRY web-0.1.0.tgz
  # With --force az replaces, and adds what is not there.
  acr_helm push web-0.1.0.tgz --force
  acr_helm push web-0.10.0.tgz --force
  # As the admin user, into another repository of charts.
  acr_helm push web-0.1.0.tgz --repository team/charts --username $REGISTRY --password "$(cat password)"
}

lists_and_shows() {
  equal "$(acr_helm list | jq -c '[.web[].version]')" '["0.10.0","0.2.0+build.7","0.1.0"]'
  equal "$(acr_helm list --repository team/charts | jq -c '[.web[].version]')" '["0.1.0"]'
  equal "$(acr_helm list --repository other | jq -c .)" '{}'
  equal "$(acr_helm show web | jq length)" 3
  equal "$(acr_helm show web --version 0.2.0+build.7 | jq -r .appVersion)" 1.0.2.0+build.7
  contains "$(az acr helm list -n $REGISTRY -o table)" "A Helm chart for Kubernetes"
  contains "$(az acr helm show -n $REGISTRY web --version 0.1.0 -o table)" "0.1.0"
  fails_with "there is no other" acr helm show -n $REGISTRY other
}

refuses_what_is_no_chart() {
  echo nonsense >nonsense-1.0.0.tgz
  cp web-0.1.0.tgz web-9.9.9.tgz
  # az tries everything three times that is not one of the answers it knows, and waits in between.
  fails_with "it is no gzip archive" acr helm push -n $REGISTRY nonsense-1.0.0.tgz
  curl -s -u "$REGISTRY:$(cat password)" -T web-9.9.9.tgz "$REPO/_blobs/" >said
  contains "$(jq -r '.errors[0].message' said)" "it must be called web-0.1.0.tgz"
}

adds_the_repository() {
  helm repo add wharf "$REPO" --username $REGISTRY --password "$(cat password)"
  helm repo update wharf
  equal "$(helm search repo wharf/ -o json | jq -r '.[0].version')" 0.10.0
  equal "$(helm search repo wharf/ --versions -o json | jq length)" 3
  refused helm repo add other "$REPO" --username $REGISTRY --password wrong
  refused helm repo add other "$REPO"
}

# az fetches a token and runs helm with it.
az_adds_the_repository() {
  az acr helm repo add -n $REGISTRY
  contains "$(helm repo list)" "$REPO"
  helm pull $REGISTRY/web --version 0.1.0 -d added
  cmp web-0.1.0.tgz added/web-0.1.0.tgz
}

pulls_and_renders() {
  for version in 0.1.0 0.2.0+build.7; do
    helm pull wharf/web --version "$version" -d back
    cmp "web-$version.tgz" "back/web-$version.tgz"
  done
  helm pull web --repo "$REPO" --username $REGISTRY --password "$(cat password)" -d newest
  cmp web-0.10.0.tgz newest/web-0.10.0.tgz
  contains "$(helm template mine wharf/web --version '~0.1.0' --set replicaCount=3)" "replicas: 3"
  helm create parent
  printf 'dependencies:\n  - name: web\n    version: 0.1.0\n    repository: "@wharf"\n' >>parent/Chart.yaml
  helm dependency update parent
  cmp web-0.1.0.tgz parent/charts/web-0.1.0.tgz
}

# What helm pushes is in the index, and what az pushes helm pulls as an artifact.
is_the_same_as_artifacts() {
  helm registry login "$LOGIN_SERVER" -u $REGISTRY --password-stdin <password
  helm package web --version 1.0.0
  helm push web-1.0.0.tgz "oci://$LOGIN_SERVER/repo"
  equal "$(acr_helm show web --version 1.0.0 | jq -r .version)" 1.0.0
  helm repo update wharf
  helm pull wharf/web --version 1.0.0 -d back
  cmp web-1.0.0.tgz back/web-1.0.0.tgz
  helm pull "oci://$LOGIN_SERVER/repo/web" --version 0.2.0+build.7 -d artifact
  cmp web-0.2.0+build.7.tgz artifact/web-0.2.0+build.7.tgz
  equal "$(az acr repository show-tags -n $REGISTRY --repository repo/web -o json | jq -c .)" '["0.1.0","0.10.0","0.2.0_build.7","1.0.0"]'
}

keeps_provenance() {
  export GNUPGHOME=$WORK/gnupg
  mkdir -m 700 "$GNUPGHOME"
  gpg --batch --passphrase '' --quick-generate-key "Chart Maker <maker@example.com>" rsa2048 sign never
  gpg --batch --export-secret-keys >secret.gpg
  gpg --batch --export >public.gpg
  helm package web --version 2.0.0 --sign --key "Chart Maker" --keyring secret.gpg
  acr_helm push web-2.0.0.tgz
  acr_helm push web-2.0.0.tgz.prov
  fails_with "is there already" acr helm push -n $REGISTRY web-2.0.0.tgz.prov
  helm repo update wharf
  helm pull wharf/web --version 2.0.0 --verify --keyring public.gpg -d signed
  cmp web-2.0.0.tgz.prov signed/web-2.0.0.tgz.prov
  helm pull "oci://$LOGIN_SERVER/repo/web" --version 2.0.0 --verify --keyring public.gpg -d signed-artifact
  acr_helm delete web --version 2.0.0 --prov -y
  refused helm pull wharf/web --version 2.0.0 --verify --keyring public.gpg -d unsigned
  helm pull wharf/web --version 2.0.0 -d unsigned
  gpgconf --kill gpg-agent
}

deletes() {
  equal "$(acr_helm delete web --version 0.1.0 -y | jq -c .)" '{"deleted":true}'
  equal "$(acr_helm list | jq -c '[.web[].version]')" '["2.0.0","1.0.0","0.10.0","0.2.0+build.7"]'
  fails_with "there is no web-0.1.0.tgz" acr helm delete -n $REGISTRY web --version 0.1.0 -y
  az acr repository update -n $REGISTRY --image repo/web:1.0.0 --write-enabled false >/dev/null
  fails_with "disallowed" acr helm delete -n $REGISTRY web -y
  az acr repository update -n $REGISTRY --image repo/web:1.0.0 --write-enabled true >/dev/null
  acr_helm delete web -y
  equal "$(acr_helm list | jq -c .)" '{}'
  helm repo update wharf
  equal "$(helm search repo wharf/ -o json | jq length)" 0
  equal "$(acr_helm list --repository team/charts | jq -c '[.web[].version]')" '["0.1.0"]'
}

check "a registry and three versions of a chart" prepares
check "az acr helm push, and --force" pushes
check "az acr helm list and show" lists_and_shows
check "what is no chart is refused, and az says why" refuses_what_is_no_chart
check "helm repo add with a password" adds_the_repository
check "az acr helm repo add" az_adds_the_repository
check "helm pull, template and dependency update" pulls_and_renders
check "what helm pushes as an artifact, and the other way round" is_the_same_as_artifacts
check "provenance" keeps_provenance
check "az acr helm delete" deletes
