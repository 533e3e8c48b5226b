//! What a JSON number amounts to, found from its digits: to make a float of one takes microseconds for some, and a
//! request can hold many. Does not know what numbers are for.

/// The digits of the largest 64-bit float that every reader and writer preserves.
const FLOAT_MAX: &[u8] = b"17976931348623157";
/// How many digits it has before its point.
const FLOAT_MAX_DIGITS: i64 = 309;
/// How many digits a whole number may have here.
const WHOLE_DIGITS_MAX: i64 = 18;

/// A number: digits, and where its point is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal<'a> {
    /// Below zero.
    pub(super) is_negative: bool,
    /// How far its exponent is from zero, no farther than an `i32` reaches.
    pub(super) exponent: i32,
    before_point: &'a [u8],
    behind_point: &'a [u8],
    /// Zeros that the digits begin with.
    zeros: usize,
}

impl<'a> Decimal<'a> {
    /// The number that a JSON text is, if it is written as people write most: with digits alone, and not too many.
    pub(super) fn plain(number: &str) -> Option<u64> {
        let digits = number.as_bytes();
        if digits.len() > WHOLE_DIGITS_MAX as usize {
            return None;
        }
        digits.iter().try_fold(0, |whole, digit| digit.is_ascii_digit().then(|| whole * 10 + u64::from(digit - b'0')))
    }

    /// The number that a JSON text is.
    pub(super) fn read(number: &'a str) -> Self {
        let (is_negative, number) = match number.strip_prefix('-') {
            Some(number) => (true, number),
            None => (false, number),
        };
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (before_point, behind_point) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (before_point, behind_point) = (before_point.as_bytes(), behind_point.as_bytes());
        let zeros = before_point.iter().chain(behind_point).take_while(|&&digit| digit == b'0').count();
        Self { is_negative, exponent: exponent_of(exponent), before_point, behind_point, zeros }
    }

    /// Nothing but zeros.
    pub(super) fn is_zero(&self) -> bool {
        self.zeros == self.before_point.len() + self.behind_point.len()
    }

    /// Whether a 64-bit float reaches as far.
    pub(super) fn fits_float(&self) -> bool {
        let size = self.size();
        self.is_zero()
            || size < FLOAT_MAX_DIGITS
            || size == FLOAT_MAX_DIGITS && self.digits().take(FLOAT_MAX.len()).le(FLOAT_MAX.iter().copied())
    }

    /// The number, whatever its sign, without what is behind its point, and whether there is something behind it; more
    /// than 64 bits hold is `u64::MAX`.
    pub(super) fn whole(&self) -> (u64, bool) {
        let size = self.size();
        if self.is_zero() {
            return (0, false);
        }
        if size > WHOLE_DIGITS_MAX {
            return (u64::MAX, false);
        }
        let size = usize::try_from(size).unwrap_or_default();
        let mut digits = self.digits();
        let whole = (0..size).fold(0, |whole, _| whole * 10 + u64::from(digits.next().unwrap_or(b'0') - b'0'));
        (whole, digits.any(|digit| digit != b'0'))
    }

    /// How many digits precede the point when it is written without an exponent; less than one for what begins
    /// with so many zeros behind it.
    fn size(&self) -> i64 {
        self.before_point.len() as i64 - self.zeros as i64 + i64::from(self.exponent)
    }

    fn digits(&self) -> impl Iterator<Item = u8> + 'a {
        self.before_point.iter().chain(self.behind_point).skip(self.zeros).copied()
    }
}

fn exponent_of(text: &str) -> i32 {
    let far = if text.starts_with('-') { -i32::MAX } else { i32::MAX };
    text.parse().unwrap_or(far)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Decimal;

    fn whole(number: &str) -> (u64, bool) {
        Decimal::read(number).whole()
    }

    #[test]
    fn says_what_is_before_the_point() {
        for (number, expected) in [
            ("0", (0, false)),
            ("-0.000e99999999999999999", (0, false)),
            ("7", (7, false)),
            ("60000.0", (60_000, false)),
            ("6e4", (60_000, false)),
            ("600000000E-4", (60_000, false)),
            ("0.00006e9", (60_000, false)),
            ("60000.5", (60_000, true)),
            ("0.5", (0, true)),
            ("5e-1", (0, true)),
            ("1e-99999999999999999", (0, true)),
            ("1e99999999999999999", (u64::MAX, false)),
            ("999999999999999999", (999_999_999_999_999_999, false)),
            ("1000000000000000000", (u64::MAX, false)),
            ("-12.000000000000000000000000000000001", (12, true)),
        ] {
            assert_eq!(whole(number), expected, "{number}");
        }
    }

    #[test]
    fn says_what_a_float_cannot_hold() {
        let fits = |number: &str| Decimal::read(number).fits_float();
        for number in ["0e999", "1e308", "1.7976931348623157e308", "17976931348623157e292", "1e-999", &"9".repeat(308)]
        {
            assert!(fits(number), "{number}");
        }
        for number in ["1e309", "1.7976931348623159e308", "-2e308", "1e99999999999", &"9".repeat(309)] {
            assert!(!fits(number), "{number}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_floats(digits in "[0-9]{1,12}", behind in "[0-9]{0,6}", exponent in -20_i32..=12) {
            let number = match behind.as_str() {
                "" => format!("{digits}e{exponent}"),
                _ => format!("{digits}.{behind}e{exponent}"),
            };
            let (whole, has_more) = whole(&number);
            let float: f64 = number.parse().expect("a number");
            // A float does not distinguish more digits than these.
            if float < 1e15 && digits.len() + behind.len() <= 15 {
                prop_assert_eq!(whole, float.trunc() as u64, "{}", number);
                prop_assert_eq!(has_more, float.fract() != 0.0, "{}", number);
            }
        }

        #[test]
        fn agrees_with_floats_on_what_fits(number in any::<f64>().prop_filter("finite", |number| number.is_finite())) {
            let text = format!("{number:e}");
            prop_assert!(Decimal::read(&text).fits_float(), "{}", text);
        }
    }
}
