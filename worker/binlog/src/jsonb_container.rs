//! Objects and arrays of binary JSON, one element after the other.

use crate::error::DecodeError;
use crate::reader::Reader;

/// One value where it is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a> {
    /// Its type byte.
    pub kind: u8,
    /// Its bytes, and whatever follows them.
    pub body: &'a [u8],
    /// Offset of `body` in the document.
    pub base: usize,
}

impl Stored<'_> {
    pub(crate) fn is_container(&self) -> bool {
        self.kind <= 0x03
    }
}

/// The elements of an object or array.
#[derive(Debug)]
pub(crate) struct Elements<'a> {
    body: &'a [u8],
    base: usize,
    width: usize,
    object: bool,
    left: u64,
    keys: Reader<'a>,
    values: Reader<'a>,
}

impl<'a> Elements<'a> {
    pub(crate) fn open(stored: Stored<'a>) -> Result<Self, DecodeError> {
        let Stored { kind, body, base } = stored;
        let (object, width) = match kind {
            0x00 => (true, 2),
            0x01 => (true, 4),
            0x02 => (false, 2),
            0x03 => (false, 4),
            other => return Err(DecodeError::unsupported(base, "JSON container", u64::from(other))),
        };
        let mut r = Reader::with_base(body, base);
        let left = r.uint_le(width)?;
        let size = r.uint_le(width)?;
        let at = r.offset();
        let body = usize::try_from(size)
            .ok()
            .and_then(|n| body.get(..n))
            .ok_or_else(|| DecodeError::invalid(at, "size of a JSON container"))?;
        let mut keys = Reader::with_base(body, base);
        keys.take(2 * width)?;
        let mut values = keys;
        if object {
            values.take_u64(left.saturating_mul(width as u64 + 2))?;
        }
        Ok(Self { body, base, width, object, left, keys, values })
    }

    pub(crate) fn is_object(&self) -> bool {
        self.object
    }

    /// The next element, with its key in an object.
    #[allow(clippy::type_complexity)]
    pub(crate) fn advance(&mut self) -> Result<Option<(Option<&'a [u8]>, Stored<'a>)>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let key = if self.object { Some(self.key()?) } else { None };
        Ok(Some((key, self.element()?)))
    }

    fn key(&mut self) -> Result<&'a [u8], DecodeError> {
        let at = self.keys.offset();
        let offset = self.keys.uint_le(self.width)?;
        let len = usize::from(self.keys.u16()?);
        slice_from(self.body, offset)
            .and_then(|b| b.get(..len))
            .ok_or_else(|| DecodeError::invalid(at, "JSON key"))
    }

    /// One value entry: the value itself when it fits, its offset otherwise.
    fn element(&mut self) -> Result<Stored<'a>, DecodeError> {
        let kind = self.values.u8()?;
        let at = self.values.offset();
        let raw = self.values.take(self.width)?;
        let inlined = matches!(kind, 0x04..=0x06) || (self.width == 4 && matches!(kind, 0x07 | 0x08));
        if inlined {
            return Ok(Stored { kind, body: raw, base: at });
        }
        let offset = raw.iter().rev().fold(0u64, |n, b| (n << 8) | u64::from(*b));
        // An offset into the header would let a container hold itself.
        let body = slice_from(self.body, offset)
            .filter(|_| offset >= 2 * self.width as u64)
            .ok_or_else(|| DecodeError::invalid(at, "offset of a JSON value"))?;
        Ok(Stored { kind, body, base: self.base + offset as usize })
    }
}

fn slice_from(body: &[u8], offset: u64) -> Option<&[u8]> {
    usize::try_from(offset).ok().and_then(|o| body.get(o..))
}
