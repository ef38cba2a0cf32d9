#!/usr/bin/env bash
# The Azure CLI: cache rules and credential sets, and what is pulled through them by podman and others, from real registries:
# Debian's docker-registry with a password, and another Wharf over HTTPS with tokens. What was pulled stays when they stop.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"
. "$TESTS/images.sh"

REGISTRY=contoso
LOGIN_SERVER=$REGISTRY.$DOMAIN
LOCKED=locked.lab.test:5102
OTHER=wharf.other.test:5443
VAULT=https://lab.vault.azure.net/secrets

cd "$WORK"

# Debian's registry with passwords from a file.
start_docker_registry() {
  mkdir -p "$WORK/locked"
  cat >"$WORK/locked.yml" <<YML
version: 0.1
storage: {filesystem: {rootdirectory: $WORK/locked}}
http: {addr: 127.0.0.1:5102}
auth: {htpasswd: {realm: lab, path: $WORK/htpasswd}}
YML
  # It takes every REGISTRY_… in the environment for a setting.
  env -u REGISTRY_AUTH_FILE docker-registry serve "$WORK/locked.yml" >"$LOGS/locked.log" 2>&1 </dev/null &
  echo $! >"$WORK/locked.pid"
  at_end "end_process $!"
  await "docker-registry" curl -s -o /dev/null "http://127.0.0.1:5102/v2/"
}

# The other Wharf: a server of its own with another authority, which ours is told to trust.
start_other() {
  "$WHARF" serve --data "$WORK/other" --http off --https 127.0.0.1:5443 --domain other.test \
    >"$LOGS/other.log" 2>&1 </dev/null &
  echo $! >"$WORK/other.pid"
  at_end "end_process $!"
  await "the other Wharf" test -s "$WORK/other/credentials.json"
  await "the other Wharf" curl -sf --cacert "$WORK/other/tls/ca.pem" -o /dev/null "https://localhost:5443/v2/" \
    -u "$(other .registry.username):$(other '.registry.passwords[0]')"
}

other() { jq -er "$1" "$WORK/other/credentials.json"; }

resolve "$LOGIN_SERVER" locked.lab.test wharf.other.test
# As htpasswd -B writes it.
printf 'robot:%s\n' "$(perl -e 'print crypt("hunter22", "\$2y\$05\$" . "abcdefghijklmnopqrstuu")')" >"$WORK/htpasswd"
start_docker_registry
start_other
mkdir secrets
printf 'robot\n' >secrets/locked-user
cat >"$WORK/wharf.toml" <<TOML
allow_internal = ["127.0.0.0/8"]

[upstreams]
plain_http = ["$LOCKED"]
ca = "$WORK/other/tls/ca.pem"

[secrets]
directory = "$WORK/secrets"

[cache]
fresh_seconds = 1
TOML
start_azure --config "$WORK/wharf.toml"

prepares() {
  sign_in
  az group create -n g1 -l eastus >/dev/null
  az acr create -g g1 -n $REGISTRY --sku Premium --admin-enabled true >/dev/null
  query 'passwords[0].value' acr credential show -n $REGISTRY >admin.password
  make_image one v1 >one.digest
  make_image two v2 >two.digest
  make_index many multi >many.digest
  oras cp --from-oci-layout --to-plain-http --to-username robot --to-password hunter22 one:v1 $LOCKED/team/app:v1
  oras cp --from-oci-layout --to-plain-http --to-username robot --to-password hunter22 two:v2 $LOCKED/team/other:v2
  oras cp --from-oci-layout --to-ca-file other/tls/ca.pem --to-username "$(other .registry.username)" \
    --to-password "$(other '.registry.passwords[0]')" many:multi $OTHER/team/many:multi
  echo '{"sbom": true}' >sbom.json
  oras attach --ca-file other/tls/ca.pem -u "$(other .registry.username)" -p "$(other '.registry.passwords[0]')" \
    --artifact-type application/vnd.example.signature $OTHER/team/many:multi sbom.json:application/json
  crane auth login "$LOGIN_SERVER" -u $REGISTRY -p "$(cat admin.password)"
  oras login --ca-file "$CA" -u $REGISTRY -p "$(cat admin.password)" "$LOGIN_SERVER"
  podman login -u $REGISTRY -p "$(cat admin.password)" "$LOGIN_SERVER"
}

podman() {
  command podman --root "$WORK/podman" --runroot "$WORK/podman-run" --storage-driver vfs --cgroup-manager cgroupfs "$@"
}

set_of() { az acr credential-set "$1" -r $REGISTRY "${@:2}" -o json; }
rule() { az acr cache "$1" -r $REGISTRY "${@:2}" -o json; }
digest() { SSL_CERT_FILE=$WORK/trusted.pem crane digest "$LOGIN_SERVER/$1"; }
validate() { SSL_CERT_FILE=$WORK/trusted.pem crane validate --remote "$LOGIN_SERVER/$1"; }
health() { jq -r '.authCredentials[0].credentialHealth | [.status, .errorCode // ""] | join(" ")' "$1"; }

makes_credential_sets() {
  set_of create -n locked-set -l $LOCKED -u $VAULT/locked-user -p $VAULT/locked-password >set.json
  equal "$(jq -r .loginServer set.json)" $LOCKED
  [[ $(jq -r .identity.principalId set.json) =~ ^[0-9a-f-]{36}$ ]]
  equal "$(health set.json)" "Unhealthy SecretNotFound"
  contains "$(jq -r '.authCredentials[0].credentialHealth.errorMessage' set.json)" "wharf secret set locked-password"
  printf 'wrong' | "$WHARF" secret set locked-password --data "$DATA"
  set_of update -n locked-set -p $VAULT/locked-password >set.json
  equal "$(health set.json)" "Unhealthy InvalidCredentials"
  printf 'hunter22\n' | "$WHARF" secret set locked-password --login-server $LOCKED --data "$DATA"
  set_of update -n locked-set -p $VAULT/locked-password/0123456789abcdef >set.json
  equal "$(health set.json)" "Healthy "
  equal "$(set_of list | jq -r '.[].name')" locked-set
  equal "$(set_of show -n locked-set | jq -c .authCredentials)" "$(jq -c .authCredentials set.json)"
  lacks "$("$WHARF" secret list --data "$DATA")" hunter22
  equal "$("$WHARF" secret show locked-password --value --data "$DATA")" hunter22
  other .registry.username | "$WHARF" secret set other-user --data "$DATA"
  other '.registry.passwords[0]' | "$WHARF" secret set other-password --data "$DATA"
  set_of create -n other-set -l $OTHER -u $VAULT/other-user -p $VAULT/other-password >set.json
  equal "$(health set.json)" "Healthy "
}

makes_rules() {
  rule create -n app-rule -s $LOCKED/team/app -t cached/app -c locked-set >rule.json
  equal "$(jq -c '[.sourceRepository, .targetRepository]' rule.json)" "[\"$LOCKED/team/app\",\"cached/app\"]"
  contains "$(jq -r .credentialSetResourceId rule.json)" credentialSets/locked-set
  rule create -n other-rule -s "$OTHER/*" -t 'other/*' >rule.json
  equal "$(jq -r .credentialSetResourceId rule.json)" null
  rule update -n other-rule --cred-set other-set >rule.json
  contains "$(jq -r .credentialSetResourceId rule.json)" credentialSets/other-set
  rule update -n other-rule --remove-cred-set >rule.json
  equal "$(jq -r .credentialSetResourceId rule.json)" null
  rule update -n other-rule --cred-set other-set >/dev/null
  equal "$(rule list | jq -r '[.[].name] | sort | join(" ")')" "app-rule other-rule"
  equal "$(rule show -n app-rule | jq -r .provisioningState)" Succeeded
  fails_with "belongs to the cache rule" acr cache create -r $REGISTRY -n again -s docker.io/x -t cached/app
  fails_with "overlaps" acr cache create -r $REGISTRY -n again -s 'docker.io/*' -t 'other/team/*'
  fails_with "is for" acr cache create -r $REGISTRY -n again -s docker.io/x -t mine -c locked-set
  fails_with "in use by the cache rule" acr credential-set delete -r $REGISTRY -n locked-set -y
}

pulls_with_crane() {
  equal "$(digest cached/app:v1)" "$(cat one.digest)"
  validate cached/app:v1
  equal "$(az acr repository show-tags -n $REGISTRY --repository cached/app -o tsv)" v1
  refused digest cached/app:v9
}

pulls_with_podman() {
  podman pull -q --platform linux/amd64 "$LOGIN_SERVER/other/team/many:multi"
  podman rmi -f "$LOGIN_SERVER/other/team/many:multi"
  local shown
  shown=$(az acr repository show-manifests -n $REGISTRY --repository other/team/many -o json)
  # The index and the one platform that was pulled; the signature only when somebody looks for it.
  equal "$(jq length <<<"$shown")" 2
  equal "$(digest other/team/many:multi)" "$(cat many.digest)"
}

brings_signatures() {
  local found
  found=$(oras discover --ca-file "$CA" --format json "$LOGIN_SERVER/other/team/many:multi")
  contains "$found" application/vnd.example.signature
}

takes_no_pushes() {
  oras cp --from-oci-layout --to-ca-file "$CA" two:v2 "$LOGIN_SERVER/mine:v2"
  contains "$(refused oras cp --from-oci-layout --to-ca-file "$CA" two:v2 "$LOGIN_SERVER/cached/app:v2" 2>&1)" writableCacheRepos
  fails_with "exists already" acr cache create -r $REGISTRY -n again -s docker.io/x -t mine
}

moves_tags() {
  oras cp --from-oci-layout --to-plain-http --to-username robot --to-password hunter22 two:v2 $LOCKED/team/app:v1
  sleep 1.2
  equal "$(digest cached/app:v1)" "$(cat two.digest)"
  validate cached/app:v1
}

serves_what_it_has() {
  end_process "$(cat "$WORK/locked.pid")"
  end_process "$(cat "$WORK/other.pid")"
  sleep 1.2
  equal "$(digest cached/app:v1)" "$(cat two.digest)"
  validate cached/app:v1
  podman pull -q --platform linux/amd64 "$LOGIN_SERVER/other/team/many:multi"
  stop_server
  HTTP_PORT=80 HTTPS_PORT=443 start_server --domain "$DOMAIN" --config "$WORK/wharf.toml"
  validate cached/app:v1
  contains "$(refused digest cached/app:v9 2>&1)" 503
}

tells_nothing() {
  lacks "$(cat "$LOGS/server.log")" hunter22
  lacks "$(cat "$LOGS/server.log")" "$(other '.registry.passwords[0]')"
}

deletes() {
  rule delete -n app-rule -y
  rule delete -n other-rule -y
  set_of delete -n locked-set -y
  set_of delete -n other-set -y
  equal "$(rule list | jq length)" 0
  equal "$(set_of list | jq length)" 0
  # What was stored stays.
  validate cached/app:v1
}

check "an image and an index in two other registries" prepares
check "credential sets, whose health is found out by trying" makes_credential_sets
check "cache rules, and those that cannot stand beside them" makes_rules
check "crane pulls through a rule from a registry with a password" pulls_with_crane
check "podman pulls one platform through a wildcard from a registry with tokens" pulls_with_podman
check "signatures are found through the rule" brings_signatures
check "what is filled takes no pushes" takes_no_pushes
check "a tag moves with the one that it comes from" moves_tags
check "what was pulled is served when its registry is gone" serves_what_it_has
check "passwords are not logged" tells_nothing
check "rules and sets are deleted, what was stored stays" deletes
