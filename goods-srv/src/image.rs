//! Pictures by their URL, in the order in which they are shown.

use crate::text::Alt;
use crate::violations::{Reason, Violations};
use serde::{Deserialize, Serialize};

/// The most bytes of a URL; with [`IMAGES_MAX`] it bounds how large goods can be.
const URL_BYTES_MAX: usize = 300;

/// The most images of one list.
const IMAGES_MAX: usize = 16;

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Where it is.
    pub url: String,
    /// What it shows.
    pub alt: String,
}

impl Image {
    /// Parses the image sent in `field`; a bad one is noted in `violations`.
    pub fn parse(url: &str, alt: &str, field: &str, violations: &mut Violations) -> Option<Self> {
        let in_url = format!("{field}.url");
        let host =
            url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or("");
        let complaint = if host.is_empty() || host.starts_with('/') {
            Some("must be an http or https URL".to_owned())
        } else if url.len() > URL_BYTES_MAX {
            Some(format!("must have at most {URL_BYTES_MAX} bytes, has {}", url.len()))
        } else if url.chars().any(|character| character.is_whitespace() || character.is_control()) {
            Some("must not hold spaces or control characters".to_owned())
        } else {
            None
        };
        if let Some(complaint) = &complaint {
            violations.add(in_url, Reason::InvalidImage, complaint);
        }
        let alt = Alt::parse(alt, &format!("{field}.alt"), Reason::InvalidImage, violations);
        match (complaint, alt) {
            (None, Some(alt)) => Some(Self { url: url.to_owned(), alt: alt.into_string() }),
            _ => None,
        }
    }
}

/// Pictures in their order, as a column keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Images(Vec<Image>);

impl Images {
    /// Parses the list sent in `field`; bad ones are noted in `violations`.
    pub fn parse<'a>(
        images: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
        field: &str,
        violations: &mut Violations,
    ) -> Option<Self> {
        let count = images.len();
        if count > IMAGES_MAX {
            let complaint = format!("must hold at most {IMAGES_MAX} images, holds {count}");
            violations.add(field, Reason::TooManyImages, complaint);
            return None;
        }
        let parsed: Vec<_> = images
            .enumerate()
            .filter_map(|(index, (url, alt))| {
                Image::parse(url, alt, &format!("{field}[{index}]"), violations)
            })
            .collect();
        (parsed.len() == count).then_some(Self(parsed))
    }

    /// The pictures.
    pub fn iter(&self) -> impl Iterator<Item = &Image> {
        self.0.iter()
    }

    /// The text that a column keeps.
    pub fn to_column(&self) -> String {
        serde_json::to_string(self).expect("strings become JSON")
    }
}

impl From<Option<Image>> for Images {
    fn from(image: Option<Image>) -> Self {
        Self(image.into_iter().collect())
    }
}

impl TryFrom<String> for Images {
    type Error = serde_json::Error;

    fn try_from(column: String) -> Result<Self, Self::Error> {
        serde_json::from_str(&column)
    }
}
