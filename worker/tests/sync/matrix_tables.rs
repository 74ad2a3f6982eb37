//! Every column type with edge values.
use dm_tests::Flavor;

/// Name, columns without the key, and rows as SET lists; what a list leaves out is NULL.
pub type TypeTable = (&'static str, &'static str, &'static [&'static str]);

const BOTH: &[TypeTable] = &[
    (
        "ints",
        "a TINYINT, au TINYINT UNSIGNED, b SMALLINT, bu SMALLINT UNSIGNED, c MEDIUMINT, cu MEDIUMINT UNSIGNED, d INT, \
         du INT UNSIGNED, e BIGINT, eu BIGINT UNSIGNED, z INT(8) UNSIGNED ZEROFILL",
        &[
            "a=-128, au=255, b=-32768, bu=65535, c=-8388608, cu=16777215, d=-2147483648, du=4294967295, \
             e=-9223372036854775808, eu=18446744073709551615, z=7",
            "a=127, au=128, b=32767, bu=32768, c=8388607, cu=8388608, d=2147483647, du=2147483648, \
             e=9223372036854775807, eu=9223372036854775808",
            "a=0, au=0, b=-1, bu=0, c=-1, cu=0, d=-1, du=0, e=-1, eu=0",
        ],
    ),
    (
        "numbers",
        "a DECIMAL(65,30), b DECIMAL(65,0), c DECIMAL(30,30), d DECIMAL(9,2) UNSIGNED, f FLOAT, g DOUBLE, h FLOAT(7,3)",
        &[
            "a=-99999999999999999999999999999999999.999999999999999999999999999999, b=REPEAT('9', 65), \
             c=0.000000000000000000000000000001, d=9999999.99, f=3.4028235e38, g=1.7976931348623157e308, h=9999.999",
            "a=0.1, b=-1, c=-0.999999999999999999999999999999, d=0, f=0.1, g=0.1, h=-0.001",
            "f=1.17549435e-38, g=2.2250738585072014e-308",
            "f=16777217, g=9007199254740993",
        ],
    ),
    (
        "bits",
        "a BIT(1), b BIT(7), c BIT(8), d BIT(9), e BIT(33), f BIT(63), g BIT(64)",
        &[
            "a=1, b=127, c=255, d=511, e=8589934591, f=9223372036854775807, g=18446744073709551615",
            "a=0, b=64, c=128, d=256, e=1, f=0, g=9223372036854775808",
            "a=b'1', b=39, c=92, d=10, e=0, f=34, g=0",
        ],
    ),
    (
        "times",
        "y YEAR, d DATE, t TIME, t1 TIME(1), t6 TIME(6), dt DATETIME, dt3 DATETIME(3), dt6 DATETIME(6), \
         ts TIMESTAMP NULL, ts2 TIMESTAMP(2) NULL, ts6 TIMESTAMP(6) NULL, \
         n TIMESTAMP(3) NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP(3)",
        &[
            "y=0, d='0000-00-00', t='00:00:00', dt='0000-00-00', ts='0000-00-00', ts6='0000-00-00'",
            "y=1901, d='1000-01-01', t='-838:59:59', t1='-838:59:58.9', t6='-00:00:00.000001', dt='1000-01-01', \
             dt3='2020-00-00 01:02:03.004', dt6='0000-00-00 00:00:00.000001', ts='1971-01-01', ts2='1970-06-01 01:02:03.99'",
            "y=2155, d='9999-12-31', t='838:59:59', t1='00:00:00.1', t6='838:59:58.999999', dt='9999-12-31 23:59:59', \
             dt3='9999-12-31 23:59:59.999', dt6='9999-12-31 23:59:59.999999', ts='2038-01-18', ts2='2038-01-18 03:14:07.99', \
             ts6='2038-01-18 03:14:07.999999'",
            "d='2020-02-31', dt='2021-02-29 25:00:00' - INTERVAL 0 DAY, ts='2024-03-31 02:30:00', n='2001-02-03 04:05:06.789'",
        ],
    ),
    (
        "texts",
        "a CHAR(10) CHARACTER SET utf8mb4, b VARCHAR(60) CHARACTER SET utf8mb4, c VARCHAR(60) CHARACTER SET latin1, \
         d VARCHAR(60) CHARACTER SET gbk, e TEXT CHARACTER SET gbk, f TINYTEXT CHARACTER SET latin1, \
         g MEDIUMTEXT CHARACTER SET utf8mb4, h LONGTEXT CHARACTER SET latin1, i VARCHAR(20) CHARACTER SET ascii, \
         j VARCHAR(60) CHARACTER SET utf8, k BINARY(8), l VARBINARY(300), m TINYBLOB, o BLOB, p MEDIUMBLOB, q LONGBLOB",
        &[
            "a='', b='', c='', d='', e='', f='', g='', h='', i='', j='', k='', l='', m='', o='', p='', q=''",
            "a='ab  ', b=_utf8mb4 X'27F09F9880205C0A0D00091A22C3A92020', c=_latin1 X'E95C278020', d=_gbk X'B0A1815C275C', \
             e=_gbk X'815C', f=REPEAT(_latin1 X'E9', 255), g=REPEAT(_utf8mb4 X'F09F9880', 5000), h=REPEAT(_latin1 X'5C', 70000), \
             i='~\\\\', j=_utf8mb4 X'E282AC'",
            "k=X'0100000000000000', l=X'00FF2722005C1A0A0D', m=X'00', o=REPEAT(X'0027', 30000), p=REPEAT('z', 70000), \
             q=REPEAT(X'FF', 70000)",
            "k=X'FFFFFFFFFFFFFFFF', l=REPEAT(X'20', 300), a='A', b='\u{df}', j='ss'",
            "a='a', b='SS', c='x ', j='\u{df}', k='a'",
        ],
    ),
    (
        "lists",
        "e ENUM('x','y','it''s','\u{e9}') CHARACTER SET utf8mb4, l ENUM('\u{e9}','b\\\\','') CHARACTER SET latin1, \
         s SET('a','b','c','d e') CHARACTER SET utf8mb4, \
         w SET('01','02','03','04','05','06','07','08','09','10','11','12','13','14','15','16','17','18','19','20','21','22',\
         '23','24','25','26','27','28','29','30','31','32','33','34','35','36','37','38','39','40','41','42','43','44','45',\
         '46','47','48','49','50','51','52','53','54','55','56','57','58','59','60','61','62','63','64')",
        &[
            "e='it''s', l='b\\\\', s='a,d e', w='01,64'",
            "e='\u{e9}', l='\u{e9}', s='', w=18446744073709551615",
            "e='x', l='', s='c', w=9223372036854775808",
        ],
    ),
    (
        "docs",
        "j JSON, g GEOMETRY, p POINT, o POLYGON, c GEOMETRYCOLLECTION",
        &[
            "j='{\"b\": [1, -2.5, true, null, \"\u{e9}\\\\n\\\\\"\"], \"a\": {}}', g=ST_GeomFromText('POINT(1 -2)'), \
             p=ST_GeomFromText('POINT(1e300 -2.5e-300)'), o=ST_GeomFromText('POLYGON((0 0,0 3,3 3,0 0),(1 1,1 2,2 2,1 1))')",
            "j='[]', g=ST_GeomFromText('LINESTRING(0 0,1 1)'), \
             c=ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')",
            "j='\"text\"', g=ST_GeomFromText('MULTIPOLYGON(((0 0,0 3,3 3,0 0)))')",
            "j='18446744073709551615', g=ST_GeomFromText('MULTIPOINT(0 0,1 1)')",
            "j='{\"deep\": [[[[{\"x\": \"\u{1f600}\"}]]]], \"n\": -9223372036854775808}'",
        ],
    ),
    (
        "computed",
        "a INT, v INT GENERATED ALWAYS AS (a + 1) VIRTUAL, s VARCHAR(20) GENERATED ALWAYS AS (CONCAT('s', a)) STORED, \
         h INT INVISIBLE, hv INT GENERATED ALWAYS AS (a * 2) VIRTUAL INVISIBLE, b INT",
        &["a=1, h=2, b=3", "a=-1", "h=9"],
    ),
];

const MARIADB: &[TypeTable] = &[(
    "maria",
    "u UUID, i INET6, f INET4, t VARCHAR(100) COMPRESSED, b BLOB COMPRESSED",
    &[
        "u='123e4567-e89b-12d3-a456-426655440000', i='2001:db8::ff00:42:8329', f='255.0.0.1', t=REPEAT('a', 100), \
         b=REPEAT('x', 5000)",
        "u='ffffffff-ffff-ffff-ffff-ffffffffffff', i='::', f='0.0.0.0', t='', b=''",
        "u='00000000-0000-0000-0000-000000000000', i='::ffff:1.2.3.4', t='\u{e9}'",
    ],
)];

const MYSQL: &[TypeTable] = &[(
    "vectors",
    "v VECTOR(3), w VECTOR, j JSON, s GEOMETRY SRID 4326, p POINT SRID 0",
    &[
        "v=STRING_TO_VECTOR('[1,-2.5,3.4e38]'), w=STRING_TO_VECTOR('[0]'), \
         j=JSON_OBJECT('t', CAST('2024-02-29 01:02:03.000004' AS DATETIME(6)), 'd', CAST(1.50 AS DECIMAL(5,2)), 'b', CAST(X'00FF' AS BINARY)), \
         s=ST_GeomFromText('POINT(10 20)', 4326), p=ST_GeomFromText('POINT(1 2)')",
        "v=STRING_TO_VECTOR('[0,0,0]'), j=CAST(TIME'-12:34:56.5' AS JSON)",
        "j='{\"e\": 1e300, \"z\": 0.1, \"i\": 1}'",
    ],
)];

/// What the source can make and the target can hold.
pub fn tables(source: Flavor, target: Flavor) -> Vec<TypeTable> {
    let own = match source {
        _ if source != target => &[][..],
        Flavor::MySql => MYSQL,
        Flavor::MariaDb => MARIADB,
    };
    BOTH.iter().chain(own).copied().collect()
}
