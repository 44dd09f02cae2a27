//! The seeds a plan is read with: objects with known fields, lists that count, bounded texts and
//! numbers. They keep the place up to date and know nothing of what they read.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::place::{Counted, Place, Step};

/// Longest name, number or id of anything, as in the API's other texts: a plan of 200,000 seats
/// stays what a log and its followers can carry.
pub(super) const TEXT_CHARS_MAX: usize = 200;
/// No coordinate or size is further from zero, in the plan's unit.
pub(super) const COORDINATE_MAX: f64 = 1_000_000.0;

/// Whether a field has to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

/// Something with known fields.
pub(super) trait Object: Sized {
    /// For messages: "a seat".
    const WHAT: &'static str;
    const FIELDS: &'static [(&'static str, Need)];
    fn empty() -> Self;
    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        map: &mut A,
        place: &Place,
    ) -> Result<(), A::Error>;
}

pub(super) struct ObjectSeed<'p, T>(&'p Place, PhantomData<T>);

impl<'p, T> ObjectSeed<'p, T> {
    pub fn new(place: &'p Place) -> Self {
        ObjectSeed(place, PhantomData)
    }
}

impl<'de, T: Object> DeserializeSeed<'de> for ObjectSeed<'_, T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Object> Visitor<'de> for ObjectSeed<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let place = self.0;
        let mut object = T::empty();
        let mut seen = 0_u32;
        while let Some(key) = map.next_key_seed(KeySeed(T::FIELDS))? {
            let index = match key {
                Key::Known(index) => index,
                Key::Unknown(name) => {
                    place.warn(|| format!("unknown field {name:?} is left out"));
                    map.next_value_seed(Skipped)?;
                    continue;
                }
            };
            let name = T::FIELDS[index].0;
            place.enter(Step::Field(name));
            if seen & (1 << index) != 0 {
                return Err(A::Error::custom("the field stands here twice"));
            }
            seen |= 1 << index;
            object.field(name, &mut map, place)?;
            place.leave();
        }
        for (index, (name, need)) in T::FIELDS.iter().enumerate() {
            if *need == Need::Required && seen & (1 << index) == 0 {
                let what = format!("{} needs the field {name:?}", T::WHAT);
                return Err(A::Error::custom(what));
            }
        }
        Ok(object)
    }
}

enum Key {
    Known(usize),
    /// Shortened.
    Unknown(String),
}

struct KeySeed(&'static [(&'static str, Need)]);

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Key, E> {
        Ok(match self.0.iter().position(|(name, _)| *name == key) {
            Some(index) => Key::Known(index),
            None => Key::Unknown(key.chars().take(40).collect()),
        })
    }
}

/// A list of objects, each counted before it is read.
pub(super) struct List<'p, T>(&'p Place, Counted, PhantomData<T>);

impl<'p, T> List<'p, T> {
    pub fn new(place: &'p Place, counted: Counted) -> Self {
        List(place, counted, PhantomData)
    }
}

impl<'de, T: Object> DeserializeSeed<'de> for List<'_, T> {
    type Value = Vec<T>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Object> Visitor<'de> for List<'_, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        loop {
            self.0.enter(Step::Index(items.len()));
            let seed = Counting(self.0, self.1, PhantomData);
            let Some(item) = list.next_element_seed(seed)? else {
                self.0.leave();
                return Ok(items);
            };
            items.push(item);
            self.0.leave();
        }
    }
}

/// One element of a list: only known to exist when its seed is asked for a value.
struct Counting<'p, T>(&'p Place, Counted, PhantomData<T>);

impl<'de, T: Object> DeserializeSeed<'de> for Counting<'_, T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        self.0.count(self.1)?;
        ObjectSeed::new(self.0).deserialize(deserializer)
    }
}

/// A text of at most `TEXT_CHARS_MAX` without control characters, handed on without a copy.
pub(super) struct Text<F>(pub F);

impl<'de, F, T> DeserializeSeed<'de> for Text<F>
where
    F: FnOnce(&str) -> T,
{
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<F, T> Visitor<'_> for Text<F>
where
    F: FnOnce(&str) -> T,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        if text.chars().nth(TEXT_CHARS_MAX).is_some() {
            let what = format!("the text is longer than {TEXT_CHARS_MAX} characters");
            return Err(E::custom(what));
        }
        if text.chars().any(char::is_control) {
            return Err(E::custom("the text has control characters in it"));
        }
        Ok(self.0(text))
    }
}

/// A number within ± `COORDINATE_MAX`.
pub(super) struct Number;

impl<'de> DeserializeSeed<'de> for Number {
    type Value = f64;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
        deserializer.deserialize_f64(self)
    }
}

impl Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<f64, E> {
        // Written so that NaN is refused as well.
        if number.abs() <= COORDINATE_MAX {
            return Ok(number);
        }
        let what = format!("{number:e} is not within ±{COORDINATE_MAX}");
        Err(E::custom(what))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<f64, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<f64, E> {
        self.visit_f64(number as f64)
    }
}

/// What `null` or a value of the seed is.
pub(super) struct Maybe<S>(pub S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Maybe<S> {
    type Value = Option<S::Value>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Maybe<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(d).map(Some)
    }
}

/// A value that is read, so that it is well-formed and not too deep, and forgotten.
pub(super) struct Skipped;

impl<'de> DeserializeSeed<'de> for Skipped {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skipped {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Skipped)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(Skipped)?.is_some() {
            map.next_value_seed(Skipped)?;
        }
        Ok(())
    }
}
