//! A certificate of the operator's own.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Server, client_trusting, run};

fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn put(directory: &Path, (certificate, key): &(String, String)) {
    for (name, text) in [("key.pem", key), ("cert.pem", certificate)] {
        std::fs::write(directory.join("new"), text).unwrap();
        std::fs::rename(directory.join("new"), directory.join(name)).unwrap();
    }
}

#[tokio::test]
async fn a_given_certificate_is_shown_and_replaced_while_running() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (pair(), pair());
    put(directory.path(), &first);
    let server = Server::start_with(|command| {
        command.arg("--tls-cert").arg(directory.path().join("cert.pem"));
        command.arg("--tls-key").arg(directory.path().join("key.pem"));
    });
    let url = format!("https://localhost:{}/v2/", server.https.port());
    let trusting = |pair: &(String, String)| client_trusting(pair.0.as_bytes());
    assert_eq!(trusting(&first).get(&url).send().await.unwrap().status(), 401);
    assert!(trusting(&second).get(&url).send().await.is_err());

    // A key without its certificate is told, and the old pair stays in use.
    std::fs::write(directory.path().join("key.pem"), &second.1).unwrap();
    let told = server.line(|line| line["message"] == "Could not refresh the certificate").await;
    assert!(told["error"].as_str().unwrap().contains("do not belong together"), "{told}");
    assert_eq!(trusting(&first).get(&url).send().await.unwrap().status(), 401);

    put(directory.path(), &second);
    let deadline = Instant::now() + PATIENCE;
    while trusting(&second).get(&url).send().await.is_err() {
        assert!(Instant::now() < deadline, "the new certificate is not shown");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(trusting(&first).get(&url).send().await.is_err());
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), &(pair().0, pair().1));
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let start = |arguments: &[&str]| {
        let data = path("data");
        let common = ["serve", "--data", &data, "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"];
        let output = run(&[&common, arguments].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, message) = start(&["--tls-cert", &path("cert.pem"), "--tls-key", &path("key.pem")]);
    assert_eq!(code, Some(1));
    assert!(message.contains("cert.pem") && message.contains("do not belong together"), "{message}");
    let (code, message) = start(&["--tls-cert", &path("cert.pem")]);
    assert_eq!(code, Some(2));
    assert!(message.contains("--tls-cert") && message.contains("tls.key"), "{message}");
}
