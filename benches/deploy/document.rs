//! Writes the figures and the plot where people read them.

use std::{fs, path::Path};

use crate::Result;

/// What `docs/performance.md` shows of a run.
pub struct Results {
    /// The table of figures.
    pub figures: String,
    /// The tables of the growth.
    pub growth: String,
    pub plot: String,
}

const DOCUMENT: &str = "performance.md";
const PLOT: &str = "growth.svg";

impl Results {
    /// Writes the plot into a folder.
    pub fn write_beside(&self, folder: &Path) -> Result<()> {
        let plot = folder.join(PLOT);
        println!("The plot of the growth: {}", plot.display());
        Ok(fs::write(plot, &self.plot)?)
    }

    /// Replaces the figures in the document, and the plot that it shows.
    pub fn write_into(&self, documents: &Path) -> Result<()> {
        let document = documents.join(DOCUMENT);
        let text = fs::read_to_string(&document)?;
        let text = replace(&text, "figures", &self.figures)?;
        let text = replace(&text, "growth", &self.growth)?;
        fs::write(&document, text)?;
        fs::write(documents.join(PLOT), &self.plot)?;
        println!("Written into {}: correct the machine and the date there.", document.display());
        Ok(())
    }
}

/// Replaces what is between the comments that mark the begin and the end of a part.
fn replace(document: &str, part: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!--{part}-->\n"), format!("<!--/{part}-->\n"));
    let found = document.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) = found.ok_or_else(|| format!("{DOCUMENT} does not mark where the {part} are"))?;
    Ok([before, &begin, "\n", text, "\n", &end, after].concat())
}
