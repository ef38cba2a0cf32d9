//! A client of HTTP/1.1 on a plain socket. It sends what it is told to, also what no library would send, and reads
//! answers strictly: an answer that breaks the protocol is an error.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;

use crate::content::{IMAGE, digest};

/// The password that every server here is started with.
pub(crate) const PASSWORD: &str = "correct-horse-battery-staple";

/// How long an answer may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The admin user of the default registry, on one connection that is opened when needed.
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

/// An answer with its body.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// The value of `Authorization`.
pub(crate) fn authorization() -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("wharf:{PASSWORD}"));
    format!("Basic {pair}")
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// A connection for raw bytes.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Sends a request with its length and reads the answer. A connection that fails is not used again.
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut head = head(method, target, headers);
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.exchange(method, &[head.as_bytes(), body])
    }

    /// Sends a body in pieces, without saying how long it is, as docker does.
    pub(crate) fn stream(&mut self, method: &str, target: &str, body: &[u8]) -> io::Result<Response> {
        let mut bytes = head(method, target, &[("Transfer-Encoding", "chunked")]).into_bytes();
        bytes.extend_from_slice(b"\r\n");
        for piece in body.chunks(40_000) {
            bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        self.exchange(method, &[&bytes])
    }

    /// Sends bytes as they are and reads one answer to a request with `method`.
    pub(crate) fn exchange(&mut self, method: &str, parts: &[&[u8]]) -> io::Result<Response> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(Self::connect(self.address)?),
        };
        let mut written = Ok(());
        for part in parts {
            written = written.and_then(|()| stream.get_mut().write_all(part));
        }
        // Who refuses a body may stop reading it: the answer counts, not whether all was sent.
        let response = Response::read(&mut stream, method == "HEAD");
        let response = match (response, written) {
            (Ok(response), _) => response,
            (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(error),
        };
        if response.header("connection") != "close" {
            self.stream = Some(stream);
        }
        Ok(response)
    }

    pub(crate) fn get(&mut self, target: &str) -> io::Result<Response> {
        self.send("GET", target, &[], b"")
    }

    pub(crate) fn delete(&mut self, target: &str) -> io::Result<Response> {
        self.send("DELETE", target, &[], b"")
    }

    /// Begins an upload; where it goes on.
    pub(crate) fn start_upload(&mut self, repository: &str) -> io::Result<String> {
        let started = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"")?;
        assert_eq!(started.status, 202, "{started:?}");
        Ok(started.header("location").to_owned())
    }

    /// Uploads a blob by `POST` and `PUT`.
    pub(crate) fn try_push_blob(&mut self, repository: &str, content: &[u8]) -> io::Result<Response> {
        let location = self.start_upload(repository)?;
        self.send("PUT", &format!("{location}&digest={}", digest(content)), &[], content)
    }

    /// Uploads a blob, which must succeed; its digest.
    pub(crate) fn push_blob(&mut self, repository: &str, content: &[u8]) -> String {
        let pushed = self.try_push_blob(repository, content).expect("the server answers");
        assert_eq!(pushed.status, 201, "{pushed:?}");
        digest(content)
    }

    pub(crate) fn put_manifest(&mut self, repository: &str, reference: &str, bytes: &[u8]) -> io::Result<Response> {
        self.send("PUT", &format!("/v2/{repository}/manifests/{reference}"), &[("Content-Type", IMAGE)], bytes)
    }
}

/// A request's head up to where its length would be told.
fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost:5000\r\nAuthorization: {}\r\n", authorization());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}

impl Response {
    /// Reads an answer. `is_head` tells that it has no body, whatever its headers say.
    pub(crate) fn read(stream: &mut BufReader<TcpStream>, is_head: bool) -> io::Result<Self> {
        let status_line = line(stream)?;
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .or_else(|| status_line.strip_prefix("HTTP/1.0 "))
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or_else(|| broken(&status_line))?;
        let mut headers = Vec::new();
        loop {
            let line = line(stream)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken(&line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Self { status, headers, body: Vec::new() };
        if status == 100 {
            return Self::read(stream, is_head);
        }
        if is_head || status == 204 || status == 304 {
            return Ok(response);
        }
        if response.header("transfer-encoding") == "chunked" {
            loop {
                let size = line(stream)?;
                let size = usize::from_str_radix(&size, 16).map_err(|_| broken(&size))?;
                let begin = response.body.len();
                response.body.resize(begin + size, 0);
                stream.read_exact(&mut response.body[begin..])?;
                line(stream)?;
                if size == 0 {
                    return Ok(response);
                }
            }
        }
        match response.header("content-length").parse() {
            Ok(length) => {
                response.body.resize(length, 0);
                stream.read_exact(&mut response.body)?;
            }
            Err(_) => {
                stream.read_to_end(&mut response.body)?;
            }
        }
        Ok(response)
    }

    /// A header's value; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The code of the protocol's error in the body; empty if it holds none.
    pub(crate) fn code(&self) -> String {
        let body: Option<Value> = serde_json::from_slice(&self.body).ok();
        body.and_then(|body| Some(body["errors"][0]["code"].as_str()?.to_owned())).unwrap_or_default()
    }

    /// Status and code, such as `404 BLOB_UNKNOWN`.
    pub(crate) fn outcome(&self) -> String {
        format!("{} {}", self.status, self.code()).trim_end().to_owned()
    }
}

/// Ends the sending half.
pub(crate) fn shut_down(stream: &TcpStream) {
    // It may be closed already.
    let _ = stream.shutdown(Shutdown::Write);
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None if line.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        None => Err(broken(&line)),
    }
}

fn broken(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {line:?}"))
}
