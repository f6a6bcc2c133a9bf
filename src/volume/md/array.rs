//! An array: its members, and the image that they make together.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    LAYER,
    superblock::{Role, Superblock},
};
use crate::{
    field::wide,
    guid,
    image::{Image, Slice},
    volume::{reasons, segmented::Segmented},
};

const LINEAR: i32 = -1;
const MIRROR: i32 = 1;

/// A volume that is a member.
#[derive(Clone)]
pub(super) struct Member {
    /// Its place among the volumes.
    pub(super) index: usize,
    pub(super) image: Arc<dyn Image>,
    pub(super) superblock: Superblock,
}

/// The members of one array that were found.
pub(super) struct Array {
    pub(super) members: Vec<Member>,
    /// The superblock with the most events.
    newest: Superblock,
}

impl Array {
    pub(super) fn of(members: Vec<Member>) -> Option<Self> {
        // Of equals the first: not what `max_by_key` gives.
        let events = members.iter().map(|member| member.superblock.events).max()?;
        let newest = members.iter().find(|member| member.superblock.events == events)?.superblock.clone();
        Some(Self { members, newest })
    }

    /// The array's id, as `blkid` prints it.
    pub(super) fn id(&self) -> String {
        guid::uuid(self.newest.array)
    }

    /// How messages call it.
    pub(super) fn name(&self) -> String {
        match (&self.newest.minor, self.newest.name.as_str()) {
            (Some(minor), _) => format!("md{minor}"),
            (None, "") => self.id(),
            (None, name) => name.to_owned(),
        }
    }

    /// The names beneath `/dev/` (mdadm(8), "Device names"): where the array has a host, it may be left out.
    pub(super) fn device_names(&self) -> Vec<String> {
        if let Some(minor) = self.newest.minor {
            return vec![format!("md{minor}"), format!("md/{minor}")];
        }
        let name = self.newest.name.as_str();
        let short = name.split_once(':').map_or(name, |(_, short)| short);
        let mut names = Vec::new();
        if !short.is_empty() {
            names.push(format!("md/{short}"));
            names.push(if short.bytes().all(|byte| byte.is_ascii_digit()) {
                format!("md{short}")
            } else {
                short.to_owned()
            });
            if short != name {
                names.push(format!("md/{name}"));
            }
        }
        names.push(format!("disk/by-id/md-uuid-{}", self.id()));
        names
    }

    /// The indices of the volumes whose bytes are the array's.
    pub(super) fn used(&self) -> BTreeSet<usize> {
        self.sound().0.values().map(|member| member.index).collect()
    }

    /// The members that hold what was written last, by their numbers in the array; and why others do not.
    fn sound(&self) -> (BTreeMap<u16, &Member>, Vec<String>) {
        let (mut sound, mut wrong) = (BTreeMap::new(), Vec::new());
        for member in &self.members {
            let superblock = &member.superblock;
            let role = self.newest.roles.get(superblock.number).copied().unwrap_or(Role::Idle);
            let place = match role {
                Role::Active(place) if u32::from(place) < self.newest.members => place,
                _ => {
                    wrong.push("a member is a spare or has failed".to_owned());
                    continue;
                }
            };
            // One event behind is a change that was under way.
            let why = if superblock.events.saturating_add(1) < self.newest.events {
                Some("it is not up to date")
            } else if sound.contains_key(&place) {
                Some("there is another one with its number")
            } else {
                superblock.unsound
            };
            match why {
                Some(why) => wrong.push(format!("member {place} was not used: {why}")),
                None => {
                    sound.insert(place, member);
                }
            }
        }
        (sound, wrong)
    }

    /// Whether all members are there.
    pub(super) fn is_complete(&self) -> bool {
        u64::from(self.newest.members) == wide(self.sound().0.len())
    }

    /// What is worth knowing about it.
    pub(super) fn notes(&self) -> Vec<String> {
        let about = |what: String| format!("{LAYER}: array {}: {what}", self.name());
        let (sound, wrong) = self.sound();
        let mut notes: Vec<String> = wrong.into_iter().map(about).collect();
        if !self.is_complete() {
            notes.push(about(format!("degraded: {} of {} members are sound", sound.len(), self.newest.members)));
        }
        notes
    }

    /// Two members with the most events that know each other as missing or failed (mdadm, `Assemble.c`: of two with as
    /// many it takes the one that it is given first).
    fn divided(&self) -> Option<[u16; 2]> {
        let newest = self.members.iter().map(|member| &member.superblock);
        let mut newest = newest.filter(|found| found.events == self.newest.events);
        let knows = |own: &Superblock, other: &Superblock| own.roles.get(other.number).copied().unwrap_or(Role::Idle);
        let place = |own: &Superblock| match knows(own, own) {
            Role::Active(place) => Some(place),
            Role::Idle => None,
        };
        let first = &self.newest;
        newest.find_map(|other| {
            let denied = knows(first, other) == Role::Idle && knows(other, first) == Role::Idle;
            let mut places = [place(first)?, place(other)?];
            places.sort_unstable();
            denied.then_some(places)
        })
    }

    /// Whether a member shows the array's first bytes at the same place when its data begin at 0.
    pub(super) fn begins_like(&self, member: &Member) -> bool {
        let first = || self.sound().0.get(&0).is_some_and(|first| first.index == member.index);
        self.newest.level == MIRROR || (self.newest.level == LINEAR && first())
    }

    /// Its bytes.
    pub(super) fn image(&self) -> Result<Arc<dyn Image>, String> {
        let about = |what: String| format!("{LAYER}: array {}: {what}", self.name());
        if self.newest.reshaping {
            return Err(about("it is being reshaped, which is not read".to_owned()));
        }
        if let Some([one, other]) = self.divided() {
            return Err(about(format!(
                "members {one} and {other} were each used without the other, and nothing tells which of them is in use now: scan that one's disk alone"
            )));
        }
        let (sound, wrong) = self.sound();
        match self.newest.level {
            MIRROR => {
                let mut wrong = wrong;
                for (place, member) in &sound {
                    match part(member, self.newest.size) {
                        Ok(image) => return Ok(image),
                        Err(why) => wrong.push(format!("member {place}: {why}")),
                    }
                }
                Err(about(format!("no member of the mirror can be read: {}", reasons::told(&wrong))))
            }
            LINEAR => {
                let missing = (0..self.newest.members.min(u32::from(u16::MAX)))
                    .find(|&place| u16::try_from(place).map_or(true, |place| !sound.contains_key(&place)));
                if let Some(place) = missing {
                    return Err(about(format!("level linear: member {place} is missing or not sound")));
                }
                let parts = sound
                    .values()
                    .map(|member| {
                        let room = member.superblock.data_size;
                        // Whole chunks only (`linear_conf`).
                        let rest = room.checked_rem(self.newest.chunk).unwrap_or_default();
                        part(member, room.saturating_sub(rest))
                    })
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(about)?;
                Segmented::join(parts).map_err(|error| about(error.to_string()))
            }
            level => {
                let level = match level {
                    -4 => "multipath".to_owned(),
                    -10 => "container".to_owned(),
                    level => format!("raid{level}"),
                };
                Err(about(format!(
                    "level {level} is not read, superblock {}, {} members",
                    self.newest.version, self.newest.members
                )))
            }
        }
    }
}

/// The data of a member.
fn part(member: &Member, len: u64) -> Result<Arc<dyn Image>, String> {
    let superblock = &member.superblock;
    if len == 0 || len > superblock.data_size {
        return Err(format!("{len} bytes of its {} are used", superblock.data_size));
    }
    let slice = Slice::new(Arc::clone(&member.image), superblock.data_offset, len);
    Ok(Arc::new(slice.map_err(|error| error.to_string())?))
}
