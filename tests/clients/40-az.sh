#!/usr/bin/env bash
# The Azure CLI: clouds, ways to sign in, accounts, groups, plain requests.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"

start_azure

registers_in_the_short_way() {
  sign_in
  equal "$(query id account show)" "$SUBSCRIPTION"
  equal "$(query tenantId account show)" "$TENANT"
  equal "$(query 'suffixes.acrLoginServerEndpoint' cloud show)" ".$DOMAIN"
}

registers_without_the_metadata() {
  as long az cloud register -n wharf --skip-endpoint-discovery \
    --endpoint-resource-manager "$ARM" \
    --endpoint-active-directory "https://login.$DOMAIN/adfs" \
    --endpoint-active-directory-resource-id "$ARM" \
    --endpoint-management "$ARM" \
    --endpoint-active-directory-graph-resource-id "$ARM/graph/" \
    --endpoint-microsoft-graph-resource-id "$ARM/graph/" \
    --suffix-acr-login-server-endpoint ".$DOMAIN" --suffix-storage-endpoint "$DOMAIN" --suffix-keyvault-dns ".vault.$DOMAIN"
  as long az cloud set -n wharf
  as long az login --service-principal -u "$CLIENT_ID" -p "$CLIENT_SECRET" --tenant "$TENANT" >/dev/null
  equal "$(as long query name acr show -n wharf)" wharf
}

is_known_from_a_metadata_address() {
  # This reader looks at the system's authorities alone.
  export ARM_CLOUD_METADATA_URL="$ARM/metadata/endpoints?api-version=2019-05-01" SSL_CERT_FILE=$CA
  local name
  name=$(curl -sS --cacert "$CA" "$ARM_CLOUD_METADATA_URL" | jq -r '.[0].name')
  as meta az cloud set -n "$name"
  as meta az login --service-principal -u "$CLIENT_ID" -p "$CLIENT_SECRET" --tenant "$TENANT" >/dev/null
  equal "$(as meta query name acr show -n wharf)" wharf
}

signs_in_in_the_tenant_style() {
  as tenant az config set core.instance_discovery=false --only-show-errors
  as tenant az cloud register -n wharf --endpoint-resource-manager "$ARM"
  as tenant az cloud update -n wharf --endpoint-active-directory "https://login.$DOMAIN"
  as tenant az cloud set -n wharf
  as tenant az login --service-principal -u "$CLIENT_ID" -p "$CLIENT_SECRET" --tenant "$TENANT" >/dev/null
  equal "$(as tenant query id account show)" "$SUBSCRIPTION"
}

# Everything on one port of localhost, as after `make run`.
works_on_localhost() {
  local port=26443
  "$WHARF" serve --data "$WORK/local" --http 127.0.0.1:26080 --https 127.0.0.1:$port >>"$LOGS/local.log" 2>&1 &
  await "a second server" curl -sf -o /dev/null http://127.0.0.1:26080/readyz
  local pid=$! secret id tenant rc=0
  id=$(jq -r .clientId "$WORK/local/credentials.json")
  secret=$(jq -r .clientSecret "$WORK/local/credentials.json")
  tenant=$(jq -r .tenantId "$WORK/local/credentials.json")
  export REQUESTS_CA_BUNDLE=$WORK/local/tls/ca.pem
  {
    as local az cloud register -n wharf --endpoint-resource-manager https://localhost:$port &&
      as local az cloud set -n wharf &&
      as local az login --service-principal -u "$id" -p "$secret" --tenant "$tenant" >/dev/null &&
      equal "$(as local query loginServer acr show -n wharf)" localhost:$port &&
      equal "$(as local query 'length(@)' acr repository list -n wharf)" 0 &&
      contains "$(as local az acr login -n wharf --expose-token 2>/dev/null)" accessToken
  } || rc=$?
  end_process $pid
  return $rc
}

a_wrong_secret_is_refused() {
  local said
  said=$(as wrong refused az login --service-principal -u "$CLIENT_ID" -p wrong --tenant "$TENANT" 2>&1) || true
  as wrong az cloud register -n wharf --endpoint-resource-manager "$ARM"
  as wrong az cloud set -n wharf
  said=$(as wrong refused az login --service-principal -u "$CLIENT_ID" -p wrong --tenant "$TENANT" 2>&1)
  contains "$said" AADSTS7000215
}

prepares_people() {
  "$WHARF" identity user create ada@example.com --data "$DATA" --display-name "Ada" --password-stdin <<<'correct horse battery'
  az role assignment create --assignee ada@example.com --role Reader --scope "/subscriptions/$SUBSCRIPTION" >/dev/null
}

a_person_signs_in_with_a_password() {
  as ada az cloud register -n wharf --endpoint-resource-manager "$ARM"
  as ada az cloud set -n wharf
  as ada az login -u ada@example.com -p 'correct horse battery' >/dev/null
  equal "$(as ada query user.name account show)" ada@example.com
  equal "$(as ada query name acr show -n wharf)" wharf
  AZURE_CONFIG_DIR=$WORK/azure-ada fails_with AuthorizationFailed group create -n forbidden -l eastus
}

a_person_signs_in_with_a_device_code() {
  local said=$WORK/device user_code page cookies=$WORK/cookies pid token
  as device az cloud register -n wharf --endpoint-resource-manager "$ARM"
  as device az cloud set -n wharf
  as device az login --use-device-code >"$WORK/device.out" 2>"$said" &
  pid=$!
  for _ in $(seq 100); do
    grep -q 'enter the code' "$said" && break
    sleep 0.1
  done
  user_code=$(grep -oE 'code [A-Z0-9-]{8,10}' "$said" | head -n 1 | cut -d' ' -f2)
  page=$(grep -oE 'https://[^ ]+' "$said" | head -n 1)
  "$TESTS/az/confirm-device" "$page" "$user_code" ada@example.com 'correct horse battery' "$CA"
  wait $pid
  equal "$(as device query user.name account show)" ada@example.com
}

a_workload_signs_in_with_a_certificate() {
  local app
  app=$(query appId ad sp create-for-rbac -n certified --role Reader --scopes "/subscriptions/$SUBSCRIPTION" --years 1)
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$WORK/key.pem" -out "$WORK/cert.pem" -subj /CN=certified -days 2
  az ad sp credential reset --id "$app" --cert "@$WORK/cert.pem" --append >/dev/null
  cat "$WORK/key.pem" "$WORK/cert.pem" >"$WORK/both.pem"
  as cert az cloud register -n wharf --endpoint-resource-manager "$ARM"
  as cert az cloud set -n wharf
  as cert az login --service-principal -u "$app" --certificate "$WORK/both.pem" --tenant "$TENANT" >/dev/null
  equal "$(as cert query name acr show -n wharf)" wharf
}

an_identity_signs_in_without_a_secret() {
  local lines
  az group create -n identities -l eastus >/dev/null
  az identity create -g identities -n worker >/dev/null
  az role assignment create --assignee-object-id "$(query principalId identity show -g identities -n worker)" \
    --assignee-principal-type ServicePrincipal --role Reader --scope "/subscriptions/$SUBSCRIPTION" >/dev/null
  lines=$("$WHARF" identity endpoint add worker --data "$DATA")
  eval "$(grep -oE '^(export )?IDENTITY_(ENDPOINT|HEADER)=.*' <<<"$lines")"
  export IDENTITY_ENDPOINT IDENTITY_HEADER
  as managed az cloud register -n wharf --endpoint-resource-manager "$ARM"
  as managed az cloud set -n wharf
  as managed az login --identity >/dev/null
  equal "$(as managed query name acr show -n wharf)" wharf
}

tokens_can_be_had() {
  local token
  token=$(query accessToken account get-access-token --resource https://containerregistry.azure.net)
  equal "$(cut -d. -f2 <<<"$token" | tr '_-' '/+' | base64 -d 2>/dev/null | jq -r .aud)" https://containerregistry.azure.net
}

accounts_are_listed() {
  equal "$(query '[].id' account list --refresh)" "$SUBSCRIPTION"
  [ "$(query 'length(@)' account list-locations)" -gt 5 ]
  az account set -s "$SUBSCRIPTION"
  equal "$(az rest -m get -u "/tenants?api-version=2022-12-01" --query 'value[0].tenantId' -o tsv)" "$TENANT"
}

groups_come_and_go() {
  equal "$(query properties.provisioningState group create -n g1 -l westeurope --tags a=b)" Succeeded
  equal "$(az group exists -n g1)" true
  equal "$(az group exists -n G1)" true
  equal "$(query tags.a group show -n g1)" b
  equal "$(query tags.c group update -n g1 --set tags.c=d)" d
  contains "$(query '[].name' group list)" g1
  az acr create -g g1 -n ingroup1 --sku Basic >/dev/null
  equal "$(query '[].name' resource list -g g1)" ingroup1
  az group delete -n g1 -y
  equal "$(az group exists -n g1)" false
  equal "$(query '[?name==`ingroup1`]' acr list)" ""
}

plain_requests_are_answered() {
  local path=/subscriptions/$SUBSCRIPTION/resourceGroups/default/providers/Microsoft.ContainerRegistry/registries/wharf
  equal "$(az rest -m get -u "$path?api-version=2025-11-01" --query name -o tsv)" wharf
  contains "$(refused az rest -m get -u "$path?api-version=1999-01-01" 2>&1)" "NoRegisteredProviderFound"
  contains "$(refused az rest -m get -u "$path" 2>&1)" MissingApiVersionParameter
  contains "$(refused az rest -m get -u "/subscriptions/$SUBSCRIPTION/resourceGroups/default/providers/Microsoft.ContainerRegistry/registries/wharf/webhooks?api-version=2025-11-01" 2>&1)" "Not Found"
}

locks_hold() {
  az group create -n locked -l eastus >/dev/null
  az acr create -g locked -n lockedreg1 --sku Basic >/dev/null
  az lock create -n keep --lock-type CanNotDelete -g locked >/dev/null
  fails_with ScopeLocked acr delete -n lockedreg1 -y
  az acr update -n lockedreg1 --admin-enabled true >/dev/null
  az lock delete -n keep -g locked
  az acr delete -n lockedreg1 -y
}

providers_are_registered() {
  equal "$(query registrationState provider show -n Microsoft.ContainerRegistry)" Registered
  az provider register -n Microsoft.ContainerRegistry
}

check "az cloud register by the metadata document" registers_in_the_short_way
check "az cloud register with every endpoint by hand" registers_without_the_metadata
check "ARM_CLOUD_METADATA_URL" is_known_from_a_metadata_address
check "an authority in the tenant style" signs_in_in_the_tenant_style
check "everything on one port of localhost" works_on_localhost
check "a wrong secret is refused" a_wrong_secret_is_refused
check "wharf identity makes a user, az gives a role" prepares_people
check "az login with user and password" a_person_signs_in_with_a_password
check "az login with a device code" a_person_signs_in_with_a_device_code
check "az login with a certificate" a_workload_signs_in_with_a_certificate
check "az login --identity" an_identity_signs_in_without_a_secret
check "az account get-access-token" tokens_can_be_had
check "az account" accounts_are_listed
check "az group" groups_come_and_go
check "az rest" plain_requests_are_answered
check "az lock" locks_hold
check "az provider" providers_are_registered
