#!/usr/bin/env bash
# The Azure SDK for Python: the management client, and the ways to sign in that programs use.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../az.sh"

start_azure
resolve "sdkpython.$DOMAIN" "sdksmall.$DOMAIN"
export ARM DOMAIN TENANT SUBSCRIPTION CLIENT_ID CLIENT_SECRET LOGIN=https://login.$DOMAIN KEEP=$WORK/kept

# A case of python/management.py, where its assertions are.
sdk() { PYTHONDONTWRITEBYTECODE=1 "${TOOLS%/bin}/sdk/bin/python" "$TESTS/python/management.py" "$1"; }

signs_in_in_every_way() {
  sign_in
  PATH=$(dirname "$AZ"):$PATH sdk every_way_to_sign_in_works
}

check "names are checked" sdk names_are_checked
check "a registry is created" sdk a_registry_is_created
check "a registry is found" sdk a_registry_is_found
check "a registry is updated" sdk a_registry_is_updated
check "the admin user's passwords are shown and renewed" sdk the_admin_users_passwords_are_shown_and_renewed
check "usages and private links are listed" sdk usages_and_private_links_are_listed
check "the operations of the provider are listed" sdk the_operations_of_the_provider_are_listed
check "system scope maps are there and stay" sdk system_scope_maps_are_there_and_stay
check "scope maps are created, changed and deleted" sdk scope_maps_are_created_changed_and_deleted
check "a token gets its scope map and passwords" sdk a_token_gets_its_scope_map_and_passwords
check "a token may what its scope map says" sdk a_token_may_what_its_scope_map_says
check "passwords are renewed and removed one by one" sdk passwords_are_renewed_and_removed_one_by_one
check "an expired password ends what was issued against it" sdk an_expired_password_ends_what_was_issued_against_it
check "a disabled token is out at once" sdk a_disabled_token_is_out_at_once
check "quotas are those of the tier" sdk quotas_are_those_of_the_tier
check "long lists are followed page by page" sdk long_lists_are_followed_page_by_page
check "kinds that are not there say so" sdk kinds_that_are_not_there_say_so
check "every way to sign in works" signs_in_in_every_way
check "the asynchronous client works" sdk the_asynchronous_client_works
check "older api-versions are served" sdk older_api_versions_are_served
check "a registry is deleted with everything in it" sdk a_registry_is_deleted_with_everything_in_it
