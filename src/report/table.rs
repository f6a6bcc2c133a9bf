//! Rows under headings, aligned.

use std::io::{self, Write};

use super::escape::escaped;
use super::style::{Role, Style};

/// To which side a column's cells are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headings. Cells are escaped when they are added; the widths need all rows, so they are held.
#[derive(Debug, Default)]
pub struct Table {
    headings: Vec<(String, Align)>,
    rows: Vec<(Option<Role>, Vec<String>)>,
}

impl Table {
    /// A table without rows.
    pub fn new<'h>(headings: impl IntoIterator<Item = (&'h str, Align)>) -> Self {
        let headings = headings.into_iter().map(|(heading, align)| (escaped(heading).into_owned(), align)).collect();
        Self { headings, rows: Vec::new() }
    }

    /// Adds a row, all of it in the colour of `role` where there is one.
    pub fn row<'c>(&mut self, role: Option<Role>, cells: impl IntoIterator<Item = &'c str>) {
        self.rows.push((role, cells.into_iter().map(|cell| escaped(cell).into_owned()).collect()));
    }

    /// Writes headings and rows.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let width = |cell: &String| cell.chars().count();
        let widths: Vec<usize> = (0..self.headings.len())
            .map(|at| {
                let cells = self.rows.iter().filter_map(|(_, cells)| cells.get(at)).map(width);
                cells.chain(self.headings.get(at).map(|(heading, _)| width(heading))).max().unwrap_or(0)
            })
            .collect();
        let line = |cells: &mut dyn Iterator<Item = &String>| {
            let mut line = String::new();
            for ((cell, (_, align)), width) in cells.zip(&self.headings).zip(&widths) {
                let padded = match align {
                    Align::Left => format!("{cell:<width$}  "),
                    Align::Right => format!("{cell:>width$}  "),
                };
                line.push_str(&padded);
            }
            line.truncate(line.trim_end().len());
            line
        };
        writeln!(out, "{}", style.paint(Role::Strong, line(&mut self.headings.iter().map(|(heading, _)| heading))))?;
        for (role, cells) in &self.rows {
            let text = line(&mut cells.iter());
            match role {
                Some(role) => writeln!(out, "{}", style.paint(*role, text))?,
                None => writeln!(out, "{text}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_escaped() {
        let mut table = Table::new([("machine", Align::Left), ("changes", Align::Right), ("note", Align::Left)]);
        table.row(None, ["web01", "41", "\x1b[2J"]);
        table.row(Some(Role::Alarm), ["database-server", "1,234", ""]);
        let mut out = Vec::new();
        table.write(&mut out, Style::default()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "machine          changes  note\nweb01                 41  \\x1b[2J\ndatabase-server    1,234\n"
        );
    }
}
