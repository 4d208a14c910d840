//! The server inside a program on async-std, which owns its user's tokens.
//!
//!     cargo run -p understudy-async-std --example embed_async_std
//!
//! One task serves the session over a pair of sockets, another is the product that talks to it.
//! When the backend refuses the user's tokens, a callback gets new ones; no JSON is made for that.
//! Any pair of streams of futures-io does, and so does any executor: on smol, `async_std::task`
//! becomes `smol`.
//!
//! Product, backend and tokens are pretended (`examples/pretended`). It says what happens, and
//! fails if that is not what should.

#[path = "../../examples/pretended/backend.rs"]
mod backend;
#[path = "../../examples/pretended/product.rs"]
mod product;

use std::error::Error;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use async_io::Async;
use async_std::task;
use futures_lite::io::split;
use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use understudy_async_std::{Http, Refresher, Services, Streams, serve_with};
use understudy_core::{ExitStatus, Refresh, Setup};
use understudy_std::program::Programs;
use understudy_std::sandbox;

use backend::Backend;
use product::Product;

fn main() -> ExitCode {
    // The sandbox of a command is a helper, and the helper is this program.
    sandbox::run_if_asked();
    match task::block_on(play()) {
        Ok(()) => {
            println!("ok: the turn went on with new tokens, and no message was made for that");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn play() -> Result<(), Box<dyn Error>> {
    let backend = Backend::start()?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("config.toml"), backend.config())?;
    let setup = Setup { refresh: Refresh::Embedder, ..Setup::new(folder.path(), folder.path()) };

    // Both are for all sessions of a program: connections to the backend are shared, and one
    // thread starts all commands.
    let (http, programs) = (Http::new(), Programs::with_helper(sandbox::this_program()));
    let services = Services { http, programs, refresher: Some(refresher()), ..Services::default() };

    let (ours, servers) = Async::<UnixStream>::pair()?;
    let (reader, writer) = split(servers);
    let session = task::spawn(serve_with(setup, Streams { reader, writer }, services));

    let mut product = Product::new(folder.path().to_owned());
    let (reader, writer) = split(ours);
    talk(&mut product, reader, writer).await?;

    // The streams are gone, which is how a session is ended.
    let status = session.await?;
    if status != ExitStatus::Clean {
        return Err(format!("the session ended {status:?}").into());
    }
    product.verdict(&backend.bearers())?;
    Ok(())
}

/// The callback. It may take its time, up to the setup's limit; the session goes on meanwhile.
fn refresher() -> Refresher {
    Box::new(|question| {
        Box::pin(async move { Ok(Product::refreshed(question.previous_account_id.as_deref())) })
    })
}

/// The product's side of the streams.
async fn talk(
    product: &mut Product,
    mut from_server: impl AsyncRead + Unpin,
    mut to_server: impl AsyncWrite + Unpin,
) -> Result<(), Box<dyn Error>> {
    to_server.write_all(&product.hello()).await?;
    let mut chunk = vec![0; 64 << 10];
    while !product.is_done() {
        let n = from_server.read(&mut chunk).await?;
        if n == 0 {
            return Err("the session ended on its own".into());
        }
        to_server.write_all(&product.hear(&chunk[..n])).await?;
    }
    Ok(())
}
