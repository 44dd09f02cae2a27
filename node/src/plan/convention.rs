//! What our plans say in texts the format allows: attributes in category names, standing areas and
//! focal points in the texts of areas. The words are documented at the top of `plan.rs`.

use domain::venue::Attributes;

/// What the name of a category means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CategoryName<'a> {
    /// The price category.
    pub base: &'a str,
    pub attributes: Attributes,
    pub blocked: bool,
}

const WHEELCHAIR: &str = "wheelchair";
const COMPANION: &str = "companion";
const RESTRICTED_VIEW: &str = "restricted view";
const BLOCKED: &str = "blocked";
/// Categories that are no price but say that the seat is not for sale.
const NOT_FOR_SALE: [&str; 2] = [BLOCKED, "not available"];

/// A bracket that says anything else is part of the name.
pub(super) fn category_name(name: &str) -> CategoryName<'_> {
    let plain = CategoryName {
        base: name,
        attributes: Attributes::default(),
        blocked: NOT_FOR_SALE
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word)),
    };
    let Some((base, words)) = last_bracket(name) else {
        return plain;
    };
    let mut bits = 0;
    let mut blocked = false;
    for word in words.split(',') {
        match word.trim().to_ascii_lowercase().as_str() {
            WHEELCHAIR => bits |= Attributes::ACCESSIBLE.0,
            COMPANION => bits |= Attributes::COMPANION.0,
            RESTRICTED_VIEW => bits |= Attributes::RESTRICTED_VIEW.0,
            BLOCKED => blocked = true,
            _ => return plain,
        }
    }
    CategoryName {
        base,
        attributes: Attributes(bits),
        blocked,
    }
}

/// The inverse of `category_name`, for seats that are for sale.
pub(super) fn category_with(base: &str, attributes: Attributes) -> String {
    let words: Vec<&str> = [
        (Attributes::ACCESSIBLE, WHEELCHAIR),
        (Attributes::COMPANION, COMPANION),
        (Attributes::RESTRICTED_VIEW, RESTRICTED_VIEW),
    ]
    .into_iter()
    .filter_map(|(attribute, word)| attributes.contains(attribute).then_some(word))
    .collect();
    match words.is_empty() {
        true => base.to_owned(),
        false => format!("{base} [{}]", words.join(", ")),
    }
}

/// What the text of a standing area says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing<'a> {
    pub name: &'a str,
    /// `None` when it is no number.
    pub capacity: Option<u32>,
    pub category: Option<&'a str>,
}

/// `None` when the text is of no standing area.
pub(super) fn standing(text: &str) -> Option<Standing<'_>> {
    let inside = text.strip_suffix(']')?;
    // The category's own name may have brackets in it, so the opening one is found by its word.
    let (name, rest) = match inside.rsplit_once(" [standing ") {
        Some(parts) => parts,
        None => ("", inside.strip_prefix("[standing ")?),
    };
    let (capacity, category) = match rest.split_once(": ") {
        Some((capacity, category)) => (capacity, Some(category)),
        None => (rest, None),
    };
    Some(Standing {
        name,
        capacity: capacity.trim().parse().ok(),
        category,
    })
}

pub(super) fn standing_text(name: &str, capacity: u32, category: &str) -> String {
    format!("{name} [standing {capacity}: {category}]")
}

/// Whether a text names what the audience looks at.
pub(super) fn is_focal(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "stage",
        "pitch",
        "field",
        "court",
        "rink",
        "screen",
        "podium",
        "bühne",
        "spielfeld",
        "scène",
        "escenario",
        "palco",
    ];
    let text = text.to_lowercase();
    text.split(|c: char| !c.is_alphanumeric())
        .any(|word| WORDS.contains(&word))
}

/// `name [words]` parted; a bracket right at the start leaves an empty name.
fn last_bracket(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_suffix(']')?;
    let open = match inside.rfind(" [") {
        Some(at) => at,
        None if inside.starts_with('[') => return Some(("", &inside[1..])),
        None => return None,
    };
    Some((&text[..open], &inside[open + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_at_the_end_of_a_category_are_attributes() {
        let both = category_name("Category I [wheelchair, blocked]");
        assert_eq!(both.base, "Category I");
        assert_eq!(both.attributes, Attributes::ACCESSIBLE);
        assert!(both.blocked);
        assert_eq!(category_name("Block [north]").base, "Block [north]");
        assert!(category_name("NOT AVAILABLE").blocked);
    }

    #[test]
    fn a_category_name_comes_back_from_its_parts() {
        for bits in 0..8 {
            let name = category_with("A b", Attributes(bits));
            let read = category_name(&name);
            assert_eq!((read.base, read.attributes.0), ("A b", bits), "{name}");
        }
    }

    #[test]
    fn the_text_of_a_standing_area_says_its_capacity() {
        let text = standing_text("North [low]", 1650, "Category: V [x]");
        let read = standing(&text).expect("written by us");
        assert_eq!(read.name, "North [low]");
        assert_eq!(read.capacity, Some(1650));
        assert_eq!(read.category, Some("Category: V [x]"));
        assert_eq!(standing("North"), None);
        assert_eq!(standing("[standing 9]").map(|s| s.capacity), Some(Some(9)));
        let no_number = standing("N [standing room]").expect("a standing area all the same");
        assert_eq!(no_number.capacity, None);
    }

    #[test]
    fn a_stage_is_what_people_look_at() {
        assert!(is_focal("Main Stage"));
        assert!(is_focal("BÜHNE"));
        assert!(!is_focal("Backstage bar"));
    }
}
