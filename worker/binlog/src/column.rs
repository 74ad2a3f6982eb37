//! Column types as a table map states them.

use crate::error::DecodeError;
use crate::reader::Reader;

/// A column's storage type with the parameters its values are read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// NULL only.
    Null,
    /// TINYINT, 1 byte.
    Tiny,
    /// SMALLINT, 2 bytes.
    Short,
    /// MEDIUMINT, 3 bytes.
    Int24,
    /// INT, 4 bytes.
    Long,
    /// BIGINT, 8 bytes.
    LongLong,
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// DECIMAL.
    Decimal {
        /// All digits.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// YEAR.
    Year,
    /// DATE.
    Date,
    /// TIME before MySQL 5.6; MariaDB with `mysql56_temporal_format=OFF`. The fraction digits are
    /// told by the table's definition only.
    OldTime,
    /// DATETIME before MySQL 5.6, likewise.
    OldDateTime,
    /// TIMESTAMP before MySQL 5.6, likewise.
    OldTimestamp,
    /// TIME with `fsp` fraction digits.
    Time {
        /// 0 to 6.
        fsp: u8,
    },
    /// DATETIME with `fsp` fraction digits.
    DateTime {
        /// 0 to 6.
        fsp: u8,
    },
    /// TIMESTAMP with `fsp` fraction digits.
    Timestamp {
        /// 0 to 6.
        fsp: u8,
    },
    /// VARCHAR, VARBINARY.
    VarChar {
        /// Longest value in bytes.
        max_bytes: u16,
    },
    /// CHAR, BINARY; on MariaDB also UUID, INET4, INET6 in their stored bytes.
    Char {
        /// Longest value in bytes.
        max_bytes: u16,
    },
    /// BLOB and TEXT of all sizes.
    Blob {
        /// Bytes of the length prefix, 1 to 4.
        length_bytes: u8,
    },
    /// JSON of MySQL, in its binary form.
    Json {
        /// Bytes of the length prefix.
        length_bytes: u8,
    },
    /// GEOMETRY and its kinds: SRID and WKB.
    Geometry {
        /// Bytes of the length prefix.
        length_bytes: u8,
    },
    /// VECTOR of MySQL 9: little-endian floats.
    Vector {
        /// Bytes of the length prefix.
        length_bytes: u8,
    },
    /// BIT(n).
    Bit {
        /// 1 to 64.
        bits: u8,
    },
    /// ENUM.
    Enum {
        /// 1 or 2.
        bytes: u8,
    },
    /// SET.
    Set {
        /// 1 to 8.
        bytes: u8,
    },
    /// MariaDB VARCHAR .. COMPRESSED.
    VarCharCompressed {
        /// Longest value in bytes.
        max_bytes: u16,
    },
    /// MariaDB BLOB/TEXT .. COMPRESSED.
    BlobCompressed {
        /// Bytes of the length prefix.
        length_bytes: u8,
    },
}

impl ColumnType {
    /// Reads a type's metadata from the table map; returns the raw metadata too.
    pub(crate) fn read(type_code: u8, meta: &mut Reader<'_>) -> Result<(Self, u16), DecodeError> {
        let at = meta.offset();
        let invalid = |what| Err(DecodeError::invalid(at, what));
        let length_bytes = |m: &mut Reader<'_>| -> Result<u8, DecodeError> {
            match m.u8()? {
                n @ 1..=4 => Ok(n),
                _ => Err(DecodeError::invalid(at, "length of a blob's length")),
            }
        };
        let fsp = |m: &mut Reader<'_>| -> Result<u8, DecodeError> {
            match m.u8()? {
                n @ 0..=6 => Ok(n),
                _ => Err(DecodeError::invalid(at, "fraction digits")),
            }
        };
        let kind = match type_code {
            6 => Self::Null,
            1 => Self::Tiny,
            2 => Self::Short,
            9 => Self::Int24,
            3 => Self::Long,
            8 => Self::LongLong,
            4 => {
                return match meta.u8()? {
                    4 => Ok((Self::Float, 4)),
                    _ => invalid("size of FLOAT"),
                };
            }
            5 => {
                return match meta.u8()? {
                    8 => Ok((Self::Double, 8)),
                    _ => invalid("size of DOUBLE"),
                };
            }
            13 => Self::Year,
            10 | 14 => Self::Date,
            7 => Self::OldTimestamp,
            11 => Self::OldTime,
            12 => Self::OldDateTime,
            17 => return fsp(meta).map(|n| (Self::Timestamp { fsp: n }, u16::from(n))),
            18 => return fsp(meta).map(|n| (Self::DateTime { fsp: n }, u16::from(n))),
            19 => return fsp(meta).map(|n| (Self::Time { fsp: n }, u16::from(n))),
            15 => return meta.u16().map(|n| (Self::VarChar { max_bytes: n }, n)),
            141 => return meta.u16().map(|n| (Self::VarCharCompressed { max_bytes: n }, n)),
            16 => {
                let [odd, bytes] = meta.array::<2>()?;
                let bits = u32::from(bytes) * 8 + u32::from(odd);
                if odd > 7 || !(1..=64).contains(&bits) {
                    return invalid("size of BIT");
                }
                return Ok((Self::Bit { bits: bits as u8 }, u16::from_be_bytes([odd, bytes])));
            }
            246 => {
                let [precision, scale] = meta.array::<2>()?;
                if precision == 0 || precision > 65 || scale > precision {
                    return invalid("precision of DECIMAL");
                }
                return Ok((Self::Decimal { precision, scale }, u16::from_be_bytes([precision, scale])));
            }
            249..=252 => return length_bytes(meta).map(|n| (Self::Blob { length_bytes: n }, u16::from(n))),
            140 => {
                return length_bytes(meta).map(|n| (Self::BlobCompressed { length_bytes: n }, u16::from(n)));
            }
            245 => return length_bytes(meta).map(|n| (Self::Json { length_bytes: n }, u16::from(n))),
            255 => return length_bytes(meta).map(|n| (Self::Geometry { length_bytes: n }, u16::from(n))),
            242 => return length_bytes(meta).map(|n| (Self::Vector { length_bytes: n }, u16::from(n))),
            247 | 248 | 253 | 254 => {
                let [real, low] = meta.array::<2>()?;
                let raw = u16::from_be_bytes([real, low]);
                // Lengths above 255 hide their upper two bits, inverted, in the type byte (bug 37426).
                let (real, len) = if real & 0x30 == 0x30 {
                    (real, u16::from(low))
                } else {
                    (real | 0x30, u16::from(low) | (u16::from((real & 0x30) ^ 0x30) << 4))
                };
                return match real {
                    247 if matches!(low, 1 | 2) => Ok((Self::Enum { bytes: low }, raw)),
                    248 if matches!(low, 1..=8) => Ok((Self::Set { bytes: low }, raw)),
                    253 | 254 => Ok((Self::Char { max_bytes: len }, raw)),
                    _ => invalid("string type"),
                };
            }
            other => return Err(DecodeError::unsupported(at, "column type", u64::from(other))),
        };
        Ok((kind, 0))
    }

    /// Whether the type takes part in the SIGNEDNESS field of the table map.
    pub(crate) fn is_numeric(self) -> bool {
        matches!(
            self,
            Self::Tiny
                | Self::Short
                | Self::Int24
                | Self::Long
                | Self::LongLong
                | Self::Float
                | Self::Double
                | Self::Decimal { .. }
                | Self::Year
        )
    }

    /// Whether the type takes part in the charset fields of the table map.
    pub(crate) fn is_character(self) -> bool {
        matches!(
            self,
            Self::VarChar { .. }
                | Self::Char { .. }
                | Self::Blob { .. }
                | Self::VarCharCompressed { .. }
                | Self::BlobCompressed { .. }
        )
    }

    /// Whether the type is ENUM or SET.
    pub(crate) fn is_enum_or_set(self) -> bool {
        matches!(self, Self::Enum { .. } | Self::Set { .. })
    }
}

/// One column of a table map. What the server did not send is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMeta {
    /// The type code as sent (ENUM, SET and CHAR all come as 254: see `kind`).
    pub type_code: u8,
    /// The type's metadata as sent; two-byte metadata is VARCHAR's little-endian number, otherwise
    /// first byte high, second low.
    pub meta: u16,
    /// The real type and its parameters.
    pub kind: ColumnType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// UNSIGNED, of numeric columns (MySQL always; MariaDB from `binlog_row_metadata=MINIMAL`).
    pub unsigned: Option<bool>,
    /// Collation id of character, ENUM and SET columns (likewise).
    pub charset: Option<u16>,
    /// Name (with `binlog_row_metadata=FULL`).
    pub name: Option<Box<[u8]>>,
    /// Labels of ENUM and SET, in the column's charset (FULL).
    pub labels: Option<Box<[Box<[u8]>]>>,
    /// Geometry kind: 0 GEOMETRY, 1 POINT, 2 LINESTRING, ... (MINIMAL on MySQL).
    pub geometry_type: Option<u16>,
    /// Whether the column is visible (FULL, MySQL).
    pub visible: Option<bool>,
    /// Dimensions of a VECTOR (FULL, MySQL 9).
    pub vector_dimensions: Option<u32>,
}
