//! The hives of the fixture's machine, as `fixtures/windows/make.sh` puts them into its disk.

use crate::regf::{self, Key, key, log};

/// The signature of the fixture's disk, and where its second partition begins.
const DISK: u32 = 0x5a4b_3c2d;
const DATA_OFFSET: u64 = 10 << 20;

/// Descriptors owned by Administrators, and by alice.
pub(crate) fn descriptors() -> Vec<Vec<u8>> {
    let owned_by = |sid: &[u8]| {
        let mut descriptor = vec![1, 0, 0, 0x80, 20, 0, 0, 0];
        descriptor.extend([0; 12]);
        descriptor.extend(sid);
        descriptor
    };
    let alice = [machine_sid(5), 1001_u32.to_le_bytes().to_vec()].concat();
    vec![owned_by(&[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]), owned_by(&alice)]
}

/// `S-1-5-21-1-2-3`, with room for one more of `count` sub-authorities.
pub(crate) fn machine_sid(count: u8) -> Vec<u8> {
    let authorities = [21_u32, 1, 2, 3].into_iter().flat_map(u32::to_le_bytes);
    [1, count, 0, 0, 0, 0, 0, 5].into_iter().chain(authorities).collect()
}

/// A key at a path below another.
pub(crate) fn path(names: &str, leaf: impl FnOnce(Key) -> Key) -> Key {
    let mut names = names.rsplit('\\').map(|name| Key { descriptor: Some(0), ..key(name) });
    let last = leaf(names.next().unwrap());
    names.fold(last, |below, above| above.subkey(below))
}

fn root() -> Key {
    Key { descriptor: Some(0), ..key("ROOT") }
}

fn dword(number: u32) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn control_set(name: &str, host: &str, services: Key) -> Key {
    let boot_key = Key { class: Some("0a1b2c3d".to_owned()), ..key("JD") };
    let control = key("Control")
        .subkey(path(r"ComputerName\ComputerName", |key| key.text("ComputerName", 1, host)))
        .subkey(key("Lsa").subkey(boot_key));
    key(name).subkey(control).subkey(services)
}

/// SYSTEM as it is on disk, and as its log leaves it.
fn system(replayed: bool) -> Key {
    let partition = |offset: u64| [DISK.to_le_bytes().to_vec(), offset.to_le_bytes().to_vec()].concat();
    let mut services = key("Services").subkey(key("Lab").value("Start", 4, dword(if replayed { 2 } else { 3 })));
    if replayed {
        services = services.subkey(key("Extra").text("ImagePath", 2, r"%TEMP%\x.exe"));
    }
    root()
        .subkey(key("Select").value("Current", 4, dword(2)))
        .subkey(
            key("MountedDevices")
                .value(r"\DosDevices\C:", 3, partition(1 << 20))
                .value(r"\DosDevices\E:", 3, partition(DATA_OFFSET))
                .value(r"\DosDevices\F:", 3, partition(77 << 20))
                .value(r"\??\Volume{11111111-2222-3333-4444-555555555555}", 3, partition(DATA_OFFSET)),
        )
        .subkey(control_set("ControlSet001", "OLD-NAME", key("Services")))
        .subkey(control_set("ControlSet002", "FIXTURE-PC", services))
}

fn software() -> Key {
    let version = path(r"Windows NT\CurrentVersion", |key| {
        key.text("ProductName", 1, "Windows 10 Pro")
            .text("DisplayVersion", 1, "23H2")
            .text("CurrentBuild", 1, "22631")
            .value("UBR", 4, dword(2861))
            .subkey(
                regf::key("ProfileList")
                    .subkey(regf::key("S-1-5-18").text(
                        "ProfileImagePath",
                        2,
                        r"%systemroot%\system32\config\systemprofile",
                    ))
                    .subkey(regf::key("S-1-5-21-1-2-3-1001").text("ProfileImagePath", 2, r"%SystemDrive%\users\ALICE")),
            )
            .subkey(regf::key("Windows").text("AppInit_DLLs", 1, "").text("Spooler", 1, "yes"))
            .subkey(regf::key("Winlogon").text("DefaultPassword", 1, "hunter2").text("Shell", 1, "explorer.exe"))
    });
    let run = path(r"Windows\CurrentVersion\Run", |key| {
        key.text("", 1, "unnamed").text("Agent", 1, r"C:\agent.exe").value("Odd", 0x12, [1, 2, 3])
    });
    let list: Vec<u8> = "one\0two\0\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = (0..40_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let vendor = key("Производитель").value("big", 3, big).value("list", 7, list);
    root().subkey(key("Microsoft").subkey(version).subkey(run)).subkey(vendor)
}

fn sam() -> Key {
    let fixed = [vec![0; 40], machine_sid(4)].concat();
    path(r"SAM\Domains\Account", |key| {
        key.value("V", 3, fixed).subkey(path(r"Users\Names\alice", |key| key.value("", 1001, [])))
    })
}

fn user(program: &str) -> Key {
    let run = path(r"Software\Microsoft\Windows\CurrentVersion\Run", |key| key.text("Start", 1, program));
    Key { descriptor: Some(1), ..key("ROOT") }.subkey(run)
}

/// File names below `fixtures/tmp/windows` and contents. `SYSTEM.replayed` is for the oracle only.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let write = |root: &Key| regf::write(5, root, &descriptors());
    let [old, new] = [system(false), system(true)].map(|root| write(&root));
    let secret = path(r"Policy\Secrets\$MACHINE.ACC\CurrVal", |key| key.value("", 0, *b"machine secret"));
    vec![
        ("SYSTEM", log::dirty(&old, 100)),
        ("SYSTEM.LOG1", log::log(&old, 100, &[log::step(100, &old, &new)])),
        ("SYSTEM.replayed", new),
        ("SOFTWARE", write(&software())),
        ("SAM", write(&root().subkey(sam()))),
        ("SECURITY", write(&root().subkey(secret))),
        ("DEFAULT", write(&root().subkey(path(r"Control Panel\Desktop", |key| key.text("SCRNSAVE.EXE", 1, ""))))),
        ("alice.NTUSER.DAT", write(&user("a.exe"))),
        ("alice.UsrClass.dat", write(&root().subkey(key("CLSID")))),
        ("bob.NTUSER.DAT", write(&user("b.exe"))),
        ("BCD", write(&root().subkey(path("Description", |key| key.value("System", 4, dword(1)))))),
    ]
}

/// For `fixtures/windows/make.sh`.
#[test]
#[ignore = "makes the hives of the fixture"]
fn write_hives() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tmp/windows");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in all() {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}
