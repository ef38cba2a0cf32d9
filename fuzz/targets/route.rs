//! The table of routes. The input is a method, a blank and a path.

#![no_main]

use http::{HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use wharf_oci::{Need, OciError, Route, RouteError};

fuzz_target!(|input: &str| {
    let (method, path) = input.split_once(' ').unwrap_or(("GET", input));
    let Ok(method) = method.parse::<Method>() else { return };
    match Route::parse(&method, path) {
        Ok(route) => {
            let row = route.row();
            assert!(row.methods.contains(&method.as_str()));
            let printed = route.to_string();
            HeaderValue::from_str(&printed).expect("a path can stand in a Location header");
            assert_eq!(Route::parse(&method, &printed), Ok(route.clone()));
            // Whatever names a repository needs a right on that very repository.
            match (route.repository(), route.required()) {
                (Some(name), Some((_, needed, actions))) => {
                    assert_eq!(needed, name.as_str());
                    assert!(!actions.is_empty());
                }
                (None, required) => assert_eq!(required.is_some(), row.need == Need::Catalog),
                (Some(name), None) => panic!("{name} is open to everybody"),
            }
        }
        Err(error) => {
            if let RouteError::Method { allowed } = &error {
                assert!(!allowed.is_empty() && !allowed.contains(&method.as_str()));
            }
            let answer = OciError::from(error);
            assert!(answer.status.is_client_error());
            assert!(answer.body().ends_with(b"\n"));
        }
    }
});
