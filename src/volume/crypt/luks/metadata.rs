//! The metadata of LUKS2, a JSON text.
//!
//! Reference: LUKS2 On-Disk Format Specification 1.1.4, 3 "LUKS2 JSON metadata format".

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use serde::Deserialize;

use super::{
    Payload,
    keyslot::{Digest, Kdf, Keyslot},
};
use crate::volume::crypt::{antiforensic::STRIPES, derive::Argon2Cost};

/// The format allows no more (`LUKS2_KEYSLOTS_MAX`).
const MAX_KEYSLOTS: usize = 32;

#[derive(Deserialize)]
struct Text {
    keyslots: BTreeMap<String, KeyslotText>,
    segments: BTreeMap<String, SegmentText>,
    digests: BTreeMap<String, DigestText>,
    config: Option<ConfigText>,
}

#[derive(Deserialize)]
struct ConfigText {
    requirements: Option<RequirementsText>,
}

#[derive(Deserialize)]
struct RequirementsText {
    #[serde(default)]
    mandatory: Vec<String>,
}

#[derive(Deserialize)]
struct SegmentText {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    offset: String,
    #[serde(default)]
    size: String,
    #[serde(default)]
    iv_tweak: String,
    #[serde(default)]
    encryption: String,
    #[serde(default)]
    sector_size: u64,
    integrity: Option<IntegrityText>,
}

#[derive(Deserialize)]
struct IntegrityText {
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Deserialize)]
struct KeyslotText {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    key_size: u64,
    /// 0: only when asked for by its number; 1 normal, 2 first.
    priority: Option<u64>,
    area: Option<AreaText>,
    kdf: Option<KdfText>,
    af: Option<AfText>,
}

#[derive(Deserialize)]
struct AreaText {
    #[serde(rename = "type")]
    kind: String,
    offset: String,
    #[serde(default)]
    encryption: String,
    #[serde(default)]
    key_size: u64,
}

#[derive(Deserialize)]
struct KdfText {
    #[serde(rename = "type")]
    kind: String,
    salt: String,
    #[serde(default)]
    hash: String,
    #[serde(default)]
    iterations: u32,
    #[serde(default)]
    time: u32,
    #[serde(default)]
    memory: u32,
    #[serde(default)]
    cpus: u32,
}

#[derive(Deserialize)]
struct AfText {
    #[serde(rename = "type")]
    kind: String,
    stripes: u64,
    hash: String,
}

#[derive(Deserialize)]
struct DigestText {
    #[serde(rename = "type")]
    kind: String,
    keyslots: Vec<String>,
    segments: Vec<String>,
    hash: String,
    iterations: u32,
    salt: String,
    digest: String,
}

/// Bytes of a salt; cryptsetup makes 32.
const MAX_SALT: usize = 64;
/// Bytes of a digest: a shorter one would take wrong keys for right.
const DIGEST_LEN: std::ops::RangeInclusive<usize> = 20..=64;

/// What the metadata say of the one segment that there is.
pub(super) struct Metadata {
    pub(super) payload: Payload,
    pub(super) keyslots: Vec<Keyslot>,
    /// Keyslots that are not read.
    pub(super) notes: Vec<String>,
}

/// Reads the text, which ends at the first NUL.
pub(super) fn read(bytes: &[u8]) -> Result<Metadata, String> {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    // The message of the parser may quote the text, so only its place is told.
    let text: Text = serde_json::from_slice(text)
        .map_err(|error| format!("its metadata: not as expected in line {} column {}", error.line(), error.column()))?;
    let required = text.config.as_ref().and_then(|config| config.requirements.as_ref());
    if let Some(required) = required.and_then(|required| required.mandatory.first()) {
        return Err(match required.as_str() {
            "online-reencrypt"
            | "offline-reencrypt"
            | "online-reencrypt-v2"
            | "online-reencrypt-v3"
            | "online-reencrypt-v4" => "it is being reencrypted, which is not read".to_owned(),
            other => format!("it requires {}, which is not read", other.escape_debug()),
        });
    }
    if text.keyslots.values().any(|slot| slot.kind == "reencrypt") || text.segments.len() != 1 {
        let segments = text.segments.len();
        return Err(format!("it has {segments} segments or is being reencrypted, which is not read"));
    }
    // No tool makes more; comparing many with many would take for ever.
    let lists = text.digests.values().flat_map(|digest| [digest.keyslots.len(), digest.segments.len()]);
    let longest = lists.chain([text.keyslots.len(), text.digests.len()]).max().unwrap_or(0);
    if longest > MAX_KEYSLOTS {
        return Err(format!("its metadata: {longest} keyslots or digests, more than {MAX_KEYSLOTS}"));
    }
    let Some((name, segment)) = text.segments.first_key_value() else { return Err("it has no segment".to_owned()) };
    let payload = payload(segment)?;
    let digest = text.digests.values().find(|digest| digest.segments.contains(name));
    let digest = digest.ok_or_else(|| "no digest names its segment".to_owned())?;
    if digest.kind != "pbkdf2" {
        return Err(format!("a digest of type {} is not read", digest.kind.escape_debug()));
    }
    let known = Digest {
        hash: digest.hash.clone(),
        iterations: digest.iterations,
        salt: salt(&digest.salt)?,
        digest: base64(&digest.digest)?,
    };
    if !DIGEST_LEN.contains(&known.digest.len()) {
        return Err(format!("its metadata: a digest of {} bytes", known.digest.len()));
    }
    let mut slots: Vec<_> = text.keyslots.iter().filter(|(name, _)| digest.keyslots.contains(name)).collect();
    // In the order in which cryptsetup tries them: by priority, then by number.
    slots.sort_by_key(|(name, slot)| {
        (std::cmp::Reverse(slot.priority.unwrap_or(1)), name.parse().unwrap_or(usize::MAX))
    });
    let (mut keyslots, mut notes) = (Vec::new(), Vec::new());
    for (name, slot) in slots.into_iter().take(MAX_KEYSLOTS) {
        match keyslot(name, slot, &known) {
            Ok(slot) => keyslots.push(slot),
            Err(why) => notes.push(why),
        }
    }
    Ok(Metadata { payload, keyslots, notes })
}

fn base64(text: &str) -> Result<Vec<u8>, String> {
    Base64::decode_vec(text).map_err(|_| "its metadata: not base64 where it is expected".to_owned())
}

/// A salt is hashed once for each block that is derived, so a long one is work that nobody counts.
fn salt(text: &str) -> Result<Vec<u8>, String> {
    let salt = base64(text)?;
    if salt.len() > MAX_SALT {
        return Err(format!("its metadata: a salt of {} bytes, more than {MAX_SALT}", salt.len()));
    }
    Ok(salt)
}

/// Numbers of 64 bits stand as text.
fn number(text: &str, what: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("its metadata: {what}: expected a number"))
}

fn payload(segment: &SegmentText) -> Result<Payload, String> {
    if segment.kind != "crypt" {
        return Err(format!("a segment of type {} is not read", segment.kind.escape_debug()));
    }
    if let Some(integrity) = &segment.integrity {
        return Err(format!("integrity protection {} (dm-integrity) is not read", integrity.kind.escape_debug()));
    }
    Ok(Payload {
        cipher: segment.encryption.clone(),
        offset: number(&segment.offset, "offset of its segment")?,
        len: match segment.size.as_str() {
            "dynamic" => None,
            size => Some(number(size, "size of its segment")?),
        },
        sector: usize::try_from(segment.sector_size).unwrap_or_default(),
        iv: number(&segment.iv_tweak, "iv_tweak of its segment")?,
    })
}

fn keyslot(name: &str, slot: &KeyslotText, digest: &Digest) -> Result<Keyslot, String> {
    let name = name.escape_debug().to_string();
    let wrong = |what: &str| format!("keyslot {name}: {what}");
    let area = slot.area.as_ref().filter(|area| area.kind == "raw");
    let af = slot.af.as_ref().filter(|af| af.kind == "luks1" && usize::try_from(af.stripes) == Ok(STRIPES));
    let (Some(area), Some(kdf), Some(af)) = (area, &slot.kdf, af) else {
        return Err(wrong("its type, area, kdf or af is not read"));
    };
    let cost = |hybrid| Kdf::Argon2(Argon2Cost { hybrid, time: kdf.time, memory: kdf.memory, lanes: kdf.cpus });
    Ok(Keyslot {
        key_len: usize::try_from(slot.key_size).unwrap_or(usize::MAX),
        kdf: match kdf.kind.as_str() {
            "pbkdf2" => Kdf::Pbkdf2 { hash: kdf.hash.clone(), iterations: kdf.iterations },
            "argon2i" => cost(false),
            "argon2id" => cost(true),
            other => return Err(wrong(&format!("kdf {} is not read", other.escape_debug()))),
        },
        salt: salt(&kdf.salt)?,
        cipher: area.encryption.clone(),
        cipher_key_len: usize::try_from(area.key_size).unwrap_or(usize::MAX),
        offset: number(&area.offset, "offset of a keyslot")?,
        stripe_hash: af.hash.clone(),
        digest: digest.clone(),
        name,
    })
}
