//! The subset of Microsoft Graph that `az` needs: applications, service principals, users, groups.
