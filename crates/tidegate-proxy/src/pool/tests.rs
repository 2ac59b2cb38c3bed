//! What the pool lends, keeps and closes, over real sockets and with a time of its own.

use super::*;
use crate::stream::{Ending, Sock, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct World {
    server: Arc<Server>,
    listener: TcpListener,
}

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

fn at(seconds: u64) -> Nanos {
    Nanos(0) + Span::secs(seconds)
}

impl World {
    async fn new(calls: u32) -> World {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Server::new(("a", &address), None, None, None, Arc::default());
        server.allow(calls);
        server.sweep(at(0), Span::secs(30));
        World { server, listener }
    }

    /// A connection in use, and the server's end of it.
    async fn connect(&self) -> (ServerConn, TcpStream) {
        let place = self.server.reserve();
        let tcp = TcpStream::connect(&*self.server.address).await.unwrap();
        let (theirs, _) = self.listener.accept().await.unwrap();
        let stream = Stream::plain(Sock::new(tcp));
        (ServerConn::new(&self.server, self.server.key(PEER), stream, place, Connects::NoneIdle), theirs)
    }

    fn take(&self, now: Nanos, repeatable: bool) -> Result<ServerConn, Connects> {
        self.server.check_out(&self.server.key(PEER), now, repeatable)
    }

    fn ended(&self, ending: Ending) -> u64 {
        self.server.stats.ended(ending)
    }
}

/// Waits until the end of a connection, and says whether it was a reset.
async fn was_reset(theirs: &mut TcpStream) -> bool {
    theirs.read(&mut [0; 8]).await.is_err()
}

#[tokio::test]
async fn idle_connections_count_and_the_oldest_goes_before_there_are_too_many() {
    let world = World::new(1).await;
    let (first, mut oldest) = world.connect().await;
    let (second, _kept) = world.connect().await;
    first.give_back(at(1));
    second.give_back(at(2));
    let (third, _used) = world.connect().await;
    assert!(was_reset(&mut oldest).await, "idle ones end with a reset");
    assert_eq!((world.server.stats.places.get(), world.server.stats.places_max.get()), (2, 2));
    assert_eq!(world.server.idle_conns(), 1);
    // The limit has gone down: what comes back is not kept.
    world.server.cap.store(1, Ordering::Relaxed);
    third.give_back(at(3));
    assert_eq!((world.server.stats.places.get(), world.server.idle_conns()), (1, 1));
    assert_eq!(world.ended(Ending::Reset), 2);
}

#[tokio::test]
async fn one_idle_connection_can_be_spared_for_its_port() {
    let world = World::new(4).await;
    let ((first, mut oldest), (second, _kept)) = (world.connect().await, world.connect().await);
    first.give_back(at(1));
    second.give_back(at(2));
    assert!(world.server.spare_one() && was_reset(&mut oldest).await);
    assert_eq!((world.server.stats.places.get(), world.server.idle_conns()), (1, 1));
    assert!(world.server.spare_one() && !world.server.spare_one());
}

#[tokio::test]
async fn who_was_replaced_is_no_longer_watched() {
    let world = World::new(4).await;
    world.server.watched_as(Some(2));
    assert_eq!(world.server.watched(), Some(2));
    world.server.retire();
    assert_eq!(world.server.watched(), None, "its number may be another's");
}

#[tokio::test]
async fn what_must_not_be_sent_twice_gets_young_connections_only() {
    let world = World::new(4).await;
    let (conn, _theirs) = world.connect().await;
    conn.give_back(at(0));
    assert_eq!(world.take(at(5), false).err(), Some(Connects::Unproven), "nobody knows whether it lives for 5 s");
    let conn = world.take(at(5), true).expect("what may be sent twice may try");
    assert_eq!((conn.reused, conn.idled), (true, Span::secs(5)));
    conn.give_back(at(5));
    world.server.sweep(at(15), Span::secs(30));
    let conn = world.take(at(13), false).expect("one was open after 10 s");
    conn.give_back(at(16));
    world.server.lost(at(16), Span::ZERO);
    assert_eq!(world.take(at(16), false).err(), Some(Connects::Unproven), "one loss is enough");
    assert!(world.take(at(16), true).is_ok());
}

#[tokio::test]
async fn old_ones_and_worn_ones_are_closed() {
    let world = World::new(4).await;
    let (conn, mut old) = world.connect().await;
    conn.give_back(at(0));
    world.server.sweep(at(30), Span::secs(30));
    assert!(was_reset(&mut old).await);
    let (mut conn, mut worn) = world.connect().await;
    for _ in 1..REQUESTS_MAX {
        conn.give_back(at(31));
        conn = world.take(at(31), false).expect("the same");
    }
    conn.give_back(at(31));
    assert!(was_reset(&mut worn).await);
    assert_eq!(world.server.stats.places.get(), 0);
}

#[tokio::test]
async fn what_stirs_is_ended_at_the_next_tick() {
    let world = World::new(4).await;
    let (closed, spoke, quiet) = (world.connect().await, world.connect().await, world.connect().await);
    let (mut a, mut b, c) = (closed.1, spoke.1, quiet.1);
    [closed.0, spoke.0, quiet.0].into_iter().for_each(|conn| conn.give_back(at(0)));
    world.server.sweep(at(1), Span::secs(30));
    world.server.tend(at(2));
    assert_eq!(world.server.idle_conns(), 3);
    a.shutdown().await.unwrap();
    b.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    while world.server.idle_conns() > 1 {
        tokio::task::yield_now().await;
        world.server.tend(at(3));
    }
    assert_eq!(world.server.stats.unasked.get(), 1);
    assert_eq!((world.ended(Ending::Clean), world.ended(Ending::Reset), world.ended(Ending::Unknown)), (1, 1, 0));
    drop(c);
    assert_eq!(world.take(at(3), true).err(), Some(Connects::NoneIdle), "asked at the last moment, too");
    assert_eq!(world.ended(Ending::Clean), 2);
}

#[tokio::test]
async fn closings_that_are_found_when_one_is_wanted_teach_the_timeout() {
    let world = World::new(4).await;
    for n in 0..3 {
        let (conn, theirs) = world.connect().await;
        conn.give_back(at(10 * n));
        drop(theirs);
        assert_eq!(world.take(at(10 * n + 6), true).err(), Some(Connects::NoneIdle));
    }
    world.server.sweep(at(40), Span::secs(30));
    assert_eq!((world.server.keeps_idle(), world.server.knows_idle()), (Span::secs(4), IdleSource::Learned));
}

#[tokio::test]
async fn a_retired_server_keeps_nothing() {
    let world = World::new(4).await;
    let (idle, _a) = world.connect().await;
    let (busy, mut b) = world.connect().await;
    idle.give_back(at(0));
    world.server.retire();
    assert_eq!(world.server.idle_conns(), 0);
    busy.give_back(at(1));
    assert!(was_reset(&mut b).await);
    assert_eq!(world.server.stats.open_conns.get(), 0);
}

#[tokio::test]
async fn a_bound_one_rests_without_a_place_and_takes_one_again() {
    let world = World::new(4).await;
    let (conn, theirs) = world.connect().await;
    let resting = conn.rest(at(0));
    assert_eq!((world.server.stats.places.get(), world.server.stats.open_conns.get()), (0, 1));
    let conn = resting.resume(&world.server, at(3)).expect("it is still there");
    assert_eq!((world.server.stats.places.get(), conn.idled), (1, Span::secs(3)));
    drop(theirs);
    assert!(conn.rest(at(4)).resume(&world.server, at(5)).is_none());
    assert_eq!((world.server.stats.open_conns.get(), world.server.stats.open_requests.get()), (0, 0));
}

#[tokio::test]
async fn not_a_byte_is_taken_by_a_connection_that_was_reset() {
    let world = World::new(4).await;
    let (mut conn, theirs) = world.connect().await;
    theirs.set_zero_linger().unwrap();
    drop(theirs);
    let stream = conn.stream().unwrap();
    stream.begin();
    std::future::poll_fn(|cx| stream.poll_readable(cx)).await;
    let written = std::future::poll_fn(|cx| stream.poll_write(cx, b"POST / HTTP/1.1\r\n")).await;
    assert!(written.is_err() && !stream.said());
    assert_eq!(stream.ending(), Ending::Reset);
}
