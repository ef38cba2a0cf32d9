//! The table of built-in roles: those of Azure that somebody with a registry meets, under their Azure-wide ids.
//!
//! Source: `acr/semantics.md` 3, and Azure's published list of built-in roles for what that leaves open.

use std::borrow::Cow;

use uuid::{Uuid, uuid};

use crate::role::{Permission, RoleDefinition};

/// A row of the table. Operations that begin with `@` are those of registries: `@pull/read` stands for
/// `Microsoft.ContainerRegistry/registries/pull/read`.
pub(crate) struct Row {
    id: Uuid,
    name: &'static str,
    description: &'static str,
    actions: &'static [&'static str],
    not_actions: &'static [&'static str],
    data_actions: &'static [&'static str],
}

impl Row {
    pub(crate) fn definition(&self) -> RoleDefinition {
        let write_out = |patterns: &'static [&'static str]| patterns.iter().map(|pattern| write_out(pattern)).collect();
        RoleDefinition {
            id: self.id,
            name: self.name.into(),
            description: self.description.into(),
            is_built_in: true,
            permissions: vec![Permission {
                actions: write_out(self.actions),
                not_actions: write_out(self.not_actions),
                data_actions: write_out(self.data_actions),
                not_data_actions: Vec::new(),
            }],
        }
    }
}

fn write_out(pattern: &'static str) -> Cow<'static, str> {
    match pattern.strip_prefix('@') {
        Some(rest) => format!("Microsoft.ContainerRegistry/registries/{rest}").into(),
        None => pattern.into(),
    }
}

/// A role that allows operations on the management plane alone.
const fn role(id: Uuid, name: &'static str, description: &'static str, actions: &'static [&'static str]) -> Row {
    Row { id, name, description, actions, not_actions: &[], data_actions: &[] }
}

impl Row {
    const fn except(self, not_actions: &'static [&'static str]) -> Self {
        Self { not_actions, ..self }
    }

    const fn with_data(self, data_actions: &'static [&'static str]) -> Self {
        Self { data_actions, ..self }
    }
}

pub(crate) static BUILT_IN: &[Row] = &[
    // For all kinds of resources.
    role(
        uuid!("8e3af657-a8ff-443c-a75c-2fe8c4bcb635"),
        "Owner",
        "Full access to all resources, including the right to assign roles.",
        &["*"],
    ),
    role(
        uuid!("b24988ac-6180-42a0-ab88-20f7382dd24c"),
        "Contributor",
        "Full access to all resources, without the right to assign roles.",
        &["*"],
    )
    .except(&[
        "Microsoft.Authorization/*/Delete",
        "Microsoft.Authorization/*/Write",
        "Microsoft.Authorization/elevateAccess/Action",
        "Microsoft.Blueprint/blueprintAssignments/write",
        "Microsoft.Blueprint/blueprintAssignments/delete",
        "Microsoft.Compute/galleries/share/action",
        "Microsoft.Purview/consents/write",
        "Microsoft.Purview/consents/delete",
        "Microsoft.Resources/deploymentStacks/manageDenySetting/action",
        "Microsoft.Subscription/cancel/action",
        "Microsoft.Subscription/enable/action",
    ]),
    role(
        uuid!("acdd72a7-3385-48ef-bd42-f606fba81ae7"),
        "Reader",
        "Sees all resources and changes none.",
        &["*/read"],
    ),
    role(
        uuid!("18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"),
        "User Access Administrator",
        "Manages who has access to resources.",
        &["*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"],
    ),
    role(
        uuid!("f58310d9-a9f6-439a-9e8d-f62e7b41a168"),
        "Role Based Access Control Administrator",
        "Manages who has access to resources by assigning roles, and in no other way.",
        &[
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
            "*/read",
            "Microsoft.Support/*",
        ],
    ),
    role(
        uuid!("e40ec5ca-96e0-45a2-b4ff-59039f2c2b59"),
        "Managed Identity Contributor",
        "Creates, reads, changes and deletes user-assigned identities.",
        &[
            "Microsoft.ManagedIdentity/userAssignedIdentities/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/write",
            "Microsoft.ManagedIdentity/userAssignedIdentities/delete",
            "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write",
            "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/delete",
            "Microsoft.Authorization/*/read",
            "Microsoft.Insights/alertRules/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            "Microsoft.Resources/deployments/*",
            "Microsoft.Support/*",
        ],
    ),
    role(
        uuid!("f1a07417-d97a-45cb-824c-7a7467783830"),
        "Managed Identity Operator",
        "Reads user-assigned identities and assigns them to resources.",
        &[
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
            "Microsoft.Authorization/*/read",
            "Microsoft.Insights/alertRules/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            "Microsoft.Resources/deployments/*",
            "Microsoft.Support/*",
        ],
    ),
    // For registries whose roles count for the whole registry.
    role(
        uuid!("7f951dda-4ed3-4680-a7ca-43fe172d538d"),
        "AcrPull",
        "Pulls from a registry whose permissions are registry-wide.",
        &["@pull/read"],
    ),
    role(
        uuid!("8311e382-0749-4cb8-b61a-304f252e45ec"),
        "AcrPush",
        "Pulls from and pushes to a registry whose permissions are registry-wide.",
        &["@pull/read", "@push/write"],
    ),
    role(
        uuid!("c2f4ef07-c644-48eb-af81-4b1b4947fb11"),
        "AcrDelete",
        "Deletes repositories, manifests and tags of a registry whose permissions are registry-wide.",
        &["@artifacts/delete"],
    ),
    role(
        uuid!("6cef56e8-d556-48e5-a04f-b8e64114680f"),
        "AcrImageSigner",
        "Pushes trusted images to, and pulls them from, a registry with content trust.",
        &["@sign/write"],
    )
    .with_data(&["@trustedCollections/write"]),
    role(
        uuid!("cdda3590-29a3-44f6-95f2-9f980659eb04"),
        "AcrQuarantineReader",
        "Pulls what is in quarantine.",
        &["@quarantine/read"],
    )
    .with_data(&["@quarantinedArtifacts/read"]),
    role(
        uuid!("c8d4ff99-41c3-41a8-9f60-21dfdad59608"),
        "AcrQuarantineWriter",
        "Pulls what is in quarantine, and puts into quarantine or out of it.",
        &["@quarantine/read", "@quarantine/write"],
    )
    .with_data(&["@quarantinedArtifacts/read", "@quarantinedArtifacts/write"]),
    // For registries whose roles count by repository.
    role(
        uuid!("b93aa761-3e63-49ed-ac28-beffa264f7ac"),
        "Container Registry Repository Reader",
        "Reads repositories; does not list them.",
        &[],
    )
    .with_data(&["@repositories/metadata/read", "@repositories/content/read"]),
    role(
        uuid!("2a1e307c-b015-4ebd-883e-5b7698a07328"),
        "Container Registry Repository Writer",
        "Reads and writes repositories; does not list them.",
        &[],
    )
    .with_data(&[
        "@repositories/metadata/read",
        "@repositories/content/read",
        "@repositories/metadata/write",
        "@repositories/content/write",
    ]),
    role(
        uuid!("2efddaa5-3f1f-4df3-97df-af3f13818f4c"),
        "Container Registry Repository Contributor",
        "Reads, writes and deletes repositories; does not list them.",
        &[],
    )
    .with_data(&[
        "@repositories/metadata/read",
        "@repositories/content/read",
        "@repositories/metadata/write",
        "@repositories/content/write",
        "@repositories/metadata/delete",
        "@repositories/content/delete",
    ]),
    role(
        uuid!("bfdb9389-c9a5-478a-bb2f-ba9ca092c3c7"),
        "Container Registry Repository Catalog Lister",
        "Lists all repositories of a registry.",
        &[],
    )
    .with_data(&["@catalog/read"]),
    // For parts of a registry's management.
    role(
        uuid!("577a9874-89fd-4f24-9dbd-b5034d0ad23a"),
        "Container Registry Data Importer and Data Reader",
        "Imports images through the import operation; lists, reads and pulls images. Not for transfer pipelines or cache \
         rules.",
        &["@importImage/action", "@read", "@pull/read"],
    )
    .with_data(&["@repositories/content/read", "@repositories/metadata/read", "@catalog/read"]),
    role(
        uuid!("bf94e731-3a51-4a7c-8c54-a1ab9971dfc1"),
        "Container Registry Transfer Pipeline Contributor",
        "Transfers, imports and exports artifacts through transfer pipelines. Does not push or pull.",
        &[
            "@exportPipelines/read",
            "@exportPipelines/write",
            "@exportPipelines/delete",
            "@importPipelines/read",
            "@importPipelines/write",
            "@importPipelines/delete",
            "@pipelineRuns/read",
            "@pipelineRuns/write",
            "@pipelineRuns/delete",
            "@pipelineRuns/operationStatuses/read",
            "@read",
        ],
    ),
    role(
        uuid!("fb382eab-e894-4461-af04-94435c366c3f"),
        "Container Registry Tasks Contributor",
        "Configures, reads, starts and cancels tasks, runs, builds and agent pools. What runs may read, write and delete \
         images.",
        &[
            "@agentpools/read",
            "@agentpools/write",
            "@agentpools/delete",
            "@agentpools/listQueueStatus/action",
            "@agentpools/operationResults/status/read",
            "@agentpools/operationStatuses/read",
            "@tasks/read",
            "@tasks/write",
            "@tasks/delete",
            "@tasks/listDetails/action",
            "@scheduleRun/action",
            "@listBuildSourceUploadUrl/action",
            "@runs/read",
            "@runs/write",
            "@runs/listLogSasUrl/action",
            "@runs/cancel/action",
            "@taskruns/read",
            "@taskruns/write",
            "@taskruns/delete",
            "@taskruns/listDetails/action",
            "@taskruns/operationStatuses/read",
            "Microsoft.Resources/deployments/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            "@read",
        ],
    ),
    role(
        uuid!("3bc748fc-213d-45c1-8d91-9da5725539b9"),
        "Container Registry Contributor and Data Access Configuration Administrator",
        "Creates, lists and changes registries and their configuration, with what gives access to their data: admin \
         credentials, scope maps and tokens. Not for what is in registries, nor for imports, cache rules, transfer \
         pipelines or tasks.",
        &[
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            "@operationStatuses/read",
            "@read",
            "@write",
            "@delete",
            "@listCredentials/action",
            "@regenerateCredential/action",
            "@generateCredentials/action",
            "@replications/read",
            "@replications/write",
            "@replications/delete",
            "@replications/operationStatuses/read",
            "@privateEndpointConnectionsApproval/action",
            "@privateEndpointConnections/read",
            "@privateEndpointConnections/write",
            "@privateEndpointConnections/delete",
            "@privateEndpointConnections/operationStatuses/read",
            "@tokens/read",
            "@tokens/write",
            "@tokens/delete",
            "@tokens/operationStatuses/read",
            "@scopeMaps/read",
            "@scopeMaps/write",
            "@scopeMaps/delete",
            "@scopeMaps/operationStatuses/read",
            "@providers/Microsoft.Insights/diagnosticSettings/read",
            "@providers/Microsoft.Insights/diagnosticSettings/write",
            "@providers/Microsoft.Insights/logDefinitions/read",
            "@providers/Microsoft.Insights/metricDefinitions/read",
            "Microsoft.Resources/deployments/*",
            "Microsoft.Authorization/*/read",
            "@connectedRegistries/read",
            "@connectedRegistries/write",
            "@connectedRegistries/delete",
            "@connectedRegistries/deactivate/action",
            "@webhooks/read",
            "@webhooks/write",
            "@webhooks/delete",
            "@webhooks/getCallbackConfig/action",
            "@webhooks/ping/action",
            "@webhooks/listEvents/action",
            "@webhooks/operationStatuses/read",
            "Microsoft.Insights/AlertRules/Write",
            "Microsoft.Insights/AlertRules/Delete",
            "Microsoft.Insights/AlertRules/Read",
            "Microsoft.Insights/AlertRules/Activated/Action",
            "Microsoft.Insights/AlertRules/Resolved/Action",
            "Microsoft.Insights/AlertRules/Throttled/Action",
            "Microsoft.Insights/AlertRules/Incidents/Read",
            "Microsoft.ContainerRegistry/locations/operationResults/read",
            "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action",
            "Microsoft.Network/virtualNetworks/subnets/read",
            "Microsoft.Network/virtualNetworks/subnets/write",
            "Microsoft.Network/virtualNetworks/read",
            "Microsoft.Network/privateEndpoints/privateLinkServiceProxies/write",
        ],
    ),
    role(
        uuid!("69b07be0-09bf-439a-b9a6-e73de851bd59"),
        "Container Registry Configuration Reader and Data Access Configuration Reader",
        "Lists registries and their configuration, with what gives access to their data: admin credentials, scope maps \
         and tokens. Not for what is in registries, nor for imports, cache rules, transfer pipelines or tasks.",
        &[
            "@operationStatuses/read",
            "@read",
            "@privateEndpointConnections/read",
            "@privateEndpointConnections/operationStatuses/read",
            "@listCredentials/action",
            "@tokens/read",
            "@tokens/operationStatuses/read",
            "@scopeMaps/read",
            "@scopeMaps/operationStatuses/read",
            "@webhooks/read",
            "@webhooks/getCallbackConfig/action",
            "@webhooks/listEvents/action",
            "@webhooks/operationStatuses/read",
            "@replications/read",
            "@replications/operationStatuses/read",
            "@connectedRegistries/read",
            "@providers/Microsoft.Insights/diagnosticSettings/read",
            "@providers/Microsoft.Insights/diagnosticSettings/write",
            "@providers/Microsoft.Insights/logDefinitions/read",
            "@providers/Microsoft.Insights/metricDefinitions/read",
            "Microsoft.Insights/AlertRules/Write",
            "Microsoft.Insights/AlertRules/Delete",
            "Microsoft.Insights/AlertRules/Read",
            "Microsoft.Insights/AlertRules/Activated/Action",
            "Microsoft.Insights/AlertRules/Resolved/Action",
            "Microsoft.Insights/AlertRules/Throttled/Action",
            "Microsoft.Insights/AlertRules/Incidents/Read",
        ],
    ),
    role(
        uuid!("df87f177-bb12-4db1-9793-a413691eff94"),
        "Container Registry Cache Rule Administrator",
        "Creates, reads, changes and deletes cache rules. Not for credential sets.",
        &["@cacheRules/read", "@cacheRules/write", "@cacheRules/delete", "@cacheRules/operationStatuses/read"],
    ),
    role(
        uuid!("c357b964-0002-4b64-a50d-7a28f02edc52"),
        "Container Registry Cache Rule Reader",
        "Reads cache rules. Not for credential sets.",
        &["@cacheRules/read"],
    ),
    role(
        uuid!("f094fb07-0703-4400-ad6a-e16dd8000e14"),
        "Container Registry Credential Set Administrator",
        "Creates, reads, changes and deletes credential sets. Not for cache rules, nor for the vault that holds the \
         secrets.",
        &[
            "@credentialSets/read",
            "@credentialSets/write",
            "@credentialSets/delete",
            "@credentialSets/operationStatuses/read",
        ],
    ),
    role(
        uuid!("29093635-9924-4f2c-913b-650a12949526"),
        "Container Registry Credential Set Reader",
        "Reads credential sets. Not for cache rules, nor for the vault that holds the secrets.",
        &["@credentialSets/read"],
    ),
];
