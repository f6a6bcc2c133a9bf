//! Volumes behind a key. In come volumes that claim to be LUKS or BitLocker and the keys that the user gave; what a
//! key opens is read behind it. A LUKS volume becomes a new volume, as with LVM; a BitLocker volume keeps its place,
//! its GUID and its letter, and shows what is behind the key.
//!
//! The way of LUKS: `luks` (header, keyslots) → `derive` (passphrase to key) → `sectors` (the cipher of the keyslot's
//! area) → `antiforensic` → the volume's key. Of BitLocker: `bitlocker` (metadata, protectors) → its keys. Both end
//! in a [`Decrypted`] image. Hashes and ciphers come from RustCrypto; modes and headers are
//! read here, see decision 12. To add a cipher: an arm in `block_cipher`; a mode: in `sectors`.
//!
//! What a header asks for may be hostile: all work is bounded by [`KeyLimits`] of the target, not of a volume.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod antiforensic;
mod bitlocker;
mod block_cipher;
mod decrypted;
mod derive;
mod elephant;
mod keys;
mod luks;
mod sectors;

use std::{collections::BTreeSet, sync::Arc};

pub use self::keys::{KeyLimits, Keys, MAX_KEY_FILE};
use self::{decrypted::Decrypted, keys::Work};
use super::{
    Volume,
    assemble::Progress,
    content::{self, State},
    md,
};
use crate::image::Image;

/// What content calls them.
const LUKS: &str = "crypto_LUKS";
const BITLOCKER: &str = "BitLocker";

/// A volume that a key opened.
struct Opened {
    image: Decrypted,
    /// With what, for people.
    how: String,
    /// Which of the key files it was, if it was one.
    key: Option<usize>,
}

/// The keys, what may still be done with them, and what has been done.
pub(super) struct Unlocking<'k> {
    keys: &'k Keys,
    work: Work,
    /// Places of volumes that were tried; they stay where they are.
    tried: BTreeSet<usize>,
    /// Key files that opened something.
    used: BTreeSet<usize>,
    /// How many volumes were opened.
    opened: u32,
}

impl<'k> Unlocking<'k> {
    pub(super) fn new(keys: &'k Keys) -> Self {
        Self { keys, work: Work::new(keys.limits()), tried: BTreeSet::new(), used: BTreeSet::new(), opened: 0 }
    }

    /// Opens what the keys open; says whether there is a new volume, or an old one with new content.
    pub(super) fn assemble(&mut self, volumes: &mut Vec<Volume>, progress: &mut Progress) -> bool {
        let mut more = false;
        for index in 0..volumes.len() {
            let Some(volume) = volumes.get_mut(index) else { break };
            let in_array = volume.is_open(md::MEMBER);
            let luks = volume.is_open(LUKS);
            if in_array || !(luks || volume.is_open(BITLOCKER)) || !self.tried.insert(index) {
                continue;
            }
            if luks {
                let made = self.luks(volume, progress);
                more |= made.is_some();
                volumes.extend(made);
            } else {
                let (opened, made) = self.bitlocker(volume, progress);
                more |= opened;
                volumes.extend(made);
            }
        }
        more
    }

    fn luks(&mut self, volume: &mut Volume, progress: &mut Progress) -> Option<Volume> {
        let header = luks::Header::read(volume.image.as_ref());
        let opened = header.as_ref().map_err(Clone::clone).and_then(|header| {
            let notes = header.notes.iter().map(|note| format!("{}: {}: {note}", volume.id, header.describe()));
            progress.notes.extend(notes);
            header.open(&volume.image, self.keys, &mut self.work)
        });
        let what = header.as_ref().map_or_else(|_| "LUKS".to_owned(), luks::Header::describe);
        let opened = match opened {
            Ok(opened) => opened,
            Err(why) => {
                refuse(volume, LUKS, format!("encrypted: {what}: {why}"));
                return None;
            }
        };
        let what = self.note(&opened, volume, &what, progress);
        let header = header.ok()?;
        let (uuid, version) = (&header.uuid, header.version);
        let (image, mark) = self.numbered(opened.image);
        volume.part_of = Some(what.clone());
        if volume.content.kind == LUKS {
            volume.content.state = State::Note(what);
            volume.closed = true;
        }
        let mut made = Volume::assembled(image, &format!("luks-{uuid}"));
        made.behind = Some(mark);
        made.is_pooled = volume.is_pooled;
        // What systemd-cryptsetup and initramfs call it where nothing else is said, and what udev makes of that.
        let plain = uuid.replace('-', "");
        made.names =
            vec![format!("mapper/luks-{uuid}"), format!("disk/by-id/dm-uuid-CRYPT-LUKS{version}-{plain}-luks-{uuid}")];
        Some(made)
    }

    /// Whether it was opened; and a volume of its own for what is behind the key where something else is there too,
    /// which must not vanish because somebody wrote this signature over it.
    fn bitlocker(&mut self, volume: &mut Volume, progress: &mut Progress) -> (bool, Option<Volume>) {
        let metadata = bitlocker::Metadata::read(volume.image.as_ref());
        let what = metadata.as_ref().map_or_else(|_| "BitLocker".to_owned(), bitlocker::Metadata::describe);
        match metadata.and_then(|metadata| metadata.open(&volume.image, self.keys, &mut self.work)) {
            Ok(opened) => {
                let what = self.note(&opened, volume, &what, progress);
                let (image, mark) = self.numbered(opened.image);
                if volume.content.kind == BITLOCKER {
                    volume.reveal(image);
                    volume.behind = Some(mark);
                    return (true, None);
                }
                let id = format!("{}-bitlocker", volume.id.trim_start_matches('@'));
                volume.part_of = Some(what);
                let is_pooled = volume.is_pooled;
                (true, Some(Volume { behind: Some(mark), is_pooled, ..Volume::assembled(image, &id) }))
            }
            Err(why) => {
                refuse(volume, BITLOCKER, format!("encrypted: {what}: {why}"));
                (false, None)
            }
        }
    }

    /// Gives what was opened the number of its key; and what tells it from what another key shows there.
    fn numbered(&mut self, image: Decrypted) -> (Arc<dyn Image>, [u8; 32]) {
        self.opened = self.opened.saturating_add(1);
        let mark = image.mark();
        (Arc::new(Decrypted { key: self.opened, ..image }), mark)
    }

    fn note(&mut self, opened: &Opened, volume: &Volume, what: &str, progress: &mut Progress) -> String {
        self.used.extend(opened.key);
        let what = format!("encrypted: {what}, opened with {}", opened.how);
        progress.notes.push(format!("{}: {what}", volume.id));
        what
    }

    /// What is worth knowing at the end: keys that opened nothing.
    pub(super) fn finish(self, progress: &mut Progress) {
        for (number, file) in self.keys.files() {
            if !self.used.contains(&number) {
                progress.notes.push(format!("--key-file {}: it opens no volume of this target", file.name));
            }
        }
    }
}

/// Says why a volume stays closed.
fn refuse(volume: &mut Volume, kind: &str, why: String) {
    match &mut volume.content {
        content if content.kind == kind => content.state = content::State::Gap(why),
        content => content.ambiguous.get_or_insert_default().push_str(&format!("; {why}")),
    }
}
