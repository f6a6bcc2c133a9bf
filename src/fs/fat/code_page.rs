//! The code page of short names. The volume does not say which one its maker used; 437 is what Linux and
//! firmware take when nobody tells them.

/// The characters of code page 437 from 0x80 on (Unicode consortium, `VENDORS/MICSFT/PC/CP437.TXT`).
const UPPER_HALF: &str = "\
    ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ\
    áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
    └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
    αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The text of a short name's bytes. Below 0x80 they are ASCII.
pub(super) fn decode(bytes: &[u8]) -> String {
    let upper = |byte: u8| {
        let index = byte.checked_sub(0x80).map(usize::from)?;
        UPPER_HALF.chars().nth(index)
    };
    bytes.iter().map(|&byte| upper(byte).unwrap_or(char::from(byte))).collect()
}
