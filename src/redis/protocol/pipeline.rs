//! A pipeline of commands (RESP: each an array of strings), encoded into one buffer that is sent as it is. Does not
//! know what the commands do.

use super::resp::FrameScanner;

/// The capacity that most round trips need, in bytes.
const LEN_MIN: usize = 512;

/// Commands that are sent in one write.
#[derive(Clone, Debug)]
pub struct Pipeline {
    bytes: Vec<u8>,
    count: usize,
    /// Where the last command begins, and how many arguments it has so far, its name included.
    start: usize,
    arg_count: usize,
}

/// What can be an argument of a command.
pub trait ToArg {
    /// Passes its bytes to `to`.
    fn with_bytes<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T;
}

impl Pipeline {
    /// An empty pipeline, with capacity for a few commands.
    pub fn new() -> Self {
        Self::with_capacity(LEN_MIN)
    }

    /// An empty pipeline, with capacity for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), count: 0, start: 0, arg_count: 0 }
    }

    /// Begins a command; its arguments follow.
    pub fn cmd(&mut self, name: &str) -> &mut Self {
        (self.start, self.arg_count) = (self.bytes.len(), 0);
        self.count += 1;
        self.bytes.extend_from_slice(b"*0\r\n");
        self.arg(name)
    }

    /// Adds an argument to the last command.
    pub fn arg(&mut self, arg: impl ToArg) -> &mut Self {
        arg.with_bytes(|arg| {
            self.bytes.push(b'$');
            self.bytes.extend_from_slice(itoa::Buffer::new().format(arg.len()).as_bytes());
            self.bytes.extend_from_slice(b"\r\n");
            self.bytes.extend_from_slice(arg);
        });
        self.bytes.extend_from_slice(b"\r\n");
        self.count_arg()
    }

    /// Adds arguments to the last command.
    pub fn args<A: ToArg>(&mut self, args: impl IntoIterator<Item = A>) -> &mut Self {
        for arg in args {
            self.arg(arg);
        }
        self
    }

    /// Adds an argument that `write` encodes in place; `len` is its approximate length.
    pub fn arg_with(&mut self, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        self.bytes.reserve(len + 32);
        let at = self.bytes.len() + 1;
        let digits = itoa::Buffer::new().format(len).len();
        self.bytes.push(b'$');
        self.bytes.resize(at + digits, b'0');
        self.bytes.extend_from_slice(b"\r\n");
        let start = self.bytes.len();
        write(&mut self.bytes);
        let len = self.bytes.len() - start;
        self.overwrite_number(at..at + digits, len);
        self.bytes.extend_from_slice(b"\r\n");
        self.count_arg()
    }

    /// Adds a command that is encoded already.
    pub fn add_encoded(&mut self, command: &[u8]) {
        self.bytes.extend_from_slice(command);
        self.count += 1;
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no commands.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes that are sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of each command.
    pub fn each(&self) -> impl Iterator<Item = &[u8]> {
        let (mut scanner, mut start) = (FrameScanner::default(), 0);
        std::iter::from_fn(move || {
            let end = scanner.end(&self.bytes).ok()??;
            Some(&self.bytes[std::mem::replace(&mut start, end)..end])
        })
    }

    fn count_arg(&mut self) -> &mut Self {
        let digits = itoa::Buffer::new().format(self.arg_count).len();
        self.arg_count += 1;
        let at = self.start + 1;
        self.overwrite_number(at..at + digits, self.arg_count);
        self
    }

    /// Overwrites a number, which may have had fewer or more digits.
    fn overwrite_number(&mut self, digits_at: std::ops::Range<usize>, number: usize) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        if digits.len() == digits_at.len() {
            self.bytes[digits_at].copy_from_slice(digits);
        } else {
            self.bytes.splice(digits_at, digits.iter().copied());
        }
    }
}

impl Default for Pipeline {
    fn default() -> Self {
        Self::new()
    }
}

impl ToArg for [u8] {
    fn with_bytes<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
        to(self)
    }
}

impl ToArg for Vec<u8> {
    fn with_bytes<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
        to(self)
    }
}

impl ToArg for str {
    fn with_bytes<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
        to(self.as_bytes())
    }
}

impl ToArg for String {
    fn with_bytes<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
        to(self.as_bytes())
    }
}

impl<A: ToArg + ?Sized> ToArg for &A {
    fn with_bytes<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
        (**self).with_bytes(to)
    }
}

macro_rules! numbers {
    ($($number:ty)+) => {
        $(impl ToArg for $number {
            fn with_bytes<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
                to(itoa::Buffer::new().format(*self).as_bytes())
            }
        })+
    };
}

numbers!(u8 u16 u32 u64 usize i32 i64);

#[cfg(test)]
mod tests {
    use super::Pipeline;

    fn text(commands: &Pipeline) -> String {
        String::from_utf8_lossy(commands.bytes()).replace("\r\n", " ")
    }

    #[test]
    fn are_arrays_of_strings() {
        let mut commands = Pipeline::new();
        assert!(commands.is_empty());
        commands.cmd("SET").arg("key").arg(7_u64).cmd("TIME").cmd("DEL").args(["a", ""]);
        assert_eq!(text(&commands), "*3 $3 SET $3 key $1 7 *1 $4 TIME *3 $3 DEL $1 a $0  ");
        assert_eq!(commands.len(), 3);
        let each: Vec<_> =
            commands.each().map(|command| String::from_utf8_lossy(command).replace("\r\n", " ")).collect();
        assert_eq!(each, ["*3 $3 SET $3 key $1 7 ", "*1 $4 TIME ", "*3 $3 DEL $1 a $0  "]);
    }

    #[test]
    fn may_have_many_arguments() {
        for count in [8_usize, 9, 10, 11, 98, 99, 100, 1_000] {
            let mut commands = Pipeline::new();
            commands.cmd("FIRST").cmd("DEL").args((0..count).map(|_| "k")).cmd("LAST");
            let words = "$1 k ".repeat(count);
            assert_eq!(text(&commands), format!("*1 $5 FIRST *{} $3 DEL {words}*1 $4 LAST ", count + 1));
        }
    }

    #[test]
    fn arguments_may_be_encoded_in_place() {
        for expected in [0, 5, 10, 100, 1_000] {
            for len in [0, 1, 9, 10, 99, 100, 1_000] {
                let mut commands = Pipeline::new();
                commands.cmd("ECHO").arg_with(expected, |out| out.resize(out.len() + len, b'x')).arg("y").cmd("TIME");
                let word = "x".repeat(len);
                assert_eq!(text(&commands), format!("*3 $4 ECHO ${len} {word} $1 y *1 $4 TIME "));
            }
        }
    }
}
