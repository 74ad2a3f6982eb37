//! The report as one page without scripts and without anything from elsewhere.
use std::fmt::Write as _;

use super::{
    report::{Figures, Report},
    timeline::Sample,
};

const WIDTH: f64 = 1100.0;
const HEIGHT: f64 = 120.0;
const COLOURS: [&str; 4] = ["#1f6feb", "#d29922", "#2da44e", "#8250df"];
const STYLE: &str = "body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1160px;padding:0 1em;color:#1f2328;background:#fff}\
    table{border-collapse:collapse}td,th{padding:2px 12px 2px 0;text-align:left;vertical-align:top}\
    td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{background:#eef1f4;padding:2px 5px}\
    .bad{color:#b42318}.good{color:#1a7f37}svg{display:block;width:100%;height:auto;border:1px solid #d0d7de;margin:4px 0 14px}\
    @media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}code{background:#21262d}svg{border-color:#30363d}}";

/// The page's text.
pub fn page(report: &Report) -> String {
    let mut out = String::new();
    let verdict = match report.findings.len() {
        0 => "<span class=good>nothing found</span>".to_owned(),
        n => format!("<span class=bad>{n} findings</span>"),
    };
    let summary = &report.summary;
    // Writing into a String can't fail.
    let _ = write!(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>chaos: {} seed {}</title><style>{STYLE}</style>\
         <h1>{} · seed {} · {verdict}</h1><p><code>{}</code> · {}</p>\
         <p>{} transactions, {} DDLs, {} rows compared, {} lane writes audited, {} operations of operators ({} without an answer), {} faults; equal {:.1} s after the last write.</p>",
        text(&report.scenario),
        report.seed,
        text(&report.scenario),
        report.seed,
        text(&report.command),
        text(&report.version),
        summary.transactions,
        summary.ddls,
        summary.rows,
        summary.lane_writes,
        summary.operations.0,
        summary.operations.1,
        report.injected.len(),
        summary.converged
    );
    if !report.findings.is_empty() {
        out.push_str("<h2>Findings</h2><ul class=bad>");
        for finding in &report.findings {
            let _ = write!(out, "<li><pre>{}</pre>", text(finding));
        }
        out.push_str("</ul>");
    }
    out.push_str("<h2>Failover</h2><p>Milliseconds; faults that came alone.</p>");
    figures(&mut out, "First later row at the target", &report.figures);
    figures(&mut out, "Another master leads", &report.successors);
    charts(&mut out, report);
    out.push_str("<h2>Faults</h2><table><tr><th class=n>injected<th class=n>healed<th>fault<th>whom<th class=n>detected, ms<th class=n>reassigned, ms<th class=n>fence taken, ms<th class=n>first row, ms<th>counted from");
    for i in &report.injected {
        let ms = |time: Option<f64>| time.map_or_else(String::new, |s| format!("{:.0}", s * 1000.0));
        let first = i.first_row.map_or_else(|| "never".to_owned(), |s| format!("{:.0}", s * 1000.0));
        let _ = write!(
            out,
            "<tr><td class=n>{:.3}<td class=n>{:.3}<td>{}{}<td>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{first}<td>{}",
            i.injected,
            i.healed,
            i.fault.name(),
            if i.mixed { " (of two)" } else { "" },
            text(&i.whom),
            ms(i.detected),
            ms(i.reassigned),
            ms(i.fence),
            i.counted_from
        );
    }
    out.push_str("</table><h2>Timeline</h2><table>");
    for event in &report.events {
        let _ = write!(out, "<tr><td class=n>{:.3}<td>{}", event.at, text(&event.what));
    }
    out.push_str("</table></html>\n");
    out
}

fn figures(out: &mut String, what: &str, figures: &[Figures]) {
    let _ = write!(
        out,
        "<h3>{what}</h3><table><tr><th>fault<th>counted from<th class=n>injected<th class=n>p50<th class=n>p99<th class=n>max"
    );
    for f in figures {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}",
            f.fault, f.counted_from, f.count, f.p50, f.p99, f.max
        );
    }
    out.push_str("</table>");
}

/// Lag and throughput over time, with the faults behind them.
fn charts(out: &mut String, report: &Report) {
    let end = report.samples.iter().flatten().map(|s| s.at).fold(1.0, f64::max);
    type Value = fn(&Sample) -> f64;
    let charts: [(&str, &str, Value); 3] = [
        ("Lag", "s", |s| s.lag),
        ("Written at the source (probe)", "rows/s", |s| s.written),
        ("Arrived at the target (probe)", "rows/s", |s| s.arrived),
    ];
    for (title, unit, value) in charts {
        let most = report.samples.iter().flatten().map(value).fold(0.001, f64::max);
        let _ = write!(
            out,
            "<h2>{title}</h2><p>at most {most:.1} {unit}, {end:.0} s; grey: a fault lasts</p>\
             <svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img aria-label='{title}'>"
        );
        for fault in &report.injected {
            let (from, to) = (fault.injected / end * WIDTH, fault.healed.max(fault.injected) / end * WIDTH);
            let _ = write!(
                out,
                "<rect x='{from:.1}' y='0' width='{:.1}' height='{HEIGHT}' fill='#888' opacity='.25'><title>{} of {}</title></rect>",
                (to - from).max(1.0),
                fault.fault.name(),
                text(&fault.whom)
            );
        }
        for (samples, colour) in report.samples.iter().zip(COLOURS.iter().cycle()) {
            let points: Vec<String> = samples
                .iter()
                .map(|s| {
                    let y = HEIGHT - value(s) / most * (HEIGHT - 4.0) - 2.0;
                    format!("{:.1},{y:.1}", s.at / end * WIDTH)
                })
                .collect();
            let _ = write!(
                out,
                "<polyline fill='none' stroke='{colour}' stroke-width='1.2' points='{}'/>",
                points.join(" ")
            );
        }
        out.push_str("</svg>");
    }
}

fn text(raw: &str) -> String {
    raw.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
