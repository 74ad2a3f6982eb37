//! Positions of 64 bits: events say only the lower 32 of where they end, and one large transaction can make a file of any
//! size.
use dm_binlog::EventHeader;

/// Beyond this, positions in events have wrapped, and can't be asked for.
pub const REACH: u64 = u32::MAX as u64;

/// The first position from `from` on that ends in these bits.
pub fn onward(from: u64, bits: u32) -> u64 {
    from + u64::from(bits.wrapping_sub(from as u32))
}

/// The last position up to `end` that ends in these bits: of an event in a transaction that ends there, which is less than
/// 4 GiB long.
pub fn back(end: u64, bits: u32) -> u64 {
    end.saturating_sub(u64::from((end as u32).wrapping_sub(bits)))
}

/// Lower bits of where an event ends, which `here` should be its begin; `None` where it does not say so.
pub fn end_bits(header: &EventHeader, here: u64) -> Option<u32> {
    // Just where the bits are all zero, the end looks like none.
    let wraps = || (here as u32).wrapping_add(header.event_size) == 0 && !header.is_artificial();
    header.next_position().or_else(|| (here > 4 && wraps()).then_some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_go_on_behind_4_gib() {
        const G4: u64 = 1 << 32;
        for (from, bits, end) in [
            (4, 100, 100),
            (100, 100, 100),
            (G4 - 10, 20, G4 + 20),
            (G4 + 20, 60, G4 + 60),
            (G4 - 10, 0, G4),
            (3 * G4 + 7, 6, 4 * G4 + 6),
        ] {
            assert_eq!(onward(from, bits), end, "{from} {bits}");
            assert_eq!(back(end, from as u32), if end - from < G4 { from } else { from + G4 });
        }
        let header = |log_pos, flags| EventHeader {
            timestamp: 1,
            type_code: 16,
            server_id: 1,
            event_size: 40,
            log_pos,
            flags,
        };
        assert_eq!(end_bits(&header(7, 0), 100), Some(7));
        assert_eq!(end_bits(&header(0, 0), G4 - 40), Some(0));
        assert_eq!(end_bits(&header(0, 0x20), G4 - 40), None, "an artificial one");
        assert_eq!(end_bits(&header(0, 0), G4 - 41), None);
    }
}
