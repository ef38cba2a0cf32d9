//! The management plane over HTTP: Azure Resource Manager.
