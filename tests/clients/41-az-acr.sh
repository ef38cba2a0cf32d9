#!/usr/bin/env bash
# The Azure CLI: registries, their credentials, networks, scope maps, tokens, identities and policies.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"

start_azure
resolve "contoso.$DOMAIN" "basic1.$DOMAIN"

prepares() {
  sign_in
  az group create -n g1 -l eastus >/dev/null
}

creates_a_registry() {
  local began made server
  equal "$(query nameAvailable acr check-name -n contoso)" true
  began=$EPOCHREALTIME
  az acr create -g g1 -n contoso --sku Premium >"$WORK/contoso.json"
  made=$(seconds_since "$began")
  echo "az acr create took $made s"
  equal "$(jq -r .loginServer "$WORK/contoso.json")" "contoso.$DOMAIN"
  equal "$(jq -r .location "$WORK/contoso.json")" eastus
  equal "$(jq -r .provisioningState "$WORK/contoso.json")" Succeeded
  equal "$(jq -r .adminUserEnabled "$WORK/contoso.json")" false
  equal "$(jq -r .policies.exportPolicy.status "$WORK/contoso.json")" enabled
  equal "$(jq -r .networkRuleSet.defaultAction "$WORK/contoso.json")" Allow
  equal "$(jq -r .roleAssignmentMode "$WORK/contoso.json")" LegacyRegistryPermissions
  equal "$(query nameAvailable acr check-name -n contoso)" false
  equal "$(query reason acr check-name -n contoso)" AlreadyExists
}

creates_it_again() {
  az acr create -g g1 -n contoso --sku Premium --admin-enabled true >/dev/null
  equal "$(query adminUserEnabled acr show -n contoso)" true
  fails_with InvalidResourceLocation acr create -g g1 -n contoso --sku Premium -l westus
  az group create -n g2 -l eastus >/dev/null
  fails_with RegistryNameAlreadyInUse acr create -g g2 -n contoso --sku Premium
}

bad_names_are_refused() {
  refused az acr create -g g1 -n a_b --sku Basic
  refused az rest -m put -u "/subscriptions/$SUBSCRIPTION/resourceGroups/g1/providers/Microsoft.ContainerRegistry/registries/ab?api-version=2025-11-01" \
    --body '{"location":"eastus","sku":{"name":"Basic"}}'
  fails_with ResourceGroupNotFound acr create -g nowhere -n reg3abc --sku Basic -l eastus
  local rc=0
  az acr show -n absent123 -g g1 || rc=$?
  equal $rc 3 "az's exit code for what is not there"
}

lists_and_shows() {
  equal "$(query '[].name' acr list -g g1)" contoso
  contains "$(query '[].name' acr list)" wharf
  equal "$(query name acr show -n CONTOSO)" contoso
  equal "$(query 'value[?name==`Size`].unit' acr show-usage -n contoso)" Bytes
  equal "$(query loginServer acr show-endpoints -n contoso)" "contoso.$DOMAIN"
}

updates() {
  equal "$(query tags.team acr update -n contoso --tags team=blue)" blue
  equal "$(query anonymousPullEnabled acr update -n contoso --anonymous-pull-enabled true)" true
  equal "$(query tags.team acr show -n contoso)" blue
  az acr update -n contoso --anonymous-pull-enabled false >/dev/null
  equal "$(query dataEndpointEnabled acr update -n contoso --data-endpoint-enabled true)" true
  az acr update -n contoso --data-endpoint-enabled false >/dev/null
}

tiers_gate() {
  az acr create -g g1 -n basic1 --sku Basic >/dev/null
  refused az acr update -n basic1 --anonymous-pull-enabled true
  refused az acr update -n basic1 --public-network-enabled false
  equal "$(query sku.name acr update -n basic1 --sku Standard)" Standard
  equal "$(query anonymousPullEnabled acr update -n basic1 --anonymous-pull-enabled true)" true
}

credentials_can_be_renewed() {
  local first
  first=$(query 'passwords[0].value' acr credential show -n contoso)
  equal "$(query username acr credential show -n contoso)" contoso
  az acr credential renew -n contoso --password-name password >/dev/null
  [ "$(query 'passwords[0].value' acr credential show -n contoso)" != "$first" ]
  equal "$(curl -sS --cacert "$CA" -o /dev/null -w '%{http_code}' -u "contoso:$first" "https://contoso.$DOMAIN/v2/")" 401
}

signs_in_to_the_registry() {
  local token
  token=$(query accessToken acr login -n contoso --expose-token 2>/dev/null)
  equal "$(curl -sS --cacert "$CA" -o /dev/null -w '%{http_code}' -u "00000000-0000-0000-0000-000000000000:$token" "https://contoso.$DOMAIN/v2/")" 200
  DOCKER_COMMAND=podman az acr login -n contoso
  podman login --get-login "contoso.$DOMAIN"
}

is_healthy() {
  local said
  said=$(az acr check-health -n contoso --ignore-errors -y 2>&1) || true
  echo "$said"
  contains "$said" "DNS lookup to contoso.$DOMAIN at IP 127.0.0.1 : OK"
  contains "$said" "Challenge endpoint https://contoso.$DOMAIN/v2/ : OK"
  contains "$said" "Fetch refresh token for registry 'contoso.$DOMAIN' : OK"
  contains "$said" "Fetch access token for registry 'contoso.$DOMAIN' : OK"
}

tokens_and_scope_maps() {
  local made
  contains "$(query '[].name' acr scope-map list -r contoso)" _repositories_pull
  az acr scope-map create -r contoso -n readers --repository team/app content/read metadata/read --description "reads" >/dev/null
  az acr scope-map update -r contoso -n readers --add-repository team/other content/read >/dev/null
  equal "$(query 'length(actions)' acr scope-map show -r contoso -n readers)" 3
  made=$(az acr token create -r contoso -n reader --scope-map readers -o json)
  equal "$(jq -r '.credentials.passwords | length' <<<"$made")" 2
  equal "$(curl -sS --cacert "$CA" -o /dev/null -w '%{http_code}' -u "reader:$(jq -r '.credentials.passwords[0].value' <<<"$made")" "https://contoso.$DOMAIN/v2/")" 200
  equal "$(query 'credentials.passwords[0].value' acr token show -r contoso -n reader)" ""
  az acr token create -r contoso -n quick --repository team/app content/read content/write >/dev/null
  equal "$(query scopeMapId acr token show -r contoso -n quick | sed 's,.*/,,')" quick-scope-map
  az acr token credential generate -r contoso -n quick --password1 --expiration-in-days 3 >/dev/null
  az acr token credential delete -r contoso -n quick --password1 --password2
  equal "$(query 'length(credentials.passwords || `[]`)' acr token show -r contoso -n quick)" 0
  refused az acr scope-map delete -r contoso -n readers -y
  az acr token delete -r contoso -n reader -y
  az acr scope-map delete -r contoso -n readers -y
  az acr token update -r contoso -n quick --status disabled >/dev/null
  equal "$(query status acr token show -r contoso -n quick)" disabled
  refused az acr scope-map update -r contoso -n _repositories_pull --description x
}

network_rules_hold() {
  local status="curl -sS --cacert $CA -o $WORK/denied -w %{http_code} https://contoso.$DOMAIN/v2/"
  az acr network-rule add -n contoso --ip-address 203.0.113.0/24 >/dev/null
  equal "$(query 'ipRules[0].ipAddressOrRange || ipRules[0].value' acr network-rule list -n contoso)" 203.0.113.0/24
  equal "$($status)" 401
  az acr update -n contoso --default-action Deny >/dev/null
  equal "$($status)" 403
  contains "$(cat "$WORK/denied")" DENIED
  az acr network-rule add -n contoso --ip-address 127.0.0.1 >/dev/null
  equal "$($status)" 401
  az acr update -n contoso --public-network-enabled false >/dev/null
  equal "$($status)" 403
  az acr update -n contoso --public-network-enabled true --default-action Allow >/dev/null
  az acr network-rule remove -n contoso --ip-address 127.0.0.1 >/dev/null
  equal "$($status)" 401
}

private_links_are_described() {
  equal "$(query '[0].groupId' acr private-link-resource list -n contoso)" registry
}

identities_come_and_go() {
  local mine
  mine=$(query id identity create -g g1 -n mi1)
  az acr identity assign -n contoso --identities "$mine" '[system]' >/dev/null
  equal "$(query type acr identity show -n contoso)" "SystemAssigned, UserAssigned"
  [ -n "$(query principalId acr identity show -n contoso)" ]
  az acr identity remove -n contoso --identities "$mine" >/dev/null
  equal "$(query type acr identity show -n contoso)" SystemAssigned
}

arm_tokens_can_be_refused() {
  equal "$(query status acr config authentication-as-arm show -r contoso)" enabled
  az acr config authentication-as-arm update -r contoso --status disabled >/dev/null
  equal "$(query status acr config authentication-as-arm show -r contoso)" disabled
  exchange() {
    curl -sS --cacert "$CA" -o /dev/null -w '%{http_code}' "https://contoso.$DOMAIN/oauth2/exchange" \
      -d grant_type=access_token -d "service=contoso.$DOMAIN" --data-urlencode "access_token=$1"
  }
  local arm acr
  arm=$(query accessToken account get-access-token)
  acr=$(query accessToken account get-access-token --resource https://containerregistry.azure.net)
  equal "$(exchange "$arm")" 401
  equal "$(exchange "$acr")" 200
  az acr config authentication-as-arm update -r contoso --status enabled >/dev/null
  equal "$(exchange "$arm")" 200
}

policies_are_kept() {
  az acr config retention update -r contoso --status enabled --days 30 --type UntaggedManifests >/dev/null
  equal "$(query days acr config retention show -r contoso)" 30
}

later_kinds_are_not_found() {
  fails_with "Not Found" acr webhook list -r contoso || fails_with NotFound acr webhook list -r contoso || fails_with InvalidResourceType acr webhook list -r contoso
}

deletes() {
  az acr delete -n contoso -y
  equal "$(query '[?name==`contoso`]' acr list)" ""
  equal "$(query nameAvailable acr check-name -n contoso)" true
  equal "$(curl -sS --cacert "$CA" -o /dev/null -w '%{http_code}' "https://contoso.$DOMAIN/v2/")" 404
}

check "az group create" prepares
check "az acr create, check-name" creates_a_registry
check "az acr create over what is there" creates_it_again
check "names, groups and registries that cannot be" bad_names_are_refused
check "az acr list, show, show-usage, show-endpoints" lists_and_shows
check "az acr update" updates
check "tiers gate features" tiers_gate
check "az acr credential" credentials_can_be_renewed
check "az acr login" signs_in_to_the_registry
check "az acr check-health" is_healthy
check "az acr token, scope-map" tokens_and_scope_maps
check "az acr network-rule, public network access" network_rules_hold
check "az acr private-link-resource" private_links_are_described
check "az acr identity" identities_come_and_go
check "az acr config authentication-as-arm" arm_tokens_can_be_refused
check "az acr config retention" policies_are_kept
check "what comes later answers with ARM's error" later_kinds_are_not_found
check "az acr delete" deletes
