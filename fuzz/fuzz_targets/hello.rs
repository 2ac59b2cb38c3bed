//! The beginning of a conversation in TLS, whole and cut: nothing contradicts itself, and what is told of less is told of all.
#![no_main]

use tidegate_fuzz::cut;
use tidegate_scan::capture::tls::{Hello, Record, records};

fn look(record: &Record<'_>) {
    assert!(record.kept.len() <= usize::from(record.length));
    assert!(record.alert().is_none_or(|alert| alert.words().is_some()));
    if let Some(Hello::Client(hello)) = record.hello() {
        assert!(
            hello.name.is_none_or(|name| !name.is_empty() && name.len() < 254 && !name.contains(char::is_whitespace))
        );
        assert!((0x0300..=0x0304).contains(&hello.newest));
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let all: Vec<_> = records(data).collect();
    all.iter().for_each(look);
    let less: Vec<_> = records(cut(data).0).collect();
    assert!(less.len() <= all.len());
    for (less, all) in less.iter().zip(&all) {
        assert_eq!((less.content, less.length), (all.content, all.length));
        look(less);
        // More bytes may show that it is none after all, or name what was not kept.
        let (Some(Hello::Client(part)), Some(Hello::Client(whole))) = (less.hello(), all.hello()) else { continue };
        assert!(part.newest <= whole.newest && (part.name.is_none() || part.name == whole.name));
    }
});
