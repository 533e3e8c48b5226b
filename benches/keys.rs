//! A key is compared: how long that takes must not say what is wrong with it. A guess that is wrong in its first character takes as long
//! as one that is wrong in its last, and as one of a name that there is not.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use synckairos::auth::{self, Authenticator, KeySources};
use synckairos::client::ClientAddress;
use synckairos::clock::Clock;
use synckairos::secret::SecretSource;

fn keys(criterion: &mut Criterion) {
    let (key, _) = auth::new_key("backend");
    let sources = KeySources { api_key: Some(SecretSource::given(key.reveal())), ..KeySources::default() };
    let authenticator = Authenticator::new(sources.load().expect("it is right"), Clock::system());
    let (name, secret) = key.reveal().split_at("synk_backend_".len());
    let but = |at: usize| {
        let mut bytes = secret.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).expect("it is ASCII")
    };
    let mut group = criterion.benchmark_group("keys");
    for (what, credential) in [
        ("right", key.reveal().to_owned()),
        ("wrong_first", format!("{name}{}", but(0))),
        ("wrong_last", format!("{name}{}", but(secret.len() - 1))),
        ("wrong_name", format!("synk_bakcend_{secret}")),
    ] {
        group.bench_function(what, |bencher| {
            bencher.iter(|| authenticator.identify(black_box(&credential), ClientAddress::UNIX).is_ok());
        });
    }
}

criterion_group!(benches, keys);
criterion_main!(benches);
