//! The hives of users: those of every profile that `ProfileList` names, and those of profile folders that it does
//! not name.

use std::{collections::HashSet, ops::ControlFlow};

use super::text_within;
use crate::{
    error::{Error, Result},
    fs::{Kind, Listed, NodeId},
    machine::{HiveFile, Machine, Missing, Resolution, Resolver, join, node_at, resolve::Place},
    registry::Hive,
};

const SOFTWARE: &str = r"HKLM\SOFTWARE";
const PROFILE_LIST: &str = r"Microsoft\Windows NT\CurrentVersion\ProfileList";
/// Profiles that are looked at, and folders beside them.
const PROFILE_CAP: usize = 10_000;
/// A user's hive, and that of a mandatory profile, which Windows loads in place of the other where there are both.
const ORDINARY: &str = "NTUSER.DAT";
const MANDATORY: &str = "NTUSER.MAN";
/// The hive of a user's classes, and where it is: since Windows Vista, and before. Since Vista the old path leads
/// through links to the new one.
const CLASSES: &[u8] = b"UsrClass.dat";
const MODERN_CLASSES: [&[u8]; 4] = [b"AppData", b"Local", b"Microsoft", b"Windows"];
const OLD_CLASSES: [&[u8]; 4] = [b"Local Settings", b"Application Data", b"Microsoft", b"Windows"];
/// Where profiles are: since Windows Vista, and before.
const PROFILE_FOLDERS: [&str; 2] = ["Users", "Documents and Settings"];

/// A profile that `ProfileList` names.
struct Profile {
    sid: String,
    path: String,
}

/// What `ProfileList` says.
#[derive(Default)]
struct List {
    profiles: Vec<Profile>,
    /// Why it may name a folder that no profile of `profiles` has.
    damage: Option<String>,
}

/// Finds the hives of all users.
///
/// Without the hive that holds the list, whether it is damaged or not there, nobody knows who has which SID: a user who
/// stood at another path that night would be a thousand keys that are new, and as many that are gone the night after.
pub(super) fn find(machine: &mut Machine, root: usize, software: Option<&Hive>) {
    let list = match software.map(|software| profile_list(machine, software)) {
        Some(Ok(list)) => list,
        Some(Err(error)) => unknown(machine, &error.to_string()),
        None => unknown(machine, SOFTWARE),
    };
    let mut named = HashSet::new();
    for profile in &list.profiles {
        listed(machine, root, profile, &mut named);
    }
    for folder in PROFILE_FOLDERS {
        if let Err(error) = unlisted(machine, root, folder, &named, list.damage.as_deref()) {
            let why = format!(r"the profiles of \{folder} cannot be read: {error}");
            lose(machine, format!(r"HKU\@{folder}").into_bytes(), why);
        }
    }
}

/// A list of which not even the SIDs are known.
fn unknown(machine: &mut Machine, why: &str) -> List {
    let why = format!("the list of profiles cannot be read: {why}");
    lose(machine, b"HKU".to_vec(), why.clone());
    List { damage: Some(why), ..List::default() }
}

/// Notes that a hive, whose root key stands at `mount`, cannot be read.
fn lose(machine: &mut Machine, mount: Vec<u8>, why: String) {
    machine.missing.push(Missing { path: mount, why, ..Missing::default() });
}

/// Notes that both hives of a user cannot be read.
fn lose_user(machine: &mut Machine, sid: &str, why: &str) {
    for mount in [format!(r"HKU\{sid}"), format!(r"HKU\{sid}_Classes")] {
        lose(machine, mount.into_bytes(), why.to_owned());
    }
}

fn profile_list(machine: &mut Machine, software: &Hive) -> Result<List> {
    let Some(key) = software.lookup(PROFILE_LIST)? else { return Ok(List::default()) };
    let mut keys = Vec::new();
    let mut damage = None;
    software.subkeys(key, &mut |key| {
        match key.and_then(|id| Ok(software.key(id)?)) {
            Ok(key) if key.name_is_cut => damage = key.faults.into_iter().next(),
            Ok(key) => keys.push(key),
            Err(fault) => damage = Some(fault),
        }
        if keys.len() > PROFILE_CAP { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if keys.len() > PROFILE_CAP {
        return Err(Error::budget("machine", format!("more than {PROFILE_CAP} profiles")));
    }
    let mut list = damage.map_or_else(List::default, |fault| unknown(machine, &fault.to_string()));
    let mut room = software.room();
    for key in keys {
        let sid = String::from_utf8_lossy(&key.name).into_owned();
        let path = match text_within(software, key.id, "ProfileImagePath", &mut room) {
            Ok(Some(path)) => path,
            Ok(None) => continue,
            Err(error) if is_sid(&sid) => {
                let why = format!("where the profile of {sid} is cannot be read: {error}");
                lose_user(machine, &sid, &why);
                list.damage = Some(why);
                continue;
            }
            Err(_) => continue,
        };
        if let Some(name) = path.rsplit(['\\', '/']).find(|name| !name.is_empty()) {
            machine.accounts.name_sid(sid.clone(), name.to_owned());
        }
        list.profiles.push(Profile { sid, path });
    }
    list.profiles.sort_by(|a, b| (&a.sid, &a.path).cmp(&(&b.sid, &b.path)));
    Ok(list)
}

/// Adds the hives of a profile that the list names; its folder goes to `named`.
fn listed(machine: &mut Machine, root: usize, profile: &Profile, named: &mut HashSet<(usize, NodeId)>) {
    let sid = &profile.sid;
    if !is_sid(sid) {
        machine.notes.push(format!("ProfileList: {sid} is not a SID; it names no user"));
        return;
    }
    let path = expand(machine, root, &profile.path);
    let found = Resolver::new(&mut machine.sessions()).resolve(path.as_bytes());
    let place = match found {
        Ok(Resolution::Found(place)) if place.kind == Some(Kind::Dir) => place,
        Ok(_) => {
            machine.notes.push(format!("{path}: the profile folder of {sid} is not there"));
            return;
        }
        Err(error) => {
            let why = format!("the profile folder {path} cannot be read: {error}");
            lose_user(machine, sid, &why);
            return;
        }
    };
    if hives(machine, &place, format!(r"HKU\{sid}").as_bytes()) {
        named.insert((place.volume, place.node));
    } else {
        machine.notes.push(format!("{path}: the profile of {sid} holds no {ORDINARY}"));
    }
}

fn is_sid(name: &str) -> bool {
    name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("S-1-")) && !name.contains(['\\', '/', '\0'])
}

/// The drive of the system's volume: `C:`.
fn drive(machine: &Machine, root: usize) -> String {
    let mount = machine.mounts.iter().find(|mount| mount.volume == root);
    mount.map_or_else(|| "C:".to_owned(), |mount| String::from_utf8_lossy(&mount.path[..2]).into_owned())
}

/// A path with the variables that profiles use put in.
fn expand(machine: &Machine, root: usize, path: &str) -> String {
    let drive = drive(machine, root);
    let windows = format!(r"{drive}\Windows");
    for (variable, value) in [("%SystemRoot%", &windows), ("%windir%", &windows), ("%SystemDrive%", &drive)] {
        if let Some((start, rest)) = path.split_at_checked(variable.len())
            && start.eq_ignore_ascii_case(variable)
        {
            return format!("{value}{rest}");
        }
    }
    path.to_owned()
}

/// Adds the hives of a profile folder. Says whether it has a user's hive.
fn hives(machine: &mut Machine, folder: &Place, mount: &[u8]) -> bool {
    let is_profile = add(machine, folder, mount, user_hive);
    if is_profile {
        add(machine, folder, &[mount, b"_Classes"].concat(), classes_hive);
    }
    is_profile
}

/// Finds a hive that belongs to a profile folder, and says where it is to stand.
type Find = fn(&mut Machine, &Place, &[u8]) -> Result<Option<HiveFile>>;

/// Adds a hive of a profile folder. Says whether it, or a hole in its place, is there.
fn add(machine: &mut Machine, folder: &Place, mount: &[u8], find: Find) -> bool {
    let shown = String::from_utf8_lossy(&folder.path);
    if machine.hives.iter().any(|file| file.mount.eq_ignore_ascii_case(mount)) {
        let why = format!("{shown}: a second profile of this name is not read");
        lose(machine, mount.to_vec(), why);
        return false;
    }
    match find(machine, folder, mount) {
        Ok(None) => return false,
        Ok(Some(file)) => machine.hives.push(file),
        Err(error) => {
            let why = format!("its hive in {shown} cannot be read: {error}");
            lose(machine, mount.to_vec(), why);
        }
    }
    true
}

fn user_hive(machine: &mut Machine, folder: &Place, mount: &[u8]) -> Result<Option<HiveFile>> {
    let find = |name: &str| {
        let mut sessions = machine.sessions();
        HiveFile::find(sessions.of(folder.volume)?, folder.volume, &folder.node, name.as_bytes(), mount.to_vec())
    };
    let Some(mandatory) = find(MANDATORY)? else { return find(ORDINARY) };
    let shown = String::from_utf8_lossy(&folder.path);
    machine.notes.push(format!("{shown}: a mandatory profile, of which {MANDATORY} is read in place of {ORDINARY}"));
    Ok(Some(mandatory))
}

fn classes_hive(machine: &mut Machine, folder: &Place, mount: &[u8]) -> Result<Option<HiveFile>> {
    let mut sessions = machine.sessions();
    let is_modern = sessions.of(folder.volume)?.lookup(&folder.node, MODERN_CLASSES[0])?.is_some();
    let mut resolver = Resolver::new(&mut sessions);
    let mut find = |path: &[&[u8]]| {
        let Some(place) = beneath(&mut resolver, folder, path)? else { return Ok(None) };
        let session = resolver.sessions().of(place.volume)?;
        HiveFile::find(session, place.volume, &place.node, CLASSES, mount.to_vec())
    };
    if let Some(modern) = find(&MODERN_CLASSES)? {
        return Ok(Some(modern));
    }
    // Beside the modern folder, links that lead away are no loss: since Vista the old path leads to where nothing was.
    match find(&OLD_CLASSES) {
        Err(Error::Unsupported { .. }) if is_modern => Ok(None),
        old => old,
    }
}

/// The folder at a path beneath another, links followed; `None` where there is none. What a link hides that leads to
/// no folder of this machine may be there all the same.
fn beneath(resolver: &mut Resolver<'_, '_>, folder: &Place, path: &[&[u8]]) -> Result<Option<Place>> {
    let mut here = folder.clone();
    for name in path {
        let path = join(&here.path, name, Machine::separator(&here.path));
        here = match resolver.resolve(&path)? {
            Resolution::Found(place) if place.kind == Some(Kind::Dir) => place,
            _ => match resolver.resolve_link(&path)? {
                Resolution::Found(place) if place.kind != Some(Kind::File) => {
                    let path = String::from_utf8_lossy(&path);
                    return Err(Error::unsupported("machine", format!("{path} leads to no folder of this machine")));
                }
                _ => return Ok(None),
            },
        };
    }
    Ok(Some(here))
}

/// Adds the hives of profile folders that the list does not name, under the folder's name. Where the list is damaged,
/// any of them may be one that it names, whose keys stand at a SID: then they are lost.
fn unlisted(
    machine: &mut Machine,
    root: usize,
    parent: &str,
    named: &HashSet<(usize, NodeId)>,
    list_damage: Option<&str>,
) -> Result<()> {
    let (mut folders, mut lost, mut damage) = (Vec::new(), Vec::new(), None);
    {
        let mut sessions = machine.sessions();
        let session = sessions.of(root)?;
        let Some(users) = node_at(session, &[parent.as_bytes()])? else { return Ok(()) };
        if session.metadata(&users)?.kind != Some(Kind::Dir) {
            return Ok(());
        }
        session.list(&users, &mut |listed| {
            match listed {
                Listed::Entry(entry) if matches!(entry.kind, None | Some(Kind::Dir)) => {
                    folders.push((entry.name.to_vec(), entry.node));
                }
                Listed::Entry(_) => {}
                Listed::Fault(fault) => damage = Some(fault),
            }
            if folders.len() > PROFILE_CAP { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if folders.len() > PROFILE_CAP {
            return Err(Error::budget("machine", format!("more than {PROFILE_CAP} folders")));
        }
        // What stands for another folder is looked at there.
        folders.retain(|(name, node)| match session.metadata(node) {
            Ok(metadata) => metadata.kind == Some(Kind::Dir),
            Err(error) => {
                lost.push((name.clone(), error));
                false
            }
        });
    }
    for (name, error) in lost {
        let why = format!("the profile folder cannot be read: {error}");
        lose(machine, [br"HKU\@", parent.as_bytes(), br"\", &name].concat(), why);
    }
    folders.sort();
    let drive = drive(machine, root);
    for (name, node) in folders {
        if named.contains(&(root, node.clone())) || name.contains(&b'\\') {
            continue;
        }
        let mount = [br"HKU\@", parent.as_bytes(), br"\", &name].concat();
        let path = [drive.as_bytes(), br"\", parent.as_bytes(), br"\", &name].concat();
        let place = Place { volume: root, node, kind: Some(Kind::Dir), path };
        let before = machine.hives.len();
        hives(machine, &place, &mount);
        if let Some(why) = list_damage {
            for file in machine.hives.split_off(before) {
                let why = format!("the user may be one with a SID (the hive file can be a target of its own): {why}");
                lose(machine, file.mount, why);
            }
        }
    }
    damage.map_or(Ok(()), |fault| Err(Error::corrupt("machine", fault.at, fault.error)))
}

#[cfg(test)]
mod tests {
    use crate::{error::Fault, machine::test_machine};

    #[test]
    fn a_profile_folder_that_cannot_be_read_is_missing_and_not_gone() {
        let machine = test_machine(
            |root| {
                root.dir("/Windows/System32/config").dir("/Users/alice").dir("/Users/bob");
                root.damage("/Users/bob", Fault::new("memory", "", "damaged"));
            },
            |_| {},
        );
        let missing: Vec<_> = machine.missing.iter().map(|missing| String::from_utf8_lossy(&missing.path)).collect();
        assert!(missing.iter().any(|path| path == r"HKU\@Users\bob"), "{missing:?}");
        assert!(!missing.iter().any(|path| path.contains("alice")), "{missing:?}");
    }
}
