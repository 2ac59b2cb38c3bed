//! What is remembered of a bucket: a few words of most, whose client comes once or twice, and the whole of the others.

use std::borrow::Cow;

use super::super::groups::{Groups, Weight};
use super::{REST, RESTING, STAND, Taken};
use crate::flows::look::Bucket;

/// Buckets that are told apart, at most.
const BUCKETS: usize = 16_384;
/// Words that wait for their buckets, at most.
const WAITING: usize = 256;
/// Words that are kept before the whole is made of them: two connections.
const WORDS: usize = 7;

/// All buckets.
pub(super) type All = Groups<Bucket, Seen, BUCKETS>;

/// All buckets, and words that wait for them: many are told at a time, so that their memory is waited for once.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    all: All,
    waiting: Vec<(Bucket, Word)>,
}

impl Buckets {
    /// One word more of a bucket.
    pub fn tell(&mut self, bucket: Bucket, word: Word) {
        self.waiting.push((bucket, word));
        if self.waiting.len() >= WAITING {
            self.settle();
        }
    }

    /// The whole of a bucket, from now on.
    pub fn whole(&mut self, bucket: Bucket) -> &mut Taken {
        self.settle();
        self.all.of(bucket).whole()
    }

    /// All buckets, with every word told.
    pub fn settled(&self) -> Cow<'_, All> {
        if self.waiting.is_empty() {
            return Cow::Borrowed(&self.all);
        }
        let mut all = self.clone();
        all.settle();
        Cow::Owned(all.all)
    }

    /// Takes over those of another shard.
    pub fn absorb(&mut self, mut other: Buckets) {
        self.settle();
        other.settle();
        self.all.absorb(other.all, Seen::absorb);
    }

    fn settle(&mut self) {
        self.all.touch(self.waiting.iter().map(|(bucket, _)| *bucket));
        self.waiting.drain(..).for_each(|(bucket, word)| self.all.of(bucket).tell(word));
    }
}

/// What happened to a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum What {
    /// A connection stands.
    #[default]
    Stands,
    /// It does not any more.
    Gone,
    /// The port rests in TIME-WAIT from now on.
    Rests,
}

/// One word: what happened to a port, and when, in milliseconds since the first packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub ms: u32,
    pub port: u16,
    pub what: What,
}

/// A bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    words: [Word; WORDS],
    count: u8,
    /// Once there is one, the words are in it.
    whole: Option<Box<Taken>>,
}

impl Weight for Seen {
    /// How many ports were seen.
    fn weight(&self) -> u64 {
        let Some(taken) = &self.whole else {
            let words = self.words();
            let first = |(place, word): &(usize, &Word)| {
                let same = |other: &Word| (other.port, other.what) == (word.port, word.what);
                word.what == What::Stands && words.iter().position(same) == Some(*place)
            };
            return words.iter().enumerate().filter(first).count() as u64;
        };
        u64::from(taken.ports.count())
    }
}

impl Seen {
    fn words(&self) -> &[Word] {
        self.words.get(..usize::from(self.count)).unwrap_or_default()
    }

    /// One word more.
    pub fn tell(&mut self, word: Word) {
        match self.words.get_mut(usize::from(self.count)).filter(|_| self.whole.is_none()) {
            Some(place) => {
                *place = word;
                self.count = self.count.saturating_add(1);
            }
            None => self.whole().tell(word),
        }
    }

    /// The whole, from now on.
    pub fn whole(&mut self) -> &mut Taken {
        let Seen { words, count, whole } = self;
        whole.get_or_insert_with(|| Box::new(told(words.get(..usize::from(*count)).unwrap_or_default())))
    }

    /// What it comes to.
    pub fn taken(&self) -> Cow<'_, Taken> {
        self.whole.as_deref().map_or_else(|| Cow::Owned(told(self.words())), Cow::Borrowed)
    }

    /// All that another one was told.
    pub fn absorb(&mut self, other: Seen) {
        match other.whole {
            Some(taken) => self.whole().absorb(*taken),
            None => other.words().iter().for_each(|word| self.tell(*word)),
        }
    }
}

fn told(words: &[Word]) -> Taken {
    let mut taken = Taken::default();
    words.iter().for_each(|word| taken.tell(*word));
    taken
}

impl Taken {
    /// One word more.
    pub(super) fn tell(&mut self, word: Word) {
        match word.what {
            What::Stands => {
                self.opened = self.opened.saturating_add(1);
                self.ports.add(word.port);
                self.level.add(word.ms, STAND, 1);
            }
            What::Gone => self.level.add(word.ms, STAND, -1),
            What::Rests => {
                self.level.add(word.ms, RESTING, 1);
                self.level.add(word.ms.saturating_add(REST), RESTING, -1);
            }
        }
    }
}
