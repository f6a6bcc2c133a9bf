//! `snapfim inspect TARGET`: the tree container → partition → volume → filesystem → mount point.

use serde_json::json;

use super::{
    args::{InspectArgs, ReportFormat},
    output::Output,
};
use crate::{
    error::Result,
    machine::{Family, State, Volume},
    report::{escape, human::size as human_bytes},
    target::{self, Target},
};

pub(super) fn run(args: &InspectArgs, output: &mut Output) -> Result<u8> {
    let target = target::open(&args.target, &args.open.options(None)?)?;
    match args.format {
        ReportFormat::Text => text(&target, output),
        ReportFormat::Ndjson => output.json(&as_json(&target))?,
    }
    let gap = !target.gaps.is_empty()
        || !target.machine.missing.is_empty()
        || target.machine.volumes.iter().any(|volume| remarks(volume).iter().any(|(mark, _)| *mark == "gap"));
    Ok(if gap { 4 } else { 0 })
}

/// The system of a target, for people.
pub(super) fn system(target: &Target) -> String {
    let os = &target.machine.os;
    match (os.family, &os.name) {
        (Family::None, _) => "no operating system found".to_owned(),
        (_, Some(name)) => name.clone(),
        (family, None) => format!("{} system", family.as_str()),
    }
}

/// The system of a target, for programs.
pub(super) fn os(target: &Target) -> serde_json::Value {
    let os = &target.machine.os;
    json!({"family": os.family.as_str(), "name": os.name, "host": os.host})
}

/// Where a volume is mounted, if anywhere.
fn mount(target: &Target, index: usize) -> Option<String> {
    let mount = target.machine.mounts.iter().find(|mount| mount.volume == index)?;
    Some(String::from_utf8_lossy(&mount.path).into_owned())
}

/// The number of the disk that a volume lies on, if it lies on one alone.
fn disk_of(volume: &Volume) -> Option<usize> {
    volume.place.map(|(disk, _)| disk).or_else(|| volume.start.map(|(disk, _)| disk))
}

/// The notes and gaps of a volume, each with its mark.
fn remarks(volume: &Volume) -> Vec<(&'static str, String)> {
    let mut remarks = Vec::new();
    match &volume.state {
        State::Read => {}
        State::Note(why) => remarks.push(("note", why.clone())),
        State::Gap(why) => remarks.push(("gap", why.clone())),
    }
    remarks.extend(volume.gaps.iter().map(|gap| ("gap", gap.clone())));
    if let Some(fs) = &volume.fs {
        remarks.extend(fs.info().gaps.iter().map(|gap| ("gap", gap.clone())));
        remarks.extend(fs.info().notes.iter().map(|note| ("note", note.clone())));
    }
    remarks
}

/// A volume, and beneath it what is to be said of it.
fn volume_lines(target: &Target, index: usize, volume: &Volume, say: &mut impl FnMut(usize, String)) {
    let origin = match (volume.place, volume.device_names.first()) {
        (Some((_, number)), _) => format!("partition {number}: "),
        (None, Some(name)) => format!("{name}: "),
        (None, None) => String::new(),
    };
    let label = volume.label.as_deref().map(|label| format!(" \"{label}\"")).unwrap_or_default();
    let uuid = volume.uuid.as_deref().map(|uuid| format!(" {uuid}")).unwrap_or_default();
    let name = volume.part_label.as_deref().map(|name| format!(", named \"{name}\"")).unwrap_or_default();
    let mount = mount(target, index).map(|mount| format!(" → {mount}")).unwrap_or_default();
    let extent = match (volume.size, volume.device_names.as_slice()) {
        // A directory or a hive.
        (0, _) => String::new(),
        (size, []) => format!(", {} at {:#x}", human_bytes(size), volume.offset),
        (size, _) => format!(", {}", human_bytes(size)),
    };
    say(2, format!("{origin}{}{label}{uuid}{extent}{name}, {}{mount}", volume.content, volume.id));
    for (mark, remark) in remarks(volume) {
        say(3, format!("{mark}: {remark}"));
    }
}

fn text(target: &Target, output: &mut Output) {
    let mut any_assembled = false;
    let mut say =
        |depth: usize, line: String| output.line(&format!("{}{}", "  ".repeat(depth), escape::escaped(&line)));
    say(0, target.given.clone());
    let host = target.machine.os.host.as_deref().filter(|_| target.machine.os.family != Family::None);
    let host = host.map(|host| format!(", calls itself {host}")).unwrap_or_default();
    say(1, format!("{}{host}", system(target)));
    for (number, disk) in target.disks.iter().enumerate() {
        let size = if disk.size > 0 { format!(", {}", human_bytes(disk.size)) } else { String::new() };
        let table = disk.table.map(|table| format!(", partition table {table}")).unwrap_or_default();
        say(1, format!("disk {}: {}{size}{table}", number + 1, disk.container));
        for (path, size) in disk.files.iter().filter(|(_, size)| *size > 0) {
            say(2, format!("file {} ({})", path.display(), human_bytes(*size)));
        }
        let on_this = |v: &Volume| disk_of(v).map_or(v.device_names.is_empty() && number == 0, |disk| disk == number);
        for (index, volume) in target.machine.volumes.iter().enumerate().filter(|(_, v)| on_this(v)) {
            volume_lines(target, index, volume, &mut say);
        }
    }
    let assembled = |v: &Volume| disk_of(v).is_none() && !v.device_names.is_empty();
    for (index, volume) in target.machine.volumes.iter().enumerate().filter(|(_, v)| assembled(v)) {
        if !std::mem::replace(&mut any_assembled, true) {
            say(1, "assembled from these volumes".to_owned());
        }
        volume_lines(target, index, volume, &mut say);
    }
    for hive in &target.machine.hives {
        let logs = match hive.logs.len() {
            0 => String::new(),
            logs => format!(", {logs} transaction logs"),
        };
        say(1, format!("hive {}{logs}", String::from_utf8_lossy(&hive.mount)));
    }
    for missing in &target.machine.missing {
        say(1, format!("gap: {}: {}", String::from_utf8_lossy(&missing.path), missing.why));
    }
    for gap in &target.gaps {
        say(1, format!("gap: {gap}"));
    }
    for note in target.notes.iter().chain(&target.machine.notes) {
        say(1, format!("note: {note}"));
    }
}

fn as_json(target: &Target) -> serde_json::Value {
    let disks: Vec<_> = target
        .disks
        .iter()
        .map(|disk| {
            let files: Vec<_> = disk
                .files
                .iter()
                .map(|(path, size)| json!({"path": path.display().to_string(), "size": size}))
                .collect();
            json!({"container": disk.container, "size": disk.size, "table": disk.table, "files": files})
        })
        .collect();
    let volumes: Vec<_> = target
        .machine
        .volumes
        .iter()
        .enumerate()
        .map(|(index, volume)| {
            let of = |mark: &str| -> Vec<String> {
                remarks(volume).into_iter().filter(|(kind, _)| *kind == mark).map(|(_, text)| text).collect()
            };
            json!({
                "volume": volume.id, "names": volume.device_names, "fs": volume.content, "id": volume.uuid, "label": volume.label,
                "partition": volume.place.map(|(_, number)| number), "disk": disk_of(volume),
                "partuuid": volume.part_uuid, "partlabel": volume.part_label,
                "offset": volume.offset, "size": volume.size, "mount": mount(target, index),
                "state": match volume.state { State::Read => "read", State::Note(_) => "note", State::Gap(_) => "gap" },
                "gaps": of("gap"), "notes": of("note"),
            })
        })
        .collect();
    let missing: Vec<_> = target
        .machine
        .missing
        .iter()
        .map(|missing| json!({"path": String::from_utf8_lossy(&missing.path), "why": missing.why}))
        .collect();
    let hives: Vec<_> = target
        .machine
        .hives
        .iter()
        .map(|hive| json!({"mount": String::from_utf8_lossy(&hive.mount), "logs": hive.logs.len()}))
        .collect();
    json!({
        "target": target.given, "disks": disks, "volumes": volumes, "missing": missing, "hives": hives,
        "control_set": target.machine.control_set,
        "os": os(target),
        "notes": target.notes.iter().chain(&target.machine.notes).collect::<Vec<_>>(), "gaps": target.gaps,
    })
}
