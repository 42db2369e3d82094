//! Numbers as a table, and the goals beside them.

use std::fmt::Write;

use crate::measure::Sample;
use crate::rows::{Kind, Row};

/// A build may take this many times as long as the least that reading the image costs.
const MOST_OF_FLOOR: f64 = 1.4;
/// Inflating alone, as gzip does it, is slower than a whole build.
const MOST_OF_GZIP: f64 = 0.6;
/// Whatever the size of the image.
const MOST_MEGABYTES: f64 = 400.0;
/// A compressed qcow2 straight from the image, against converting a finished disk.
const MOST_OF_QEMU_IMG: f64 = 0.2;

/// A disk that boots, in less time than the download alone.
const MOST_OF_PULL: f64 = 1.0;
/// A disk that boots, in less time than the copy alone.
const MOST_OF_SKOPEO: f64 = 1.0;
/// A rebuild with one small layer that is new, against one without a cache.
const MOST_WHEN_CHANGED: f64 = 0.2;
/// A build for another architecture, against one for this.
const MOST_WHEN_FOREIGN: f64 = 1.1;
/// Of 60,000 paths, in seconds.
const MOST_FOR_LABELS: f64 = 0.5;

/// What the runs of one row say.
struct Summary {
    kind: Kind,
    median: f64,
    min: f64,
    user: f64,
    kernel: f64,
    /// Of all runs the largest, in MB.
    rss: f64,
}

impl Summary {
    fn of(row: &Row, samples: &[Sample]) -> Summary {
        let walls = samples.iter().map(|sample| sample.wall);
        Summary {
            kind: row.kind,
            median: median(walls.clone().collect()),
            min: walls.fold(f64::INFINITY, f64::min),
            user: median(samples.iter().map(|sample| sample.user).collect()),
            kernel: median(samples.iter().map(|sample| sample.kernel).collect()),
            rss: samples.iter().map(|sample| sample.rss).fold(0.0, f64::max) * 1024.0 / 1e6,
        }
    }
}

/// The upper one of the two in the middle, when there are two.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The table of one image; some goals are for a `large` one.
pub fn render(rows: &[Row], samples: &[Vec<Sample>], large: bool) -> String {
    let summaries: Vec<Summary> = rows.iter().zip(samples).map(|(row, samples)| Summary::of(row, samples)).collect();
    let wall = |kind| summaries.iter().find(|summary| summary.kind == kind).map_or(f64::NAN, |summary| summary.median);
    let (floor, gzip) = (wall(Kind::Floor), wall(Kind::Gzip));
    let mut text = format!(
        "{:<42} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>9}\n",
        "", "median s", "min s", "user s", "kernel s", "RSS MB", "x floor", "x gzip"
    );
    for (row, summary) in rows.iter().zip(&summaries) {
        let Summary { median, min, user, kernel, rss, .. } = summary;
        let (of_floor, of_gzip) = (median / floor, median / gzip);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<42} {median:>9.2} {min:>9.2} {user:>9.2} {kernel:>9.2} {rss:>9.0} {of_floor:>8.2} {of_gzip:>9.2}",
            row.title
        );
    }
    text.push('\n');
    text + &goals(&summaries, &wall, large)
}

fn goals(summaries: &[Summary], wall: &impl Fn(Kind) -> f64, large: bool) -> String {
    let mut goals = Vec::new();
    for (kind, what) in [(Kind::Raw, "raw"), (Kind::RawNoChecksums, "raw --no-checksums")] {
        goals.push((format!("{what}, of the floor"), wall(kind) / wall(Kind::Floor), MOST_OF_FLOOR));
        goals.push((format!("{what}, of gzip -dc"), wall(kind) / wall(Kind::Gzip), MOST_OF_GZIP));
    }
    goals.push(("qcow2, of qemu-img convert -c".to_owned(), wall(Kind::Zlib) / wall(Kind::QemuImg), MOST_OF_QEMU_IMG));
    goals.push(("ref from HTTP, of ostree pull".to_owned(), wall(Kind::Server) / wall(Kind::Pull), MOST_OF_PULL));
    goals.push(("registry, of skopeo copy".to_owned(), wall(Kind::Registry) / wall(Kind::Skopeo), MOST_OF_SKOPEO));
    for (kind, what, most) in [
        (Kind::Changed, "one small layer new, of no cache", MOST_WHEN_CHANGED),
        (Kind::Foreign, "for arm64, of for amd64", MOST_WHEN_FOREIGN),
    ] {
        if wall(kind).is_finite() {
            goals.push((what.to_owned(), wall(kind) / wall(Kind::RawNoChecksums), most));
        }
    }
    if large {
        let builds = summaries.iter().filter(|summary| summary.kind.is_build());
        let most = builds.map(|summary| summary.rss).fold(0.0, f64::max);
        goals.push(("memory of any build, MB".to_owned(), most, MOST_MEGABYTES));
    }
    goals.push(("labels of 60,000 paths, s".to_owned(), wall(Kind::Labels), MOST_FOR_LABELS));
    goals.into_iter().map(|(what, found, most)| goal(&what, found, most)).collect()
}

fn goal(what: &str, found: f64, most: f64) -> String {
    let verdict = if found <= most { "reached" } else { "not reached" };
    format!("goal: {what:<34} {found:>7.2}, at most {most:>6.1}: {verdict}\n")
}
