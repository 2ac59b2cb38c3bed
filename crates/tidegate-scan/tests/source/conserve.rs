//! Any archives in archives: every byte that went in comes out, once, in order, and nothing else.

use proptest::prelude::*;
use tidegate_scan::source::{Ended, Limits};
use zip::CompressionMethod::{Deflated, Stored};

use super::desk::{bytes, run};
use super::make::{gz, log, streamed_zip, tar, zip};

#[derive(Clone, Debug)]
enum Node {
    Text(usize),
    Gzip(Box<Node>),
    Tar(Vec<Node>),
    Zip(u8, Vec<Node>),
    /// A tar that holds it in so many parts.
    Parts(u8, Box<Node>),
}

fn nodes() -> impl Strategy<Value = Node> {
    let text = prop_oneof![Just(0), 1..4_usize, 1..3000_usize].prop_map(Node::Text);
    text.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|node| Node::Gzip(Box::new(node))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Node::Tar),
            (0..3_u8, prop::collection::vec(inner.clone(), 1..4)).prop_map(|(how, nodes)| Node::Zip(how, nodes)),
            (1..9_u8, inner).prop_map(|(parts, node)| Node::Parts(parts, Box::new(node))),
        ]
    })
}

/// Its bytes, and what must come out of them under a path.
fn make(node: &Node, path: &str, wanted: &mut Vec<(String, Vec<u8>)>) -> Vec<u8> {
    match node {
        Node::Text(lines) => {
            let text = log(*lines);
            wanted.push((path.to_owned(), text.clone()));
            text
        }
        Node::Gzip(inner) => gz(&make(inner, path, wanted)),
        Node::Parts(count, inner) => {
            let content = make(inner, &format!("{path}!n"), wanted);
            let size = content.len().div_ceil(usize::from(*count)).max(1);
            let chunks = content.chunks(size).chain(content.is_empty().then_some(&[][..]));
            let parts: Vec<_> = chunks.enumerate().map(|(part, chunk)| (format!("n.FRAG-{part:05}"), chunk)).collect();
            tar(&parts.iter().map(|(name, chunk)| (name.as_str(), *chunk)).collect::<Vec<_>>())
        }
        Node::Tar(inner) | Node::Zip(_, inner) => {
            let mut named = |(at, node)| (format!("n{at}"), make(node, &format!("{path}!n{at}"), wanted));
            let made: Vec<_> = inner.iter().enumerate().map(&mut named).collect();
            let entries: Vec<_> = made.iter().map(|(name, content)| (name.as_str(), &content[..])).collect();
            match node {
                Node::Zip(0, _) => zip(&entries, Stored),
                Node::Zip(1, _) => zip(&entries, Deflated),
                Node::Zip(..) => streamed_zip(&entries),
                _ => tar(&entries),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_comes_out_once(node in nodes(), threads in 1..4_usize) {
        let mut wanted = Vec::new();
        let made = make(&node, "x", &mut wanted);
        let outcome = run(&[bytes("x", &made)], &Limits { depth: 9, ..Limits::default() }, threads);
        prop_assert_eq!(&outcome.troubles, &vec![]);
        let told: Vec<_> = outcome.members.into_iter().map(|member| (member.path, member.bytes, member.ended)).collect();
        let wanted: Vec<_> = wanted.into_iter().map(|(path, text)| (path, text, Some(Ended::Whole))).collect();
        prop_assert!(told == wanted);
    }
}
