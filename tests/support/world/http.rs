//! An HTTP/1.1 server, as much of one as the tests and the benchmark need.
//!
//! It uses plain threads, one for each connection: every connection only waits for its own requests,
//! and no part needs a build with optimizations to be fast.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::Value;

pub struct Request {
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// Returns the value of a header, by its name in lower case; empty if the header is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/x-amz-json-1.1", body.to_string())
    }
}

/// A server on a free port of this machine, until it is dropped.
pub struct Server {
    address: String,
    closed: Arc<AtomicBool>,
}

impl Server {
    /// Serves each request with `handle`; `None` closes the connection without an answer.
    /// Keeps connections alive, as AWS does.
    pub fn start(handle: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (handle, closed) = (Arc::new(handle), Arc::new(AtomicBool::new(false)));
        let closing = Arc::clone(&closed);
        thread::spawn(move || {
            for stream in listener.incoming().flatten().take_while(|_| !closing.load(Ordering::Relaxed)) {
                let handle = Arc::clone(&handle);
                // A process that is killed breaks its connections, which is no error.
                thread::spawn(move || serve_connection(stream, &*handle).ok());
            }
        });
        Self { address, closed }
    }

    /// Returns the host and the port.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts, so that it sees the flag and ends.
        TcpStream::connect(&self.address).ok();
    }
}

fn serve_connection(stream: TcpStream, handle: &impl Fn(&Request) -> Option<Reply>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        let Some(Reply { status, headers, body }) = handle(&request) else { return Ok(()) };
        let headers: String = headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        // One write, so that no part waits for the acknowledgement of another.
        writer.write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    // The path says everything; no two requests differ only in their method.
    let path = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut request = Request { path, headers, body: Vec::new() };
    request.body = vec![0; request.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}
