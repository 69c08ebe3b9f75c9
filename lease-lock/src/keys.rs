//! What a lease is called in Redis: the names of its keys, and the token that says whose it is.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{InvalidIds, OpenError};

/// The most ids one lease takes: one script call stays below a millisecond.
pub const IDS_MAX: usize = 256;
/// The longest id, in bytes.
pub const ID_BYTES_MAX: usize = 512;
/// The longest prefix, and the longest name of a process.
const WORD_BYTES_MAX: usize = 64;

/// The three keys of one id. The braces keep them together in a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Holds the token of the holder and goes away with the lease.
    pub lock: String,
    /// The last fencing number. It never goes away: one small key for each id.
    pub fence: String,
    /// A list with one element for about a second after a release; waiters block on it.
    pub signal: String,
}

/// The keys of one lease, sorted by id, each once.
pub(crate) type Keys = Arc<[Key]>;

/// What the keys of one [`crate::Locks`] begin with.
#[derive(Clone, Debug)]
pub(crate) struct Prefix(String);

impl Prefix {
    pub(crate) fn new(text: &str) -> Result<Self, OpenError> {
        // Braces would move the hash tag of a cluster.
        let is_one = is_word(text) && !text.contains(['{', '}']);
        if is_one { Ok(Self(text.to_owned())) } else { Err(OpenError::Prefix) }
    }

    pub(crate) fn key(&self, id: &str) -> Key {
        let name = |kind: char| format!("{{{}:{id}}}:{kind}", self.0);
        Key { lock: name('l'), fence: name('f'), signal: name('s') }
    }

    pub(crate) fn keys(&self, ids: &[impl AsRef<str>]) -> Result<Keys, InvalidIds> {
        let mut ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Err(InvalidIds::None);
        }
        if ids.len() > IDS_MAX {
            return Err(InvalidIds::TooMany(ids.len()));
        }
        if let Some(id) = ids.iter().find(|id| !(1..=ID_BYTES_MAX).contains(&id.len())) {
            return Err(InvalidIds::Length(id.len()));
        }
        Ok(ids.into_iter().map(|id| self.key(id)).collect())
    }
}

/// Whose a lock is: 128 random bits that no other attempt has, as 32 hexadecimal letters, which scripts and `redis-cli`
/// read unharmed; and after an `@` the name of the process, if it has one.
#[derive(Clone)]
pub(crate) struct Token {
    text: Arc<str>,
    over: Arc<AtomicBool>,
}

impl Token {
    pub(crate) fn random(name: Option<&str>) -> Self {
        let bits = format!("{:032x}", rand::random::<u128>());
        let text = name.map_or_else(|| bits.clone(), |name| format!("{bits}@{name}"));
        Self { text: text.into(), over: Arc::default() }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The name of the process in the value of a lock.
    pub(crate) fn name_in(value: &str) -> Option<&str> {
        value.split_once('@').map(|(_, name)| name)
    }

    /// Nothing is held under it from now on: a call that is still under way gives back what it gets.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// 1 to 64 visible ASCII letters.
pub(crate) fn is_word(text: &str) -> bool {
    (1..=WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl fmt::Debug for Token {
    /// Not the token: who reads it in a log could release the lock.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text[..4])?;
        formatter.write_char('*')
    }
}

#[cfg(test)]
mod tests {
    use super::{IDS_MAX, InvalidIds, Prefix, Token};

    #[test]
    fn ids_are_sorted_and_each_is_taken_once() {
        let keys = Prefix::new("inv").unwrap().keys(&["b", "a", "b"]).unwrap();
        let locks: Vec<&str> = keys.iter().map(|key| key.lock.as_str()).collect();
        assert_eq!(locks, ["{inv:a}:l", "{inv:b}:l"]);
    }

    #[test]
    fn ids_that_cannot_name_a_lock_are_refused() {
        let prefix = Prefix::new("inv").unwrap();
        let refused = |ids: &[String]| prefix.keys(ids).unwrap_err();
        assert_eq!(refused(&[]), InvalidIds::None);
        assert_eq!(refused(&["a".into(), String::new()]), InvalidIds::Length(0));
        assert_eq!(refused(&["x".repeat(513)]), InvalidIds::Length(513));
        let many: Vec<String> = (0..=IDS_MAX).map(|number| number.to_string()).collect();
        assert_eq!(refused(&many), InvalidIds::TooMany(IDS_MAX + 1));
    }

    #[test]
    fn a_prefix_cannot_move_the_hash_tag() {
        for prefix in ["", "a{b", "a}b", "a b", "ä", &"x".repeat(65)] {
            assert!(Prefix::new(prefix).is_err(), "{prefix:?}");
        }
    }

    #[test]
    fn a_token_has_128_bits_in_ascii_and_is_not_logged() {
        let token = Token::random(None);
        assert_eq!(token.as_str().len(), 32);
        assert!(token.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(token.as_str(), Token::random(None).as_str());
        assert!(!format!("{token:?}").contains(token.as_str()));
        assert_eq!(Token::name_in(token.as_str()), None);
        assert_eq!(Token::name_in(Token::random(Some("pod-0")).as_str()), Some("pod-0"));
    }
}
