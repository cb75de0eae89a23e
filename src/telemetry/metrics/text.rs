//! The text format 0.0.4 of Prometheus.

use std::fmt::{self, Display, Write as _};

use super::family::{Family, Labels, MetricValue, Series};
use super::histogram::Distribution;

/// A page of families. Those without a series yet are left out.
pub(super) fn page(families: &[Family]) -> String {
    let mut page = String::with_capacity(32 * 1024);
    for family in families {
        // Writing to a string does not fail.
        let _ = put_family(&mut page, family);
    }
    page
}

fn put_family(page: &mut String, family: &Family) -> fmt::Result {
    let Family { name, help, series } = family;
    let Some(kind) = kind(series) else {
        return Ok(());
    };
    writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
    match series {
        Series::Values(values) => {
            for (labels, value) in values {
                put_sample(page, name, "", labels, None, value.get())?;
            }
        }
        Series::Summaries(summaries) => {
            for (labels, distribution) in summaries {
                put_totals(page, name, labels, distribution)?;
            }
        }
        Series::Histograms(histograms) => {
            for (labels, distribution) in histograms {
                for (bound, count) in &distribution.buckets {
                    put_sample(page, name, "_bucket", labels, Some(&Bound(*bound)), count)?;
                }
                put_sample(page, name, "_bucket", labels, Some(&"+Inf"), distribution.count)?;
                put_totals(page, name, labels, distribution)?;
            }
        }
    }
    Ok(())
}

/// `None` if there is nothing to show.
fn kind(series: &Series) -> Option<&'static str> {
    match series {
        Series::Values(values) => values.first().map(|(_, value)| match value {
            MetricValue::Gauge(_) => "gauge",
            MetricValue::Counter(_) => "counter",
        }),
        Series::Summaries(summaries) => summaries.first().map(|_| "summary"),
        Series::Histograms(histograms) => histograms.first().map(|_| "histogram"),
    }
}

fn put_totals(page: &mut String, name: &str, labels: &Labels, distribution: &Distribution) -> fmt::Result {
    put_sample(page, name, "_sum", labels, None, distribution.sum)?;
    put_sample(page, name, "_count", labels, None, distribution.count)
}

fn put_sample(
    page: &mut String,
    name: &str,
    suffix: &str,
    labels: &Labels,
    bound: Option<&dyn Display>,
    value: impl Display,
) -> fmt::Result {
    write!(page, "{name}{suffix}")?;
    let mut before = '{';
    for (label, text) in labels {
        write!(page, "{before}{label}=\"")?;
        put_escaped(page, text);
        page.push('"');
        before = ',';
    }
    if let Some(bound) = bound {
        write!(page, "{before}le=\"{bound}\"")?;
        before = ',';
    }
    if before == ',' {
        page.push('}');
    }
    writeln!(page, " {value}")
}

fn put_escaped(page: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '\\' => page.push_str("\\\\"),
            '"' => page.push_str("\\\""),
            '\n' => page.push_str("\\n"),
            char => page.push(char),
        }
    }
}

/// The bound of a bucket, spelled as Go spells it: a query over servers of both kinds groups buckets by that text.
struct Bound(f64);

impl Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bound) = *self;
        if bound >= 0.0001 {
            return write!(formatter, "{bound}");
        }
        let text = format!("{bound:e}");
        match text.split_once("e-") {
            Some((digits, exponent)) => write!(formatter, "{digits}e-{exponent:0>2}"),
            None => formatter.write_str(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(series: Series) -> Family {
        Family {
            name: "x_y",
            help: "Help.",
            series,
        }
    }

    #[test]
    fn values_have_labels_in_braces() {
        let values = vec![
            (Vec::new(), MetricValue::Counter(1e15)),
            (
                vec![("a", "".into()), ("b", "q\"b\\n\n".into())],
                MetricValue::Counter(1.5),
            ),
        ];
        assert_eq!(
            page(&[family(Series::Values(values))]),
            "# HELP x_y Help.\n# TYPE x_y counter\nx_y 1000000000000000\nx_y{a=\"\",b=\"q\\\"b\\\\n\\n\"} 1.5\n"
        );
    }

    #[test]
    fn histograms_have_cumulative_buckets() {
        let reading = || Distribution {
            buckets: vec![(0.000_005, 1), (0.0001, 2), (2.5, 2), (10.0, 2)],
            count: 3,
            sum: 12.25,
        };
        assert_eq!(
            page(&[
                family(Series::Histograms(vec![(vec![("m", "v".into())], reading())])),
                family(Series::Summaries(vec![(Vec::new(), reading())])),
            ]),
            "# HELP x_y Help.\n# TYPE x_y histogram\n\
             x_y_bucket{m=\"v\",le=\"5e-06\"} 1\nx_y_bucket{m=\"v\",le=\"0.0001\"} 2\n\
             x_y_bucket{m=\"v\",le=\"2.5\"} 2\nx_y_bucket{m=\"v\",le=\"10\"} 2\n\
             x_y_bucket{m=\"v\",le=\"+Inf\"} 3\nx_y_sum{m=\"v\"} 12.25\nx_y_count{m=\"v\"} 3\n\
             # HELP x_y Help.\n# TYPE x_y summary\nx_y_sum 12.25\nx_y_count 3\n"
        );
    }

    #[test]
    fn families_without_series_are_left_out() {
        let families = [
            Series::Values(Vec::new()),
            Series::Summaries(Vec::new()),
            Series::Histograms(Vec::new()),
        ];
        assert_eq!(page(&families.map(family)), "");
    }
}
