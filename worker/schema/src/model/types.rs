//! Column types.

/// Families of column types, as the binlog distinguishes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum TypeKind {
    TinyInt,
    SmallInt,
    MediumInt,
    Int,
    BigInt,
    Decimal,
    Float,
    Double,
    Bit,
    Year,
    Date,
    Time,
    DateTime,
    Timestamp,
    Char,
    VarChar,
    Binary,
    VarBinary,
    TinyBlob,
    Blob,
    MediumBlob,
    LongBlob,
    TinyText,
    Text,
    MediumText,
    LongText,
    Enum,
    Set,
    /// JSON; on MariaDB an alias of LONGTEXT.
    Json,
    /// Any spatial type.
    Geometry,
    Vector,
    Inet4,
    Inet6,
    Uuid,
    /// MariaDB's XMLTYPE, a LONGTEXT.
    Xml,
}

impl TypeKind {
    /// TINYINT to BIGINT.
    pub fn is_integer(self) -> bool {
        use TypeKind::*;
        matches!(self, TinyInt | SmallInt | MediumInt | Int | BigInt)
    }

    /// Character strings: a charset applies to the stored bytes.
    pub fn is_text(self) -> bool {
        use TypeKind::*;
        matches!(self, Char | VarChar | TinyText | Text | MediumText | LongText | Xml)
    }

    /// The TEXT family, whose sizes are families of their own.
    pub(super) fn is_sized_text(self) -> bool {
        use TypeKind::*;
        matches!(self, TinyText | Text | MediumText | LongText)
    }

    /// The family that holds as many characters in another charset; the servers change the TEXT types so.
    pub(super) fn converted(self, old_longest: u64, new_longest: u64) -> TypeKind {
        use TypeKind::*;
        let bytes: u64 = match self {
            TinyText => 0xff,
            Text => 0xffff,
            MediumText => 0xff_ffff,
            _ => return self,
        };
        if new_longest <= old_longest { self } else { Self::by_size(bytes / old_longest * new_longest, true) }
    }

    /// A charset is part of the definition (strings, ENUM, SET).
    pub fn has_charset(self) -> bool {
        self.is_text() || matches!(self, TypeKind::Enum | TypeKind::Set)
    }

    /// Byte strings.
    pub fn is_binary(self) -> bool {
        use TypeKind::*;
        matches!(self, Binary | VarBinary | TinyBlob | Blob | MediumBlob | LongBlob)
    }

    /// FLOAT and DOUBLE.
    pub fn is_float(self) -> bool {
        matches!(self, TypeKind::Float | TypeKind::Double)
    }

    /// Bytes the family can hold, for the TEXT and BLOB sizes.
    pub(super) fn by_size(length: u64, text: bool) -> TypeKind {
        use TypeKind::*;
        match (length, text) {
            (0..=0xff, true) => TinyText,
            (0x100..=0xffff, true) => Text,
            (0x1_0000..=0xff_ffff, true) => MediumText,
            (_, true) => LongText,
            (0..=0xff, false) => TinyBlob,
            (0x100..=0xffff, false) => Blob,
            (0x1_0000..=0xff_ffff, false) => MediumBlob,
            (_, false) => LongBlob,
        }
    }
}

/// A column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    /// Family.
    pub kind: TypeKind,
    /// First number in parentheses: characters, bytes, digits, bits, or fractional digits of a time.
    pub length: Option<u32>,
    /// Second number: digits after the point.
    pub decimals: Option<u32>,
    /// UNSIGNED (ZEROFILL implies it).
    pub unsigned: bool,
    /// Members of ENUM and SET, in order.
    pub labels: Vec<String>,
}

impl ColumnType {
    /// A type without parameters.
    pub fn plain(kind: TypeKind) -> Self {
        ColumnType { kind, length: None, decimals: None, unsigned: false, labels: Vec::new() }
    }
}
