//! The results, for people or for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::measure::{Row, ratio, spread};
use crate::options::{Options, size_name};
use crate::plan::Spread;
use crate::upkeep;

#[derive(Default)]
pub(crate) struct Report {
    text: String,
    lookups: Vec<Value>,
    upkeep: Vec<Value>,
}

impl Report {
    pub(crate) fn lookups(&mut self, size: u32, asked: Spread, rows: &[Row]) {
        let head = format!(
            "\n{} mappings, {} (cycles; median, slow-down by a writer at full speed)\n\
             {:<12} {:>7} {:>24} {:>6} {:>8} {:>24} {:>6}\n",
            size_name(size),
            asked.name(),
            "table",
            "bytes",
            "lookup",
            "beside",
            "M upd/s",
            "walk",
            "beside"
        );
        self.text.push_str(&head);
        eprint!("{head}");
        for row in rows {
            let line = line(row);
            eprint!("{line}");
            self.text.push_str(&line);
            self.lookups.push(json!({
                "size": size_name(size),
                "spread": asked.name(),
                "table": row.name,
                "bytes": row.bytes,
                "lookup": spread(&row.alone),
                "lookup_slower": ratio(&row.beside, &row.alone),
                "walk": spread(&row.walk),
                "walk_slower": ratio(&row.walk_beside, &row.walk),
                "updates_m": spread(&row.updates),
            }));
        }
    }

    pub(crate) fn upkeep(&mut self, row: &upkeep::Row) {
        let [cycles, low, high] = spread(&row.cycles).unwrap_or_default();
        let line = format!(
            "{:<24} {cycles:>7.1} [{low:.1}, {high:.1}]  x{:.3}  longest burst {:>7.1} us  {:>8.1} ms\n",
            row.name, row.slower, row.longest_us, row.took_ms
        );
        eprint!("{line}");
        self.text.push_str(&line);
        self.upkeep.push(json!({
            "while": row.name,
            "lookup": [cycles, low, high],
            "slower": row.slower,
            "longest_burst_us": row.longest_us,
            "took_ms": row.took_ms,
        }));
    }

    /// The rows went to standard error as they came; this is for a file.
    pub(crate) fn end(&self, options: &Options) {
        if options.json {
            let all = json!({ "lookups": self.lookups, "upkeep": self.upkeep });
            println!("{all:#}");
        } else {
            print!("{}", self.text);
        }
    }
}

fn line(row: &Row) -> String {
    let mut line = format!("{:<12} {:>7.1}", row.name, row.bytes);
    let mut cell = |values: &[f64], width: usize, digits: usize| {
        let text = spread(values).map_or("-".to_owned(), |[median, low, high]| {
            if width > 10 {
                format!("{median:.digits$} [{low:.digits$}, {high:.digits$}]")
            } else {
                format!("{median:.digits$}")
            }
        });
        let _ = write!(line, " {text:>width$}");
    };
    let slower = |a: &[f64], b: &[f64]| ratio(a, b).into_iter().collect::<Vec<f64>>();
    cell(&row.alone, 24, 1);
    cell(&slower(&row.beside, &row.alone), 6, 2);
    cell(&row.updates, 8, 1);
    cell(&row.walk, 24, 1);
    cell(&slower(&row.walk_beside, &row.walk), 6, 2);
    line.push('\n');
    line
}
