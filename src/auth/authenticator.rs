//! Finds out who somebody is by what they show: a key or a token. Verifies once and remembers; what it remembers ends with the key
//! set that it was judged by. Does not know how credentials come in, nor what is asked.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::client::ClientAddress;
use crate::clock::Clock;

use super::api_key::{self, Digest, PREFIX};
use super::grant::Grant;
use super::identity::{Identity, IdentityName};
use super::key_set::KeySet;
use super::provider;
use super::refusal::AuthError;
use super::remote_sets::RemoteSets;
use super::throttle::FailureThrottle;
use super::token::{self, Instants, VerificationBudget};
use super::token_cache::TokenCache;

/// Finds out who somebody is.
#[derive(Debug)]
pub struct Authenticator {
    clock: Clock,
    keys: RwLock<Arc<KeySet>>,
    /// Grows when other keys count.
    generation: watch::Sender<u64>,
    tokens: TokenCache,
    throttle: FailureThrottle,
    /// Keys that stand elsewhere.
    sets: Option<Arc<RemoteSets>>,
}

/// The budget of one address.
struct AddressBudget<'a> {
    throttle: &'a FailureThrottle,
    address: ClientAddress,
    now: Instants,
}

impl VerificationBudget for AddressBudget<'_> {
    fn may_verify(&self) -> bool {
        self.throttle.may_verify(self.address, self.now.moment)
    }

    fn failed(&self) {
        self.throttle.failed(self.address, self.now.moment);
    }
}

impl Authenticator {
    /// By the keys of a set.
    pub fn new(keys: KeySet, clock: Clock) -> Self {
        provider::install();
        let throttle = FailureThrottle::new(clock.moment());
        let (generation, _) = watch::channel(0);
        Self {
            clock,
            keys: RwLock::new(Arc::new(keys)),
            generation,
            tokens: TokenCache::default(),
            throttle,
            sets: None,
        }
    }

    /// By what stands in sets elsewhere, too.
    pub(super) fn with_sets(self, sets: Arc<RemoteSets>) -> Self {
        Self { sets: Some(sets), ..self }
    }

    /// Keys of such sets that are left out.
    pub(super) fn left_out(&self) -> Vec<String> {
        self.keys.read().left_out.clone()
    }

    /// Other keys count from now on; what was judged by the ones before is judged anew.
    pub fn replace(&self, keys: KeySet) {
        *self.keys.write() = Arc::new(keys);
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Whether other keys are those that count.
    pub(super) fn has_same(&self, keys: &KeySet) -> bool {
        self.keys.read().is_same(keys)
    }

    /// Who shows `credential`, from an address.
    pub fn identify(&self, credential: &str, address: ClientAddress) -> Result<Arc<Identity>, AuthError> {
        // Read before the keys: whoever is judged by old ones is judged again.
        let generation = *self.generation.borrow();
        let keys = Arc::clone(&self.keys.read());
        let now = self.now();
        if credential.starts_with(PREFIX) {
            return self.identify_key(&keys, generation, credential, now).map(Arc::new);
        }
        if credential.len() > token::TOKEN_LEN_MAX {
            return Err(AuthError::invalid("it is too long"));
        }
        let digest = Digest::of(credential.as_bytes());
        if let Some(known) = self.tokens.get(&digest).filter(|known| self.is_current(known)) {
            return Ok(known);
        }
        let budget = AddressBudget { throttle: &self.throttle, address, now };
        let identity = Arc::new(token::identify(&keys, generation, credential, now, &budget)?);
        self.tokens.put(&digest, &identity);
        Ok(identity)
    }

    /// The same; waits a little for an issuer's keys that may have changed.
    pub async fn identify_in_time(&self, credential: &str, address: ClientAddress) -> Result<Arc<Identity>, AuthError> {
        match self.identify(credential, address) {
            Err(error) if !error.sets().is_empty() => {
                self.refresh(&error).await;
                self.identify(credential, address)
            }
            identified => identified,
        }
    }

    /// Waits a little until what somebody was refused by has been read again.
    pub async fn refresh(&self, error: &AuthError) {
        if let Some(sets) = &self.sets {
            // Rarely: nobody else pays for its room.
            Box::pin(sets.refresh(error.sets())).await;
        }
    }

    /// Whether somebody who was identified would be so now, without looking at more than two numbers.
    pub fn is_current(&self, identity: &Identity) -> bool {
        identity.generation == *self.generation.borrow() && identity.is_alive(self.clock.moment())
    }

    /// Whether the key still counts that somebody was identified by, whatever became of others.
    pub fn has_key_of(&self, identity: &Identity) -> bool {
        self.keys.read().has(&identity.key, self.now().wall)
    }

    /// Tells when other keys count.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// The clock that ends of identities are on.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    fn now(&self) -> Instants {
        Instants { wall: self.clock.time_of_day(), moment: self.clock.moment() }
    }

    /// A name that is not known takes as long as one that is.
    fn identify_key(
        &self,
        keys: &KeySet,
        generation: u64,
        credential: &str,
        now: Instants,
    ) -> Result<Identity, AuthError> {
        let known = api_key::id_of(credential).and_then(|id| keys.api_key(id));
        let nobody = Digest::of(b"");
        let is_it = Digest::of(credential.as_bytes()).is_same(known.map_or(&nobody, |key| &key.digest));
        let known = known.filter(|key| is_it && key.rights.window.is_open(now.wall));
        let key = known.ok_or_else(|| AuthError::invalid("it is no key that counts"))?;
        let rights = &key.rights;
        let grant =
            Grant { sessions: rights.sessions.iter().copied().collect(), participants: [].into(), allow: rights.allow };
        let name = IdentityName::Key(Arc::clone(&rights.id));
        Ok(Identity {
            counted: name.counted(),
            actor: name.to_string().into(),
            name,
            grants: [grant].into(),
            ceiling: Arc::clone(&rights.sessions),
            expires_s: rights.window.not_after.map(|until| until.as_ms() / 1_000),
            expires: rights.window.not_after.map(|until| now.end(until)),
            ends: rights.window.not_after.map(|until| now.end(until)),
            key: rights.fingerprint,
            generation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Authenticator;
    use crate::auth::api_key::{self, COMPARISONS};
    use crate::auth::key_sources::KeySources;
    use crate::client::ClientAddress;
    use crate::clock::Clock;
    use crate::secret::SecretSource;

    /// What takes the same time takes the same steps.
    #[test]
    fn whatever_is_wrong_with_a_key_it_is_compared_once() {
        let (key, _) = api_key::new_key("backend");
        let sources = KeySources { api_key: Some(SecretSource::given(key.reveal())), ..KeySources::default() };
        let authenticator = Authenticator::new(sources.load().expect("it is right"), Clock::system());
        let right = key.reveal();
        let (name, secret) = right.split_at("synk_backend_".len());
        let other = |at: usize| {
            let mut bytes = secret.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            format!("{name}{}", String::from_utf8_lossy(&bytes))
        };
        for (credential, counts) in [
            (right.to_owned(), true),
            (other(0), false),
            (other(secret.len() - 1), false),
            (right.replace("backend", "nobody"), false),
            (right[..right.len() - 1].to_owned(), false),
            ("synk_".to_owned(), false),
        ] {
            let before = COMPARISONS.get();
            let identified = authenticator.identify(&credential, ClientAddress::UNIX);
            assert_eq!((identified.is_ok(), COMPARISONS.get() - before), (counts, 1));
        }
    }
}
