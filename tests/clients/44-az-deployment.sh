#!/usr/bin/env bash
# The Azure CLI: deployments of ARM templates, as written by hand and as Bicep writes them.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"

TEMPLATES=$TESTS/az/templates
start_azure
resolve "deployed.$DOMAIN" "alphaacr.$DOMAIN" "bravoacr.$DOMAIN" "nested1.$DOMAIN"

prepares() {
  sign_in
  az group create -n g1 -l eastus >/dev/null
}

validates() {
  local said
  equal "$(query properties.provisioningState deployment group validate -g g1 -n v1 -f "$TEMPLATES/registry.json" -p registryName=deployed)" Succeeded
  said=$(refused az deployment group validate -g g1 -f "$TEMPLATES/registry.json" -p registryName=deployed sku=Golden 2>&1)
  contains "$said" "'sku'"
  contains "$said" InvalidTemplate
  refused az acr show -n deployed -g g1
}

deploys_a_registry_with_a_parameter_file() {
  az deployment group create -g g1 -n main -f "$TEMPLATES/registry.json" -p "@$TEMPLATES/registry.parameters.json" >"$WORK/main.json"
  equal "$(jq -r .properties.provisioningState "$WORK/main.json")" Succeeded
  equal "$(jq -r .properties.outputs.loginServer.value "$WORK/main.json")" "deployed.$DOMAIN"
  equal "$(jq -r .properties.outputs.username.value "$WORK/main.json")" deployed
  equal "$(jq -c .properties.outputs.maps.value "$WORK/main.json")" '["team-red","team-green"]'
  equal "$(jq -r .properties.outputs.password.value "$WORK/main.json")" null
  lacks "$(cat "$WORK/main.json")" hush-hush
}

made_what_the_template_says() {
  local made=$WORK/deployed.json
  az acr show -n deployed >"$made"
  equal "$(jq -r .sku.name "$made")" Premium
  equal "$(jq -r .tags.madeBy "$made")" main
  equal "$(jq -r '.tags.hash | length' "$made")" 13
  equal "$(jq -r .roleAssignmentMode "$made")" AbacRepositoryPermissions
  contains "$(query 'actions' acr scope-map show -r deployed -g g1 -n team-green)" 'repositories/green/*/content/read'
  contains "$(query scopeMapId acr token show -r deployed -g g1 -n reader)" /scopeMaps/team-red
  az role assignment list --scope "$(jq -r .id "$made")" --fill-principal-name false >"$WORK/roles.json"
  contains "$(jq -r '.[0].condition' "$WORK/roles.json")" "StringStartsWith 'team/'"
  equal "$(jq -r '.[0].roleDefinitionName' "$WORK/roles.json")" "Container Registry Repository Reader"
}

deploys_again() {
  az deployment group create -g g1 -n main -f "$TEMPLATES/registry.json" -p "@$TEMPLATES/registry.parameters.json" -p sku=Premium >/dev/null
  equal "$(query creationDate acr show -g g1 -n deployed)" "$(jq -r .creationDate "$WORK/deployed.json")"
}

shows_and_lists() {
  local rc=0
  az deployment group list -g g1 >"$WORK/list.json"
  equal "$(jq -r '.[] | .name + " " + .properties.mode' "$WORK/list.json")" "main Incremental"
  equal "$(query 'length(@)' deployment group list -g g1 --filter "provisioningState eq 'Failed'")" 0
  az deployment operation group list -g g1 -n main >"$WORK/operations.json"
  contains "$(jq -r '.[].properties.targetResource.resourceName' "$WORK/operations.json")" deployed/reader
  equal "$(jq '[.[] | select(.properties.provisioningState != "Succeeded")] | length' "$WORK/operations.json")" 0
  contains "$(az deployment group export -g g1 -n main)" "\"teams\""
  az deployment group show -g g1 -n absent || rc=$?
  equal $rc 3 "az's exit code for what is not there"
  az deployment group wait -g g1 -n main --created --timeout 10
}

tells_changes_in_advance() {
  local said
  said=$(az deployment group what-if -g g1 -f "$TEMPLATES/registry.json" -p "@$TEMPLATES/registry.parameters.json" -p sku=Standard)
  contains "$said" 'sku.name'
  contains "$said" '"Premium" => "Standard"'
  equal "$(query 'changes[?resourceId.contains(@, `/tokens/`)].changeType' deployment group what-if -g g1 --no-pretty-print \
    -f "$TEMPLATES/registry.json" -p "@$TEMPLATES/registry.parameters.json")" NoChange
  said=$(az deployment group what-if -g g1 -f "$TEMPLATES/symbolic.json" -r ResourceIdOnly)
  contains "$said" bravoacr
}

deploys_what_bicep_writes() {
  az deployment group create -g g1 -f "$TEMPLATES/symbolic.json" >"$WORK/symbolic.json"
  equal "$(jq -r .name "$WORK/symbolic.json")" symbolic "the template's name is the deployment's"
  equal "$(jq -c .properties.outputs.servers.value "$WORK/symbolic.json")" "[\"alphaacr.$DOMAIN\",\"bravoacr.$DOMAIN\"]"
  equal "$(jq -c .properties.outputs.upper.value "$WORK/symbolic.json")" '["ALPHA","BRAVO"]'
  equal "$(jq -r .properties.outputs.shared.value "$WORK/symbolic.json")" Premium
}

deploys_to_a_subscription() {
  az deployment sub create -l eastus -n whole -f "$TEMPLATES/subscription.json" -p groupName=g2 registryName=nested1 >"$WORK/sub.json"
  equal "$(jq -r .properties.provisioningState "$WORK/sub.json")" Succeeded
  contains "$(jq -r .properties.outputs.registryId.value "$WORK/sub.json")" /resourceGroups/g2/providers/Microsoft.ContainerRegistry/registries/nested1
  equal "$(query '[].name' deployment group list -g g2)" inner
  contains "$(query '[].properties.targetResource.resourceName' deployment operation sub list -n whole)" g2
  equal "$(query properties.provisioningState deployment sub show -n whole)" Succeeded
  az deployment sub delete -n whole
  equal "$(query 'length(@)' deployment sub list)" 0
  equal "$(query resourceGroup acr show -n nested1)" g2
}

a_failure_is_told() {
  local said
  said=$(refused az deployment group create -g g1 -n failing -f "$TEMPLATES/failing.json" 2>&1)
  contains "$said" DeploymentFailed
  contains "$said" absent
  equal "$(query properties.provisioningState deployment group show -g g1 -n failing)" Failed
  equal "$(query 'properties.error.code' deployment group show -g g1 -n failing)" DeploymentFailed
  contains "$(query '[?properties.provisioningState==`Failed`].properties.targetResource.resourceName' \
    deployment operation group list -g g1 -n failing)" deployed/broken
  equal "$(query name identity show -g g1 -n first)" first "what was made before stays"
  refused az deployment group cancel -g g1 -n failing
}

what_is_not_supported_is_named() {
  local said
  jq '.outputs.zones = {type: "array", value: "[pickZones('"'a', 'b', 'c'"')]"}' "$TEMPLATES/failing.json" >"$WORK/zones.json"
  said=$(refused az deployment group validate -g g1 -f "$WORK/zones.json" 2>&1)
  contains "$said" pickZones
  contains "$said" outputs.zones.value
  jq '.resources[0].type = "Microsoft.Web/sites"' "$TEMPLATES/failing.json" >"$WORK/sites.json"
  said=$(refused az deployment group create -g g1 -f "$WORK/sites.json" 2>&1)
  contains "$said" Microsoft.Web/sites
}

a_bomb_is_refused_soon() {
  local began=$EPOCHREALTIME said i
  {
    echo '{"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0",'
    echo '"variables": {"v0": "0123456789abcdef"'
    for i in $(seq 1 60); do echo ", \"v$i\": \"[concat(variables('v$((i - 1))'), variables('v$((i - 1))'))]\""; done
    echo '}, "resources": [{"type": "Microsoft.ManagedIdentity/userAssignedIdentities", "apiVersion": "2024-11-30", "location": "eastus",'
    echo "\"name\": \"[take(variables('v60'), 10)]\"}]}"
  } >"$WORK/bomb.json"
  said=$(refused az deployment group validate -g g1 -f "$WORK/bomb.json" 2>&1)
  contains "$said" "too large"
  echo "refused after $(seconds_since "$began") s"
}

complete_removes_what_is_not_in_the_template() {
  az deployment group create -g g2 -n complete --mode Complete -f "$TEMPLATES/symbolic.json" -p names='["Charlie"]' >/dev/null
  equal "$(query '[].name' acr list -g g2)" charlieacr
}

forgets() {
  az deployment group delete -g g1 -n main
  refused az deployment group show -g g1 -n main
  equal "$(query name acr show -n deployed)" deployed
}

check "prepares" prepares
check "a template is validated" validates
check "a registry, scope maps, a token and a role are deployed" deploys_a_registry_with_a_parameter_file
check "they are as the template says" made_what_the_template_says
check "deploying again changes nothing" deploys_again
check "deployments and their operations are shown" shows_and_lists
check "changes are told in advance" tells_changes_in_advance
check "symbolic names, functions and types, as Bicep writes them" deploys_what_bicep_writes
check "a subscription gets a group with a registry" deploys_to_a_subscription
check "a failure is told with the resource" a_failure_is_told
check "what is not supported is named" what_is_not_supported_is_named
check "a template bomb is refused" a_bomb_is_refused_soon
check "mode Complete" complete_removes_what_is_not_in_the_template
check "deployments are forgotten" forgets
