//! Ports on real sockets: what is leased is what is bound, and others are seen.

use super::begin::{Begin, Begun, NotBegun};
use super::*;
use crate::plan::PortsPlan;
use std::net::{IpAddr, TcpListener, TcpStream};
use tidegate_core::ledger::{BucketView, Ending};

/// A range of four ports that nobody else uses, from an address of ours alone: two for traffic, two for probes.
fn ports(source: u8, first: u16) -> Arc<Ports> {
    let source = IpAddr::from([127, 0, 77, source]);
    let ranges = vec![(first..=first + 3).into()];
    Ports::new(&PortsPlan { ranges, sources: vec![source], headroom: 2 }).unwrap()
}

fn bucket(ports: &Ports) -> BucketView {
    ports.view().buckets[0].clone()
}

fn server() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn what_is_leased_is_what_is_bound() {
    let (listener, to) = server();
    let ports = ports(1, 21_000);
    let mut begun = ports.begin(to, Begin::of(Use::Traffic)).unwrap();
    let (_accepted, from) = listener.accept().unwrap();
    assert_eq!(from, SocketAddr::new(begun.guard.lease().source, begun.guard.lease().port));
    assert_eq!(begun.tcp.local_addr().unwrap(), from);
    assert_eq!((bucket(&ports).connecting, bucket(&ports).traffic), (1, 1));
    begun.guard.connected(&begun.tcp);
    assert_eq!((bucket(&ports).connecting, bucket(&ports).traffic), (0, 1));
    assert_eq!(begun.guard.last_use(), None);
    let Begun { tcp, guard } = begun;
    drop(tcp);
    drop(guard);
    let bucket = bucket(&ports);
    assert_eq!((bucket.traffic, bucket.quarantined), (0, 1), "nobody said how it ended");
}

#[test]
fn each_server_has_every_port_and_probes_have_theirs() {
    let servers = [server(), server()];
    let ports = ports(6, 21_060);
    let mut leased = Vec::new();
    for (_listener, to) in &servers {
        for usage in [Use::Traffic, Use::Probe] {
            leased.extend([0; 2].map(|_| ports.begin(*to, Begin::of(usage)).unwrap()));
            assert!(matches!(
                ports.begin(*to, Begin::of(usage)),
                Err(NotBegun::NoPort(NoPort::Exhausted { leased: 2, .. }))
            ));
        }
    }
    let buckets = ports.view().buckets;
    assert_eq!(buckets.iter().map(|b| (b.traffic, b.probes, b.free, b.foreign)).collect::<Vec<_>>(), [(2, 2, 0, 0); 2]);
    ports.reconcile();
    assert_eq!(ports.view().buckets.iter().map(|bucket| bucket.foreign).sum::<u32>(), 0, "what is leased is ours");
}

#[test]
fn a_port_is_used_again_at_once_after_a_clean_end() {
    let (listener, to) = server();
    let ports = ports(2, 21_010);
    for round in 0..20 {
        let mut begun = ports.begin(to, Begin::of(Use::Traffic)).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        begun.guard.ends(Ending::Clean);
        begun.tcp.shutdown(std::net::Shutdown::Write).unwrap(); // TIME_WAIT is ours
        drop(accepted);
        assert_eq!(begun.guard.last_use().is_some(), round >= 2, "two ports in turn");
    }
}

#[test]
fn ports_of_others_are_passed_over_and_seen() {
    let (listener, to) = server();
    let ports = ports(3, 21_020);
    let theirs = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    theirs.bind(&SocketAddr::from(([127, 0, 77, 3], 21_020)).into()).unwrap();
    theirs.connect(&to.into()).unwrap();
    let mine = ports.begin(to, Begin::of(Use::Traffic)).unwrap();
    assert_eq!(mine.guard.lease().port, 21_021);
    let Err(error) = ports.begin(to, Begin::of(Use::Traffic)) else { panic!("two ports, one is another's") };
    assert!(matches!(error, NotBegun::Foreign { .. } | NotBegun::NoPort(_)), "{error}");
    assert_eq!(bucket(&ports).foreign, 1);
    ports.reconcile();
    assert_eq!((bucket(&ports).foreign, bucket(&ports).traffic), (1, 1), "the kernel says the same");
    assert!(matches!(ports.pressure(to), Watermark::Full));
    drop((theirs, listener));
    ports.reconcile();
    assert_eq!(bucket(&ports).foreign, 0);
}

#[test]
fn a_server_that_refuses_is_told_from_a_port_that_is_taken() {
    let (listener, to) = server();
    drop(listener);
    let ports = ports(4, 21_030);
    let mut begun = ports.begin(to, Begin::of(Use::Probe)).unwrap();
    let error = begun.tcp.take_error().unwrap().expect("on loopback the answer is there at once");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    begun.guard.ends(Ending::Refused);
    drop(begun);
    assert_eq!((bucket(&ports).quarantined, bucket(&ports).foreign), (1, 0));
}

#[test]
fn a_connection_comes_from_the_source_that_was_asked_for() {
    let (listener, to) = server();
    let sources: Vec<IpAddr> = [2, 3].map(|last| IpAddr::from([127, 0, 0, last])).into();
    let ranges = vec![(21_080..=21_083).into()];
    let ports = Ports::new(&PortsPlan { ranges, sources: sources.clone(), headroom: 2 }).unwrap();
    for source in sources.iter().chain(&sources) {
        let begun = ports.begin(to, Begin { from: Some(*source), ..Begin::of(Use::Probe) }).unwrap();
        assert_eq!(listener.accept().unwrap().1.ip(), *source);
        drop(begun);
    }
    assert_eq!(ports.other_source(to, &sources[..1]), Some(sources[1]));
    assert_eq!(ports.other_source(to, &sources), None);
    let strange = ports.begin(to, Begin { from: Some([127, 0, 0, 9].into()), ..Begin::of(Use::Probe) });
    assert!(matches!(strange, Err(NotBegun::NoPort(NoPort::NoSource { .. }))));
}

/// A listener whose queue is full drops a SYN, which looks like a peer in TIME_WAIT that answers with an old acknowledgement:
/// the kernel sends the SYN again after a second.
#[test]
fn a_port_that_collided_slowly_rests_however_it_ends() {
    let ports = ports(8, 21_090);
    for (used, rests) in [(false, 0), (true, 1)] {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let to = listener.local_addr().unwrap().as_socket().unwrap();
        for _ in 0..2 * u8::from(used) {
            let mut begun = ports.begin(to, Begin::of(Use::Traffic)).unwrap();
            begun.guard.ends(Ending::Reset);
            drop(listener.accept().unwrap());
        }
        let full = TcpStream::connect(to).unwrap();
        let Begun { tcp, mut guard } = ports.begin(to, Begin::of(Use::Traffic)).unwrap();
        assert!(tcp.peer_addr().is_err(), "not yet");
        drop((listener.accept().unwrap(), full));
        tcp.set_nonblocking(false).unwrap();
        let mut ready = [rustix::event::PollFd::new(&tcp, rustix::event::PollFlags::OUT)];
        assert_eq!(rustix::event::poll(&mut ready, None).unwrap(), 1);
        tcp.peer_addr().unwrap();
        guard.connected(&tcp);
        guard.ends(Ending::Clean);
        drop((tcp, guard));
        let bucket = ports.view().buckets.into_iter().find(|bucket| bucket.destination == to).unwrap();
        assert_eq!((bucket.quarantined, ports.slow_collisions()), (rests, u64::from(rests)), "used before: {used}");
    }
}

#[test]
fn without_sources_the_route_says_which_and_the_next_process_takes_over() {
    let (listener, to) = server();
    let plan = PortsPlan { ranges: vec![(21_040..=21_049).into()], ..PortsPlan::default() };
    let ports = Ports::new(&plan).unwrap();
    let begun = ports.begin(to, Begin::of(Use::Probe)).unwrap();
    assert_eq!(begun.guard.lease().source, IpAddr::from([127, 0, 0, 1]));
    let next = Ports::new(&plan).unwrap();
    next.import(&ports.export()).unwrap();
    assert_eq!((bucket(&next).foreign, next.view().generation), (1, 2));
    next.reconcile();
    assert_eq!(bucket(&next).foreign, 1, "the process before still has it");
    drop((begun, listener));
    next.reconcile();
    assert_eq!(bucket(&next).foreign, 0);
}

#[test]
fn a_wrong_plan_changes_nothing() {
    let ports = ports(5, 21_050);
    let refused = |plan: PortsPlan| ports.apply(&plan).unwrap_err().to_string();
    let strange = PortsPlan { sources: vec![[192, 0, 2, 1].into()], ..PortsPlan::default() };
    assert!(refused(strange).starts_with("ports.sources[0] 192.0.2.1 is not an address of this machine"));
    let any = PortsPlan { sources: vec![[0, 0, 0, 0].into()], ..PortsPlan::default() };
    assert!(refused(any).contains("is no single address"));
    let many = PortsPlan { ranges: vec![(21_050..=21_053).into()], headroom: 4, ..PortsPlan::default() };
    assert!(refused(many.clone()).starts_with("ports: 4 ports are kept for probes, and the range has 4"));
    assert!(Ports::check(&many).is_err());
    assert_eq!(ports.told()["ranges"][0], "21050-21053");
    assert_eq!(ports.told()["headroom"], 2);
}
