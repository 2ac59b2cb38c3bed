//! A plan as it is written: JSON, with every field known.

use super::{FORMAT, Keep};
use crate::error::ScanError;
use serde::Deserialize;

/// A plan may be this long, in bytes.
const LONGEST: usize = 64 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSpec {
    #[serde(rename = "format")]
    pub _format: u32,
    #[serde(default)]
    pub now: i64,
    #[serde(default)]
    pub signatures: Vec<SignatureSpec>,
    #[serde(default)]
    pub tallies: Vec<TallySpec>,
    #[serde(default)]
    pub marks: Vec<MarkSpec>,
    #[serde(default)]
    pub dumps: Vec<DumpSpec>,
    #[serde(default)]
    pub limits: Keep,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureSpec {
    pub id: String,
    pub literals: Vec<String>,
    #[serde(default)]
    pub fold: bool,
    #[serde(default)]
    pub all: Vec<String>,
    #[serde(default)]
    pub not: Vec<String>,
    #[serde(default)]
    pub programs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TallySpec {
    pub id: String,
    pub literals: Vec<String>,
    #[serde(default)]
    pub fold: bool,
    pub regex: String,
    pub key: Vec<String>,
    #[serde(default)]
    pub by: Option<String>,
    #[serde(default)]
    pub every: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkSpec {
    pub id: String,
    pub literals: Vec<String>,
    #[serde(default)]
    pub fold: bool,
    pub regex: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DumpSpec {
    pub id: String,
    pub sniff: String,
}

/// The format alone: read first, so that another format is not refused for its fields.
#[derive(Deserialize)]
struct Format {
    format: Option<serde_json::Value>,
}

/// Reads a plan, checking its shape.
pub fn read(json: &[u8]) -> Result<PlanSpec, ScanError> {
    if json.len() > LONGEST {
        return Err(ScanError::new("The plan is longer than 64 MiB.", "use fewer rules"));
    }
    let refused = |error: serde_json::Error| {
        ScanError::new(format!("The plan cannot be read: {error}."), "plans are written by `tidegate diagnose`")
    };
    let found: Format = serde_json::from_slice(json).map_err(refused)?;
    match found.format {
        Some(format) if format == FORMAT => {}
        Some(format) => {
            let message = format!("The plan has format {format}; this version reads format {FORMAT}.");
            return Err(ScanError::new(message, "use the same version of all parts of tidegate"));
        }
        None => return Err(ScanError::new("The plan has no format.", format!("write \"format\": {FORMAT}"))),
    }
    serde_json::from_slice(json).map_err(refused)
}
