#!/usr/bin/env bash
# The Azure CLI: importing from other registries, each a real one: Debian's docker-registry, plain and with a password; another
# Wharf over HTTPS, with tokens; other registries of the same server. And `wharf import`, beside the server and alone.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"
. "$TESTS/images.sh"

REGISTRY=contoso
LOGIN_SERVER=$REGISTRY.$DOMAIN
# az takes only names with dots for registries.
PLAIN=plain.lab.test:5101
LOCKED=locked.lab.test:5102
OTHER=other.test:5443

cd "$WORK"

# Debian's registry on a port, with passwords from a file if there is one.
start_docker_registry() { # name port [htpasswd]
  mkdir -p "$WORK/$1"
  cat >"$WORK/$1.yml" <<YML
version: 0.1
storage: {filesystem: {rootdirectory: $WORK/$1}}
http: {addr: 127.0.0.1:$2}
YML
  [ -z "${3:-}" ] || printf 'auth: {htpasswd: {realm: lab, path: %s}}\n' "$3" >>"$WORK/$1.yml"
  # It takes every REGISTRY_… in the environment for a setting.
  env -u REGISTRY_AUTH_FILE docker-registry serve "$WORK/$1.yml" >"$LOGS/$1.log" 2>&1 </dev/null &
  at_end "end_process $!"
  await "$1" curl -s -o /dev/null "http://127.0.0.1:$2/v2/"
}

# The other Wharf: a server of its own with another authority, which ours is told to trust.
start_other() {
  "$WHARF" serve --data "$WORK/other" --http off --https 127.0.0.1:5443 --domain other.test \
    >"$LOGS/other.log" 2>&1 </dev/null &
  at_end "end_process $!"
  await "the other Wharf" test -s "$WORK/other/credentials.json"
  await "the other Wharf" curl -sf --cacert "$WORK/other/tls/ca.pem" -o /dev/null "https://localhost:5443/v2/" -u "$(other .registry.username):$(other '.registry.passwords[0]')"
}

other() { jq -er "$1" "$WORK/other/credentials.json"; }

resolve "$LOGIN_SERVER" fabrikam.$DOMAIN plain.lab.test locked.lab.test wharf.other.test
# As htpasswd -B writes it.
printf 'robot:%s\n' "$(perl -e 'print crypt("hunter22", "\$2y\$05\$" . "abcdefghijklmnopqrstuu")')" >"$WORK/htpasswd"
start_docker_registry plain 5101
start_docker_registry locked 5102 "$WORK/htpasswd"
start_other
cat >"$WORK/wharf.toml" <<TOML
allow_internal = ["127.0.0.0/8"]

[upstreams]
plain_http = ["plain.lab.test", "$LOCKED"]
ca = "$WORK/other/tls/ca.pem"
TOML
start_azure --config "$WORK/wharf.toml"

prepares() {
  sign_in
  az group create -n g1 -l eastus >/dev/null
  az acr create -g g1 -n $REGISTRY --sku Premium --admin-enabled true >/dev/null
  az acr create -g g1 -n fabrikam --sku Standard --admin-enabled true >/dev/null
  admin_password >admin.password
  make_image one v1 >one.digest
  make_index many multi >many.digest
  oras cp --from-oci-layout --to-plain-http one:v1 $PLAIN/team/app:v1
  oras cp --from-oci-layout --to-plain-http many:multi $PLAIN/team/many:multi
  oras cp --from-oci-layout --to-plain-http --to-username robot --to-password hunter22 one:v1 $LOCKED/secret/app:v1
  # The old registry knows no referrers: oras keeps them under the tag of its subject.
  echo '{"sbom": true}' >sbom.json
  oras attach --plain-http --artifact-type application/vnd.example.sbom $PLAIN/team/many:multi sbom.json:application/json
  oras cp --from-oci-layout --to-ca-file other/tls/ca.pem --to-username "$(other .registry.username)" \
    --to-password "$(other '.registry.passwords[0]')" many:multi wharf.$OTHER/team/many:multi
  oras attach --ca-file other/tls/ca.pem -u "$(other .registry.username)" -p "$(other '.registry.passwords[0]')" \
    --artifact-type application/vnd.example.signature wharf.$OTHER/team/many:multi sbom.json:application/json
  oras login --ca-file "$CA" -u $REGISTRY -p "$(cat admin.password)" "$LOGIN_SERVER"
  crane auth login "$LOGIN_SERVER" -u $REGISTRY -p "$(cat admin.password)"
}

admin_password() { query 'passwords[0].value' acr credential show -n $REGISTRY; }

import() { az acr import -n $REGISTRY "$@"; }
digest() { SSL_CERT_FILE=$WORK/trusted.pem crane digest "$LOGIN_SERVER/$1"; }

imports_by_tag() {
  equal "$(import --source $PLAIN/team/app:v1)" ""
  equal "$(digest team/app:v1)" "$(cat one.digest)"
  import --source $PLAIN/team/app:v1 -t copies/app:v1 -t copies/app:latest
  equal "$(digest copies/app:latest)" "$(cat one.digest)"
  SSL_CERT_FILE=$WORK/trusted.pem crane validate --remote "$LOGIN_SERVER/team/app:v1"
}

imports_all_platforms_and_referrers() {
  import --source $PLAIN/team/many:multi
  equal "$(digest team/many:multi)" "$(cat many.digest)"
  SSL_CERT_FILE=$WORK/trusted.pem crane validate --remote "$LOGIN_SERVER/team/many:multi"
  contains "$(oras discover --ca-file "$CA" --format tree "$LOGIN_SERVER/team/many:multi")" application/vnd.example.sbom
}

imports_by_digest_without_a_tag() {
  import --source "$PLAIN/team/app@$(cat one.digest)" --repository untagged/app
  equal "$(digest "untagged/app@$(cat one.digest)")" "$(cat one.digest)"
  equal "$(az acr repository show-tags -n $REGISTRY --repository untagged/app -o json | jq -c .)" '[]'
}

moves_tags_by_force_alone() {
  fails_with "already exists in target registry" acr import -n $REGISTRY --source $PLAIN/team/many:multi -t team/app:v1
  equal "$(digest team/app:v1)" "$(cat one.digest)"
  import --source $PLAIN/team/many:multi -t team/app:v1 --force
  equal "$(digest team/app:v1)" "$(cat many.digest)"
}

signs_in_with_a_password() {
  fails_with "wants credentials" acr import -n $REGISTRY --source $LOCKED/secret/app:v1
  fails_with "does not accept the credentials" acr import -n $REGISTRY --source $LOCKED/secret/app:v1 -u robot -p wrong
  import --source $LOCKED/secret/app:v1 -u robot -p hunter22
  equal "$(digest secret/app:v1)" "$(cat one.digest)"
  lacks "$(cat "$LOGS/server.log")" hunter22
  # In the database neither, nor in what SQLite has not written back yet.
  refused grep -aq hunter22 "$DATA/metadata.db" "$DATA/metadata.db-wal"
}

signs_in_with_a_token() {
  fails_with "wants credentials" acr import -n $REGISTRY --source wharf.$OTHER/team/many:multi -t wharf/many:v1
  import --source wharf.$OTHER/team/many:multi -t wharf/many:v1 -u "$(other .registry.username)" -p "$(other '.registry.passwords[0]')"
  equal "$(digest wharf/many:v1)" "$(cat many.digest)"
  contains "$(oras discover --ca-file "$CA" --format tree "$LOGIN_SERVER/wharf/many:v1")" application/vnd.example.signature
}

imports_between_registries_of_the_server() {
  local id
  id=$(query id acr show -n $REGISTRY)
  az acr import -n fabrikam --source team/many:multi --registry "$id" -t by/id:v1
  az acr import -n fabrikam --source "$LOGIN_SERVER/team/many:multi" -t by/name:v1
  az acr import -n fabrikam --source team/many:multi -r $REGISTRY -t by/registry:v1
  equal "$(az acr repository list -n fabrikam -o json | jq -c .)" '["by/id","by/name","by/registry"]'
  equal "$(query '[0].digest' acr repository show-tags -n fabrikam --repository by/id --detail)" "$(cat many.digest)"
}

does_not_wait_if_asked() {
  import --source $PLAIN/team/app:v1 -t nowait:v1 --no-wait
  for _ in $(seq 100); do
    if digest nowait:v1 2>/dev/null; then return; fi
    sleep 0.1
  done
  return 1
}

tells_why_it_failed() {
  fails_with "team/app:absent was not found at $PLAIN" acr import -n $REGISTRY --source $PLAIN/team/app:absent
  fails_with "cannot be reached" acr import -n $REGISTRY --source plain.lab.test:5999/team/app:v1 -t none:v1
}

refuses_internal_addresses() {
  resolve metadata.lab.test
  sed 's/^127.0.0.1 metadata.lab.test/169.254.169.254 metadata.lab.test/' "$WORK/hosts" >hosts.new
  cat hosts.new >"$WORK/hosts"
  fails_with "--allow-internal" acr import -n $REGISTRY --source metadata.lab.test/latest/meta-data:v1
}

survives_being_killed() {
  head -c 200M /dev/urandom >large.bin
  oras push --plain-http $PLAIN/large:v1 large.bin:application/octet-stream
  rm large.bin
  import --source $PLAIN/large:v1 --no-wait
  kill -KILL "$(cat "$WORK/server.pid")"
  HTTP_PORT=80 HTTPS_PORT=443 start_server --domain "$DOMAIN" --config "$WORK/wharf.toml"
  for _ in $(seq 300); do
    if digest large:v1 2>/dev/null; then break; fi
    sleep 0.2
  done
  SSL_CERT_FILE=$WORK/trusted.pem crane validate --remote "$LOGIN_SERVER/large:v1"
  "$WHARF" verify --data "$DATA"
}

commands_import_beside_the_server() {
  local said
  said=$("$WHARF" import $PLAIN/team/app:v1 --data "$DATA" --registry $REGISTRY --target command:v1)
  contains "$said" "Imported $PLAIN/team/app:v1 into $REGISTRY: 1 manifest and 2 blobs"
  equal "$(digest command:v1)" "$(cat one.digest)"
  said=$("$WHARF" import team/app:v1 --from $REGISTRY --data "$DATA" --registry fabrikam --output json)
  equal "$(jq .fetchedBytes <<<"$said")" 0
  echo hunter22 | "$WHARF" import $LOCKED/secret/app:v1 --data "$DATA" --registry $REGISTRY -t command:v2 -u robot --password-stdin
  said=$(refused "$WHARF" import $PLAIN/team/app:v1 --data "$DATA" --registry $REGISTRY --target command:v1 2>&1)
  contains "$said" "already exists"
}

commands_import_alone() {
  stop_server
  "$WHARF" import $PLAIN/team/app:v1 --data "$DATA" --config "$WORK/wharf.toml" --registry $REGISTRY --target alone:v1
  "$WHARF" verify --data "$DATA"
}

check "prepares registries and images" prepares
check "az acr import by tag" imports_by_tag
check "az acr import brings all platforms and what refers to them" imports_all_platforms_and_referrers
check "az acr import by digest, without a tag" imports_by_digest_without_a_tag
check "az acr import --force" moves_tags_by_force_alone
check "az acr import -u -p, with a password" signs_in_with_a_password
check "az acr import -u -p, with a token of another Wharf" signs_in_with_a_token
check "az acr import from another registry of the server" imports_between_registries_of_the_server
check "az acr import --no-wait" does_not_wait_if_asked
check "az acr import tells why it failed" tells_why_it_failed
check "az acr import refuses internal addresses" refuses_internal_addresses
check "an import goes on after kill -9 of the server" survives_being_killed
check "wharf import beside the server" commands_import_beside_the_server
check "wharf import alone" commands_import_alone
