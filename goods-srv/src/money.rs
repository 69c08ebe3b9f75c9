//! Prices: integers of a currency's smallest unit, never a float.

use crate::violations::{Reason, Violations};

/// The highest price, in minor units: more than anything costs, and far from what an i64 or a double holds exactly.
const MINOR_UNITS_MAX: i64 = 1_000_000_000_000;

/// An ISO 4217 code in form: three capital letters. Whether it is in use is the shop's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Currency(String);

impl Currency {
    /// Parses the code sent in `field`; a bad one is noted in `violations`.
    pub fn parse(code: &str, field: &str, violations: &mut Violations) -> Option<Self> {
        if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Some(Self(code.to_owned()));
        }
        violations.add(field, Reason::InvalidCurrency, "must be three capital letters, as in EUR");
        None
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// In the currency's smallest unit; 0 to 1,000,000,000,000.
    pub minor_units: i64,
    /// Of what.
    pub currency: Currency,
}

impl Money {
    /// Parses the price sent in `field`; a bad one is noted in `violations`.
    pub fn parse(
        minor_units: i64,
        currency: &str,
        field: &str,
        violations: &mut Violations,
    ) -> Option<Self> {
        let amount = amount(minor_units, &format!("{field}.minor_units"), violations);
        let currency = Currency::parse(currency, &format!("{field}.currency_code"), violations);
        Some(Self { minor_units: amount?, currency: currency? })
    }
}

/// Prices in one currency, both ends in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRange {
    /// Of what.
    pub currency: Currency,
    /// The lowest.
    pub minimum: i64,
    /// The highest.
    pub maximum: i64,
}

impl PriceRange {
    /// Parses the range sent in `field`; a bad one is noted in `violations`.
    pub fn parse(
        currency: &str,
        minimum: Option<i64>,
        maximum: Option<i64>,
        field: &str,
        violations: &mut Violations,
    ) -> Option<Self> {
        let currency = Currency::parse(currency, &format!("{field}.currency_code"), violations);
        let named = |end: &str| format!("{field}.{end}_minor_units");
        let minimum = amount(minimum.unwrap_or(0), &named("minimum"), violations);
        let maximum = amount(maximum.unwrap_or(MINOR_UNITS_MAX), &named("maximum"), violations);
        let (currency, minimum, maximum) = (currency?, minimum?, maximum?);
        if maximum < minimum {
            let complaint = format!("must not be below the minimum of {minimum}, is {maximum}");
            violations.add(named("maximum"), Reason::InvalidPrice, complaint);
            return None;
        }
        Some(Self { currency, minimum, maximum })
    }
}

fn amount(minor_units: i64, field: &str, violations: &mut Violations) -> Option<i64> {
    if (0..=MINOR_UNITS_MAX).contains(&minor_units) {
        return Some(minor_units);
    }
    let complaint = format!("must be 0 to {MINOR_UNITS_MAX}, is {minor_units}");
    violations.add(field, Reason::InvalidPrice, complaint);
    None
}
