//! Commands as Redis takes them (RESP: each an array of strings), written into one buffer that is sent as it is. Does
//! not know what they do.

use super::reply::Seeker;

/// Room for what most round trips take.
const LEN_MIN: usize = 512;

/// Commands, one behind the other.
#[derive(Clone, Debug)]
pub struct Commands {
    bytes: Vec<u8>,
    count: usize,
    /// Where the last one begins, and of how many words it is so far.
    start: usize,
    words: usize,
}

/// Something that can be a word of a command.
pub trait Word {
    /// Shows it as bytes.
    fn show<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T;
}

impl Commands {
    /// None yet, and room for a few.
    pub fn new() -> Self {
        Self::with_capacity(LEN_MIN)
    }

    /// None yet, and room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), count: 0, start: 0, words: 0 }
    }

    /// Begins another one; its arguments follow.
    pub fn cmd(&mut self, name: &str) -> &mut Self {
        (self.start, self.words) = (self.bytes.len(), 0);
        self.count += 1;
        self.bytes.extend_from_slice(b"*0\r\n");
        self.arg(name)
    }

    /// One more argument.
    pub fn arg(&mut self, word: impl Word) -> &mut Self {
        word.show(|word| {
            self.bytes.push(b'$');
            self.bytes.extend_from_slice(itoa::Buffer::new().format(word.len()).as_bytes());
            self.bytes.extend_from_slice(b"\r\n");
            self.bytes.extend_from_slice(word);
        });
        self.bytes.extend_from_slice(b"\r\n");
        self.more_words()
    }

    /// More arguments.
    pub fn args<W: Word>(&mut self, words: impl IntoIterator<Item = W>) -> &mut Self {
        for word in words {
            self.arg(word);
        }
        self
    }

    /// One more argument, written in place; `len` is about how long it will be.
    pub fn written(&mut self, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        self.bytes.reserve(len + 32);
        let place = self.bytes.len() + 1;
        let digits = itoa::Buffer::new().format(len).len();
        self.bytes.push(b'$');
        self.bytes.resize(place + digits, b'0');
        self.bytes.extend_from_slice(b"\r\n");
        let start = self.bytes.len();
        write(&mut self.bytes);
        let len = self.bytes.len() - start;
        self.put_number(place..place + digits, len);
        self.bytes.extend_from_slice(b"\r\n");
        self.more_words()
    }

    /// One that was written before, as it is.
    pub fn add(&mut self, command: &[u8]) {
        self.bytes.extend_from_slice(command);
        self.count += 1;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// As they are sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Each by itself, as it is sent.
    pub fn each(&self) -> impl Iterator<Item = &[u8]> {
        let (mut seeker, mut start) = (Seeker::default(), 0);
        std::iter::from_fn(move || {
            let end = seeker.end(&self.bytes).ok()??;
            Some(&self.bytes[std::mem::replace(&mut start, end)..end])
        })
    }

    fn more_words(&mut self) -> &mut Self {
        let digits = itoa::Buffer::new().format(self.words).len();
        self.words += 1;
        let place = self.start + 1;
        self.put_number(place..place + digits, self.words);
        self
    }

    /// Writes a number over another, which may have been shorter or longer.
    fn put_number(&mut self, place: std::ops::Range<usize>, number: usize) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        if digits.len() == place.len() {
            self.bytes[place].copy_from_slice(digits);
        } else {
            self.bytes.splice(place, digits.iter().copied());
        }
    }
}

impl Default for Commands {
    fn default() -> Self {
        Self::new()
    }
}

impl Word for [u8] {
    fn show<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
        to(self)
    }
}

impl Word for Vec<u8> {
    fn show<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
        to(self)
    }
}

impl Word for str {
    fn show<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
        to(self.as_bytes())
    }
}

impl Word for String {
    fn show<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
        to(self.as_bytes())
    }
}

impl<W: Word + ?Sized> Word for &W {
    fn show<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
        (**self).show(to)
    }
}

macro_rules! numbers {
    ($($number:ty)+) => {
        $(impl Word for $number {
            fn show<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
                to(itoa::Buffer::new().format(*self).as_bytes())
            }
        })+
    };
}

numbers!(u8 u16 u32 u64 usize i32 i64);

#[cfg(test)]
mod tests {
    use super::Commands;

    fn text(commands: &Commands) -> String {
        String::from_utf8_lossy(commands.bytes()).replace("\r\n", " ")
    }

    #[test]
    fn are_arrays_of_strings() {
        let mut commands = Commands::new();
        assert!(commands.is_empty());
        commands.cmd("SET").arg("key").arg(7_u64).cmd("TIME").cmd("DEL").args(["a", ""]);
        assert_eq!(text(&commands), "*3 $3 SET $3 key $1 7 *1 $4 TIME *3 $3 DEL $1 a $0  ");
        assert_eq!(commands.len(), 3);
        let each: Vec<_> =
            commands.each().map(|command| String::from_utf8_lossy(command).replace("\r\n", " ")).collect();
        assert_eq!(each, ["*3 $3 SET $3 key $1 7 ", "*1 $4 TIME ", "*3 $3 DEL $1 a $0  "]);
    }

    #[test]
    fn may_have_many_words() {
        for count in [8_usize, 9, 10, 11, 98, 99, 100, 1_000] {
            let mut commands = Commands::new();
            commands.cmd("FIRST").cmd("DEL").args((0..count).map(|_| "k")).cmd("LAST");
            let words = "$1 k ".repeat(count);
            assert_eq!(text(&commands), format!("*1 $5 FIRST *{} $3 DEL {words}*1 $4 LAST ", count + 1));
        }
    }

    #[test]
    fn words_may_be_written_in_place() {
        for expected in [0, 5, 10, 100, 1_000] {
            for len in [0, 1, 9, 10, 99, 100, 1_000] {
                let mut commands = Commands::new();
                commands.cmd("ECHO").written(expected, |out| out.resize(out.len() + len, b'x')).arg("y").cmd("TIME");
                let word = "x".repeat(len);
                assert_eq!(text(&commands), format!("*3 $4 ECHO ${len} {word} $1 y *1 $4 TIME "));
            }
        }
    }
}
