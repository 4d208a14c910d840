//! The standard streams, whatever they are.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl};
use tokio::time::{sleep, timeout};

use crate::streams::{input, output, read_to_end, write_all};

/// Reads to the end in pieces, as the driver does, while `feed` is at work on a thread.
async fn read_all(fd: OwnedFd, feed: impl FnOnce() + Send + 'static) -> Vec<u8> {
    let mut input = input(fd);
    let feeder = std::thread::spawn(feed);
    let read = timeout(Duration::from_secs(5), read_to_end(&mut input));
    let bytes = read.await.expect("an end").expect("bytes");
    feeder.join().expect("the feeder");
    bytes
}

fn is_blocking(fd: &impl AsFd) -> bool {
    !fcntl_getfl(fd).expect("flags").contains(OFlags::NONBLOCK)
}

#[tokio::test]
async fn every_kind_of_input_is_read_to_its_end() {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let feed = move || {
        for _ in 0..1000 {
            writer.write_all(&[b'x'; 300]).expect("written");
        }
    };
    assert_eq!(read_all(reader.into(), feed).await.len(), 300_000);

    let (reader, mut writer) = UnixStream::pair().expect("sockets");
    let shared = reader.try_clone().expect("a copy");
    let feed = move || writer.write_all(&[b'x'; 300_000]).expect("written");
    assert_eq!(read_all(reader.into(), feed).await.len(), 300_000);
    assert!(is_blocking(&shared));

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("input");
    fs::write(&path, vec![b'x'; 300_000]).expect("written");
    let file = File::open(&path).expect("opened");
    assert_eq!(read_all(file.into(), || {}).await.len(), 300_000);
}

#[tokio::test]
async fn a_pipe_without_writers_ends() {
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(writer);
    assert_eq!(read_all(reader.into(), || {}).await, b"");
    let (reader, mut writer) = io::pipe().expect("a pipe");
    writer.write_all(b"last").expect("written");
    drop(writer);
    assert_eq!(read_all(reader.into(), || {}).await, b"last");
}

#[tokio::test]
async fn the_mode_of_a_shared_pipe_is_not_touched() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let (shared_reader, shared_writer) =
        (reader.try_clone().expect("a copy"), writer.try_clone().expect("a copy"));
    let input = input(reader.into());
    let output = output(writer.into());
    assert!(is_blocking(&shared_reader) && is_blocking(&shared_writer));
    drop((input, output));
}

#[tokio::test]
async fn a_slow_reader_gets_everything_and_a_gone_one_is_an_error() {
    let (reader, writer) = io::pipe().expect("a pipe");
    check_output(writer.into(), reader.into()).await;
    let (reader, writer) = UnixStream::pair().expect("sockets");
    check_output(OwnedFd::from(writer), reader.into()).await;
}

async fn check_output(to: OwnedFd, from: OwnedFd) {
    let mut output = output(to);
    let reader = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        let mut bytes = vec![0; 500_000];
        File::from(from).read_exact(&mut bytes).expect("bytes");
        bytes
    });
    write_all(&mut output, &vec![b'x'; 500_000]).await.expect("written");
    assert!(reader.join().expect("the reader").iter().all(|byte| *byte == b'x'));
    sleep(Duration::from_millis(1)).await;
    assert!(write_all(&mut output, b"x").await.is_err());
}

#[tokio::test]
async fn a_file_has_what_was_said_to_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("output");
    let file = File::create(&path).expect("made");
    let mut output = output(file.into());
    write_all(&mut output, &vec![b'x'; 200_000]).await.expect("written");
    assert_eq!(fs::metadata(&path).expect("facts").len(), 200_000);
}
