//! The Redis in memory answers as a real one does: the same commands go to both, and every reply and message is compared,
//! times aside.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use simulation::redis::{ClientId, FakeRedis, Reply};
use simulation::scripts::{self, SCRIPTS};
use test_support::redis::Redis;

/// Times and lives in milliseconds, and the time in seconds: nothing else that the commands here answer is as great.
const TIMES_MS: std::ops::Range<u64> = 10_000..10_000_000_000_000;
/// Clients that ask, and one that only listens.
const ASKING: u64 = 2;
const LISTENER: ClientId = ClientId(ASKING);

type Words = Vec<Vec<u8>>;

#[test]
fn every_command_is_answered_as_by_a_real_redis() {
    let real = Redis::start();
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let script = prop::collection::vec((0..ASKING, command()), 1..60);
    TestRunner::new(config)
        .run(&script, |script| {
            let mut pair = Pair::new(&real);
            pair.listen();
            for (client, words) in script {
                pair.ask(ClientId(client), &words)?;
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn every_script_of_the_audit_queue_does_what_its_lua_does() {
    let real = Redis::start();
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let script = prop::collection::vec(queue_command(), 1..60);
    TestRunner::new(config)
        .run(&script, |script| {
            let mut pair = Pair::new(&real);
            for (source, _) in SCRIPTS {
                pair.ask(ClientId(0), &words(&["SCRIPT", "LOAD", source]))?;
            }
            for words in script {
                pair.ask(ClientId(0), &words)?;
                for check in CONTENTS {
                    pair.ask(ClientId(1), &check.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())?;
                }
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// What shows all that the queue keeps, but for times.
const CONTENTS: [&str; 9] = [
    "LRANGE wait 0 -1",
    "LRANGE dead 0 -1",
    "LRANGE done 0 -1",
    "LRANGE batch:1 0 -1",
    "LRANGE batch:2 0 -1",
    "ZRANGE delayed -inf 0 BYSCORE",
    "ZCARD lease",
    "HMGET pending s1 s2 s1:apart s2:apart",
    "GET bytes",
];

fn words(words: &[&str]) -> Words {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// A command of all kinds, right or wrong.
fn command() -> impl Strategy<Value = Words> {
    let key = || select(vec!["a", "b", "c", "d"]);
    let value = || select(vec!["", "x", "y", "7", "-3", "007", "9223372036854775807", "{\"v\":1}"]);
    let number = || select(vec!["0", "1", "2", "-1", "-2", "5", "x", "1.5", "9223372036854775807"]);
    let score = || select(vec!["0", "1", "2", "-1", "5", "x", "1.5"]);
    let life = || select(vec!["60000", "0", "-1", "x", "100000"]);
    let channel = || select(vec!["one", "two", "three"]);
    prop_oneof![
        4 => (select(vec!["GET", "DEL", "TYPE", "PTTL", "INCR", "LLEN", "ZCARD", "WATCH", "get"]), key())
            .prop_map(|(name, key)| words(&[name, key])),
        3 => (select(vec!["SET", "RPUSH", "LPUSH", "ECHO"]), key(), value())
            .prop_map(|(name, key, value)| words(&[name, key, value])),
        1 => (key(), value()).prop_map(|(key, value)| words(&["SET", key, value, "NX"])),
        2 => (key(), life(), value()).prop_map(|(key, life, value)| words(&["SETEX", key, life, value])),
        1 => (select(vec!["MGET", "DEL", "WATCH"]), key(), key()).prop_map(|(name, a, b)| words(&[name, a, b])),
        1 => (key(), key()).prop_map(|(from, to)| words(&["RENAME", from, to])),
        2 => (select(vec!["INCRBY", "DECRBY", "LINDEX"]), key(), number())
            .prop_map(|(name, key, number)| words(&[name, key, number])),
        2 => (select(vec!["LRANGE", "LTRIM", "ZRANGE"]), key(), number(), number())
            .prop_map(|(name, key, start, stop)| words(&[name, key, start, stop])),
        1 => (key(), number(), value()).prop_map(|(key, count, value)| words(&["LREM", key, count, value])),
        1 => (select(vec!["EXPIRE", "PEXPIRE"]), key(), life()).prop_map(|(name, key, life)| words(&[name, key, life])),
        1 => (key(), life()).prop_map(|(key, life)| words(&["PEXPIRE", key, life, "LT"])),
        3 => (key(), score(), value()).prop_map(|(key, score, member)| words(&["ZADD", key, score, member])),
        1 => (key(), score(), value(), score(), value())
            .prop_map(|(key, a, b, c, d)| words(&["ZADD", key, "NX", a, b, c, d])),
        1 => (select(vec!["ZREM", "ZSCORE", "HGET", "HMGET", "HDEL"]), key(), value())
            .prop_map(|(name, key, member)| words(&[name, key, member])),
        1 => (select(vec!["HMGET", "HDEL", "ZREM"]), key(), value(), value())
            .prop_map(|(name, key, a, b)| words(&[name, key, a, b])),
        2 => (key(), select(vec!["-inf", "0", "2"]), select(vec!["+inf", "inf", "1", "x"]), number(), number())
            .prop_map(|(key, min, max, offset, count)| {
                words(&["ZRANGE", key, min, max, "BYSCORE", "LIMIT", offset, count])
            }),
        1 => (key(), number(), number()).prop_map(|(key, a, b)| words(&["ZRANGE", key, a, b, "WITHSCORES"])),
        2 => (key(), value(), value()).prop_map(|(key, field, value)| words(&["HSET", key, field, value])),
        1 => (key(), value(), number()).prop_map(|(key, field, by)| words(&["HINCRBY", key, field, by])),
        2 => (select(vec!["PUBLISH", "SPUBLISH"]), channel(), value())
            .prop_map(|(name, channel, message)| words(&[name, channel, message])),
        6 => select(vec!["MULTI", "EXEC", "EXEC", "DISCARD", "UNWATCH", "TIME", "PING"]).prop_map(|name| words(&[name])),
        1 => select(vec!["GET", "NOSUCH", "SETEX a 1", "EVALSHA 0000000000000000000000000000000000000000 0", "EVALSHA 0000000000000000000000000000000000000000 1", "EVALSHA 0000000000000000000000000000000000000000 -1",
            "HSET a b", "ZADD a 1", "ZADD a NX 1", "SET a b XX NX", "PEXPIRE a 5 NO", "SCRIPT", "WAIT 0 0", "SELECT 0"])
            .prop_map(|text| words(&text.split(' ').collect::<Vec<_>>())),
    ]
}

/// A call of one of the queue's scripts, or a command that changes what they find.
fn queue_command() -> impl Strategy<Value = Words> {
    let batch = || select(vec!["1", "2"]);
    let session = || select(vec!["s1", "s2"]);
    let job = || select(vec!["{\"j\":1}", "{\"j\":2}", "{\"job\":\"3 4 5\"}"]);
    let entry = || select(vec!["{\"j\":1}", "0 1 {\"j\":2}", "3 0 {\"j\":3}", "2 2 {\"j\":4}", "x 1 {}"]);
    let tag = || select(vec!["1.1", "1.2"]);
    let call = |name: usize, keys: &[&str], args: &[&str]| {
        let count = keys.len().to_string();
        words(&[&["EVALSHA", &digest(name), &count], keys, args].concat())
    };
    prop_oneof![
        3 => job().prop_map(|job| words(&["RPUSH", "wait", job])),
        1 => entry().prop_map(|entry| words(&["ZADD", "delayed", "0", entry])),
        1 => (session(), tag()).prop_map(|(session, tag)| words(&["HSET", "pending", session, tag])),
        1 => select(vec!["0", "7", "14"]).prop_map(|bytes| words(&["INCRBY", "bytes", bytes])),
        1 => batch().prop_map(|batch| words(&["ZADD", "lease", "0", batch])),
        1 => (batch(), entry()).prop_map(|(batch, entry)| words(&["RPUSH", &format!("batch:{batch}"), entry])),
        1 => entry().prop_map(|entry| words(&["RPUSH", "dead", entry])),
        4 => (batch(), select(vec!["1", "2", "100"]), select(vec!["0", "1"]), select(vec!["0", "2"]), select(vec!["8", "1000"]))
            .prop_map(move |(batch, most, first, least, bytes)| {
                call(0, &["wait", "delayed", &format!("batch:{batch}"), "lease", "bytes"],
                    &[most, "1000000", batch, first, least, bytes])
            }),
        3 => (batch(), session(), tag(), select(vec!["1", "-1"]), entry(), entry(), select(vec!["0", "7"]), any::<[bool; 5]>())
            .prop_map(move |(batch, session, tag, change, delayed, dead, bytes, are)| {
                let list = |is: bool, elements: &[&'static str]| -> Vec<&str> {
                    if is { [&[["0", "1", "2"][elements.len()]][..], elements].concat() } else { vec!["0"] }
                };
                let lists = [
                    list(are[0], &[session]), list(are[0], &[tag]), list(are[1], &[session]), list(are[1], &[change]),
                    list(are[2], &[delayed]), list(are[2], &["1000000"]), list(are[3], &[dead]),
                    list(are[4], &["{\"done\":1}", "{\"done\":2}"]),
                ].concat();
                call(1, &[&format!("batch:{batch}"), "lease", "pending", "bytes", "done", "delayed", "dead"],
                    &[&[batch, bytes, "3"], &lists[..]].concat())
            }),
        1 => Just(call(2, &["lease"], &["1000000", "1", "2"])),
        1 => batch().prop_map(move |batch| call(3, &[&format!("batch:{batch}"), "lease", "wait", "delayed"], &[batch])),
        2 => (batch(), session(), select(vec!["1", "2", "3"])).prop_map(move |(batch, session, reaps)| {
            call(4, &[&format!("batch:{batch}"), "lease", "delayed", "dead", "pending"], &[batch, reaps, session])
        }),
        1 => entry().prop_map(move |entry| call(5, &["dead", "delayed"], &[entry, "0 0 {\"j\":9}"])),
        1 => (entry(), session(), tag())
            .prop_map(move |(entry, session, tag)| call(6, &["dead", "bytes", "pending"], &[entry, "7", session, tag])),
    ]
}

fn digest(script: usize) -> String {
    let mut redis = FakeRedis::new("");
    scripts::teach(&mut redis);
    let load = words(&["SCRIPT", "LOAD", SCRIPTS[script].0]);
    match redis.ask(0, ClientId(0), &load).pop().map(|delivery| delivery.reply) {
        Some(Reply::Bulk(name)) => String::from_utf8(name).expect("it is hexadecimal"),
        other => panic!("{other:?}"),
    }
}

/// A real server and one in memory, with the same clients.
struct Pair {
    fake: FakeRedis,
    clients: Vec<RealClient>,
}

impl Pair {
    fn new(real: &Redis) -> Self {
        let mut fake = FakeRedis::new("run");
        scripts::teach(&mut fake);
        let mut clients: Vec<_> = (0..=ASKING).map(|_| RealClient::connect(real)).collect();
        (0..=ASKING).for_each(|client| fake.connect(ClientId(client)));
        for forget in [&["FLUSHALL"][..], &["SCRIPT", "FLUSH"]] {
            clients[0].send(&words(forget));
            assert_eq!(clients[0].reply(), b"+OK\r\n");
        }
        Self { fake, clients }
    }

    fn listen(&mut self) {
        for subscribe in [&["SUBSCRIBE", "one", "two"][..], &["SSUBSCRIBE", "one"], &["UNSUBSCRIBE", "two"]] {
            self.ask(LISTENER, &words(subscribe)).expect("both subscribe");
        }
    }

    /// Sends a command to both and compares all that comes of it.
    fn ask(&mut self, client: ClientId, words: &Words) -> Result<(), TestCaseError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
        let deliveries = self.fake.ask(u64::try_from(now.as_micros()).expect("it fits"), client, words);
        self.clients[usize::try_from(client.0).expect("it is small")].send(words);
        for delivery in deliveries {
            let mut fake = Vec::new();
            delivery.reply.encode(&mut fake);
            let real = self.clients[usize::try_from(delivery.client.0).expect("it is small")].reply();
            let [real, fake] = [real, fake].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let command: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
            prop_assert!(are_alike(&real, &fake), "{command:?}\nreal: {real:?}\nfake: {fake:?}");
        }
        Ok(())
    }
}

/// Whether two replies say the same, times aside; of an unknown command, or of a script that failed, the real one says
/// more.
fn are_alike(real: &str, fake: &str) -> bool {
    let code = |text: &str| text.split(' ').next().map(str::to_owned);
    without_times(real) == without_times(fake)
        || real.starts_with("-ERR unknown command") && real.starts_with(fake.trim_end())
        || real.starts_with('-') && real.contains(" script: ") && code(real) == code(fake)
}

/// A reply with a word in the place of each time: what TIME says, and integers that only a time in milliseconds can be.
fn without_times(reply: &str) -> String {
    let mut lines: Vec<_> = reply.split("\r\n").collect();
    for at in 0..lines.len() {
        let is_time = |text: &str| text.parse().is_ok_and(|number: u64| TIMES_MS.contains(&number));
        match lines[at..] {
            ["*2", "$10", seconds, _, _, ..] if is_time(seconds) => lines[at..at + 5].fill("time"),
            [line, ..] if line.strip_prefix(':').is_some_and(is_time) => lines[at] = "time",
            _ => {}
        }
    }
    lines.join("\r\n")
}

struct RealClient {
    stream: TcpStream,
    received: Vec<u8>,
}

impl RealClient {
    fn connect(redis: &Redis) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port())).expect("it listens");
        stream.set_nodelay(true).expect("the socket is open");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("the socket is open");
        Self { stream, received: Vec::new() }
    }

    fn send(&mut self, words: &Words) {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&request).expect("it reads");
    }

    /// The next reply, as it came.
    fn reply(&mut self) -> Vec<u8> {
        let mut piece = [0; 4_096];
        loop {
            if let Some(end) = end(&self.received) {
                return self.received.drain(..end).collect();
            }
            let len = self.stream.read(&mut piece).expect("it answers in time");
            assert!(len > 0, "it closed the connection");
            self.received.extend_from_slice(&piece[..len]);
        }
    }
}

/// Where the first reply ends, if all of it is there.
fn end(bytes: &[u8]) -> Option<usize> {
    let line_end = bytes.windows(2).position(|window| window == b"\r\n")? + 2;
    let number = || std::str::from_utf8(&bytes[1..line_end - 2]).expect("a length is text").parse::<i64>();
    match bytes[0] {
        b'$' => {
            let len = number().expect("a length is a number");
            let end = line_end + usize::try_from(len).map_or(0, |len| len + 2);
            (bytes.len() >= end).then_some(end)
        }
        b'*' => {
            let count = number().expect("a length is a number").max(0);
            let mut at = line_end;
            for _ in 0..count {
                at += end(&bytes[at..])?;
            }
            Some(at)
        }
        _ => Some(line_end),
    }
}
