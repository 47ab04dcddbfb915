//! Tables: a heading, aligned columns, numbers to the right.
//!
//! A long list is written page by page. Columns only ever grow, so that later
//! pages stay under the heading of the first.

use super::failure::Failure;
use super::output::{Context, Style, clean};

/// A column: its heading and the side its cells keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    title: &'static str,
    right: bool,
}

/// A column of words.
pub(super) const fn text(title: &'static str) -> Column {
    Column {
        title,
        right: false,
    }
}

/// A column of numbers.
pub(super) const fn number(title: &'static str) -> Column {
    Column { title, right: true }
}

/// Rows that wait to be written.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    widths: Vec<usize>,
    rows: Vec<(Option<Style>, Vec<String>)>,
    headed: bool,
}

impl Table {
    pub(super) fn new(columns: impl IntoIterator<Item = Column>) -> Table {
        let columns: Vec<_> = columns.into_iter().collect();
        Table {
            widths: columns.iter().map(|c| c.title.len()).collect(),
            columns,
            rows: Vec::new(),
            headed: false,
        }
    }

    /// Adds a row. An empty cell is shown as a dash.
    pub(super) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.styled(None, cells);
    }

    /// Adds a row in a colour.
    pub(super) fn styled<S: AsRef<str>>(
        &mut self,
        style: Option<Style>,
        cells: impl IntoIterator<Item = S>,
    ) {
        let cells: Vec<_> = cells
            .into_iter()
            .map(|cell| match cell.as_ref() {
                "" => "-".to_owned(),
                cell => clean(cell).into_owned(),
            })
            .collect();
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.rows.push((style, cells));
    }

    /// Writes the rows added since the last time, below the heading.
    pub(super) fn write(&mut self, context: &mut Context) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.headed, true) {
            let titles: Vec<_> = self.columns.iter().map(|c| c.title.to_owned()).collect();
            let line = self.align(&titles);
            context.line(context.paint(Style::Head, &line))?;
        }
        for (style, cells) in std::mem::take(&mut self.rows) {
            let line = self.align(&cells);
            match style {
                Some(style) => context.line(context.paint(style, &line))?,
                None => context.line(line)?,
            }
        }
        Ok(())
    }

    fn align(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for ((column, &width), cell) in self.columns.iter().zip(&self.widths).zip(cells) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let space = " ".repeat(width - cell.chars().count().min(width));
            match column.right {
                true => line.extend([space.as_str(), cell]),
                false => line.extend([cell, space.as_str()]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_right_words_left_and_lines_have_no_tail() {
        let mut table = Table::new([text("NAME"), number("N"), text("HELP")]);
        table.row(["rx", "1000", ""]);
        table.row(["tx_full", "7", "é\n"]);
        let lines: Vec<_> = table.rows.iter().map(|(_, r)| table.align(r)).collect();
        assert_eq!(lines, ["rx       1000  -", "tx_full     7  é\\n"]);
    }
}
