//! Descriptors against Samba's text, and the forms that Samba does not print against [MS-DTYP].

use super::*;
use crate::security::tests::{mutants, table, unhex};

/// Samba names only single rights, in an order of its own; Windows names whole masks first. Both become numbers.
fn with_numeric_masks(sddl: &str) -> String {
    let mut parts = sddl.split('(');
    let mut text = parts.next().unwrap().to_owned();
    for ace in parts {
        let fields: Vec<&str> = ace.split(';').collect();
        text.push_str(&format!("({};{};{:#x};{}", fields[0], fields[1], mask(fields[2]), fields[3..].join(";")));
    }
    text
}

/// [MS-DTYP] 2.5.1.1, rights.
fn mask(rights: &str) -> u32 {
    if let Some(digits) = rights.strip_prefix("0x") {
        return u32::from_str_radix(digits, 16).unwrap();
    }
    rights.as_bytes().chunks(2).fold(0, |mask, name| {
        mask | match name {
            b"FA" => 0x1F01FF,
            b"FR" => 0x120089,
            b"FW" => 0x120116,
            b"FX" => 0x1200A0,
            b"KA" => 0xF003F,
            b"KR" => 0x20019,
            b"KW" => 0x20006,
            b"GR" => 0x8000_0000,
            b"GW" => 0x4000_0000,
            b"GX" => 0x2000_0000,
            b"GA" => 0x1000_0000,
            b"WO" => 0x80000,
            b"WD" => 0x40000,
            b"RC" => 0x20000,
            b"SD" => 0x10000,
            b"CR" => 0x100,
            b"LO" => 0x80,
            b"DT" => 0x40,
            b"WP" => 0x20,
            b"RP" => 0x10,
            b"SW" => 8,
            b"LC" => 4,
            b"DC" => 2,
            b"CC" => 1,
            _ => panic!("{rights}"),
        }
    })
}

#[test]
fn text_is_that_of_samba() {
    let rows = table(include_str!("../../../fixtures/security/descriptors.tsv"));
    assert_eq!(rows.len(), 150);
    for (bytes, expected) in rows {
        assert_eq!(with_numeric_masks(&to_sddl(&bytes).unwrap()), with_numeric_masks(&expected));
    }
}

/// A descriptor with one list of one ACE, which is given as bytes.
fn with_ace(control: u16, ace: &[u8]) -> Vec<u8> {
    let size = u16::try_from(8 + ace.len()).unwrap();
    let system = control & SACL_PRESENT != 0;
    let mut bytes = vec![1, 0];
    bytes.extend((SELF_RELATIVE | control).to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend([if system { 20 } else { 0 }, 0, 0, 0, if system { 0 } else { 20 }, 0, 0, 0]);
    bytes.extend([4, 0]);
    bytes.extend(size.to_le_bytes());
    bytes.extend([1, 0, 0, 0]);
    bytes.extend(ace);
    bytes
}

/// An ACE of a type, with mask, SID `WD` and data.
fn ace(kind: u8, flags: u8, mask: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, flags];
    bytes.extend(u16::try_from(20 + data.len()).unwrap().to_le_bytes());
    bytes.extend(mask.to_le_bytes());
    bytes.extend([1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    bytes.extend(data);
    bytes
}

fn dacl(ace: &[u8]) -> String {
    to_sddl(&with_ace(DACL_PRESENT, ace)).unwrap()
}

fn sacl(ace: &[u8]) -> String {
    to_sddl(&with_ace(SACL_PRESENT, ace)).unwrap()
}

#[test]
fn a_text_that_would_be_longer_than_wanted_is_not_made() {
    // [MS-DTYP] 2.4.4.2: everyone, nothing allowed.
    let descriptor = with_ace(DACL_PRESENT, &[0, 0, 20, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    let whole = to_sddl(&descriptor).unwrap();
    assert_eq!(to_sddl_within(&descriptor, whole.len()).unwrap().as_ref(), Some(&whole));
    assert_eq!(to_sddl_within(&descriptor, whole.len() - 1).unwrap(), None);
}

#[test]
fn whole_masks_have_names_and_others_are_exact() {
    assert_eq!(dacl(&ace(0, 0, 0x1F01FF, &[])), "D:(A;;FA;;;WD)");
    assert_eq!(dacl(&ace(1, 0x0B, 0x1200A9, &[])), "D:(D;OICIIO;0x1200a9;;;WD)");
    assert_eq!(dacl(&ace(0, 0, 0xE001_0000, &[])), "D:(A;;SDGXGWGR;;;WD)");
    assert_eq!(dacl(&ace(0, 0x20, 0x2019D, &[])), "D:(A;CR;CCLCSWRPLOCRRC;;;WD)");
}

#[test]
fn null_absent_and_empty_lists_differ() {
    let mut bytes = vec![1, 0, 4, 0x90];
    bytes.extend([0; 16]);
    assert_eq!(to_sddl(&bytes).unwrap(), "D:PNO_ACCESS_CONTROL");
    bytes[2..4].copy_from_slice(&[0, 0x80]);
    assert_eq!(to_sddl(&bytes).unwrap(), "");
    let mut empty = with_ace(DACL_PRESENT, &[]);
    empty[24] = 0;
    assert_eq!(to_sddl(&empty).unwrap(), "D:");
}

#[test]
fn labels_trust_and_policies() {
    let mut label = ace(0x11, 0x12, 5, &[]);
    label[8..20].copy_from_slice(&[1, 1, 0, 0, 0, 0, 0, 16, 0, 0x10, 0, 0]);
    assert_eq!(sacl(&label), "S:(ML;CIID;NWNX;;;LW)");
    assert_eq!(sacl(&ace(0x11, 0, 0x11, &[])), "S:(ML;;0x11;;;WD)");
    assert_eq!(sacl(&ace(0x13, 0, 0, &[])), "S:(SP;;;;;WD)");
    assert_eq!(sacl(&ace(0x14, 0, 0x10, &[])), "S:(TL;;RP;;;WD)");
}

fn text(code: u8, words: &str) -> Vec<u8> {
    let utf16: Vec<u8> = words.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut token = vec![code];
    token.extend(u32::try_from(utf16.len()).unwrap().to_le_bytes());
    token.extend(utf16);
    token
}

/// The example of [MS-DTYP] 2.5.1.1: `(@User.Title=="PM" && (@User.Division=="Finance" || @User.Division=="Sales"))`,
/// and the binary layout of 2.4.4.17.
#[test]
fn conditions_print_in_infix_form() {
    let mut tokens = b"artx".to_vec();
    for token in [
        text(0xF9, "Title"),
        text(0x10, "PM"),
        vec![0x80],
        text(0xF9, "Division"),
        text(0x10, "Finance"),
        vec![0x80],
        text(0xF9, "Division"),
        text(0x10, "Sales"),
        vec![0x80, 0xA1, 0xA0, 0],
    ] {
        tokens.extend(token);
    }
    let condition = r#"((@User.Title == "PM") && ((@User.Division == "Finance") || (@User.Division == "Sales")))"#;
    assert_eq!(dacl(&ace(0x09, 0, 0x1200A0, &tokens)), format!("D:(XA;;FX;;;WD;{condition})"));
    tokens.push(0xA0);
    let unbalanced = dacl(&ace(0x0A, 0, 0x1200A0, &tokens));
    assert!(unbalanced.starts_with("D:(XD;;FX;;;WD;hex:61727478f9"), "{unbalanced}");
    assert_eq!(dacl(&ace(0x09, 0, 1, &[])), "D:(XA;;CC;;;WD)");
}

#[test]
fn operands_of_every_kind() {
    let integer = |value: i64, sign: u8, base: u8| {
        let mut token = vec![4];
        token.extend(value.to_le_bytes());
        token.extend([sign, base]);
        token
    };
    let expression = |tokens: &[Vec<u8>]| {
        let mut data = b"artx".to_vec();
        tokens.iter().for_each(|token| data.extend(token));
        condition::to_text(&data)
    };
    let mut members = vec![0x50, 23, 0, 0, 0, 0x51, 12, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
    members.extend([0x18, 1, 0, 0, 0, 0xAB]);
    assert_eq!(expression(&[members, vec![0x89]]).unwrap(), "(Member_of {SID(SY), #ab})");
    assert_eq!(expression(&[text(0xF8, "a b"), integer(-10, 2, 2), vec![0x82]]).unwrap(), "(a%0020b < -10)");
    assert_eq!(expression(&[text(0xFA, "x"), integer(31, 3, 3), vec![0x83]]).unwrap(), "(@Resource.x <= 0x1f)");
    assert_eq!(expression(&[text(0xFB, "x"), integer(8, 1, 1), vec![0x86]]).unwrap(), "(@Device.x Contains +010)");
    assert_eq!(expression(&[text(0xF8, "x"), vec![0x87, 0xA2]]).unwrap(), "(! (Exists x))");
    assert_eq!(expression(&[text(0xF8, "x"), vec![0x87, 0x87, 0xA0]]), None);
    assert_eq!(expression(&[vec![0x77]]), None);
}

/// The layout of [MS-DTYP] 2.4.10.1 and the text of 2.5.1.1, `("Project",TS,0,"Windows","SQL")` and the like.
#[test]
fn claims_list_their_values() {
    let mut claim = vec![24, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 36, 0, 0, 0];
    claim.extend([b'S', 0, 0, 0]);
    claim.extend(7_u64.to_le_bytes());
    claim.extend(9_u64.to_le_bytes());
    assert_eq!(sacl(&ace(0x12, 0x02, 0, &claim)), r#"S:(RA;CI;;;;WD;("S",TU,0x1,7,9))"#);
    claim[4] = 9;
    assert!(sacl(&ace(0x12, 0x02, 0, &claim)).starts_with("S:(RA;CI;;;;WD;hex:18000000"));
}

#[test]
fn what_has_no_token_or_does_not_parse_is_hexadecimal() {
    assert_eq!(dacl(&[0x0C, 0x03, 8, 0, 1, 2, 3, 4]), "D:(0x0c;OICI;hex:01020304)");
    assert_eq!(dacl(&[0, 0x03, 8, 0, 1, 2, 3, 4]), "D:(A;OICI;hex:01020304)");
}

#[test]
fn damaged_frames_are_errors() {
    let message = |bytes: &[u8]| to_sddl(bytes).unwrap_err().to_string();
    assert_eq!(message(&[1, 0]), "security descriptor: offset 0x0: 20 bytes of header expected, found 2");
    let mut bytes = with_ace(DACL_PRESENT, &ace(0, 0, 1, &[]));
    bytes[30] = 40;
    assert_eq!(message(&bytes), "security descriptor: offset 0x1c: ACE 0 of 1: its 40 bytes leave the ACL");
    bytes[16..20].copy_from_slice(&[0xFF; 4]);
    assert_eq!(message(&bytes), "security descriptor: offset 0xffffffff: an ACL of at least 8 bytes expected, found 0");
    assert_eq!(message(&unhex("0100000000000000000000000000000000000000")).matches("self-relative").count(), 1);
}

#[test]
fn mutants_end_in_text_or_an_error() {
    for (bytes, _) in table(include_str!("../../../fixtures/security/descriptors.tsv")).iter().take(10) {
        mutants(bytes, |mutant| drop(to_sddl(mutant)));
    }
    let mut data = b"artx".to_vec();
    data.extend(text(0xF9, "Title"));
    data.extend(text(0x10, "PM"));
    data.push(0x80);
    mutants(&with_ace(DACL_PRESENT, &ace(9, 0, 1, &data)), |mutant| drop(to_sddl(mutant)));
}
