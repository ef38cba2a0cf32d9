"""The management client of the Azure SDK for Python, as a program of a customer's would use it.

    management.py CASE        runs the function with this name

Where the server is and who signs in come from the environment, as 46-sdk-python.sh sets it.
"""

import asyncio
import base64
import datetime
import os
import sys
import time

import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.identity import AzureCliCredential, ClientSecretCredential, DefaultAzureCredential
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential
from azure.mgmt.containerregistry import ContainerRegistryManagementClient, models
from azure.mgmt.containerregistry.aio import ContainerRegistryManagementClient as AsyncClient

ARM = os.environ["ARM"]
LOGIN = os.environ["LOGIN"]
DOMAIN = os.environ["DOMAIN"]
TENANT = os.environ["TENANT"]
SUBSCRIPTION = os.environ["SUBSCRIPTION"]
CLIENT_ID = os.environ["CLIENT_ID"]
CLIENT_SECRET = os.environ["CLIENT_SECRET"]
GROUP = "default"
REGISTRY = "sdkpython"


# --- clients ---------------------------------------------------------------------------------------------------------


def credential(secret=CLIENT_SECRET, authority=LOGIN, tenant=TENANT):
    return ClientSecretCredential(tenant, CLIENT_ID, secret, authority=authority, disable_instance_discovery=True)


def client(given=None, **options):
    options.setdefault("credential_scopes", [f"{ARM}/.default"])
    return ContainerRegistryManagementClient(given or credential(), SUBSCRIPTION, base_url=ARM, **options)


def registry_id(name=REGISTRY):
    return (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.ContainerRegistry/registries/{name}"
    )


# --- assertions: each says what it saw -------------------------------------------------------------------------------


def equal(got, wanted, about="value"):
    assert got == wanted, f"{about}: got {got!r}, wanted {wanted!r}"


def contains(text, part):
    assert part in text, f"wanted {part!r} in {text!r}"


def refused(status, code, work):
    """What the error of a call that must fail says; its status and code are the ones given."""
    try:
        work()
    except HttpResponseError as error:
        equal(error.status_code, status, f"status of {error.message}")
        equal(error.error.code if error.error else None, code, f"code of {error.message}")
        return error.message
    raise AssertionError(f"should have been refused with {status} {code}")


# --- the data plane, plainly -----------------------------------------------------------------------------------------


def status_of(path, user=None, password=None, bearer=None, method="GET"):
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    auth = (user, password) if user else None
    return requests.request(method, f"https://{REGISTRY}.{DOMAIN}{path}", auth=auth, headers=headers).status_code


def access_token(user, password, scope):
    service = f"{REGISTRY}.{DOMAIN}"
    query = {"service": service, "scope": scope}
    answer = requests.get(f"https://{service}/oauth2/token", params=query, auth=(user, password))
    equal(answer.status_code, 200, f"status of {answer.text}")
    return answer.json()["access_token"]


def allowed(token):
    """The access that a token lists, as text."""
    part = token.split(".")[1]
    claims = requests.compat.json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return [f"{entry['type']}:{entry['name']}:{','.join(entry['actions'])}" for entry in claims["access"]]


# --- registries ------------------------------------------------------------------------------------------------------


def names_are_checked():
    def check(name):
        wanted = models.RegistryNameCheckRequest(name=name, type="Microsoft.ContainerRegistry/registries")
        return client().registries.check_name_availability(wanted)

    equal(check(REGISTRY).name_available, True)
    taken = check("Wharf")
    equal((taken.name_available, taken.reason), (False, "AlreadyExists"))
    bad = check("no")
    equal((bad.name_available, bad.reason), (False, "Invalid"))
    assert taken.message and bad.message


def a_registry_is_created():
    began = time.monotonic()
    made = (
        client()
        .registries.begin_create(
            GROUP,
            REGISTRY,
            models.Registry(
                location="eastus",
                sku=models.Sku(name="Premium"),
                tags={"team": "sdk"},
                properties=models.RegistryProperties(admin_user_enabled=True),
            ),
        )
        .result()
    )
    took = time.monotonic() - began
    assert took < 5, f"creating took {took:.1f} s: is Retry-After missing?"
    equal(made.name, REGISTRY)
    equal(made.id, registry_id())
    equal(made.type, "Microsoft.ContainerRegistry/registries")
    equal((made.sku.name, made.sku.tier), ("Premium", "Premium"))
    equal(made.tags, {"team": "sdk"})
    equal(made.provisioning_state, "Succeeded")
    equal(made.login_server, f"{REGISTRY}.{DOMAIN}")
    equal(made.admin_user_enabled, True)
    equal(made.public_network_access, "Enabled")
    equal(made.policies.export_policy.status, "enabled")
    equal(made.policies.retention_policy.days, 7)
    equal(made.role_assignment_mode, "LegacyRegistryPermissions")
    equal((made.system_data.created_by, made.system_data.created_by_type), (CLIENT_ID, "Application"))
    age = datetime.datetime.now(datetime.timezone.utc) - made.creation_date
    assert abs(age) < datetime.timedelta(minutes=5), f"created {age} ago"


def a_registry_is_found():
    found = client().registries.get(GROUP.upper(), REGISTRY.upper())
    equal((found.name, found.id), (REGISTRY, registry_id()))
    for listed in client().registries.list(), client().registries.list_by_resource_group(GROUP):
        names = [registry.name for registry in listed]
        assert {"wharf", REGISTRY} <= set(names), names
        equal(len(names), len(set(names)))
    message = refused(404, "ResourceNotFound", lambda: client().registries.get(GROUP, "nothere"))
    contains(message, "nothere")
    refused(404, "ResourceGroupNotFound", lambda: list(client().registries.list_by_resource_group("nowhere")))


def a_registry_is_updated():
    update = models.RegistryUpdateParameters(
        tags={"team": "sdk", "step": "2"},
        properties=models.RegistryPropertiesUpdateParameters(
            anonymous_pull_enabled=True,
            network_rule_set=models.NetworkRuleSet(
                default_action="Allow", ip_rules=[models.IPRule(ip_address_or_range="192.0.2.0/24", action="Allow")]
            ),
            policies=models.Policies(retention_policy=models.RetentionPolicy(days=30, status="enabled")),
        ),
    )
    updated = client().registries.begin_update(GROUP, REGISTRY, update).result()
    equal(updated.tags, {"team": "sdk", "step": "2"})
    equal(updated.anonymous_pull_enabled, True)
    equal([rule.ip_address_or_range for rule in updated.network_rule_set.ip_rules], ["192.0.2.0/24"])
    equal((updated.policies.retention_policy.days, updated.policies.retention_policy.status), (30, "enabled"))
    equal(updated.policies.export_policy.status, "enabled", "what was not named")
    equal(updated.admin_user_enabled, True, "what was not named")

    # Read, change one thing, send back whole: what many programs do.
    whole = client().registries.get(GROUP, REGISTRY)
    whole.properties.anonymous_pull_enabled = False
    whole.tags.pop("step")
    equal(client().registries.begin_create(GROUP, REGISTRY, whole).result().anonymous_pull_enabled, False)
    again = client().registries.get(GROUP, REGISTRY)
    equal((again.tags, again.admin_user_enabled), ({"team": "sdk"}, True))
    equal(again.policies.retention_policy.days, 30)

    # What a tier lacks is refused with the reason.
    basic = models.Registry(
        location="eastus", sku=models.Sku(name="Basic"), properties=models.RegistryProperties(anonymous_pull_enabled=True)
    )
    try:
        client().registries.begin_create(GROUP, "sdkbasicpull", basic).result()
        raise AssertionError("a Basic registry has no anonymous pull")
    except HttpResponseError as error:
        equal(error.status_code, 400)
    moved = models.RegistryUpdateParameters(identity=models.IdentityProperties(type="SystemAssigned"))
    identity = client().registries.begin_update(GROUP, REGISTRY, moved).result().identity
    equal((identity.type, identity.tenant_id), ("SystemAssigned", TENANT))
    assert identity.principal_id
    gone = models.RegistryUpdateParameters(identity=models.IdentityProperties(type="None"))
    identity = client().registries.begin_update(GROUP, REGISTRY, gone).result().identity
    assert identity is None or (identity.type, identity.principal_id) == ("None", None), identity


def the_admin_users_passwords_are_shown_and_renewed():
    shown = client().registries.list_credentials(GROUP, REGISTRY)
    equal(shown.username, REGISTRY)
    equal([password.name for password in shown.passwords], ["password", "password2"])
    first, second = [password.value for password in shown.passwords]
    equal([status_of("/v2/", REGISTRY, password) for password in (first, second)], [200, 200])

    renewal = models.RegenerateCredentialParameters(name="password2")
    renewed = client().registries.regenerate_credential(GROUP, REGISTRY, renewal)
    equal(renewed.passwords[0].value, first, "the other password")
    assert renewed.passwords[1].value != second
    equal([status_of("/v2/", REGISTRY, password) for password in (first, second)], [200, 401])
    equal(status_of("/v2/", REGISTRY, renewed.passwords[1].value), 200)

    off = models.RegistryPropertiesUpdateParameters(admin_user_enabled=False)
    client().registries.begin_update(GROUP, REGISTRY, models.RegistryUpdateParameters(properties=off)).result()
    equal(status_of("/v2/", REGISTRY, first), 401, "the admin user is off")


def usages_and_private_links_are_listed():
    usages = {usage.name: usage for usage in client().registries.list_usages(GROUP, REGISTRY).value}
    equal((usages["Size"].unit, usages["Size"].limit), ("Bytes", 500 * 2**30))
    equal((usages["Webhooks"].unit, usages["Webhooks"].limit, usages["Webhooks"].current_value), ("Count", 500, 0))
    links = list(client().registries.list_private_link_resources(GROUP, REGISTRY))
    equal([link.properties.group_id for link in links], ["registry"])
    contains(",".join(links[0].properties.required_members), "registry")
    equal(client().registries.get_private_link_resource(GROUP, REGISTRY, "registry").id, links[0].id)


def the_operations_of_the_provider_are_listed():
    names = {operation.name for operation in client().operations.list()}
    for name in ("registries/read", "registries/tokens/write", "registries/generateCredentials/action"):
        assert f"Microsoft.ContainerRegistry/{name}" in names, sorted(names)


# --- scope maps and tokens -------------------------------------------------------------------------------------------


def system_scope_maps_are_there_and_stay():
    maps = {found.name: found for found in client().scope_maps.list(GROUP, REGISTRY)}
    system = [name for name, found in maps.items() if found.properties.type == "SystemDefined"]
    names = "_repositories_admin _repositories_pull _repositories_pull_metadata_read _repositories_push"
    equal(sorted(system), [*names.split(), "_repositories_push_metadata_write"])
    equal(maps["_repositories_pull"].actions, ["repositories/*/content/read"])
    one = client().scope_maps.get(GROUP, REGISTRY, "_repositories_admin")
    equal(len(one.actions), 5)
    # Templates that were exported from a registry contain them.
    again = models.ScopeMap(properties=models.ScopeMapProperties(description=one.description, actions=one.actions[::-1]))
    equal(client().scope_maps.begin_create(GROUP, REGISTRY, one.name, again).result().actions, one.actions)
    other = models.ScopeMap(properties=models.ScopeMapProperties(actions=["repositories/a/content/read"]))
    create = client().scope_maps.begin_create
    refused(409, "OperationNotAllowed", lambda: create(GROUP, REGISTRY, one.name, other).result())
    refused(409, "OperationNotAllowed", lambda: client().scope_maps.begin_delete(GROUP, REGISTRY, one.name).result())


def scope_maps_are_created_changed_and_deleted():
    actions = ["repositories/team/app/content/read", "repositories/shared/*/content/read"]
    new = models.ScopeMap(properties=models.ScopeMapProperties(description="Readers of team/app", actions=actions))
    made = client().scope_maps.begin_create(GROUP, REGISTRY, "Readers", new).result()
    equal(made.id, f"{registry_id()}/scopeMaps/Readers")
    equal(made.type, "Microsoft.ContainerRegistry/registries/scopeMaps")
    equal((made.description, made.actions), ("Readers of team/app", actions))
    equal((made.properties.type, made.provisioning_state), ("UserDefined", "Succeeded"))
    assert made.creation_date and made.system_data.created_at

    more = [*actions, "repositories/team/app/metadata/read"]
    change = models.ScopeMapUpdateParameters(properties=models.ScopeMapPropertiesUpdateParameters(actions=more))
    changed = client().scope_maps.begin_update(GROUP, REGISTRY, "readers", change).result()
    equal((changed.name, changed.description, changed.actions), ("Readers", "Readers of team/app", more))
    equal(changed.creation_date, made.creation_date)

    create = client().scope_maps.begin_create

    def refuse(actions):
        bad = models.ScopeMap(properties=models.ScopeMapProperties(actions=actions))
        return refused(400, "InvalidRequestContent", lambda: create(GROUP, REGISTRY, "broken", bad).result())

    contains(refuse(["repositories/a/content/read", "repositories/team*/content/read"]), "properties.actions[1]")
    contains(refuse(["repositories/a/content/fly"]), "content/fly")
    contains(refuse([f"repositories/r{n}/content/read" for n in range(501)]), "500")
    refused(400, "InvalidResourceName", lambda: create(GROUP, REGISTRY, "no", new).result())
    refused(404, "ParentResourceNotFound", lambda: create(GROUP, "nothere", "readers", new).result())
    client().scope_maps.begin_create(GROUP, REGISTRY, "temporary", new).result()
    client().scope_maps.begin_delete(GROUP, REGISTRY, "Temporary").result()
    refused(404, "ResourceNotFound", lambda: client().scope_maps.get(GROUP, REGISTRY, "temporary"))


def a_token_gets_its_scope_map_and_passwords():
    create = client().tokens.begin_create
    new = models.Token(properties=models.TokenProperties(scope_map_id=f"{registry_id()}/scopeMaps/readers"))
    made = create(GROUP, REGISTRY, "Robot", new).result()
    equal(made.id, f"{registry_id()}/tokens/Robot")
    equal((made.status, made.provisioning_state), ("enabled", "Succeeded"))
    equal(made.scope_map_id, f"{registry_id()}/scopeMaps/Readers", "in the spelling of the scope map")
    equal(list(made.credentials.passwords), [])

    expiry = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    ask = models.GenerateCredentialsParameters(token_id=made.id, expiry=expiry)
    result = client().registries.begin_generate_credentials(GROUP, REGISTRY, ask).result()
    equal(result.username, "Robot")
    equal([password.name for password in result.passwords], ["password1", "password2"])
    for password in result.passwords:
        assert len(password.value) >= 40 and password.creation_time and abs(password.expiry - expiry).total_seconds() < 1
        equal(status_of("/v2/", "Robot", password.value), 200)
    keep(one=result.passwords[0].value, two=result.passwords[1].value)

    shown = client().tokens.get(GROUP, REGISTRY, "robot")
    equal([password.name for password in shown.credentials.passwords], ["password1", "password2"])
    equal([password.value for password in shown.credentials.passwords], [None, None], "never shown again")
    assert all(password.expiry and password.creation_time for password in shown.credentials.passwords)

    nowhere = models.Token(properties=models.TokenProperties(scope_map_id=f"{registry_id()}/scopeMaps/nothere"))
    message = refused(400, "InvalidRequestContent", lambda: create(GROUP, REGISTRY, "robot2", nowhere).result())
    contains(message, "nothere")
    foreign = models.Token(properties=models.TokenProperties(scope_map_id=f"{registry_id('wharf')}/scopeMaps/_repositories_pull"))
    refused(400, "InvalidRequestContent", lambda: create(GROUP, REGISTRY, "robot2", foreign).result())
    for name in ("no", "with_underscore", REGISTRY, "01234567-89ab-cdef-0123-456789abcdef"):
        refused(400, "InvalidResourceName", lambda name=name: create(GROUP, REGISTRY, name, new).result())


def a_token_may_what_its_scope_map_says():
    one, _ = kept()
    access = access_token("Robot", one, "repository:team/app:pull,push,metadata_read repository:shared/x:pull repository:other:pull")
    equal(allowed(access), ["repository:team/app:pull,metadata_read", "repository:shared/x:pull", "repository:other:"])
    equal(status_of("/v2/team/app/tags/list", bearer=access), 404, "it may look, and there is nothing")
    equal(status_of("/v2/other/tags/list", bearer=access), 401)
    equal(status_of("/v2/_catalog", "Robot", one), 401, "no catalog for tokens")

    # Less in the scope map is less for the token that is on its way.
    less = models.ScopeMapPropertiesUpdateParameters(actions=["repositories/shared/*/content/read"])
    client().scope_maps.begin_update(GROUP, REGISTRY, "readers", models.ScopeMapUpdateParameters(properties=less)).result()
    equal(status_of("/v2/team/app/tags/list", bearer=access), 401)
    equal(status_of("/v2/shared/x/tags/list", bearer=access), 404)
    in_use = lambda: client().scope_maps.begin_delete(GROUP, REGISTRY, "readers").result()
    contains(refused(409, "Conflict", in_use), "Robot")

    # Another scope map counts at once.
    update(scope_map_id=f"{registry_id()}/scopeMaps/_repositories_pull")
    equal(status_of("/v2/other/tags/list", "Robot", one), 404)


def passwords_are_renewed_and_removed_one_by_one():
    one, two = kept()
    by_one, by_two = (access_token("Robot", password, "repository:a:pull") for password in (one, two))
    equal([status_of("/v2/a/tags/list", bearer=token) for token in (by_one, by_two)], [404, 404])
    ask = models.GenerateCredentialsParameters(token_id=f"{registry_id()}/tokens/robot", name="password1")
    result = client().registries.begin_generate_credentials(GROUP, REGISTRY, ask).result()
    equal([(password.name, password.expiry) for password in result.passwords], [("password1", None)])
    equal([status_of("/v2/", "Robot", password) for password in (one, two)], [401, 200])
    equal(status_of("/v2/a/tags/list", bearer=by_one), 401, "what was issued against the old password")
    equal(status_of("/v2/a/tags/list", bearer=by_two), 404, "what was issued against the other")
    renewed = result.passwords[0].value

    # A PUT as a template deploys it again leaves the passwords alone.
    new = models.Token(properties=models.TokenProperties(scope_map_id=f"{registry_id()}/scopeMaps/_repositories_pull"))
    client().tokens.begin_create(GROUP, REGISTRY, "robot", new).result()
    equal([status_of("/v2/", "robot", password) for password in (renewed, two)], [200, 200])

    update(credentials=models.TokenCredentialsProperties(passwords=[models.TokenPassword(name="password1")]))
    equal([status_of("/v2/", "robot", password) for password in (renewed, two)], [200, 401])
    equal(status_of("/v2/a/tags/list", bearer=by_two), 401)
    gone = models.TokenCredentialsProperties(passwords=[models.TokenPassword(name="password2")])
    contains(refused(400, "InvalidRequestContent", lambda: update(credentials=gone)), "password2")
    keep(one=renewed, two="")

    late = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    generate = client().registries.begin_generate_credentials
    for bad in (
        models.GenerateCredentialsParameters(token_id=ask.token_id, expiry=late),
        models.GenerateCredentialsParameters(token_id=ask.token_id, name="password3"),
        models.GenerateCredentialsParameters(token_id=f"{registry_id('wharf')}/tokens/robot"),
        models.GenerateCredentialsParameters(),
    ):
        refused(400, "InvalidRequestContent", lambda bad=bad: generate(GROUP, REGISTRY, bad).result())
    absent = models.GenerateCredentialsParameters(token_id=f"{registry_id()}/tokens/nobody")
    refused(404, "ResourceNotFound", lambda: generate(GROUP, REGISTRY, absent).result())


def an_expired_password_ends_what_was_issued_against_it():
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    ask = models.GenerateCredentialsParameters(token_id=f"{registry_id()}/tokens/robot", name="password2", expiry=soon)
    password = client().registries.begin_generate_credentials(GROUP, REGISTRY, ask).result().passwords[0].value
    access = access_token("robot", password, "repository:a:pull")
    equal(status_of("/v2/a/tags/list", bearer=access), 404)
    while datetime.datetime.now(datetime.timezone.utc) <= soon:
        time.sleep(0.1)
    equal((status_of("/v2/", "robot", password), status_of("/v2/a/tags/list", bearer=access)), (401, 401))


def a_disabled_token_is_out_at_once():
    one, _ = kept()
    access = access_token("robot", one, "repository:a:pull")
    equal(update(status="disabled").status, "disabled")
    equal((status_of("/v2/", "robot", one), status_of("/v2/a/tags/list", bearer=access)), (401, 401))
    equal(update(status="enabled").status, "enabled")
    equal(status_of("/v2/", "robot", one), 200)
    equal(status_of("/v2/a/tags/list", bearer=access), 401, "it stays void")
    equal([token.name for token in client().tokens.list(GROUP, REGISTRY)], ["Robot"])
    client().tokens.begin_delete(GROUP, REGISTRY, "robot").result()
    equal(status_of("/v2/", "robot", one), 401)
    refused(404, "ResourceNotFound", lambda: client().tokens.get(GROUP, REGISTRY, "robot"))
    client().scope_maps.begin_delete(GROUP, REGISTRY, "readers").result()


def quotas_are_those_of_the_tier():
    small = models.Registry(location="eastus", sku=models.Sku(name="Basic"))
    client().registries.begin_create(GROUP, "sdksmall", small).result()
    create = client().scope_maps.begin_create
    new = models.ScopeMap(properties=models.ScopeMapProperties(actions=["repositories/a/content/read"]))
    for number in range(100):
        create(GROUP, "sdksmall", f"readers{number:03}", new).result()
    contains(refused(409, "QuotaExceeded", lambda: create(GROUP, "sdksmall", "readers100", new).result()), "Basic")
    create(GROUP, "sdksmall", "readers000", new).result()
    client().scope_maps.begin_delete(GROUP, "sdksmall", "readers000").result()
    create(GROUP, "sdksmall", "readers100", new).result()
    equal(len(list(client().scope_maps.list(GROUP, "sdksmall"))), 105, "with those of the system")
    client().registries.begin_delete(GROUP, "sdksmall").result()


# --- the rest --------------------------------------------------------------------------------------------------------


def long_lists_are_followed_page_by_page():
    """The SDK never asks for a page's size, so the test does, through the client's own pipeline."""
    with client() as management:
        url = f"{ARM}{registry_id()}/scopeMaps?api-version=2025-11-01&$top=2"
        names, pages = [], 0
        while url:
            answer = management.send_request(HttpRequest("GET", url))
            answer.raise_for_status()
            names += [found["name"] for found in answer.json()["value"]]
            url, pages = answer.json().get("nextLink"), pages + 1
        equal(pages, 3)
        equal(sorted(names), sorted(found.name for found in management.scope_maps.list(GROUP, REGISTRY)))


def kinds_that_are_not_there_say_so():
    webhook = models.WebhookCreateParameters(location="eastus", service_uri="https://example.com", actions=["push"])
    for work in (
        lambda: list(client().webhooks.list(GROUP, REGISTRY)),
        lambda: client().webhooks.begin_create(GROUP, REGISTRY, "webhook", webhook).result(),
        lambda: client().cache_rules.get(GROUP, REGISTRY, "rule1"),
        lambda: list(client().connected_registries.list(GROUP, REGISTRY)),
    ):
        try:
            work()
            raise AssertionError("should have been refused")
        except ResourceNotFoundError as error:
            assert error.error and error.error.code, error.message


def every_way_to_sign_in_works():
    def count(given, **options):
        return len(list(client(given, **options).registries.list_by_resource_group(GROUP)))

    wanted = count(credential())
    # Without credential_scopes the SDK asks for a token of Azure's own management plane.
    bare = ContainerRegistryManagementClient(credential(), SUBSCRIPTION, base_url=ARM)
    equal(len(list(bare.registries.list_by_resource_group(GROUP))), wanted)
    equal(count(credential(authority=f"{LOGIN}/adfs", tenant="adfs")), wanted, "the authority that az is given")
    os.environ.update(AZURE_TENANT_ID=TENANT, AZURE_CLIENT_ID=CLIENT_ID, AZURE_CLIENT_SECRET=CLIENT_SECRET)
    equal(count(DefaultAzureCredential(authority=LOGIN, disable_instance_discovery=True)), wanted)
    equal(count(AzureCliCredential()), wanted, "what az is signed in as")
    try:
        count(credential(secret="wrong"))
        raise AssertionError("a wrong secret should have been refused")
    except Exception as error:  # noqa: BLE001: azure-identity wraps it in one of several
        contains(str(error), "AADSTS7000215")


def the_asynchronous_client_works():
    async def run():
        options = {"authority": LOGIN, "disable_instance_discovery": True}
        async with AsyncClientSecretCredential(TENANT, CLIENT_ID, CLIENT_SECRET, **options) as given:
            scopes = [f"{ARM}/.default"]
            async with AsyncClient(given, SUBSCRIPTION, base_url=ARM, credential_scopes=scopes) as management:
                new = models.ScopeMap(properties=models.ScopeMapProperties(actions=["repositories/a/content/read"]))
                maps = management.scope_maps
                names = [f"parallel{number}" for number in range(8)]
                pollers = await asyncio.gather(*(maps.begin_create(GROUP, REGISTRY, name, new) for name in names))
                await asyncio.gather(*(poller.result() for poller in pollers))
                found = [item.name async for item in maps.list(GROUP, REGISTRY) if item.name.startswith("parallel")]
                equal(sorted(found), names)
                pollers = await asyncio.gather(*(maps.begin_delete(GROUP, REGISTRY, name) for name in names))
                await asyncio.gather(*(poller.result() for poller in pollers))

    asyncio.run(run())


def older_api_versions_are_served():
    for version in ("2019-05-01", "2023-07-01", "2025-04-01", "2026-09-01-preview"):
        equal(client(api_version=version).registries.get(GROUP, REGISTRY).login_server, f"{REGISTRY}.{DOMAIN}", version)
    refused(400, "NoRegisteredProviderFound", lambda: client(api_version="2001-01-01").registries.get(GROUP, REGISTRY))


def a_registry_is_deleted_with_everything_in_it():
    client().registries.begin_delete(GROUP, REGISTRY).result()
    refused(404, "ResourceNotFound", lambda: client().registries.get(GROUP, REGISTRY))
    refused(404, "ResourceNotFound", lambda: list(client().scope_maps.list(GROUP, REGISTRY)))
    client().registries.begin_delete(GROUP, REGISTRY).result()
    assert REGISTRY not in [registry.name for registry in client().registries.list()]


# --- what one case hands to the next ---------------------------------------------------------------------------------


def update(**properties):
    change = models.TokenUpdateParameters(properties=models.TokenUpdateProperties(**properties))
    return client().tokens.begin_update(GROUP, REGISTRY, "robot", change).result()


def keep(one, two):
    with open(os.environ["KEEP"], "w", encoding="ascii") as file:
        file.write(f"{one}\n{two}\n")


def kept():
    with open(os.environ["KEEP"], encoding="ascii") as file:
        return file.read().split("\n")[:2]


if __name__ == "__main__":
    globals()[sys.argv[1]]()
