//! A pretended model backend on loopback, so that no example needs an account or a network.
//!
//! It takes one access token, the second that the pretended user gets; the first has expired, which
//! it says with 401 as a backend does. Asked to `run` something it has the server run that, and
//! then says what came out. Asked anything else it speaks in pieces.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// The only token that is good here.
pub(crate) const GOOD_TOKEN: &str = "access-2-pretended";

/// What the model says, and between two of which it takes its time.
pub(crate) const PIECES: [&str; 4] =
    ["Hello Ada. ", "Your token ran out, ", "and you saw ", "nothing."];
const PAUSE: Duration = Duration::from_millis(15);

/// A backend that listens as long as the process lives.
pub(crate) struct Backend {
    address: SocketAddr,
    bearers: Arc<Mutex<Vec<String>>>,
}

impl Backend {
    /// Listens on a free port.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let bearers = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&bearers);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&heard);
                // A server that goes away in the middle is no concern of the backend's.
                thread::spawn(move || serve(stream, &heard).unwrap_or_default());
            }
        });
        Ok(Self { address, bearers })
    }

    /// The tokens that the model was asked with, in order.
    pub(crate) fn bearers(&self) -> Vec<String> {
        self.bearers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A configuration that has the server ask this backend and nobody else.
    pub(crate) fn config(&self) -> String {
        let url = format!("http://{}", self.address);
        format!(
            r#"model = "pretended-model"
model_provider = "pretended"
chatgpt_base_url = "{url}/backend-api/"

[model_providers.pretended]
name = "Pretended backend"
base_url = "{url}/v1"
wire_api = "responses"
requires_openai_auth = true

[features]
remote_models = false
"#
        )
    }
}

/// Serves one connection, request after request.
fn serve(stream: TcpStream, heard: &Mutex<Vec<String>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(Request { path, bearer, body }) = read_request(&mut reader)? {
        if !path.ends_with("/responses") {
            write_json(
                &mut writer,
                "404 Not Found",
                &json!({"error": {"message": "no such page"}}),
            )?;
            continue;
        }
        let is_good = bearer == GOOD_TOKEN;
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(bearer);
        if is_good {
            write_events(&mut writer, &answer(&body))?;
        } else {
            let body = json!({"error": {"message": "token expired"}});
            write_json(&mut writer, "401 Unauthorized", &body)?;
        }
    }
    Ok(())
}

/// What the model does about the last thing in its history.
fn answer(request: &Value) -> Vec<Value> {
    let last = request["input"].as_array().and_then(|items| items.last());
    let last = last.unwrap_or(&Value::Null);
    if let Some(output) = last["output"].as_str() {
        return speech(&["The command said: ", output]);
    }
    let said = last["content"][0]["text"].as_str().unwrap_or_default();
    match said.strip_prefix("run ") {
        Some(command) => call(command),
        None => speech(&PIECES),
    }
}

fn speech(pieces: &[&str]) -> Vec<Value> {
    let message = |text: String| {
        json!({
            "type": "message", "role": "assistant", "id": "message-1",
            "content": [{"type": "output_text", "text": text}],
        })
    };
    let mut events = vec![
        json!({"type": "response.created", "response": {"id": "response-1"}}),
        json!({"type": "response.output_item.added", "item": message(String::new())}),
    ];
    let deltas =
        pieces.iter().map(|text| json!({"type": "response.output_text.delta", "delta": text}));
    events.extend(deltas);
    events.push(json!({"type": "response.output_item.done", "item": message(pieces.concat())}));
    events.push(json!({"type": "response.completed", "response": {"id": "response-1"}}));
    events
}

fn call(command: &str) -> Vec<Value> {
    let item = json!({
        "type": "function_call", "call_id": "call-1", "name": "shell_command",
        "arguments": json!({"command": command}).to_string(),
    });
    vec![
        json!({"type": "response.output_item.done", "item": item}),
        json!({"type": "response.completed", "response": {"id": "response-1"}}),
    ]
}

fn write_events(writer: &mut impl Write, events: &[Value]) -> io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    writer.write_all(head.as_bytes())?;
    for event in events {
        let data = format!("data: {event}\n\n");
        writer.write_all(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes())?;
        thread::sleep(PAUSE);
    }
    writer.write_all(b"0\r\n\r\n")
}

fn write_json(writer: &mut impl Write, status: &str, body: &Value) -> io::Result<()> {
    let body = body.to_string();
    let head = "content-type: application/json\r\ncontent-length:";
    writer.write_all(format!("HTTP/1.1 {status}\r\n{head} {}\r\n\r\n{body}", body.len()).as_bytes())
}

struct Request {
    path: String,
    bearer: String,
    body: Value,
}

/// The next request of a connection; none at its end.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut bearer, mut length) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => bearer = value.trim_start_matches("Bearer ").to_owned(),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Request { path, bearer, body }))
}
