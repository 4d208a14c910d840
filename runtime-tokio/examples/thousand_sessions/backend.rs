//! The backend of all users, as a process of its own: takes new tokens, refuses old ones, and
//! streams an answer that says whose it is.

use std::error::Error;
use std::io::{self, Read as _};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

/// How many pieces an answer has.
const PIECES: usize = 20;

/// Turns whose text ends so are spoken on with when all users listen.
pub(crate) const TOGETHER: &str = "together";

/// The token of the `n`th user that is good.
pub(crate) fn new_token(n: usize) -> String {
    format!("new-{n}")
}

/// What is said to whoever asks this with this token.
pub(crate) fn pieces(token: &str, text: &str) -> Vec<String> {
    (0..PIECES).map(|piece| format!("{token}, {text}, piece {piece}. ")).collect()
}

/// Serves until the input of this process ends.
pub(crate) fn run(sessions: usize) -> Result<(), Box<dyn Error>> {
    crate::load::raise_descriptor_limit()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("http://{}", listener.local_addr()?);
        let together = Arc::new(Barrier::new(sessions));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A server that goes away is no concern of the backend's.
                tokio::spawn(serve(stream, Arc::clone(&together)));
            }
        });
        tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await??;
        Ok(())
    })
}

async fn serve(stream: TcpStream, together: Arc<Barrier>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    loop {
        let (mut token, mut length) = (String::new(), 0);
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line.trim_end().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "authorization" => token = value.trim_start_matches("Bearer ").to_owned(),
                "content-length" => length = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        if token.starts_with("new-") {
            speak(stream.get_mut(), &token, &last_text(&body), &together).await?;
        } else {
            let body = r#"{"error":{"message":"token expired"}}"#;
            let head = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await?;
        }
    }
}

fn last_text(body: &[u8]) -> String {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let last = request["input"].as_array().and_then(|items| items.last());
    let text = last.and_then(|item| item["content"][0]["text"].as_str());
    text.unwrap_or_default().to_owned()
}

async fn speak(
    stream: &mut TcpStream,
    token: &str,
    text: &str,
    together: &Barrier,
) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked";
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).await?;
    let pieces = pieces(token, text);
    let message = |text: &str| {
        json!({
            "type": "message", "role": "assistant", "id": "message-1",
            "content": [{"type": "output_text", "text": text}],
        })
    };
    let added = json!({"type": "response.output_item.added", "item": message("")});
    write_event(stream, &added).await?;
    for (at, piece) in pieces.iter().enumerate() {
        // From here on every user has a stream open, half of which is still to come.
        if at == PIECES / 2 && text.ends_with(TOGETHER) {
            together.wait().await;
        }
        let delta = json!({"type": "response.output_text.delta", "delta": piece});
        write_event(stream, &delta).await?;
    }
    let done = json!({"type": "response.output_item.done", "item": message(&pieces.concat())});
    write_event(stream, &done).await?;
    let completed = json!({"type": "response.completed", "response": {"id": "response-1"}});
    write_event(stream, &completed).await?;
    stream.write_all(b"0\r\n\r\n").await
}

async fn write_event(stream: &mut TcpStream, event: &Value) -> io::Result<()> {
    let data = format!("data: {event}\n\n");
    stream.write_all(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes()).await
}
