//! Tokens that were verified, by their digests, so that a token is verified once in a process. Bounded; wrong tokens are not
//! remembered. Does not know what a token says.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::api_key::Digest;
use super::identity::Identity;

const SHARDS: usize = 16;
/// Tokens of all shards.
const TOKENS_MAX: usize = 16_384;

/// The tokens.
#[derive(Debug, Default)]
pub(super) struct TokenCache([Mutex<CacheShard>; SHARDS]);

#[derive(Debug, Default)]
struct CacheShard {
    identities: HashMap<[u8; 32], Arc<Identity>>,
    /// The oldest first.
    order: VecDeque<[u8; 32]>,
}

impl TokenCache {
    /// Whose token it is.
    pub(super) fn get(&self, token: &Digest) -> Option<Arc<Identity>> {
        let token = token.bytes();
        self.shard(token).lock().identities.get(&token).cloned()
    }

    /// Remembers whose token it is; the oldest is forgotten for it.
    pub(super) fn put(&self, token: &Digest, identity: &Arc<Identity>) {
        let token = token.bytes();
        let mut shard = self.shard(token).lock();
        if shard.identities.insert(token, Arc::clone(identity)).is_some() {
            return;
        }
        shard.order.push_back(token);
        if shard.order.len() > TOKENS_MAX / SHARDS
            && let Some(oldest) = shard.order.pop_front()
        {
            shard.identities.remove(&oldest);
        }
    }

    fn shard(&self, token: [u8; 32]) -> &Mutex<CacheShard> {
        &self.0[usize::from(token[0]) % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{SHARDS, TOKENS_MAX, TokenCache};
    use crate::auth::api_key::Digest;
    use crate::auth::identity::{Identity, IdentityName};
    use crate::client::ClientAddress;

    #[test]
    fn the_oldest_is_forgotten() {
        let cache = TokenCache::default();
        let identity = Arc::new(Identity {
            name: IdentityName::Subject("somebody".into()),
            counted: ClientAddress::UNIX.into(),
            actor: "sub:a".into(),
            grants: [].into(),
            ceiling: Arc::from([]),
            expires_s: None,
            expires: None,
            ends: None,
            key: [0; 32],
            issued: None,
            token: None,
            revoked_in: [].into(),
            key_generation: 0,
            generation: 0,
        });
        let digest = |n: usize| Digest::of(&n.to_be_bytes());
        for n in 0..3 * TOKENS_MAX {
            cache.put(&digest(n), &identity);
            cache.put(&digest(n), &identity);
            assert!(cache.get(&digest(n)).is_some());
        }
        assert!(cache.get(&digest(0)).is_none());
        let kept: usize = cache.0.iter().map(|shard| shard.lock().identities.len()).sum();
        assert_eq!(kept, TOKENS_MAX, "{SHARDS} shards");
    }
}
