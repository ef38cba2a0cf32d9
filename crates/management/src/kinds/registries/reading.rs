//! What merging needs on top of [`Members`]: enums of the API as types, and members that are taken over where they are
//! given. `null` means back to the default; what is absent stays as it is.
//!
//! Source: `acr/control-plane.md` 6.

use std::ops::RangeInclusive;

use wharf_arm::{ArmError, Members};

/// An enum of the API: its values in the documented spelling.
pub(crate) trait Words: Copy + Default + 'static {
    /// The words.
    const WORDS: &'static [&'static str];
    /// The values, in the same order.
    const VALUES: &'static [Self];
}

/// A member that is an object.
#[derive(Debug)]
pub(crate) enum Given<'a> {
    Absent,
    Null,
    Object(Members<'a>),
}

/// Merging from a body.
pub(crate) trait Merge<'a> {
    /// One of the words of an enum, in any case.
    fn find_word<T: Words>(&self, name: &str) -> Result<Option<T>, ArmError>;
    /// Takes over a word.
    fn word_into<T: Words>(&self, name: &str, target: &mut T) -> Result<(), ArmError>;
    /// Takes over a boolean.
    fn boolean_into(&self, name: &str, target: &mut bool) -> Result<(), ArmError>;
    /// Takes over a number within `range`; `null` is `default`.
    fn number_into(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
        default: i64,
        target: &mut i64,
    ) -> Result<(), ArmError>;
    /// An object, `null`, or neither.
    fn given(&self, name: &str) -> Result<Given<'a>, ArmError>;
}

impl<'a> Merge<'a> for Members<'a> {
    fn find_word<T: Words>(&self, name: &str) -> Result<Option<T>, ArmError> {
        let word = self.word(name, T::WORDS)?;
        Ok(word.and_then(|word| T::WORDS.iter().position(|other| *other == word)).map(|at| T::VALUES[at]))
    }

    fn word_into<T: Words>(&self, name: &str, target: &mut T) -> Result<(), ArmError> {
        match self.find_word(name)? {
            Some(value) => *target = value,
            None if self.is_null(name) => *target = T::default(),
            None => {}
        }
        Ok(())
    }

    fn boolean_into(&self, name: &str, target: &mut bool) -> Result<(), ArmError> {
        match self.boolean(name)? {
            Some(value) => *target = value,
            None if self.is_null(name) => *target = false,
            None => {}
        }
        Ok(())
    }

    fn number_into(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
        default: i64,
        target: &mut i64,
    ) -> Result<(), ArmError> {
        match self.integer(name)? {
            Some(number) if range.contains(&number) => *target = number,
            Some(number) => {
                let (from, to) = (range.start(), range.end());
                return Err(self.invalid(name, format_args!("{number} is not between {from} and {to}")));
            }
            None if self.is_null(name) => *target = default,
            None => {}
        }
        Ok(())
    }

    fn given(&self, name: &str) -> Result<Given<'a>, ArmError> {
        Ok(match self.object(name)? {
            Some(object) => Given::Object(object),
            None if self.is_null(name) => Given::Null,
            None => Given::Absent,
        })
    }
}

/// What a client sent, short enough to be sent back.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 100;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain(std::iter::once('…')).collect()
}

/// Makes an enum of the API: its documented words, the first of which is the default.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $first:ident = $first_word:literal $(, $other:ident = $word:literal)* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub(crate) enum $name {
            #[default]
            #[serde(rename = $first_word)]
            $first,
            $(#[serde(rename = $word)] $other,)*
        }

        impl crate::kinds::registries::reading::Words for $name {
            const WORDS: &'static [&'static str] = &[$first_word $(, $word)*];
            const VALUES: &'static [Self] = &[Self::$first $(, Self::$other)*];
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    words! {
        /// For tests.
        Switch { Off = "Disabled", On = "Enabled" }
    }

    #[test]
    fn null_is_the_default_and_what_is_absent_stays() {
        let body = json!({"state": "eNABLED", "flag": "TRUE", "days": "9"});
        let body = Members::of(body.as_object().unwrap());
        let (mut state, mut flag, mut days) = (Switch::Off, false, 7);
        body.word_into("state", &mut state).unwrap();
        body.boolean_into("flag", &mut flag).unwrap();
        body.number_into("days", 0..=9, 7, &mut days).unwrap();
        assert_eq!((state, flag, days), (Switch::On, true, 9));
        assert_eq!(serde_json::to_value(state).unwrap(), json!("Enabled"));
        let absent = json!({});
        let absent = Members::of(absent.as_object().unwrap());
        absent.word_into("state", &mut state).unwrap();
        absent.boolean_into("flag", &mut flag).unwrap();
        absent.number_into("days", 0..=9, 7, &mut days).unwrap();
        assert_eq!((state, flag, days), (Switch::On, true, 9));
        let nulls = json!({"state": null, "flag": null, "days": null});
        let nulls = Members::of(nulls.as_object().unwrap());
        nulls.word_into("state", &mut state).unwrap();
        nulls.boolean_into("flag", &mut flag).unwrap();
        nulls.number_into("days", 0..=9, 7, &mut days).unwrap();
        assert_eq!((state, flag, days), (Switch::Off, false, 7));
    }

    #[test]
    fn numbers_keep_to_their_range() {
        let body = json!({"days": 400});
        let error = Members::of(body.as_object().unwrap()).number_into("days", 0..=365, 7, &mut 0).unwrap_err();
        assert_eq!(error.message, "The value of 'days' cannot be taken: 400 is not between 0 and 365.");
    }

    #[test]
    fn long_values_are_not_sent_back_whole() {
        assert_eq!(shortened(&"x".repeat(500)).chars().count(), 101);
    }
}
