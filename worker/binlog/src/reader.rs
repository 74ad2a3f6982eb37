//! A bounds-checked reader over the bytes of one event.

use crate::error::{DecodeError, DecodeErrorKind};

/// Reads little-endian and big-endian numbers and slices; every read is checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    data: &'a [u8],
    pos: usize,
    base: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0, base: 0 }
    }

    /// A reader whose offsets are counted from `base` bytes before `data`.
    pub(crate) fn with_base(data: &'a [u8], base: usize) -> Self {
        Self { data, pos: 0, base }
    }

    /// Offset for error messages.
    pub(crate) fn offset(&self) -> usize {
        self.base + self.pos
    }

    pub(crate) fn remaining(&self) -> usize {
        self.data.len() - self.pos
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.data.get(self.pos..).and_then(|rest| rest.get(..len)) {
            Some(slice) => {
                self.pos += len;
                Ok(slice)
            }
            None => Err(self.truncated(len as u64)),
        }
    }

    #[cold]
    fn truncated(&self, wanted: u64) -> DecodeError {
        DecodeError::new(self.offset(), DecodeErrorKind::Truncated { wanted, left: self.remaining() })
    }

    pub(crate) fn take_u64(&mut self, len: u64) -> Result<&'a [u8], DecodeError> {
        match usize::try_from(len) {
            Ok(len) => self.take(len),
            Err(_) => Err(self.truncated(len)),
        }
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let slice = &self.data[self.pos..];
        self.pos = self.data.len();
        slice
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0u8; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        match self.data.get(self.pos) {
            Some(byte) => {
                self.pos += 1;
                Ok(*byte)
            }
            None => Err(self.truncated(1)),
        }
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A little-endian number of `len` bytes, `len <= 8`.
    #[inline]
    pub(crate) fn uint_le(&mut self, len: usize) -> Result<u64, DecodeError> {
        let bytes = self.take(len)?;
        Ok(bytes.iter().rev().fold(0u64, |n, b| (n << 8) | u64::from(*b)))
    }

    /// A big-endian number of `len` bytes, `len <= 8`.
    #[inline]
    pub(crate) fn uint_be(&mut self, len: usize) -> Result<u64, DecodeError> {
        let bytes = self.take(len)?;
        Ok(bytes.iter().fold(0u64, |n, b| (n << 8) | u64::from(*b)))
    }

    /// A length-encoded integer of the client protocol.
    pub(crate) fn lenenc(&mut self) -> Result<u64, DecodeError> {
        let at = self.offset();
        match self.u8()? {
            n @ 0..=250 => Ok(u64::from(n)),
            252 => self.uint_le(2),
            253 => self.uint_le(3),
            254 => self.u64(),
            _ => Err(DecodeError::invalid(at, "length-encoded integer")),
        }
    }

    /// A variable-length integer of MySQL's serialization library: the trailing ones of the first
    /// byte count the bytes that follow.
    pub(crate) fn varlen(&mut self) -> Result<u64, DecodeError> {
        let first = self.data.get(self.pos).copied().ok_or_else(|| self.truncated(1))?;
        let ones = first.trailing_ones() as usize;
        if ones == 8 {
            self.pos += 1;
            return self.u64();
        }
        let raw = self.uint_le(ones + 1)?;
        Ok(raw >> (ones + 1))
    }

    /// As [`Reader::varlen`], signed: the lowest bit is the sign.
    pub(crate) fn varlen_signed(&mut self) -> Result<i64, DecodeError> {
        let raw = self.varlen()?;
        let magnitude = (raw >> 1) as i64;
        Ok(if raw & 1 == 0 { magnitude } else { -magnitude - 1 })
    }

    /// The bytes before the next NUL, which is consumed.
    pub(crate) fn nul_terminated(&mut self) -> Result<&'a [u8], DecodeError> {
        let rest = &self.data[self.pos..];
        let len = rest.iter().position(|b| *b == 0).ok_or_else(|| self.truncated(rest.len() as u64 + 1))?;
        let slice = self.take(len)?;
        self.pos += 1;
        Ok(slice)
    }
}
