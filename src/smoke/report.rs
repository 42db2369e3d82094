//! A verdict for machines: JSON, and JUnit XML as CI systems read it (the Jenkins schema: testsuites, testsuite, testcase).

use std::fmt::Write;

use super::Verdict;

/// The verdict as JSON, its fields under their own names.
pub fn json(verdict: &Verdict) -> String {
    // OK to unwrap: strings, numbers and lists; no map with other keys, no failing serializer.
    serde_json::to_string_pretty(verdict).unwrap() + "\n"
}

/// The verdict as one JUnit test case called `name`; the steps of a life are test cases of their own.
pub fn junit(verdict: &Verdict, name: &str) -> String {
    let failures = u8::from(!verdict.passed);
    let (name, seconds) = (escape(name), verdict.seconds);
    let tests = verdict.steps.len().max(1);
    let counts = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{seconds:.3}\"");
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let class = format!("bootwright.{}", verdict.firmware);
    // OK to discard: writing to a string does not fail.
    let _ = write!(out, "<testsuites {counts}>\n  <testsuite name=\"bootwright test\" {counts}>\n");
    for step in &verdict.steps {
        let (of, seconds, found) = (escape(&step.name), step.seconds, escape(&step.found));
        let failure = if step.passed { String::new() } else { failure(verdict) };
        let _ = write!(
            out,
            "    <testcase classname=\"{class}\" name=\"{name}: {of}\" time=\"{seconds:.3}\">\n\
             {failure}      <system-out>{found}</system-out>\n    </testcase>\n"
        );
    }
    if verdict.steps.is_empty() {
        let (failure, output) = (failure(verdict), escape(&verdict.last_lines.join("\n")));
        let _ = write!(
            out,
            "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\">\n\
             {failure}      <system-out>{output}</system-out>\n    </testcase>\n"
        );
    }
    out + "  </testsuite>\n</testsuites>\n"
}

fn failure(verdict: &Verdict) -> String {
    if verdict.passed {
        return String::new();
    }
    let mut text = format!("last stage: {}\n", verdict.stage);
    verdict.usual_causes.iter().for_each(|cause| text += &format!("usual cause: {cause}\n"));
    verdict.log.iter().for_each(|log| text += &format!("console log: {}\n", log.display()));
    let (message, stage) = (escape(&verdict.reason), verdict.stage);
    format!("      <failure message=\"{message}\" type=\"{stage}\">{}</failure>\n", escape(&text))
}

/// Text or attribute value; characters that XML 1.0 cannot carry become U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_guest_prints_breaks_the_xml() {
        assert_eq!(
            escape("]]> <a b=\"c\"> & \u{1}\u{ffff}\t"),
            "]]&gt; &lt;a b=&quot;c&quot;&gt; &amp; \u{fffd}\u{fffd}\t"
        );
    }
}
