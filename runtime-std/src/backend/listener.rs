//! Owns: the login listener: a loopback socket, the browser's connections, and the answers to them.
//!
//! A request's head is read within bounds, passed on as a visit, and answered with what core feeds
//! back; then the connection is closed. Everything is polled in place. Dropping the listener closes
//! its socket at once and breaks off every connection but those that have their answer: these are
//! finished by whoever polls [`Finishing`].

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rustix::io::read;
use rustix::net::{SendFlags, Shutdown, send, shutdown};
use understudy_core::{Listen, ListenFailure, PageAnswer, Visit, VisitId};

use super::visit::{Head, HeadReader, answer_bytes, plain};
use crate::runtime::{Alarm, Duty, Runtime, Watched};

/// Connections at once. A browser opens a few; at the bound the oldest one that has not said yet
/// what it wants makes room, and without such a one the new connection is dropped.
const CONNECTIONS_MAX: usize = 64;

/// Time for a request's head. Browsers open connections ahead of need and say nothing on them.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// Time for a browser to take its answer.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Time for it to close the connection after that; what it still sends is dropped. A socket that is
/// closed with something unread would take the answer back.
const LINGER_LIMIT: Duration = Duration::from_secs(1);

/// From a failure to accept that is not the connection's own to the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on a port of 127.0.0.1 until it is dropped.
pub(super) struct Listener<R: Runtime> {
    socket: TcpListener,
    /// The same socket.
    watched: R::Watched,
    head_bytes_max: usize,
    pause: Option<Instant>,
    alarm: R::Alarm,
    /// Connections without their answer.
    open: BTreeMap<VisitId, Connection<R>>,
    next_visit: u64,
    finishing: Finishing<R>,
}

impl<R: Runtime> Listener<R> {
    /// Takes the port.
    pub(super) fn bind(listen: Listen, finishing: Finishing<R>) -> Result<Self, ListenFailure> {
        let (socket, watched) = bind::<R>(listen.port).map_err(|error| ListenFailure {
            is_in_use: error.kind() == io::ErrorKind::AddrInUse,
            text: error.to_string(),
        })?;
        Ok(Self {
            socket,
            watched,
            head_bytes_max: listen.head_bytes_max,
            pause: None,
            alarm: R::Alarm::default(),
            open: BTreeMap::new(),
            next_visit: 0,
            finishing,
        })
    }

    /// The next visit.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Visit> {
        self.poll_accept(cx);
        let mut gone = Vec::new();
        let mut visit = None;
        for (id, connection) in &mut self.open {
            match connection.poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Said::Asks(method, target)) => {
                    visit = Some(Visit { id: *id, method, target });
                    break;
                }
                Poll::Ready(said) => gone.push((*id, said)),
            }
        }
        for (id, said) in gone {
            let connection = self.open.remove(&id);
            if let (Some(connection), Said::IsAnswered) = (connection, said) {
                self.finishing.add(connection);
            }
        }
        visit.map_or(Poll::Pending, Poll::Ready)
    }

    /// Hands a visit its answer. The browser may be gone.
    pub(super) fn answer(&mut self, visit: VisitId, page: &PageAnswer) {
        if let Some(mut connection) = self.open.remove(&visit) {
            connection.answer(page);
            self.finishing.add(connection);
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) {
        if let Some(moment) = self.pause {
            if self.alarm.poll(cx, moment).is_pending() {
                return;
            }
            self.pause = None;
        }
        loop {
            let socket = &self.socket;
            let Poll::Ready(accepted) = self.watched.poll_read(cx, |_| socket.accept()) else {
                return;
            };
            match accepted {
                Ok((stream, _)) => self.take_in(stream),
                Err(error) => {
                    tracing::debug!("a connection was not accepted: {error}");
                    // One that broke off before it was taken, or no descriptors left: the next one
                    // may do better, and a limit of the process is nothing to spin on.
                    if !is_connections_own(&error) {
                        let moment = R::Alarm::now() + ACCEPT_PAUSE;
                        self.pause = Some(moment);
                        if self.alarm.poll(cx, moment).is_pending() {
                            return;
                        }
                    }
                }
            }
        }
    }

    fn take_in(&mut self, stream: TcpStream) {
        if self.open.len() >= CONNECTIONS_MAX {
            let silent = self.open.iter().find(|(_, open)| open.is_silent());
            let Some(silent) = silent.map(|(id, _)| *id) else { return };
            self.open.remove(&silent);
        }
        let visit = VisitId(self.next_visit);
        self.next_visit += 1;
        match Connection::new(stream, self.head_bytes_max) {
            Ok(connection) => drop(self.open.insert(visit, connection)),
            Err(error) => tracing::debug!("a connection was not taken in: {error}"),
        }
    }
}

fn bind<R: Runtime>(port: u16) -> io::Result<(TcpListener, R::Watched)> {
    // With `SO_REUSEADDR`, so connections of an earlier login that are just closing do not hold it.
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    socket.set_nonblocking(true)?;
    let watched = R::Watched::new(socket.try_clone()?.into(), Duty::Read)?;
    Ok((socket, watched))
}

fn is_connections_own(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One connection of the browser.
struct Connection<R: Runtime> {
    stream: R::Watched,
    stage: Stage,
    /// When it has been in this stage for too long; those who wait for core's answer never are.
    limit: Option<Instant>,
    alarm: R::Alarm,
}

enum Stage {
    Head(HeadReader),
    /// Of a request with this method.
    Asking(String),
    Answering(Vec<u8>),
    /// Until the browser closes it.
    Lingering,
}

/// What a connection has to tell.
enum Said {
    /// Method and target.
    Asks(String, String),
    /// What it sent was no request, and has its answer already.
    IsAnswered,
    Over,
}

impl<R: Runtime> Connection<R> {
    fn new(stream: TcpStream, head_bytes_max: usize) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let stream = R::Watched::new(OwnedFd::from(stream), Duty::Both)?;
        let limit = Some(R::Alarm::now() + HEAD_LIMIT);
        let stage = Stage::Head(HeadReader::new(head_bytes_max));
        Ok(Self { stream, stage, limit, alarm: R::Alarm::default() })
    }

    /// Whether it has not said yet what it wants.
    fn is_silent(&self) -> bool {
        matches!(self.stage, Stage::Head(_))
    }

    fn is_being_answered(&self) -> bool {
        matches!(self.stage, Stage::Answering(_))
    }

    fn answer(&mut self, page: &PageAnswer) {
        let method = if let Stage::Asking(method) = &self.stage { method } else { "" };
        self.stage = Stage::Answering(answer_bytes(page, method));
        self.limit = Some(R::Alarm::now() + WRITE_LIMIT);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Said> {
        if let Poll::Ready(said) = self.poll_stage(cx) {
            return Poll::Ready(said);
        }
        let Some(limit) = self.limit else { return Poll::Pending };
        ready!(self.alarm.poll(cx, limit));
        Poll::Ready(Said::Over)
    }

    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<Said> {
        let mut chunk = [0; 2 << 10];
        loop {
            match &mut self.stage {
                Stage::Head(head) => {
                    let piece = ready!(poll_chunk(&mut self.stream, cx, &mut chunk));
                    // Nothing more comes: nobody is there to be answered.
                    let Some(piece) = piece else { return Poll::Ready(Said::Over) };
                    match head.take(piece) {
                        None => {}
                        Some(Head::Whole(method, target)) => {
                            self.stage = Stage::Asking(method.clone());
                            self.limit = None;
                            return Poll::Ready(Said::Asks(method, target));
                        }
                        Some(Head::Bad) => {
                            self.answer(&plain(400, "Bad Request"));
                            return Poll::Ready(Said::IsAnswered);
                        }
                        Some(Head::TooLong) => {
                            self.answer(&plain(431, "Request Header Fields Too Large"));
                            return Poll::Ready(Said::IsAnswered);
                        }
                    }
                }
                Stage::Asking(_) => return Poll::Pending,
                Stage::Answering(bytes) if !bytes.is_empty() => {
                    match ready!(self.stream.poll_write(cx, |fd| Ok(send(
                        fd,
                        bytes,
                        SendFlags::NOSIGNAL
                    )?))) {
                        Ok(n) => drop(bytes.drain(..n)),
                        Err(_) => return Poll::Ready(Said::Over),
                    }
                }
                Stage::Answering(_) => {
                    self.limit = Some(R::Alarm::now() + LINGER_LIMIT);
                    self.stage = Stage::Lingering;
                    if shutdown(&self.stream, Shutdown::Write).is_err() {
                        return Poll::Ready(Said::Over);
                    }
                }
                Stage::Lingering => {
                    if ready!(poll_chunk(&mut self.stream, cx, &mut chunk)).is_none() {
                        return Poll::Ready(Said::Over);
                    }
                }
            }
        }
    }
}

/// Some bytes; none at the end, be it in order or not.
fn poll_chunk<'c>(
    stream: &mut impl Watched,
    cx: &mut Context<'_>,
    chunk: &'c mut [u8],
) -> Poll<Option<&'c [u8]>> {
    let n = ready!(stream.poll_read(cx, |fd| Ok(read(fd, &mut *chunk)?))).unwrap_or(0);
    Poll::Ready(chunk.get(..n).filter(|bytes| !bytes.is_empty()))
}

/// The connections that have their answer. Clones share them: they may outlive their listener, and
/// the backend.
pub(super) struct Finishing<R: Runtime>(Arc<Mutex<Vec<Connection<R>>>>);

impl<R: Runtime> Finishing<R> {
    fn add(&self, connection: Connection<R>) {
        self.locked().push(connection);
    }

    /// Goes on with all of them; ready when each was written what it gets.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut connections = self.locked();
        connections.retain_mut(|connection| connection.poll(cx).is_pending());
        if connections.iter().any(Connection::is_being_answered) {
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// The list is whole at every moment its lock is free, so a panic elsewhere has not harmed it.
    fn locked(&self) -> MutexGuard<'_, Vec<Connection<R>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Runtime> Clone for Finishing<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Runtime> Default for Finishing<R> {
    fn default() -> Self {
        Self(Arc::default())
    }
}
