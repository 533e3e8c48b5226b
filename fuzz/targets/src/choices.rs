//! Choices that an input makes: numbers and pieces taken from its front, none of which can fail. An input that has ended
//! goes on with zeros. Does not know what is chosen.

/// What is left of an input.
#[derive(Clone, Debug)]
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number less than `end`, which is 256 at most.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    pub(crate) fn is(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number of any size: small ones are as likely as large ones.
    pub(crate) fn number(&mut self) -> u64 {
        let len = self.below(9);
        (0..len).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// One of several.
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// So many bytes, or as many as there are.
    pub(crate) fn piece(&mut self, len: usize) -> &'a [u8] {
        let (piece, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        piece
    }

    /// All bytes up to a newline, which is passed over.
    pub(crate) fn line(&mut self) -> &'a [u8] {
        let len = self.0.iter().position(|byte| *byte == b'\n').unwrap_or(self.0.len());
        let line = self.piece(len);
        self.piece(1);
        line
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.piece(self.0.len())
    }
}
