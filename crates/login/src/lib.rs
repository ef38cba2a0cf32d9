//! The token service over HTTP: OpenID Connect for `az`, the SDKs and people.
