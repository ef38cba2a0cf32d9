#!/usr/bin/env bash
# `az role …`: roles listed, defined, changed and deleted; assignments made, listed in every way, changed and taken away.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"

start_azure

# What a query finds, as JSON on one line.
json() { # query command…
  az "${@:2}" --query "$1" -o json | jq -c .
}

prepares() {
  sign_in
  az group create -n access -l eastus >/dev/null
  query id acr create -g access -n roles1 --sku Basic >"$WORK/registry"
  az ad sp create-for-rbac -n worker -o json >"$WORK/worker"
  query id ad sp show --id "$(jq -r .appId "$WORK/worker")" >"$WORK/worker-id"
  query id ad group create --display-name crew --mail-nickname crew >"$WORK/crew-id"
  az ad group member add -g crew --member-id "$(cat "$WORK/worker-id")"
}

group() { echo "/subscriptions/$SUBSCRIPTION/resourceGroups/access"; }
worker() { jq -r .appId "$WORK/worker"; }

built_in_roles() {
  equal "$(json '[].{n: roleName, t: roleType, i: name}' role definition list -n AcrPull)" \
    '[{"i":"7f951dda-4ed3-4680-a7ca-43fe172d538d","n":"AcrPull","t":"BuiltInRole"}]'
  equal "$(query '[0].roleName' role definition list -n 8e3af657-a8ff-443c-a75c-2fe8c4bcb635)" Owner
  equal "$(query "length([?roleName=='Container Registry Repository Writer'])" role definition list)" 1
  equal "$(json '[]' role definition list --custom-role-only true)" '[]'
  equal "$(query roleName role definition show --id "/subscriptions/$SUBSCRIPTION/providers/Microsoft.Authorization/roleDefinitions/8311e382-0749-4cb8-b61a-304f252e45ec")" AcrPush
}

custom_roles() {
  local id
  az role definition create --role-definition "{\"Name\": \"Image Keeper\", \"Description\": \"keeps images\",
    \"Actions\": [\"Microsoft.ContainerRegistry/registries/read\"], \"NotActions\": [],
    \"DataActions\": [\"Microsoft.ContainerRegistry/registries/repositories/content/read\"],
    \"AssignableScopes\": [\"$(group)\"]}" >/dev/null
  equal "$(query '[0].roleType' role definition list -n 'Image Keeper' --scope "$(group)")" CustomRole
  equal "$(query 'length(@)' role definition list -n 'Image Keeper')" 0
  az role assignment create --assignee "$(worker)" --role 'Image Keeper' --scope "$(group)" >/dev/null
  id=$(query '[0].id' role definition list -n 'Image Keeper' --scope "$(group)")
  az role definition update --role-definition "{\"id\": \"$id\", \"roleName\": \"Image Keeper\", \"description\": \"keeps them better\",
    \"actions\": [\"Microsoft.ContainerRegistry/registries/*\"], \"assignableScopes\": [\"$(group)\"]}" >/dev/null
  equal "$(query '[0].description' role definition list -n 'Image Keeper' --scope "$(group)")" "keeps them better"
  refused az role definition delete -n 'Image Keeper' --scope "$(group)"
  refused az role assignment create --assignee "$(worker)" --role 'Image Keeper' --scope "/subscriptions/$SUBSCRIPTION"
  az role assignment delete --assignee "$(worker)" --role 'Image Keeper' --scope "$(group)"
  az role definition delete -n 'Image Keeper' --scope "$(group)"
  equal "$(query 'length(@)' role definition list -n 'Image Keeper' --scope "$(group)")" 0
}

assignments() {
  local registry
  registry=$(cat "$WORK/registry")
  az role assignment create --assignee "$(worker)" --role AcrPull --scope "$registry" >/dev/null
  # The same again is no error to az.
  az role assignment create --assignee "$(worker)" --role AcrPull --scope "$registry" >/dev/null
  az role assignment create --assignee-object-id "$(cat "$WORK/crew-id")" --assignee-principal-type Group --role Reader --scope "$(group)" >/dev/null
  equal "$(json '[].{r: roleDefinitionName, t: principalType}' role assignment list --scope "$registry")" \
    '[{"r":"AcrPull","t":"ServicePrincipal"}]'
  equal "$(json '[].roleDefinitionName' role assignment list --scope "$registry" --include-inherited | jq -c sort)" '["AcrPull","Owner","Reader"]'
  equal "$(json '[].roleDefinitionName' role assignment list --assignee "$(worker)" --all)" '["AcrPull"]'
  equal "$(json '[].roleDefinitionName' role assignment list --assignee "$(cat "$WORK/worker-id")" --all --include-groups | jq -c sort)" \
    '["AcrPull","Reader"]'
  equal "$(json '[].roleDefinitionName' role assignment list -g access)" '["Reader"]'
  equal "$(query '[0].principalName' role assignment list --scope "$registry")" "$(worker)"
  refused az role assignment create --assignee-object-id 00000000-0000-4000-8000-00000000dead --assignee-principal-type User \
    --role Reader --scope "$registry"
}

a_condition_is_added_and_changed() {
  local registry shown condition
  registry=$(cat "$WORK/registry")
  condition="@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWith 'team/'"
  az role assignment create --assignee "$(worker)" --role 'Container Registry Repository Reader' --scope "$registry" \
    --condition "$condition" --description first -o json >"$WORK/assignment"
  equal "$(jq -r '[.condition, .conditionVersion, .description] | join("|")' "$WORK/assignment")" "$condition|2.0|first"
  shown=$(jq -c --arg to "${condition/team/crew}" '.condition = $to | .description = "second"' "$WORK/assignment")
  equal "$(json '[condition, description]' role assignment update --role-assignment "$shown" | jq -r 'join("|")')" "${condition/team/crew}|second"
  refused az role assignment update --role-assignment "$(jq -c '.condition = "nonsense"' "$WORK/assignment")"
  az role assignment delete --ids "$(jq -r .id "$WORK/assignment")"
  refused az role assignment delete --assignee "$(worker)" --role 'Container Registry Repository Reader' --scope "$registry"
}

who_may_not_hand_out_access() {
  as worker az cloud register -n wharf --endpoint-resource-manager "$ARM"
  as worker az cloud set -n wharf
  as worker az login --service-principal -u "$(worker)" -p "$(jq -r .password "$WORK/worker")" --tenant "$TENANT" >/dev/null
  equal "$(as worker az role assignment list --scope "$(group)" --query '[].roleDefinitionName' -o json --fill-principal-name false | jq -c .)" '["Reader"]'
  refused as worker az role assignment create --assignee-object-id "$(cat "$WORK/worker-id")" --assignee-principal-type ServicePrincipal \
    --role Owner --scope "$(group)"
  az role assignment delete --assignee "$(cat "$WORK/crew-id")" --role Reader --scope "$(group)"
  refused as worker az role assignment list --scope "$(group)"
}

the_last_owner_stays() {
  contains "$(refused az role assignment delete --assignee "$CLIENT_ID" --role Owner --scope / 2>&1)" "Cannot delete or limit the last RBAC admin assignment"
}

check "a registry, a service principal, a group" prepares
check "built-in roles" built_in_roles
check "assignments, in every list" assignments
check "conditions" a_condition_is_added_and_changed
check "custom roles" custom_roles
check "whoever may not hand out access" who_may_not_hand_out_access
check "the last owner" the_last_owner_stays
