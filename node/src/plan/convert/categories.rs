//! The categories of a plan: what each declared name means for a seat.

use std::collections::HashMap;

use domain::venue::Attributes;
use proto::channel::v1;

use super::super::convention;
use super::super::fault::PlanFault;
use super::super::model::Plan;
use super::super::report::Warnings;
use super::invalid;

/// What a category stands for when there is no usable colour.
const GREY: &str = "#888888";

#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    /// Index of the price category.
    pub category: u32,
    pub attributes: Attributes,
    pub blocked: bool,
}

pub(super) struct Categories<'p> {
    /// The price categories in the file's sequence: dearest first.
    pub layout: Vec<v1::Category>,
    meanings: HashMap<&'p str, Meaning>,
}

impl<'p> Categories<'p> {
    pub fn of(plan: &'p Plan, warnings: &mut Warnings) -> Result<Categories<'p>, PlanFault> {
        let mut categories = Categories {
            layout: Vec::new(),
            meanings: HashMap::new(),
        };
        let mut bases: HashMap<&str, u32> = HashMap::new();
        for (index, category) in plan.categories.iter().enumerate() {
            let place = format!("categories[{index}]");
            if categories.meanings.contains_key(category.name.as_str()) {
                let what = format!("the category {:?} is declared twice", category.name);
                return Err(invalid(place, what));
            }
            if !is_color(&category.color) {
                warnings.add(|| {
                    let color = &category.color;
                    format!("{place}.color: {color:?} is not like #rrggbb; {GREY} is taken")
                });
            }
            let name = convention::category_name(&category.name);
            let next = categories.layout.len() as u32;
            let base = *bases.entry(name.base).or_insert(next);
            if base == next {
                categories.layout.push(v1::Category {
                    name: name.base.to_owned(),
                    color: match is_color(&category.color) {
                        true => category.color.to_ascii_lowercase(),
                        false => GREY.to_owned(),
                    },
                });
            }
            let meaning = Meaning {
                category: base,
                attributes: name.attributes,
                blocked: name.blocked,
            };
            categories.meanings.insert(&category.name, meaning);
        }
        Ok(categories)
    }

    pub fn meaning(&self, name: &str) -> Option<Meaning> {
        self.meanings.get(name).copied()
    }

    pub fn cheapest(&self) -> Option<u32> {
        (self.layout.len() as u32).checked_sub(1)
    }
}

fn is_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or_default();
    digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}
