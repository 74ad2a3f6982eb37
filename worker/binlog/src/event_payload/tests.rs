use super::*;
use crate::rows::RowsKind;

fn event(type_code: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0; HEADER_LEN];
    out[4] = type_code;
    out[9..13].copy_from_slice(&((HEADER_LEN + body.len()) as u32).to_le_bytes());
    out.extend_from_slice(body);
    out
}

/// A table of one INT, two rows of it, a commit.
fn transaction() -> Vec<Vec<u8>> {
    let map = [&[7, 0, 0, 0, 0, 0, 1, 0, 1, b's', 0, 1, b't', 0, 1, 3, 0, 1][..]].concat();
    let rows = [&[7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 1][..], &[0, 1, 0, 0, 0, 0, 2, 0, 0, 0]].concat();
    vec![event(code::TABLE_MAP, &map), event(code::WRITE_ROWS, &rows), event(code::XID, &[9; 8])]
}

fn zstd(data: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest)
}

fn payload(compression: u64, uncompressed_size: usize, data: &[u8]) -> PayloadEvent<'_> {
    let uncompressed_size = uncompressed_size as u64;
    PayloadEvent { compression, uncompressed_size, checksum: ChecksumAlgorithm::Crc32, data }
}

fn outer() -> EventHeader {
    let mut header = EventHeader::parse(&[0; HEADER_LEN]).unwrap();
    header.log_pos = 777;
    header
}

/// Types of the events inside, and their bytes.
fn walk(payload: &PayloadEvent<'_>) -> Result<(Vec<u8>, Vec<Vec<u8>>), DecodeError> {
    let mut reader = payload.reader(&outer(), 1 << 20)?;
    let (mut types, mut raws) = (Vec::new(), Vec::new());
    while let Some(item) = reader.advance()? {
        types.push(item.header.type_code);
        raws.push(item.raw.to_vec());
        if let Event::Rows(rows) = &item.event {
            assert_eq!(rows.kind, RowsKind::Write);
            assert_eq!(rows.rows(&[]).map(Result::unwrap).count(), 2);
        }
    }
    Ok((types, raws))
}

/// The crates append four bytes of nothing as a checksum and leave the position 0.
#[test]
fn events_inside_are_what_the_stream_would_have_sent() {
    let plain = transaction().concat();
    let packed = zstd(&plain);
    let expected = [code::TABLE_MAP, code::WRITE_ROWS, code::XID];
    for payload in [
        payload(ZSTD, plain.len(), &packed),
        payload(NONE, 0, &plain),
        payload(NONE, plain.len(), &plain),
        PayloadEvent { checksum: ChecksumAlgorithm::None, ..payload(ZSTD, plain.len(), &packed) },
    ] {
        let (types, raws) = walk(&payload).unwrap();
        assert_eq!(types, expected);
        // A decoder of the stream reads them as they are: the checksum fits, or there is none.
        let mut stream = Decoder::new(Flavor::MySql);
        stream.decode(&format(payload.checksum)).unwrap();
        for raw in &raws {
            let (header, _) = stream.decode(raw).unwrap();
            assert_eq!(header.next_position(), Some(777));
        }
    }
}

fn format(checksum: ChecksumAlgorithm) -> Vec<u8> {
    let mut body = vec![4, 0];
    body.extend_from_slice(&[0; 54]);
    body.push(19);
    body.extend_from_slice(&[0; 18]);
    body.extend_from_slice(&[8, u8::from(checksum == ChecksumAlgorithm::Crc32)]);
    let mut out = event(code::FORMAT_DESCRIPTION, &body);
    let size = out.len() as u32 + 4;
    out[9..13].copy_from_slice(&size.to_le_bytes());
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

#[test]
fn several_frames_are_one_payload() {
    let parts = transaction();
    let packed = parts.iter().flat_map(|p| zstd(p)).collect::<Vec<_>>();
    let (types, _) = walk(&payload(ZSTD, parts.concat().len(), &packed)).unwrap();
    assert_eq!(types.len(), 3);
}

/// The crates drop the whole transaction without a word.
#[test]
fn no_error_inside_is_lost() {
    let plain = transaction().concat();
    let packed = zstd(&plain);
    for cut in 0..packed.len() {
        assert!(walk(&payload(ZSTD, plain.len(), &packed[..cut])).is_err(), "cut at {cut}");
    }
    for cut in 1..plain.len() {
        assert!(walk(&payload(NONE, plain.len(), &plain[..cut])).is_err(), "cut at {cut}");
    }
    for size in [0, 1, plain.len() - 1, plain.len() + 1, usize::MAX >> 1] {
        assert!(walk(&payload(ZSTD, size, &packed)).is_err(), "size {size}");
    }
    assert!(walk(&payload(ZSTD, plain.len(), &plain)).is_err(), "not compressed at all");
    assert!(walk(&payload(7, plain.len(), &plain)).is_err(), "unknown compression");
    let mut damaged = transaction();
    damaged[1].truncate(30);
    damaged[1][9] = 30;
    let damaged = damaged.concat();
    assert!(walk(&payload(NONE, 0, &damaged)).is_err(), "a damaged event inside");
    for type_code in [code::ROTATE, code::FORMAT_DESCRIPTION, code::TRANSACTION_PAYLOAD, code::GTID] {
        assert!(walk(&payload(NONE, 0, &event(type_code, &[1; 40]))).is_err(), "type {type_code} inside");
    }
}

#[test]
fn a_bomb_stays_small() {
    // 64 MiB of zeros in a few KiB, as one event larger than the limit, and as an event that ends early.
    let mut bomb = event(code::WRITE_ROWS, &[]);
    bomb.resize(64 << 20, 0);
    let size = bomb.len();
    bomb[9..13].copy_from_slice(&(size as u32).to_le_bytes());
    let packed = zstd(&bomb);
    assert!(packed.len() < 1 << 20);
    let payload_too_large = payload(ZSTD, size, &packed);
    let mut reader = payload_too_large.reader(&outer(), 1 << 20).unwrap();
    let error = reader.advance().unwrap_err();
    assert!(matches!(error.kind, DecodeErrorKind::TooLarge { .. }), "{error}");
    assert!(reader.buffer.capacity() < 1 << 16, "{}", reader.buffer.capacity());
    // It says less than it holds.
    let mut bomb = transaction().concat();
    let said = bomb.len();
    bomb.resize(64 << 20, 0);
    let packed = zstd(&bomb);
    let lying = payload(ZSTD, said, &packed);
    let mut reader = lying.reader(&outer(), 1 << 20).unwrap();
    for _ in 0..3 {
        reader.advance().unwrap();
    }
    assert!(reader.advance().unwrap_err().to_string().contains("more than it says"));
    assert!(reader.buffer.capacity() < 1 << 16);
}
