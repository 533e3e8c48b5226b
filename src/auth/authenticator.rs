//! Finds out who somebody is by what they show: a key or a token. Verifies once and remembers; what it remembers ends with the key
//! set that it was judged by, and is compared with what was revoked since. Does not know how credentials come in, nor what is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::client::ClientAddress;
use crate::clock::Clock;
use crate::engine::SessionId;
use crate::wire::{Revocation, RevocationTarget};

use super::api_key::{self, Digest, PREFIX};
use super::grant::Grant;
use super::identity::{Identity, IdentityName};
use super::key_set::KeySet;
use super::provider;
use super::refusal::AuthError;
use super::remote_sets::RemoteSets;
use super::revocation_set::RevocationSet;
use super::throttle::FailureThrottle;
use super::token::{self, Generations, Instants, VerificationBudget};
use super::token_cache::TokenCache;

/// Finds out who somebody is.
#[derive(Debug)]
pub struct Authenticator {
    clock: Clock,
    keys: RwLock<CountedKeys>,
    revocations: RwLock<RevocationSet>,
    /// Without them no token counts.
    are_revocations_known: AtomicBool,
    /// Grows when other keys count, or something else is revoked.
    generation: watch::Sender<u64>,
    tokens: TokenCache,
    throttle: FailureThrottle,
    /// Keys that stand elsewhere.
    sets: Option<Arc<RemoteSets>>,
}

/// The keys that count, and which ones they are.
#[derive(Clone, Debug)]
struct CountedKeys {
    /// Grows when others count.
    generation: u64,
    set: Arc<KeySet>,
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
            keys: RwLock::new(CountedKeys { generation: 0, set: Arc::new(keys) }),
            revocations: RwLock::default(),
            are_revocations_known: AtomicBool::new(true),
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
        self.keys.read().set.left_out.clone()
    }

    /// Other keys count from now on; what was judged by the ones before is judged anew.
    pub fn replace(&self, keys: KeySet) {
        {
            let mut counted = self.keys.write();
            *counted = CountedKeys { generation: counted.generation + 1, set: Arc::new(keys) };
        }
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Whether other keys are those that count.
    pub(super) fn has_same(&self, keys: &KeySet) -> bool {
        self.keys.read().set.is_same(keys)
    }

    /// Who shows `credential`, from an address.
    pub fn identify(&self, credential: &str, address: ClientAddress) -> Result<Arc<Identity>, AuthError> {
        // Read before the keys and revocations: whoever is judged by old ones is judged again.
        let generation = *self.generation.borrow();
        let CountedKeys { generation: keys, set } = self.keys.read().clone();
        let (judged, now) = (Generations { keys, all: generation }, self.now());
        if credential.starts_with(PREFIX) {
            return self.identify_key(&set, judged, credential, now).map(Arc::new);
        }
        if !self.are_revocations_known.load(Ordering::Acquire) {
            return Err(AuthError::RevocationsUnknown);
        }
        if credential.len() > token::TOKEN_LEN_MAX {
            return Err(AuthError::invalid("it is too long"));
        }
        let digest = Digest::of(credential.as_bytes());
        let identity = match self.tokens.get(&digest) {
            Some(known) if self.is_current(&known) => return Ok(known),
            // Its signature is right: nothing but revocations has changed.
            Some(known) if known.key_generation == keys && known.is_alive(now.moment) => {
                Identity { generation, ..Identity::clone(&known) }
            }
            Some(_) | None => {
                let budget = AddressBudget { throttle: &self.throttle, address, now };
                token::identify(&set, judged, credential, now, &budget)?
            }
        };
        let identity = Arc::new(self.unless_revoked(identity, now)?);
        self.tokens.put(&digest, &identity);
        Ok(identity)
    }

    /// Somebody who was identified, as far as that is not revoked.
    fn unless_revoked(&self, identity: Identity, now: Instants) -> Result<Identity, AuthError> {
        let IdentityName::Subject(subject) = &identity.name else { return Ok(identity) };
        let revocations = self.revocations.read();
        if revocations.has(subject, identity.token.as_deref(), identity.issued, now.wall) {
            return Err(AuthError::Revoked);
        }
        let revoked_in = revocations.sessions(subject, identity.issued, now.wall);
        Ok(Identity { revoked_in, ..identity })
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
    fn has_key_of(&self, identity: &Identity) -> bool {
        self.keys.read().set.has(&identity.key, self.now().wall)
    }

    /// Whether somebody who was identified counts no more in a session: the key is gone, or they are revoked.
    pub fn is_revoked(&self, identity: &Identity, id: SessionId) -> bool {
        let IdentityName::Subject(subject) = &identity.name else { return !self.has_key_of(identity) };
        let (now, revocations) = (self.now().wall, self.revocations.read());
        let is_revoked = revocations.has(subject, identity.token.as_deref(), identity.issued, now)
            || revocations.sessions(subject, identity.issued, now).binary_search(&id).is_ok();
        is_revoked || !self.has_key_of(identity)
    }

    /// Whether all is known that was revoked: else no token counts.
    pub fn know_revocations(&self, are_known: bool) {
        self.are_revocations_known.store(are_known, Ordering::Release);
    }

    /// Some are revoked from now on, on connections that are open too.
    pub fn revoke<'r>(&self, revocations: impl IntoIterator<Item = &'r Revocation>) {
        let now = self.now().wall;
        let is_new = {
            let mut set = self.revocations.write();
            revocations.into_iter().filter(|revocation| set.add(revocation, now)).count() > 0
        };
        if is_new {
            self.generation.send_modify(|generation| *generation += 1);
        }
    }

    /// Forgets revocations that are over; returns whether there were any.
    pub fn forget_ended_revocations(&self) -> bool {
        let is_any = self.revocations.write().forget_ended(self.now().wall);
        if is_any {
            self.generation.send_modify(|generation| *generation += 1);
        }
        is_any
    }

    /// The revocations that are in force.
    pub fn revocations(&self) -> Vec<Revocation> {
        self.revocations.read().all()
    }

    /// The one that there is of such tokens.
    pub fn revocation_of(&self, target: &RevocationTarget) -> Option<Revocation> {
        self.revocations.read().find(target)
    }

    /// What a new one and that come to together; `None` when there are as many as there may be.
    pub fn joined_revocation(&self, new: &Revocation) -> Option<Revocation> {
        let revocations = self.revocations.read();
        revocations.has_room(&new.target).then(|| revocations.joined(new))
    }

    /// How long a token may live, and for how long it may count after its end, in seconds.
    pub fn token_lifetime_s(&self) -> (u64, u64) {
        let keys = self.keys.read();
        (keys.set.rules.lifetime_max_s, keys.set.rules.leeway_s)
    }

    /// Tells when other keys count, or something else is revoked.
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
        judged: Generations,
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
            issued: None,
            token: None,
            revoked_in: [].into(),
            key_generation: judged.keys,
            generation: judged.all,
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
