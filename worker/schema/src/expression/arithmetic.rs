//! Numbers computed of numbers, with the limits of the servers' types.
use super::number::Exact;
use super::scalar::{DAMAGED, Scalar};
use super::tree::Arithmetic;

/// How the servers compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In BIGINT, or BIGINT UNSIGNED.
    Int {
        unsigned: bool,
    },
    /// In DECIMAL, with so many digits behind the point on each side (as many on both but for products); all fit.
    Decimal {
        scales: [usize; 2],
    },
    Double,
}

const RANGE: &str =
    "the result is out of the range of BIGINT (or BIGINT UNSIGNED), which is an error at the source too";
const DOUBLE_RANGE: &str = "the result is out of the range of DOUBLE, which is an error at the source too";
const NEGATIVE_ZERO: &str = "MariaDB has a DECIMAL below zero for it, MySQL zero";
const DIGITS: &str = "the result has too many digits";

type Value = Result<Scalar<'static>, &'static str>;

/// One result of two numbers, none of which is NULL.
pub(super) fn compute(what: Arithmetic, form: Form, a: &Scalar<'_>, b: &Scalar<'_>) -> Value {
    match form {
        Form::Int { unsigned } => {
            match whole(what, units(a, 0)?, units(b, 0)?)? {
                // (MySQL 9.7 takes the least BIGINT for out of range there.)
                Some(n) if what == Arithmetic::Divide && n == i128::from(i64::MIN) => Err(RANGE),
                Some(n) => in_range(n, unsigned),
                None => Ok(Scalar::Null),
            }
        }
        Form::Decimal { scales: [scale, other] } => {
            let (a, b) = (units(a, scale)?, units(b, other)?);
            let Some(n) = whole(what, a, b)? else { return Ok(Scalar::Null) };
            if what == Arithmetic::Remainder && n == 0 && a < 0 {
                return Err(NEGATIVE_ZERO);
            }
            let scale = if what == Arithmetic::Multiply { scale + other } else { scale };
            decimal(n, scale)
        }
        Form::Double => {
            let (a, b) = (a.double()?, b.double()?);
            double(match what {
                Arithmetic::Add => a + b,
                Arithmetic::Subtract => a - b,
                Arithmetic::Multiply => a * b,
                Arithmetic::Remainder if b == 0.0 => return Ok(Scalar::Null),
                Arithmetic::Remainder => a % b,
                Arithmetic::Divide => return Err(DAMAGED),
            })
        }
    }
}

/// NULL for a division by zero.
fn whole(what: Arithmetic, a: i128, b: i128) -> Result<Option<i128>, &'static str> {
    let result = match what {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        Arithmetic::Divide | Arithmetic::Remainder if b == 0 => return Ok(None),
        Arithmetic::Divide => a.checked_div(b),
        Arithmetic::Remainder => a.checked_rem(b),
    };
    result.map(Some).ok_or(RANGE)
}

fn units(of: &Scalar<'_>, scale: usize) -> Result<i128, &'static str> {
    match of {
        Scalar::Int(n) if scale == 0 => Ok(*n),
        other => other.exact()?.units(scale).ok_or(DIGITS),
    }
}

fn in_range(n: i128, unsigned: bool) -> Value {
    let fits = if unsigned { u64::try_from(n).is_ok() } else { i64::try_from(n).is_ok() };
    if fits { Ok(Scalar::Int(n)) } else { Err(RANGE) }
}

fn decimal(units: i128, scale: usize) -> Value {
    // Zeros at the end are no digits of the value.
    let (mut units, mut scale) = (units, scale);
    while scale > 0 && units % 10 == 0 {
        (units, scale) = (units / 10, scale - 1);
    }
    Exact::of_units(units, scale).map(Scalar::Exact).ok_or(DIGITS)
}

fn double(x: f64) -> Value {
    if x.is_finite() { Ok(Scalar::Double(x)) } else { Err(DOUBLE_RANGE) }
}

/// Of a number that is not NULL.
pub(super) fn absolute(form: Form, of: &Scalar<'_>) -> Value {
    match form {
        Form::Int { unsigned } => in_range(units(of, 0)?.abs(), unsigned),
        Form::Decimal { .. } => Ok(Scalar::Exact(of.exact()?.absolute())),
        Form::Double => double(of.double()?.abs()),
    }
}

/// Where digits behind the point go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    Down,
    Up,
    /// To the nearest with so many digits; a half goes away from zero.
    Nearest(usize),
}

/// Of an exact number of at most 38 digits that is not NULL.
pub(super) fn rounded(how: Rounding, of: &Scalar<'_>) -> Value {
    let n = of.exact()?;
    let scale = n.scale();
    let kept = if let Rounding::Nearest(digits) = how { digits } else { 0 };
    let units = n.units(scale).ok_or(DIGITS)?;
    let Some(dropped) = scale.checked_sub(kept).filter(|d| *d > 0) else { return decimal(units, scale) };
    let unit = u32::try_from(dropped).ok().and_then(|d| 10_i128.checked_pow(d)).ok_or(DIGITS)?;
    let down = units.div_euclid(unit);
    let rest = units.rem_euclid(unit);
    let up = match how {
        Rounding::Down => false,
        Rounding::Up => rest > 0,
        Rounding::Nearest(_) => {
            let other = unit - rest;
            rest > other || rest == other && !n.is_negative()
        }
    };
    decimal(if up { down + 1 } else { down }, kept)
}
