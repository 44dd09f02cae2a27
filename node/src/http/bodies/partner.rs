//! Bodies of the calls about partners and keys.

use serde::{Deserialize, Serialize};

use super::text;
use crate::http::problem::Problem;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddPartner {
    pub partner_id: Option<u32>,
    pub name: String,
    pub channel: Option<u16>,
}

impl AddPartner {
    pub fn check(&self) -> Result<(), Problem> {
        text("name", &self.name, true)?;
        match self.partner_id {
            Some(0) => Err(Problem::bad_request("partner_id: must be 1 or more")),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddKey {
    pub partner_id: Option<u32>,
    #[serde(default)]
    pub operator: bool,
}

impl AddKey {
    pub fn check(&self) -> Result<(), Problem> {
        match self.operator == self.partner_id.is_some() {
            true => Err(Problem::bad_request(
                "a key is either a partner's (partner_id) or an operator's (operator: true)",
            )),
            false => Ok(()),
        }
    }
}
