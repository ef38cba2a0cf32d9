//! Other registries, as seen by one that fetches from them: signing in there, manifests, blobs, referrers.
