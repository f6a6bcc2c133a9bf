//! Case folding by a volume's own table of upper-case letters, one unit of UTF-16 each.

/// Folds case as a volume does.
pub(in crate::fs) struct UpCase {
    table: Vec<u16>,
}

impl UpCase {
    /// A table; beyond its end, the simple upper-case mapping of Unicode stands in.
    pub(in crate::fs) fn new(table: Vec<u16>) -> Self {
        Self { table }
    }

    /// The upper-case form of a unit.
    pub(in crate::fs) fn fold(&self, unit: u16) -> u16 {
        self.table.get(usize::from(unit)).copied().unwrap_or_else(|| simple(unit))
    }
}

fn simple(unit: u16) -> u16 {
    let Some(c) = char::from_u32(u32::from(unit)) else { return unit };
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => u16::try_from(u32::from(one)).unwrap_or(unit),
        _ => unit,
    }
}
