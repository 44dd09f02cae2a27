//! Bodies of the calls about prices.

use serde::{Deserialize, Serialize};

use crate::forecast::price::Category;
use crate::http::problem::Problem;

const CATEGORIES_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposePrices {
    pub categories: Vec<PricedCategory>,
}

/// Amounts in minor units of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricedCategory {
    pub name: String,
    pub price: i64,
    pub floor: i64,
    pub cap: i64,
    pub step: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecidePrices {
    pub proposal_id: String,
    pub approve: bool,
}

impl ProposePrices {
    pub fn into_categories(self) -> Result<Vec<Category>, Problem> {
        if !(1..=CATEGORIES_MAX).contains(&self.categories.len()) {
            return Err(Problem::bad_request(format!(
                "categories: must be 1 to {CATEGORIES_MAX}"
            )));
        }
        let mut categories = Vec::with_capacity(self.categories.len());
        for PricedCategory {
            name,
            price,
            floor,
            cap,
            step,
        } in self.categories
        {
            super::text("categories.name", &name, true)?;
            categories.push(Category {
                name,
                price,
                floor,
                cap,
                step,
            });
        }
        Ok(categories)
    }
}

impl DecidePrices {
    pub fn into_decision(self) -> Result<(u128, bool), Problem> {
        let id = uuid::Uuid::try_parse(&self.proposal_id).map_err(|_| {
            Problem::bad_request(format!("proposal_id: {:?} is not a UUID", self.proposal_id))
        })?;
        Ok((id.as_u128(), self.approve))
    }
}
