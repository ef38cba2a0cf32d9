// The management client of the Azure SDK for JavaScript, as a program of a customer's would use it.
//
//     node management.mjs CASE      runs the function with this name
//
// Where the server is, who signs in and where the packages are come from the environment, as 47-sdk-node.sh sets it.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const { ARM, LOGIN, DOMAIN, TENANT, SUBSCRIPTION, CLIENT_ID, CLIENT_SECRET, KEEP, PACKAGES } = process.env;
const require = createRequire(`${PACKAGES}/`);
const { ContainerRegistryManagementClient } = require("@azure/arm-containerregistry");
const { ClientSecretCredential, DefaultAzureCredential } = require("@azure/identity");

const GROUP = "default";
const REGISTRY = "sdknode";
const HOST = `${REGISTRY}.${DOMAIN}`;
const ID = `/subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}/providers/Microsoft.ContainerRegistry/registries/${REGISTRY}`;

// --- clients ---------------------------------------------------------------------------------------------------------

function credential(secret = CLIENT_SECRET, authority = LOGIN, tenant = TENANT) {
  return new ClientSecretCredential(tenant, CLIENT_ID, secret, { authorityHost: authority, disableInstanceDiscovery: true });
}

function client(given = credential(), options = {}) {
  return new ContainerRegistryManagementClient(given, SUBSCRIPTION, { endpoint: ARM, ...options });
}

async function all(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

// --- assertions ------------------------------------------------------------------------------------------------------

async function refused(status, code, work) {
  try {
    await work();
  } catch (error) {
    const said = `${error.name} ${error.statusCode} ${error.code}: ${error.message}`;
    assert.equal(Number(error.statusCode), status, said);
    assert.equal(error.code ?? error.details?.error?.code, code, said);
    return said;
  }
  assert.fail(`should have been refused with ${status} ${code}`);
}

function basic(user, password) {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}

async function statusOf(path, headers = {}) {
  const answer = await fetch(`https://${HOST}${path}`, { headers });
  await answer.arrayBuffer();
  return answer.status;
}

async function accessToken(user, password, scope) {
  const query = new URLSearchParams({ service: HOST, scope });
  const answer = await fetch(`https://${HOST}/oauth2/token?${query}`, { headers: basic(user, password) });
  assert.equal(answer.status, 200);
  return { authorization: `Bearer ${(await answer.json()).access_token}` };
}

// --- registries ------------------------------------------------------------------------------------------------------

const cases = {
  async registriesAreCreatedFoundAndUpdated() {
    const type = "Microsoft.ContainerRegistry/registries";
    assert.equal((await client().registries.checkNameAvailability({ name: REGISTRY, type })).nameAvailable, true);
    const made = await client().registries.create(GROUP, REGISTRY, {
      location: "eastus",
      sku: { name: "Standard" },
      adminUserEnabled: true,
      tags: { team: "sdk" },
    });
    assert.deepEqual([made.id, made.loginServer, made.provisioningState], [ID, HOST, "Succeeded"]);
    assert.deepEqual([made.sku.tier, made.tags, made.adminUserEnabled], ["Standard", { team: "sdk" }, true]);
    assert.equal(made.policies.exportPolicy.status, "enabled");
    assert.ok(made.creationDate instanceof Date && Math.abs(Date.now() - made.creationDate) < 300_000);
    assert.equal((await client().registries.checkNameAvailability({ name: REGISTRY, type })).reason, "AlreadyExists");

    const updated = await client().registries.update(GROUP, REGISTRY, {
      sku: { name: "Premium" },
      anonymousPullEnabled: true,
      networkRuleSet: { defaultAction: "Allow", ipRules: [{ action: "Allow", iPAddressOrRange: "192.0.2.7" }] },
    });
    assert.deepEqual([updated.sku.name, updated.anonymousPullEnabled, updated.adminUserEnabled], ["Premium", true, true]);
    assert.equal(updated.networkRuleSet.ipRules.length, 1);
    for (const list of [client().registries.list(), client().registries.listByResourceGroup(GROUP)]) {
      assert.ok((await all(list)).some((registry) => registry.name === REGISTRY));
    }
    await refused(404, "ResourceNotFound", () => client().registries.get(GROUP, "nothere"));
  },

  async theAdminUsersPasswordsAreShownAndRenewed() {
    const shown = await client().registries.listCredentials(GROUP, REGISTRY);
    assert.equal(shown.username, REGISTRY);
    assert.equal(await statusOf("/v2/", basic(REGISTRY, shown.passwords[1].value)), 200);
    const renewed = await client().registries.regenerateCredential(GROUP, REGISTRY, { name: "password" });
    assert.notEqual(renewed.passwords[0].value, shown.passwords[0].value);
    assert.equal(renewed.passwords[1].value, shown.passwords[1].value);
    assert.equal(await statusOf("/v2/", basic(REGISTRY, shown.passwords[0].value)), 401);
  },

  async usagesAndPrivateLinksAreListed() {
    const usages = (await client().registries.listUsages(GROUP, REGISTRY)).value;
    assert.equal(usages.find((usage) => usage.name === "Size").limit, 500 * 2 ** 30);
    const links = await all(client().registries.listPrivateLinkResources(GROUP, REGISTRY));
    assert.deepEqual(links.map((link) => link.properties.groupId), ["registry"]);
    const one = await client().registries.getPrivateLinkResource(GROUP, REGISTRY, "registry");
    assert.equal(one.id, links[0].id);
    const names = (await all(client().operations.list())).map((operation) => operation.name);
    assert.ok(names.includes("Microsoft.ContainerRegistry/registries/scopeMaps/write"), names.join());
  },

  // --- scope maps and tokens -----------------------------------------------------------------------------------------

  async scopeMapsAreCreatedChangedAndDeleted() {
    const maps = client().scopeMaps;
    const actions = ["repositories/team/*/content/read", "repositories/team/*/content/write"];
    const made = await maps.create(GROUP, REGISTRY, "writers", { actions, description: "Writers" });
    assert.deepEqual([made.actions, made.description, made.typePropertiesType], [actions, "Writers", "UserDefined"]);
    const changed = await maps.update(GROUP, REGISTRY, "writers", { description: "Those who write" });
    assert.deepEqual([changed.actions, changed.description], [actions, "Those who write"]);
    const listed = await all(maps.list(GROUP, REGISTRY));
    assert.equal(listed.filter((map) => map.typePropertiesType === "SystemDefined").length, 5);
    assert.equal(listed.length, 6);
    const broken = { actions: ["repositories/*/team/content/read"] };
    const said = await refused(400, "InvalidRequestContent", () => maps.create(GROUP, REGISTRY, "broken", broken));
    assert.match(said, /wildcard|\*/);
    await refused(409, "OperationNotAllowed", () => maps.delete(GROUP, REGISTRY, "_repositories_pull"));
    await maps.create(GROUP, REGISTRY, "temporary", { actions });
    await maps.delete(GROUP, REGISTRY, "temporary");
    await refused(404, "ResourceNotFound", () => maps.get(GROUP, REGISTRY, "temporary"));
  },

  async aTokenSignsInWithItsPasswords() {
    const tokens = client().tokens;
    const made = await tokens.create(GROUP, REGISTRY, "builder", { scopeMapId: `${ID}/scopeMaps/writers` });
    assert.deepEqual([made.status, made.credentials.passwords], ["enabled", []]);
    const expiry = new Date(Date.now() + 86_400_000);
    const result = await client().registries.generateCredentials(GROUP, REGISTRY, { tokenId: made.id, expiry });
    assert.equal(result.username, "builder");
    assert.deepEqual(result.passwords.map((password) => password.name), ["password1", "password2"]);
    assert.ok(Math.abs(result.passwords[0].expiry - expiry) < 1000);
    const [one, two] = result.passwords.map((password) => password.value);
    const shown = await tokens.get(GROUP, REGISTRY, "builder");
    assert.deepEqual(shown.credentials.passwords.map((password) => password.value), [undefined, undefined]);

    // Anonymous pull is on: what is compared is what only the token may.
    assert.equal(await statusOf("/v2/", basic("builder", one)), 200);
    assert.equal(await statusOf("/v2/", basic("builder", `${one}x`)), 401);
    const bearer = await accessToken("builder", two, "repository:team/app:pull,push,delete repository:other/app:pull,push");
    const upload = async (name) => {
      const answer = await fetch(`https://${HOST}/v2/${name}/blobs/uploads/`, { method: "POST", headers: bearer });
      await answer.arrayBuffer();
      return answer.status;
    };
    assert.deepEqual([await upload("team/app"), await upload("other/app")], [202, 401]);
    writeFileSync(KEEP, `${one}\n${two}\n`);
  },

  async whatIsTakenAwayCountsAtOnce() {
    const tokens = client().tokens;
    const [one, two] = readFileSync(KEEP, "ascii").split("\n");
    await refused(409, "Conflict", () => client().scopeMaps.delete(GROUP, REGISTRY, "writers"));
    await tokens.update(GROUP, REGISTRY, "builder", { credentials: { passwords: [{ name: "password2" }] } });
    assert.deepEqual([await statusOf("/v2/", basic("builder", one)), await statusOf("/v2/", basic("builder", two))], [401, 200]);
    const bearer = await accessToken("builder", two, "repository:team/app:pull");
    assert.equal(await statusOf("/v2/team/app/tags/list", bearer), 404);
    await tokens.update(GROUP, REGISTRY, "builder", { status: "disabled" });
    assert.equal(await statusOf("/v2/team/app/tags/list", bearer), 401);
    assert.equal(await statusOf("/v2/", basic("builder", two)), 401);
    assert.equal((await all(tokens.list(GROUP, REGISTRY)))[0].status, "disabled");
    await tokens.delete(GROUP, REGISTRY, "builder");
    await client().scopeMaps.delete(GROUP, REGISTRY, "writers");
  },

  // --- the rest ------------------------------------------------------------------------------------------------------

  async everyWayToSignInWorks() {
    const count = async (...how) => (await all(client(...how).registries.listByResourceGroup(GROUP))).length;
    const wanted = await count();
    assert.equal(await count(credential(CLIENT_SECRET, LOGIN, TENANT), { credentials: { scopes: ["https://management.azure.com/.default"] } }), wanted);
    Object.assign(process.env, { AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: CLIENT_ID, AZURE_CLIENT_SECRET: CLIENT_SECRET });
    const fromEnvironment = new DefaultAzureCredential({ authorityHost: LOGIN, disableInstanceDiscovery: true });
    assert.equal(await count(fromEnvironment), wanted);
    await assert.rejects(count(credential("wrong")), /AADSTS7000215/);
  },

  async kindsThatAreNotThereSaySo() {
    for (const work of [
      () => all(client().webhooks.list(GROUP, REGISTRY)),
      () => client().replications.create(GROUP, REGISTRY, "westus", { location: "westus" }),
      () => client().cacheRules.get(GROUP, REGISTRY, "rule1"),
    ]) {
      await assert.rejects(work(), (error) => Number(error.statusCode) === 404 && Boolean(error.code));
    }
  },

  async aRegistryIsDeletedWithEverythingInIt() {
    await client().registries.delete(GROUP, REGISTRY);
    await refused(404, "ResourceNotFound", () => client().registries.get(GROUP, REGISTRY));
    assert.ok(!(await all(client().registries.list())).some((registry) => registry.name === REGISTRY));
  },
};

await cases[process.argv[2]]();
