//! Requests that no honest client sends. Each is answered by the protocol's own error (or the connection is closed, where
//! there is no request to answer), and nothing of it stays: no file, no row, no descriptor, no memory.

use std::io::{BufReader, Read as _, Write as _};
use std::sync::Arc;

use crate::client::{Client, Response, authorization};
use crate::content::{IMAGE, digest, manifest};
use crate::random::Random;
use crate::server::{Server, Site};

const QUIET: &str = "[limits]\nidle_timeout_seconds = 5\nstall_timeout_seconds = 2\n[gc]\ninterval_seconds = 0\n";

/// Sends bytes on a connection of their own and reads one answer; `None` if the connection was closed without one.
fn send_raw(server: &Server, bytes: &[u8]) -> Option<Response> {
    let mut stream = Client::connect(server.address()).unwrap();
    // The server may have seen enough before the end.
    let _ = stream.write_all(bytes);
    Response::read(&mut BufReader::new(stream), false).ok()
}

fn outcome(response: Option<Response>) -> String {
    response.map_or_else(|| "closed".to_owned(), |response| response.outcome())
}

/// A request with credentials; `more` holds further headers, each with its end of line.
fn request(line: &str, more: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n{more}\r\n", authorization()).into_bytes()
}

/// A server whose every trace is compared before and after.
struct Watched {
    site: Site,
    server: Server,
    files: usize,
    memory_kib: u64,
    changes: i64,
}

impl Watched {
    fn start() -> Self {
        let site = Site::new(QUIET);
        let server = site.start();
        let (files, memory_kib) = (server.open_files(), server.status("VmHWM"));
        let changes = site.count("changes");
        Self { site, server, files, memory_kib, changes }
    }

    /// Nothing was left behind, and memory did not grow by more than `most_kib`.
    fn assert_untouched(self, most_kib: u64) {
        self.assert_untouched_but_for(0, most_kib);
    }

    /// The same where `chunks` were taken and given up again: an empty repository that nobody sees and a note about the
    /// object of each stay until the collector comes.
    fn assert_untouched_but_for(self, chunks: i64, most_kib: u64) {
        let grown = self.server.status("VmHWM") - self.memory_kib;
        println!("memory grew by {} MiB at most", grown >> 10);
        assert!(grown < most_kib, "memory grew by {} MiB", grown >> 10);
        self.server.wait_for_open_files(self.files);
        assert_eq!(self.server.client().get("/v2/").unwrap().status, 200, "the server goes on");
        self.server.stop();
        assert_eq!(self.site.blob_files(), Vec::<std::path::PathBuf>::new());
        assert_eq!(self.site.count("changes"), self.changes);
        for table in ["repositories", "doomed_objects"] {
            assert!(self.site.count(table) <= chunks, "{table}");
        }
        for table in ["uploads", "blobs", "manifests", "tags"] {
            assert_eq!(self.site.count(table), 0, "{table}");
        }
        self.site.verify();
    }
}

#[test]
fn wrong_digests_and_lengths_are_refused_and_leave_nothing() {
    let watched = Watched::start();
    let server = &watched.server;
    let mut random = Random::new(41);
    let mut client = server.client();
    for length in [10, 100_000] {
        let content = random.bytes(length);
        let location = client.start_upload("bad").unwrap();
        let target = format!("{location}&digest={}", digest(b"something else"));
        assert_eq!(client.send("PUT", &target, &[], &content).unwrap().outcome(), "400 DIGEST_INVALID");
        assert_eq!(client.get(&location).unwrap().outcome(), "404 BLOB_UPLOAD_UNKNOWN");

        let target = format!("/v2/bad/blobs/uploads/?digest={}", digest(b"something else"));
        assert_eq!(client.send("POST", &target, &[], &content).unwrap().outcome(), "400 DIGEST_INVALID");

        // Less than was announced: the client is gone before the answer, mostly.
        let target = format!("{}&digest={}", client.start_upload("bad").unwrap(), digest(&content));
        let mut bytes = request(&format!("PUT {target}"), &format!("Content-Length: {}\r\n", length + 5));
        bytes.extend_from_slice(&content);
        let mut stream = Client::connect(server.address()).unwrap();
        stream.write_all(&bytes).unwrap();
        drop(stream);

        // More than was announced: the rest is a request of its own, and none that is understood.
        let target = format!("{}&digest={}", client.start_upload("bad").unwrap(), digest(&content));
        let mut bytes = request(&format!("PUT {target}"), &format!("Content-Length: {}\r\n", length - 5));
        bytes.extend_from_slice(&content);
        assert_eq!(outcome(send_raw(server, &bytes)), "400 DIGEST_INVALID");
    }
    for digest in
        ["sha256:abc", "sha256:", ":", "md5:d41d8cd98f00b204e9800998ecf8427e", "..%2F..%2Fetc", "%00", "sha256:%FF"]
    {
        let location = client.start_upload("bad").unwrap();
        let refused = client.send("PUT", &format!("{location}&digest={digest}"), &[], b"x").unwrap();
        assert_eq!(refused.outcome(), "400 DIGEST_INVALID", "{digest}");
    }
    // Two lengths, a length with nonsense in it, and a length beside chunks: classics of request smuggling.
    for more in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        let location = client.start_upload("bad").unwrap();
        let mut bytes = request(&format!("PATCH {location}"), more);
        bytes.extend_from_slice(b"12345");
        let outcome = outcome(send_raw(server, &bytes));
        assert!(outcome.starts_with("400") || outcome == "closed", "{more:?}: {outcome}");
    }
    drop(client);
    watched.assert_untouched(40 << 10);
}

#[test]
fn chunks_out_of_order_are_refused_with_where_to_go_on() {
    let watched = Watched::start();
    let server = &watched.server;
    let content = Random::new(42).bytes(60_000);
    let mut client = server.client();
    let mut location = client.start_upload("bad").unwrap();
    let chunk = |client: &mut Client, location: &str, range: &str, bytes: &[u8]| {
        client.send("PATCH", location, &[("Content-Range", range)], bytes).unwrap()
    };
    let taken = chunk(&mut client, &location, "0-19999", &content[..20_000]);
    assert_eq!(taken.status, 202);
    let former = std::mem::replace(&mut location, taken.header("location").to_owned());
    for (target, range, begin, end, expected) in [
        (&location, "30000-39999", 30_000, 40_000, "416 BLOB_UPLOAD_INVALID"), // a gap
        (&location, "10000-29999", 10_000, 30_000, "416 BLOB_UPLOAD_INVALID"), // an overlap
        (&location, "0-19999", 0, 20_000, "416 BLOB_UPLOAD_INVALID"),          // the same again
        (&former, "0-19999", 0, 20_000, "416 BLOB_UPLOAD_INVALID"),            // the same again, by its old address
        (&location, "20000-39999", 20_000, 30_000, "400 SIZE_INVALID"),
        (&location, "bytes 20000-29999/60000", 20_000, 30_000, "400 BLOB_UPLOAD_INVALID"),
        (&location, "29999-20000", 20_000, 30_000, "400 BLOB_UPLOAD_INVALID"),
        (&location, "18446744073709551615-18446744073709551616", 20_000, 30_000, "400 BLOB_UPLOAD_INVALID"),
        (&location, "0-18446744073709551615", 20_000, 30_000, "400 BLOB_UPLOAD_INVALID"),
        (&location, "-5", 20_000, 30_000, "400 BLOB_UPLOAD_INVALID"),
    ] {
        let refused = chunk(&mut client, target, range, &content[begin..end]);
        assert_eq!(refused.outcome(), expected, "{range}: {}", String::from_utf8_lossy(&refused.body));
        if refused.status == 416 {
            assert_eq!(refused.header("range"), "0-19999", "{range}");
        }
    }
    let mut forged = location.clone();
    forged.pop();
    for state in ["", "x", &"A".repeat(4000), "%00", "%FF%FE"] {
        let path = location.split('?').next().unwrap();
        let refused = client.get(&format!("{path}?_state={state}")).unwrap();
        assert_eq!(refused.outcome(), "404 BLOB_UPLOAD_UNKNOWN", "{state}");
    }
    assert_eq!(client.get(&forged).unwrap().outcome(), "404 BLOB_UPLOAD_UNKNOWN");
    let elsewhere = location.replace("/v2/bad/", "/v2/worse/");
    assert_eq!(client.get(&elsewhere).unwrap().outcome(), "404 BLOB_UPLOAD_UNKNOWN");

    let taken = chunk(&mut client, &location, "20000-59999", &content[20_000..]);
    assert_eq!(taken.status, 202, "{}", taken.outcome());
    let ended =
        client.send("PUT", &format!("{}&digest={}", taken.header("location"), digest(&content)), &[], b"").unwrap();
    assert_eq!(ended.outcome(), "201");
    for old in [&former, &location] {
        assert_eq!(client.get(old).unwrap().outcome(), "404 BLOB_UPLOAD_UNKNOWN", "it is over");
    }
    let pulled = client.get(&format!("/v2/bad/blobs/{}", digest(&content))).unwrap();
    assert!(pulled.body == *content);
    server.assert_no_panic();
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let watched = Watched::start();
    let server = &watched.server;
    for size in [64 << 10, 1 << 20, 8 << 20] {
        let bytes = request("GET /v2/", &format!("X-Long: {}\r\n", "a".repeat(size)));
        let outcome = outcome(send_raw(server, &bytes));
        assert!(outcome == "431" || outcome == "closed", "{size}: {outcome}");
        let bytes = request(&format!("GET /v2/{}", "a".repeat(size)), "");
        let outcome = self::outcome(send_raw(server, &bytes));
        assert!(["414", "431", "closed", "400", "404 NAME_UNKNOWN"].contains(&&*outcome), "{size}: {outcome}");
    }
    let many: String = (0..5_000).map(|number| format!("X-{number}: a\r\n")).collect();
    let outcome = outcome(send_raw(server, &request("GET /v2/", &many)));
    assert!(outcome == "431" || outcome == "closed", "{outcome}");
    watched.assert_untouched(40 << 10);
}

#[test]
fn tricks_with_paths_lead_nowhere() {
    let watched = Watched::start();
    let server = &watched.server;
    let long = "a".repeat(10_000);
    let names = [
        "..",
        "a/../b",
        "..%2F..%2Fetc",
        "%2e%2e",
        "%2E%2E%2Fx",
        "a%2F..%2Fb",
        "a%00b",
        "%00",
        "a%0d%0aX-Evil:%20b",
        "A",
        "a//b",
        "/a",
        "a%252Fb",
        "a%FF",
        "%C0%AF",
        "%E2%82",
        "a%",
        "a%2",
        "a%zz",
        "-a",
        "a..b/.c",
        "a\\b",
        "a b",
        &long,
        &format!("a{}", "%2Fa".repeat(200)),
    ];
    for name in names {
        for (method, target) in [
            ("GET", format!("/v2/{name}/manifests/v1")),
            ("PUT", format!("/v2/{name}/manifests/v1")),
            ("DELETE", format!("/v2/{name}/manifests/v1")),
            ("POST", format!("/v2/{name}/blobs/uploads/")),
            ("GET", format!("/v2/{name}/tags/list")),
            ("GET", format!("/v2/{name}/blobs/{}", digest(b"x"))),
            ("GET", format!("/v2/{name}/referrers/{}", digest(b"x"))),
        ] {
            let outcome = outcome(send_raw(server, &request(&format!("{method} {target}"), "Content-Length: 0\r\n")));
            let is_right = ["400 NAME_INVALID", "404 NAME_UNKNOWN"].contains(&&*outcome);
            // No request line holds a space or such in its target, so there HTTP itself ends.
            assert!(is_right || outcome == "400", "{method} {}: {outcome}", &target[..target.len().min(80)]);
        }
    }
    for last in [
        "..",
        "..%2F..%2Fx",
        "sha256:..%2F..",
        "sha256%3A%00",
        "%00",
        &long,
        &format!("sha256:{}", "0".repeat(5000)),
        "sha512:00",
    ] {
        for (method, kind) in [
            ("GET", "manifests"),
            ("PUT", "manifests"),
            ("GET", "blobs"),
            ("DELETE", "blobs"),
            ("GET", "blobs/uploads"),
            ("GET", "referrers"),
        ] {
            let line = format!("{method} /v2/bad/{kind}/{last}");
            let answer = send_raw(server, &request(&line, "Content-Length: 0\r\n"));
            let (outcome, code) = (outcome(answer.clone()), answer.map(|answer| answer.code()).unwrap_or_default());
            let is_right = outcome.starts_with('4') && !code.is_empty();
            assert!(is_right, "{}: {outcome}", &line[..line.len().min(80)]);
        }
    }
    watched.assert_untouched(40 << 10);
}

#[test]
fn manifests_that_are_none_are_refused() {
    let watched = Watched::start();
    let mut client = watched.server.client();
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000)).into_bytes();
    let image = String::from_utf8(manifest(&[Arc::new(b"{}".to_vec())], None, "")).unwrap();
    let with = |member: &str| format!("{},{member}}}", image.strip_suffix('}').unwrap()).into_bytes();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("no JSON", b"\x00\x01\x02".to_vec()),
        ("a list", b"[]".to_vec()),
        ("cut short", image.as_bytes()[..40].to_vec()),
        ("deep lists", deep("[", "]")),
        ("deep objects", deep("{\"a\":", "}")),
        ("deep inside", with(&format!("\"x\":{}{}", "[".repeat(100_000), "]".repeat(100_000)))),
        ("deep and never closed", b"[".repeat(1_000_000)),
        ("both image and index", with("\"manifests\":[]")),
        ("layers twice", with("\"layers\":[]")),
        ("Layers", with("\"Layers\":[]")),
        ("no UTF-8", with("\"x\":\"\u{fffd}\"").into_iter().map(|b| if b == 0xef { 0xff } else { b }).collect()),
        ("a lone surrogate", with("\"artifactType\":\"\\ud800\"")),
        ("a giant size", image.replace("\"size\":2", "\"size\":1e400").into_bytes()),
        ("a size of 2^64", image.replace("\"size\":2", "\"size\":18446744073709551616").into_bytes()),
        ("a negative size", image.replace("\"size\":2", "\"size\":-2").into_bytes()),
        ("a million digits", image.replace("\"size\":2", &format!("\"size\":{}", "9".repeat(1_000_000))).into_bytes()),
        ("a bad digest", image.replace("sha256:", "sha256:../").into_bytes()),
        ("no config", br#"{"schemaVersion":2,"layers":[]}"#.to_vec()),
        ("numbers as annotations", image.replace("\"note\":\"\"", "\"note\":7").into_bytes()),
        ("more after the end", format!("{image}{image}").into_bytes()),
        ("another media type", image.replace("image.manifest.v1", "image.index.v1").into_bytes()),
    ];
    for (what, bytes) in cases {
        let refused = client.put_manifest("bad", "v1", &bytes).unwrap();
        assert_eq!(refused.outcome(), "400 MANIFEST_INVALID", "{what}");
    }
    assert_eq!(client.put_manifest("bad", "v1", image.as_bytes()).unwrap().outcome(), "400 MANIFEST_BLOB_UNKNOWN");
    let too_large = client.put_manifest("bad", "v1", &vec![b' '; (4 << 20) + 1]).unwrap();
    assert_eq!(too_large.outcome(), "413 MANIFEST_INVALID");
    let elsewhere = client.put_manifest("bad", &digest(b"x"), image.as_bytes()).unwrap();
    assert_eq!(elsewhere.outcome(), "400 DIGEST_INVALID");
    for media_type in ["", "\u{e9}", "text/plain; charset=\"", &"a/".repeat(20_000)] {
        let more = format!("Content-Type: {media_type}\r\nContent-Length: {}\r\n", image.len());
        let mut bytes = request("PUT /v2/bad/manifests/v1", &more);
        bytes.extend_from_slice(image.as_bytes());
        let outcome = outcome(send_raw(&watched.server, &bytes));
        assert!(outcome.starts_with("400 MANIFEST"), "{}: {outcome}", &media_type[..media_type.len().min(20)]);
    }
    drop(client);
    watched.assert_untouched(60 << 10);
}

#[test]
fn numbers_without_measure_are_refused_or_cut() {
    let watched = Watched::start();
    let mut client = watched.server.client();
    for n in ["-1", "0", "9223372036854775807", "99999999999999999999999999", "1e9", "%00", "x", ""] {
        for list in ["/v2/_catalog", "/v2/bad/tags/list"] {
            let answer = client.get(&format!("{list}?n={n}")).unwrap();
            let is_right = answer.status == 200 || !answer.code().is_empty();
            assert!(is_right && answer.status < 500, "{list} {n}: {}", answer.outcome());
        }
    }
    for range in [
        "bytes=0-18446744073709551616",
        "bytes=9-1",
        "bytes=--5",
        "bytes=a-b",
        "lines=1-2",
        &"bytes=0-1,".repeat(5_000),
    ] {
        let target = format!("/v2/bad/blobs/{}", digest(b"x"));
        assert_eq!(client.send("GET", &target, &[("Range", range)], b"").unwrap().status, 404);
    }
    drop(client);
    watched.assert_untouched(40 << 10);
}

#[test]
fn broken_http_is_answered_or_closed_and_nothing_hangs() {
    let watched = Watched::start();
    let server = &watched.server;
    let location = server.client().start_upload("bad").unwrap();
    let chunked = |body: &str| {
        let mut bytes = request(&format!("PATCH {location}"), "Transfer-Encoding: chunked\r\n");
        bytes.extend_from_slice(body.as_bytes());
        bytes
    };
    for (what, bytes) in [
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("half of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec()),
        ("a bare line", b"\n\n\n\n".to_vec()),
        ("no version", b"GET /\r\n\r\n".to_vec()),
        ("HTTP/9", b"GET /v2/ HTTP/9.9\r\nHost: a\r\n\r\n".to_vec()),
        ("NUL in a header", b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n".to_vec()),
        ("a folded header", b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n".to_vec()),
        ("a space before the colon", b"GET /v2/ HTTP/1.1\r\nHost : a\r\n\r\n".to_vec()),
        ("no Host", b"GET /v2/ HTTP/1.1\r\n\r\n".to_vec()),
        ("two Hosts", b"GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec()),
        ("a Host that is none", b"GET /v2/ HTTP/1.1\r\nHost: a b\"<script>\r\n\r\n".to_vec()),
        ("a chunk's size that is none", chunked("zz\r\nabc\r\n0\r\n\r\n")),
        ("a chunk of 2^64", chunked("10000000000000000\r\nabc\r\n0\r\n\r\n")),
        ("a negative chunk", chunked("-1\r\nabc\r\n0\r\n\r\n")),
        ("a chunk longer than it says", chunked("2\r\nabcdef\r\n0\r\n\r\n")),
        ("a chunk with a long extension", chunked(&format!("2;{}\r\nab\r\n0\r\n\r\n", "x".repeat(100_000)))),
        ("endless trailers", chunked(&format!("0\r\n{}\r\n", "X-A: b\r\n".repeat(20_000)))),
    ] {
        let mut stream = Client::connect(server.address()).unwrap();
        let _ = stream.write_all(&bytes);
        crate::client::shut_down(&stream);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        let is_refused = said.is_empty() || said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.0 4");
        // What is binary is the end of an HTTP/2 connection.
        assert!(is_refused || !said.starts_with("HTTP/1"), "{what}: {said}");
    }
    // HTTP/1.0, which needs no host.
    let old = format!("GET /v2/ HTTP/1.0\r\nAuthorization: {}\r\n\r\n", authorization());
    assert_eq!(outcome(send_raw(server, old.as_bytes())), "200");
    // Of a chunk that broke off what arrived may stand until it is given up.
    let mut client = server.client();
    let mut cancelled = client.delete(&location).unwrap();
    while cancelled.status == 409 {
        cancelled = client.delete(&location).unwrap();
    }
    drop(client);
    watched.assert_untouched_but_for(1, 40 << 10);
}

#[test]
fn requests_behind_one_that_failed_are_answered_as_their_own() {
    let watched = Watched::start();
    let server = &watched.server;
    let mut bytes = request("GET /v2/bad/manifests/absent", "");
    bytes.extend(request("PUT /v2/bad/manifests/v1", &format!("Content-Type: {IMAGE}\r\nContent-Length: 12\r\n")));
    bytes.extend_from_slice(b"GET /evil HT");
    bytes.extend(request("GET /v2/NO/tags/list", ""));
    bytes.extend(request("GET /v2/", ""));
    let mut stream = Client::connect(server.address()).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut reader = BufReader::new(stream);
    let outcomes: Vec<String> = (0..4).map(|_| Response::read(&mut reader, false).unwrap().outcome()).collect();
    assert_eq!(outcomes, ["404 MANIFEST_UNKNOWN", "400 MANIFEST_INVALID", "400 NAME_INVALID", "200"]);
    drop(reader);
    watched.assert_untouched(40 << 10);
}
