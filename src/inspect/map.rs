//! The partition map, drawn to scale.

/// One stretch of the disk.
pub struct Cell {
    /// What is written into it, line by line.
    pub lines: Vec<String>,
    pub bytes: u64,
    /// Bytes used, of how many.
    pub used: Option<(u64, u64)>,
}

/// A cell is made wide enough for its text up to here; beyond, the text is cut.
const READABLE: usize = 12;

/// Boxes `width` columns wide in all, in proportion to the cells' sizes as far as all stay readable; `None` when they
/// do not fit side by side.
pub fn draw(cells: &[Cell], width: usize) -> Option<Vec<String>> {
    let inner = width.checked_sub(cells.len() + 1)?;
    let sizes: Vec<u64> = cells.iter().map(|cell| cell.bytes).collect();
    let widths = [READABLE, 6, 3, 1].into_iter().find_map(|most| spread(&sizes, &least(cells, most), inner))?;
    let height = cells.iter().map(|cell| cell.lines.len()).max()?;
    let mut rows = vec![rule(&widths, ['┌', '┬', '┐'])];
    for line in 0..height {
        let text = |cell: &Cell, width| fit(cell.lines.get(line).map_or("", String::as_str), width);
        rows.push(row(cells, &widths, text));
    }
    rows.push(row(cells, &widths, bar));
    rows.push(rule(&widths, ['└', '┴', '┘']));
    Some(rows)
}

/// What a cell's text needs, and never less than a smaller cell gets: what is larger must not look smaller.
fn least(cells: &[Cell], most: usize) -> Vec<usize> {
    let need = |cell: &Cell| longest(cell).clamp(1, most);
    let up_to = |bytes: u64| cells.iter().filter(move |cell| cell.bytes <= bytes).map(need).max().unwrap_or(1);
    cells.iter().map(|cell| up_to(cell.bytes)).collect()
}

fn longest(cell: &Cell) -> usize {
    cell.lines.iter().map(|line| line.chars().count()).max().unwrap_or(0)
}

/// Shares `inner` columns out by size. Who would get less than the least gets the least, and the others share the rest.
fn spread(sizes: &[u64], least: &[usize], inner: usize) -> Option<Vec<usize>> {
    let mut fixed = vec![false; sizes.len()];
    loop {
        let taken: usize = least.iter().zip(&fixed).filter(|(_, fixed)| **fixed).map(|(least, _)| least).sum();
        let rest = inner.checked_sub(taken)?;
        let total: u128 =
            sizes.iter().zip(&fixed).filter(|(_, fixed)| !**fixed).map(|(&size, _)| u128::from(size)).sum();
        let share = |size: u64| usize::try_from(u128::from(size) * rest as u128 / total.max(1)).unwrap_or(rest);
        match (0..sizes.len()).find(|&cell| !fixed[cell] && share(sizes[cell]) < least[cell]) {
            Some(small) => fixed[small] = true,
            None => {
                let width = |cell: usize| if fixed[cell] { least[cell] } else { share(sizes[cell]) };
                let mut widths: Vec<usize> = (0..sizes.len()).map(width).collect();
                // What rounding left over goes where it shows least.
                let left = inner.checked_sub(widths.iter().sum())?;
                *widths.iter_mut().max()? += left;
                return Some(widths);
            }
        }
    }
}

fn rule(widths: &[usize], [first, between, last]: [char; 3]) -> String {
    let boxes: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
    format!("{first}{}{last}", boxes.join(&between.to_string()))
}

fn row(cells: &[Cell], widths: &[usize], text: impl Fn(&Cell, usize) -> String) -> String {
    let texts: Vec<String> = cells.iter().zip(widths).map(|(cell, &width)| text(cell, width)).collect();
    format!("│{}│", texts.join("│"))
}

/// Padded to `width`, or cut with an ellipsis.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:<width$}");
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn bar(cell: &Cell, width: usize) -> String {
    let Some((used, size)) = cell.used.filter(|(_, size)| *size > 0) else { return " ".repeat(width) };
    let filled = (u128::from(used) * width as u128).div_ceil(u128::from(size));
    let filled = usize::try_from(filled).unwrap_or(width).min(width);
    "█".repeat(filled) + &"░".repeat(width - filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cells_stay_readable_and_large_ones_keep_their_proportion() {
        let widths = spread(&[1, 1000, 3000], &[8, 8, 8], 88).unwrap();
        assert_eq!(widths, [8, 20, 60]);
    }

    #[test]
    fn a_long_name_does_not_make_a_partition_look_larger_than_a_larger_one() {
        let cell = |name: &str, bytes| Cell { lines: vec![name.to_owned()], bytes, used: None };
        assert_eq!(least(&[cell("EFI-SYSTEM", 5), cell("boot", 10), cell("bios", 1)], 12), [10, 10, 4]);
    }

    #[test]
    fn what_cannot_be_side_by_side_is_not_drawn() {
        let cells: Vec<Cell> = (0..60).map(|_| Cell { lines: vec!["1".to_owned()], bytes: 1, used: None }).collect();
        assert!(draw(&cells, 80).is_none());
        assert_eq!(draw(&cells[..30], 80).unwrap()[0].chars().count(), 80);
    }

    #[test]
    fn a_bar_shows_the_share_in_use() {
        let cell = Cell { lines: Vec::new(), bytes: 8, used: Some((1, 4)) };
        assert_eq!(bar(&cell, 8), "██░░░░░░");
        assert_eq!(fit("EFI-SYSTEM", 6), "EFI-S…");
    }
}
