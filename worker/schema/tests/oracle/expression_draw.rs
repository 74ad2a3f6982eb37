//! Expressions that compute, drawn.

const NUMBERS: [&str; 17] = [
    "i",
    "u",
    "b",
    "dc",
    "f",
    "db",
    "0",
    "1",
    "-1",
    "2",
    "3",
    "127",
    "0.5",
    "-1.5",
    "9223372036854775807",
    "10",
    "TRUE",
];
const STRINGS: [&str; 10] = ["s9", "sg", "su", "sb", "sn", "ch", "tx", "l1", "lb", "vb"];
const TEXTS: [&str; 9] = ["'a'", "'A'", "''", "'a '", "'ab'", "'1'", "'b'", "'a-b'", "'é'"];
const OPERATORS: [&str; 7] = ["=", "<>", "<", "<=", ">", ">=", "<=>"];

/// Draws expressions, the same ones in each run.
pub struct Draw(u64);

impl Draw {
    pub fn new() -> Self {
        Self(20_251_126)
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn of(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len())]
    }

    pub fn condition(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 4 } else { 6 }) {
            0 | 1 => format!("{} {} {}", self.number(depth), self.of(&OPERATORS), self.number(depth.min(1))),
            2 => format!("{} {} {}", self.string(depth), self.of(&OPERATORS), self.of(&TEXTS)),
            3 => format!("{} IN ({}, {})", self.call(depth), self.below(5), self.below(130)),
            4 => format!("({} AND {})", self.condition(depth - 1), self.condition(depth - 1)),
            _ => format!("({} OR {})", self.condition(depth - 1), self.condition(depth - 1)),
        }
    }

    fn number(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 1 } else { 3 }) {
            0 => self.of(&NUMBERS).to_owned(),
            1 => {
                let operator = self.of(&["+", "-", "*", "DIV", "%", "MOD"]);
                format!("({} {operator} {})", self.number(depth - 1), self.number(depth - 1))
            }
            _ => self.call(depth),
        }
    }

    fn call(&mut self, depth: usize) -> String {
        let depth = depth.saturating_sub(1);
        match self.below(14) {
            0 => format!("ABS({})", self.number(depth)),
            1 => format!("MOD({}, {})", self.number(depth), self.number(depth)),
            2 => format!("IFNULL({}, {})", self.number(depth), self.number(depth)),
            3 => format!("COALESCE({}, {}, 1)", self.number(depth), self.number(depth)),
            4 => format!("IF({}, {}, {})", self.condition(0), self.number(depth), self.number(depth)),
            5 => format!("NULLIF({}, {})", self.number(depth), self.number(depth)),
            6 => format!("GREATEST({}, {})", self.number(depth), self.number(depth)),
            7 => format!("LEAST({}, {})", self.number(depth), self.number(depth)),
            8 => format!("FLOOR({})", self.number(depth)),
            9 => format!("CEIL({})", self.number(depth)),
            10 => format!("ROUND({}, {})", self.number(depth), self.below(4)),
            11 => format!("-{}", self.number(depth)),
            12 => format!("LENGTH({})", self.string(depth)),
            _ => format!("CHAR_LENGTH({})", self.string(depth)),
        }
    }

    fn string(&mut self, depth: usize) -> String {
        let of = if depth == 0 { self.of(&STRINGS).to_owned() } else { self.string(depth - 1) };
        match self.below(9) {
            0 => format!("LOWER({of})"),
            1 => format!("UPPER({of})"),
            2 => format!("TRIM({of})"),
            3 => format!("LTRIM({of})"),
            4 => format!("LEFT({of}, {})", self.below(4)),
            5 => format!("RIGHT({of}, {})", self.below(4)),
            6 => format!("SUBSTRING({of}, {})", self.below(7) as i64 - 3),
            7 => format!("SUBSTRING({of}, {}, {})", self.below(7) as i64 - 3, self.below(4)),
            _ => format!("CONCAT({of}, {})", self.of(&TEXTS)),
        }
    }
}
