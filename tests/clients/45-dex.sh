#!/usr/bin/env bash
# Dex vouches for people and programs; az signs in with what it says, and in a browser without it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"

start_azure --allow-internal 127.0.0.1
sign_in
DEX=http://127.0.0.1:5556/dex
export PERSON_CA=$CA

start_dex() {
  # shellcheck disable=SC2016 # a bcrypt hash, of "password"
  local hash='$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W'
  cat >"$WORK/dex.yaml" <<YAML
issuer: $DEX
storage: {type: memory}
web: {http: 127.0.0.1:5556}
oauth2: {skipApprovalScreen: true, passwordConnector: local}
enablePasswordDB: true
staticPasswords:
  - {email: ada@example.com, hash: '$hash', username: Ada, userID: 08a8684b-db88-4b73-90a9-3cd1661f5466}
  - {email: robot@example.com, hash: '$hash', username: Robot, userID: 41331323-6f44-45e6-b3b9-2c4b60c02be5}
staticClients:
  - {id: wharf, name: Wharf, secret: dex-keeps-this, redirectURIs: ['https://login.$DOMAIN/login/external/callback']}
  - {id: pipeline, name: Pipeline, secret: pipeline-secret, redirectURIs: []}
YAML
  dex serve "$WORK/dex.yaml" >"$LOGS/dex.log" 2>&1 </dev/null &
  at_end end_process $!
  await Dex curl -sf -o /dev/null "$DEX/.well-known/openid-configuration"
}

# An ID token of Dex's for whoever it knows by this address.
dex_token() { # email
  curl -sS "$DEX/token" -u pipeline:pipeline-secret -d grant_type=password -d "scope=openid email" -d "username=$1" -d password=password |
    jq -er .id_token
}

federation() { "$WHARF" identity federation "$@" --data "$DATA"; }

new_cloud() { # name
  as "$1" az cloud register -n wharf --endpoint-resource-manager "$ARM"
  as "$1" az cloud set -n wharf
}

dex_is_trusted() {
  local said
  said=$(federation issuer add dex --issuer "$DEX" --display-name Dex --client-id wharf --client-secret-stdin \
    --scope email --scope profile <<<dex-keeps-this)
  contains "$said" "https://login.$DOMAIN/login/external/callback"
  contains "$(federation issuer list)" "$DEX"
  federation issuer test dex --allow-internal 127.0.0.1
  contains "$(refused federation issuer test dex 2>&1)" "internal address"
}

a_program_needs_a_rule() {
  query appId ad sp create-for-rbac -n pipeline --role Reader --scopes "/subscriptions/$SUBSCRIPTION" >"$WORK/pipeline"
  new_cloud early
  AZURE_CONFIG_DIR=$WORK/azure-early fails_with AADSTS700213 login --service-principal -u "$(cat "$WORK/pipeline")" --tenant "$TENANT" \
    --federated-token "$(dex_token robot@example.com)"
}

a_program_signs_in_with_a_token_of_dex() {
  federation rule add --issuer dex --audience pipeline --claim email=robot@example.com --principal pipeline
  new_cloud robot
  as robot az login --service-principal -u "$(cat "$WORK/pipeline")" --tenant "$TENANT" \
    --federated-token "$(dex_token robot@example.com)" >/dev/null
  equal "$(as robot query name acr show -n wharf)" wharf
  new_cloud other
  AZURE_CONFIG_DIR=$WORK/azure-other fails_with AADSTS700213 login --service-principal -u "$(cat "$WORK/pipeline")" --tenant "$TENANT" \
    --federated-token "$(dex_token ada@example.com)"
  local forged
  forged=$(dex_token robot@example.com)
  AZURE_CONFIG_DIR=$WORK/azure-other fails_with AADSTS50027 login --service-principal -u "$(cat "$WORK/pipeline")" --tenant "$TENANT" \
    --federated-token "${forged%.*}.AAAA"
}

the_end_of_a_rule_ends_its_tokens() {
  local rule
  rule=$(federation rule list --output json | jq -er '.[] | select(.audience == "pipeline") | .id')
  federation rule remove "$rule" --yes
  refused as robot az acr show -n wharf
}

# Signs in on a device as the person at the browser; prints what az said.
sign_in_on_device() { # cloud
  local said=$WORK/device-$1 pid
  AZURE_CONFIG_DIR=$WORK/azure-$1 "${AZ%/az}/python" -m azure.cli login --use-device-code >"$WORK/out-$1" 2>"$said" &
  pid=$!
  for _ in $(seq 100); do
    grep -q 'enter the code' "$said" && break
    sleep 0.1
  done
  PERSON_CODE=$(grep -oE 'code [A-Z-]{9}' "$said" | head -n 1 | cut -d' ' -f2) \
    "$TESTS/az/person" "$(grep -oE 'https://[^ ]+' "$said" | head -n 1)" || { end_process $pid; return 1; }
  wait $pid
}

a_stranger_stays_outside() {
  export PERSON_LINK=Dex PERSON_USER=ada@example.com PERSON_PASSWORD=password
  new_cloud stranger
  contains "$(refused sign_in_on_device stranger 2>&1)" "not known here"
}

a_person_signs_in_through_dex() {
  federation rule add --issuer dex --user-claim email --claim 'email=*@example.com' --create-users
  export PERSON_LINK=Dex PERSON_USER=ada@example.com PERSON_PASSWORD=password
  new_cloud ada
  refused sign_in_on_device ada # somebody without any role has no subscription
  az role assignment create --assignee ada@example.com --role Reader --scope "/subscriptions/$SUBSCRIPTION" >/dev/null
  sign_in_on_device ada
  equal "$(as ada query user.name account show)" ada@example.com
  equal "$(as ada query name acr show -n wharf)" wharf
}

a_person_signs_in_in_a_browser() {
  "$WHARF" identity user create grace@example.com --data "$DATA" --password-stdin <<<'correct horse battery'
  az role assignment create --assignee grace@example.com --role Reader --scope "/subscriptions/$SUBSCRIPTION" >/dev/null
  new_cloud grace
  # What az opens in place of a browser.
  export PERSON_USER=grace@example.com PERSON_PASSWORD='correct horse battery' BROWSER="$TESTS/az/person %s &" DISPLAY=:0
  as grace az login >/dev/null
  equal "$(as grace query user.name account show)" grace@example.com
  equal "$(as grace query name acr show -n wharf)" wharf
}

somebody_who_was_here_before_is_linked() {
  "$WHARF" identity user create robot@example.com --data "$DATA" --password-stdin <<<'correct horse battery'
  az role assignment create --assignee robot@example.com --role Reader --scope "/subscriptions/$SUBSCRIPTION" >/dev/null
  export PERSON_LINK=Dex PERSON_USER=robot@example.com PERSON_PASSWORD=password
  new_cloud before
  contains "$(refused sign_in_on_device before 2>&1)" "not known here"
  local subject
  subject=$(dex_token robot@example.com | jq -Rer 'split(".")[1] | gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson | .sub')
  federation link --issuer dex --subject "$subject" --user robot@example.com
  sign_in_on_device before
  equal "$(as before query user.name account show)" robot@example.com
}

a_person_signs_in_in_a_browser_through_dex() {
  export PERSON_LINK=Dex PERSON_USER=ada@example.com PERSON_PASSWORD=password BROWSER="$TESTS/az/person %s &" DISPLAY=:0
  new_cloud browser
  as browser az login >/dev/null
  equal "$(as browser query user.name account show)" ada@example.com
}

the_end_of_trust_ends_what_dex_vouched_for() {
  federation issuer remove dex --yes
  refused as ada az acr show -n wharf
  refused as browser az acr show -n wharf
  equal "$(as grace query name acr show -n wharf)" wharf
}

start_dex
check "Dex is trusted; internal issuers need leave" dex_is_trusted
check "a token of Dex stands for nobody without a rule" a_program_needs_a_rule
check "az login --service-principal --federated-token" a_program_signs_in_with_a_token_of_dex
check "the end of a rule is the end of its tokens" the_end_of_a_rule_ends_its_tokens
check "somebody whom Dex knows and nobody here" a_stranger_stays_outside
check "az login with a device code, through Dex" a_person_signs_in_through_dex
check "az login in a browser" a_person_signs_in_in_a_browser
check "az login in a browser, through Dex" a_person_signs_in_in_a_browser_through_dex
check "somebody who was here before signs in once they are linked" somebody_who_was_here_before_is_linked
check "the end of trust ends what Dex vouched for" the_end_of_trust_ends_what_dex_vouched_for
