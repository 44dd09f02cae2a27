//! Values from the front of an input; zeros once it is used up. Used by targets whose input is more
//! than one thing.

pub struct Feed<'a> {
    rest: &'a [u8],
}

impl<'a> Feed<'a> {
    pub fn new(input: &'a [u8]) -> Feed<'a> {
        Feed { rest: input }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// As many bytes as are there, at most `len`.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (front, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        front
    }

    pub fn u8(&mut self) -> u8 {
        self.number(1) as u8
    }

    pub fn u16(&mut self) -> u16 {
        self.number(2) as u16
    }

    pub fn u32(&mut self) -> u32 {
        self.number(4) as u32
    }

    pub fn u64(&mut self) -> u64 {
        self.number(8)
    }

    pub fn below(&mut self, end: u32) -> u32 {
        self.u32() % end.max(1)
    }

    fn number(&mut self, len: usize) -> u64 {
        let mut bytes = [0; 8];
        let taken = self.take(len);
        bytes[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(bytes)
    }
}
