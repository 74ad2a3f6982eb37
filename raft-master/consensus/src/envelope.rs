//! The checksummed envelope around every value in the store: `[format u8][CRC-32 of key, format, body][body]`.
//!
//! The key is part of the checksum, so a value that turns up under another key is found too.

/// The only format so far: the body is a message of `peer.proto`, or a part of one.
const FORMAT: u8 = 1;
const OVERHEAD: usize = 5;

/// Why a stored value cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Shorter than an envelope.
    #[error("value too short")]
    Short,
    /// Bits changed.
    #[error("checksum does not match")]
    Checksum,
    /// Intact, but of a format this version does not know.
    #[error("value of format {0}, which this version does not know")]
    Format(u8),
}

fn checksum(key: &[u8], format: u8, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(&[format]);
    hasher.update(body);
    hasher.finalize()
}

/// Wraps `body` for storage under `key`.
pub fn seal(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(OVERHEAD + body.len());
    value.push(FORMAT);
    value.extend_from_slice(&checksum(key, FORMAT, body).to_be_bytes());
    value.extend_from_slice(body);
    value
}

/// The body of a value found under `key`.
pub fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], Damage> {
    let (head, body) = value.split_at_checked(OVERHEAD).ok_or(Damage::Short)?;
    let [format, crc @ ..] = head else { return Err(Damage::Short) };
    if crc != checksum(key, *format, body).to_be_bytes() {
        return Err(Damage::Checksum);
    }
    match *format {
        FORMAT => Ok(body),
        other => Err(Damage::Format(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_single_bit_flip_is_found() {
        let value = seal(b"key", b"some body");
        assert_eq!(open(b"key", &value), Ok(&b"some body"[..]));
        assert_eq!(open(b"kez", &value), Err(Damage::Checksum));
        for bit in 0..value.len() * 8 {
            let mut bad = value.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open(b"key", &bad).is_err(), "bit {bit}");
        }
        assert_eq!(open(b"key", &value[..4]), Err(Damage::Short));
    }
}
