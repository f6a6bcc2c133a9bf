//! Security identifiers: the binary form to `S-1-…`, and the names that every Windows gives to the well-known.
//!
//! On disk ([MS-DTYP] 2.4.2.2): revision 1 (8 bits), number of sub-authorities (8 bits, at most 15), identifier
//! authority (48 bits, big-endian), the sub-authorities (32 bits each, little-endian).

use std::{borrow::Cow, fmt::Write as _};

use crate::{
    error::{Error, Result},
    field::{le32, slice},
};

const HEADER: usize = 8;
const MAX_SUB_AUTHORITIES: u8 = 15;
/// Authorities from here on are printed in hexadecimal: [MS-DTYP] 2.4.2.1.
const HEX_AUTHORITY: u64 = 1 << 32;

/// The SID at the start of `bytes` in the form `S-1-5-32-544`; what lies behind it is not looked at.
///
/// # Errors
/// [`Error::Corrupt`] for another revision, more than 15 sub-authorities, and a SID that is cut.
pub fn to_string(bytes: &[u8]) -> Result<String> {
    parse(bytes).map(|(text, _)| text).ok_or_else(|| {
        let head = bytes.iter().take(HEADER).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let what = format!("revision 1 and its sub-authorities expected, found {head} in {} bytes", bytes.len());
        Error::corrupt("sid", "header at 0x0", what)
    })
}

/// The text and the number of bytes that the SID takes.
pub(super) fn parse(bytes: &[u8]) -> Option<(String, usize)> {
    let (&revision, &count) = (bytes.first()?, bytes.get(1)?);
    if revision != 1 || count > MAX_SUB_AUTHORITIES {
        return None;
    }
    let authority = slice(bytes, 2, 6)?.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let mut text =
        if authority < HEX_AUTHORITY { format!("S-1-{authority}") } else { format!("S-1-{authority:#014x}") };
    let body = slice(bytes, HEADER, usize::from(count).checked_mul(4)?)?;
    for sub_authority in body.chunks_exact(4) {
        let _ = write!(text, "-{}", le32(sub_authority, 0)?);
    }
    Some((text, HEADER.checked_add(body.len())?))
}

/// SID, alias in SDDL (empty where there is none), name. [MS-DTYP] 2.4.2.4 and 2.5.1.1, Windows documentation
/// "Well-known SIDs" and "SID strings". Aliases that depend on the machine's or the forest's domain are left out.
const WELL_KNOWN: [(&str, &str, &str); 80] = [
    ("S-1-0-0", "", "NULL SID"),
    ("S-1-1-0", "WD", "Everyone"),
    ("S-1-2-0", "", "LOCAL"),
    ("S-1-2-1", "", "CONSOLE LOGON"),
    ("S-1-3-0", "CO", "CREATOR OWNER"),
    ("S-1-3-1", "CG", "CREATOR GROUP"),
    ("S-1-3-2", "", "CREATOR OWNER SERVER"),
    ("S-1-3-3", "", "CREATOR GROUP SERVER"),
    ("S-1-3-4", "OW", "OWNER RIGHTS"),
    ("S-1-5-1", "", r"NT AUTHORITY\DIALUP"),
    ("S-1-5-2", "NU", r"NT AUTHORITY\NETWORK"),
    ("S-1-5-3", "", r"NT AUTHORITY\BATCH"),
    ("S-1-5-4", "IU", r"NT AUTHORITY\INTERACTIVE"),
    ("S-1-5-6", "SU", r"NT AUTHORITY\SERVICE"),
    ("S-1-5-7", "AN", r"NT AUTHORITY\ANONYMOUS LOGON"),
    ("S-1-5-8", "", r"NT AUTHORITY\PROXY"),
    ("S-1-5-9", "ED", r"NT AUTHORITY\ENTERPRISE DOMAIN CONTROLLERS"),
    ("S-1-5-10", "PS", r"NT AUTHORITY\SELF"),
    ("S-1-5-11", "AU", r"NT AUTHORITY\Authenticated Users"),
    ("S-1-5-12", "RC", r"NT AUTHORITY\RESTRICTED"),
    ("S-1-5-13", "", r"NT AUTHORITY\TERMINAL SERVER USER"),
    ("S-1-5-14", "", r"NT AUTHORITY\REMOTE INTERACTIVE LOGON"),
    ("S-1-5-15", "", r"NT AUTHORITY\This Organization"),
    ("S-1-5-17", "", r"NT AUTHORITY\IUSR"),
    ("S-1-5-18", "SY", r"NT AUTHORITY\SYSTEM"),
    ("S-1-5-19", "LS", r"NT AUTHORITY\LOCAL SERVICE"),
    ("S-1-5-20", "NS", r"NT AUTHORITY\NETWORK SERVICE"),
    ("S-1-5-33", "WR", r"NT AUTHORITY\WRITE RESTRICTED"),
    ("S-1-5-113", "", r"NT AUTHORITY\Local account"),
    ("S-1-5-114", "", r"NT AUTHORITY\Local account and member of Administrators group"),
    ("S-1-5-32-544", "BA", r"BUILTIN\Administrators"),
    ("S-1-5-32-545", "BU", r"BUILTIN\Users"),
    ("S-1-5-32-546", "BG", r"BUILTIN\Guests"),
    ("S-1-5-32-547", "PU", r"BUILTIN\Power Users"),
    ("S-1-5-32-548", "AO", r"BUILTIN\Account Operators"),
    ("S-1-5-32-549", "SO", r"BUILTIN\Server Operators"),
    ("S-1-5-32-550", "PO", r"BUILTIN\Print Operators"),
    ("S-1-5-32-551", "BO", r"BUILTIN\Backup Operators"),
    ("S-1-5-32-552", "RE", r"BUILTIN\Replicator"),
    ("S-1-5-32-554", "RU", r"BUILTIN\Pre-Windows 2000 Compatible Access"),
    ("S-1-5-32-555", "RD", r"BUILTIN\Remote Desktop Users"),
    ("S-1-5-32-556", "NO", r"BUILTIN\Network Configuration Operators"),
    ("S-1-5-32-557", "", r"BUILTIN\Incoming Forest Trust Builders"),
    ("S-1-5-32-558", "MU", r"BUILTIN\Performance Monitor Users"),
    ("S-1-5-32-559", "LU", r"BUILTIN\Performance Log Users"),
    ("S-1-5-32-560", "", r"BUILTIN\Windows Authorization Access Group"),
    ("S-1-5-32-561", "", r"BUILTIN\Terminal Server License Servers"),
    ("S-1-5-32-562", "", r"BUILTIN\Distributed COM Users"),
    ("S-1-5-32-568", "IS", r"BUILTIN\IIS_IUSRS"),
    ("S-1-5-32-569", "CY", r"BUILTIN\Cryptographic Operators"),
    ("S-1-5-32-573", "ER", r"BUILTIN\Event Log Readers"),
    ("S-1-5-32-574", "CD", r"BUILTIN\Certificate Service DCOM Access"),
    ("S-1-5-32-575", "RA", r"BUILTIN\RDS Remote Access Servers"),
    ("S-1-5-32-576", "ES", r"BUILTIN\RDS Endpoint Servers"),
    ("S-1-5-32-577", "MS", r"BUILTIN\RDS Management Servers"),
    ("S-1-5-32-578", "HA", r"BUILTIN\Hyper-V Administrators"),
    ("S-1-5-32-579", "AA", r"BUILTIN\Access Control Assistance Operators"),
    ("S-1-5-32-580", "RM", r"BUILTIN\Remote Management Users"),
    ("S-1-5-32-581", "", r"BUILTIN\System Managed Accounts Group"),
    ("S-1-5-32-582", "", r"BUILTIN\Storage Replica Administrators"),
    ("S-1-5-32-583", "", r"BUILTIN\Device Owners"),
    ("S-1-5-64-10", "", r"NT AUTHORITY\NTLM Authentication"),
    ("S-1-5-64-14", "", r"NT AUTHORITY\SChannel Authentication"),
    ("S-1-5-64-21", "", r"NT AUTHORITY\Digest Authentication"),
    ("S-1-5-80-0", "", r"NT SERVICE\ALL SERVICES"),
    ("S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464", "", r"NT SERVICE\TrustedInstaller"),
    ("S-1-5-83-0", "", r"NT VIRTUAL MACHINE\Virtual Machines"),
    ("S-1-5-84-0-0-0-0-0", "UD", r"NT AUTHORITY\USER MODE DRIVERS"),
    ("S-1-5-90-0", "", r"Window Manager\Window Manager Group"),
    ("S-1-15-2-1", "AC", r"APPLICATION PACKAGE AUTHORITY\ALL APPLICATION PACKAGES"),
    ("S-1-15-2-2", "", r"APPLICATION PACKAGE AUTHORITY\ALL RESTRICTED APPLICATION PACKAGES"),
    ("S-1-16-0", "", r"Mandatory Label\Untrusted Mandatory Level"),
    ("S-1-16-4096", "LW", r"Mandatory Label\Low Mandatory Level"),
    ("S-1-16-8192", "ME", r"Mandatory Label\Medium Mandatory Level"),
    ("S-1-16-8448", "MP", r"Mandatory Label\Medium Plus Mandatory Level"),
    ("S-1-16-12288", "HI", r"Mandatory Label\High Mandatory Level"),
    ("S-1-16-16384", "SI", r"Mandatory Label\System Mandatory Level"),
    ("S-1-16-20480", "", r"Mandatory Label\Protected Process Mandatory Level"),
    ("S-1-18-1", "AS", "Authentication authority asserted identity"),
    ("S-1-18-2", "SS", "Service asserted identity"),
];

/// Last sub-authority below `S-1-5-21-…`, name. [MS-DTYP] 2.4.2.4.
const DOMAIN_RELATIVE: [(&str, &str); 23] = [
    ("498", "Enterprise Read-only Domain Controllers"),
    ("500", "Administrator"),
    ("501", "Guest"),
    ("502", "krbtgt"),
    ("503", "DefaultAccount"),
    ("504", "WDAGUtilityAccount"),
    ("512", "Domain Admins"),
    ("513", "Domain Users"),
    ("514", "Domain Guests"),
    ("515", "Domain Computers"),
    ("516", "Domain Controllers"),
    ("517", "Cert Publishers"),
    ("518", "Schema Admins"),
    ("519", "Enterprise Admins"),
    ("520", "Group Policy Creator Owners"),
    ("521", "Read-only Domain Controllers"),
    ("522", "Cloneable Domain Controllers"),
    ("525", "Protected Users"),
    ("526", "Key Admins"),
    ("527", "Enterprise Key Admins"),
    ("553", "RAS and IAS Servers"),
    ("571", "Allowed RODC Password Replication Group"),
    ("572", "Denied RODC Password Replication Group"),
];

/// The name of a well-known SID, as `BUILTIN\Administrators`; of an account or group that every machine or
/// domain has, its English name without the domain, as `Administrator` for `S-1-5-21-…-500`; of a logon
/// session `NT AUTHORITY\Logon Session`. All others need a directory service, and give `None`.
#[must_use]
pub fn well_known_name(sid: &str) -> Option<Cow<'static, str>> {
    if let Some((.., name)) = WELL_KNOWN.iter().find(|(known, ..)| *known == sid) {
        return Some(Cow::Borrowed(name));
    }
    if sid.starts_with("S-1-5-5-") {
        return Some(Cow::Borrowed(r"NT AUTHORITY\Logon Session"));
    }
    let domain = sid.strip_prefix("S-1-5-21-")?;
    let parts: Vec<&str> = domain.split('-').collect();
    let (4, Some(rid)) = (parts.len(), parts.last()) else {
        return None;
    };
    DOMAIN_RELATIVE.iter().find(|(known, _)| known == rid).map(|(_, name)| Cow::Borrowed(*name))
}

/// The two letters that stand for the SID in SDDL.
pub(super) fn alias(sid: &str) -> Option<&'static str> {
    WELL_KNOWN.iter().find(|(known, ..)| *known == sid).map(|(_, alias, _)| *alias).filter(|alias| !alias.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of [MS-DTYP] 2.4.2.1, and the authority that does not fit 32 bits.
    #[test]
    fn sids_print_as_the_specification_says() {
        let bytes = [1, 2, 0, 0, 0, 0, 0, 5, 0x20, 0, 0, 0, 0x20, 2, 0, 0];
        assert_eq!(to_string(&bytes).unwrap(), "S-1-5-32-544");
        assert_eq!(to_string(&[1, 1, 0xF0, 0, 0, 0, 0, 1, 7, 0, 0, 0]).unwrap(), "S-1-0xf00000000001-7");
        assert_eq!(to_string(&[1, 0, 0, 0, 0, 0, 0, 5]).unwrap(), "S-1-5");
    }

    #[test]
    fn damaged_sids_are_errors() {
        assert!(to_string(&[]).is_err());
        assert!(to_string(&[2, 0, 0, 0, 0, 0, 0, 5]).is_err());
        assert!(to_string(&[1, 16, 0, 0, 0, 0, 0, 5]).is_err());
        assert_eq!(
            to_string(&[1, 1, 0, 0, 0, 0, 0, 5, 1]).unwrap_err().to_string(),
            "sid: header at 0x0: revision 1 and its sub-authorities expected, found 0101000000000005 in 9 bytes"
        );
    }

    #[test]
    fn names_of_the_well_known() {
        let name = |sid: &str| well_known_name(sid);
        assert_eq!(name("S-1-5-18").unwrap(), r"NT AUTHORITY\SYSTEM");
        assert_eq!(name("S-1-5-32-544").unwrap(), r"BUILTIN\Administrators");
        let installer = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
        assert_eq!(name(installer).unwrap(), r"NT SERVICE\TrustedInstaller");
        assert_eq!(name("S-1-5-21-1-2-3-512").unwrap(), "Domain Admins");
        assert_eq!(name("S-1-5-21-1-2-3-1104"), None);
        assert_eq!(name("S-1-5-21-1-2-512"), None);
        assert_eq!(alias("S-1-5-32-557"), None);
        let mut aliases: Vec<&str> = WELL_KNOWN.iter().map(|(_, alias, _)| *alias).filter(|a| !a.is_empty()).collect();
        aliases.sort_unstable();
        let count = aliases.len();
        aliases.dedup();
        assert_eq!(aliases.len(), count);
    }
}
