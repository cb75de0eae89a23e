//! Numbers of the process, from the kernel.

use std::fs;

use super::family::{Family, MetricValue, Series};

/// What the kernel tells of this process; families it does not tell are left out.
pub(super) fn families() -> Vec<Family> {
    let readings = [
        (
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            cpu_seconds(),
        ),
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            status_kib("VmRSS:").map(kib_gauge),
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            status_kib("VmSize:").map(kib_gauge),
        ),
        (
            "process_open_fds",
            "Number of open file descriptors.",
            open_files(),
        ),
        (
            "process_max_fds",
            "Maximum number of open file descriptors.",
            max_files(),
        ),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            start_time(),
        ),
    ];
    readings
        .into_iter()
        .filter_map(|(name, help, value)| {
            Some(Family {
                name,
                help,
                series: Series::Values(vec![(Vec::new(), value?)]),
            })
        })
        .collect()
}

/// Ticks per second of the times in `/proc`, fixed by the kernel's interface to user space.
const TICKS: f64 = 100.0;

fn stat_fields() -> Option<Vec<String>> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces: count from behind it.
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn cpu_seconds() -> Option<MetricValue> {
    let fields = stat_fields()?;
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(MetricValue::Counter((ticks(11)? + ticks(12)?) / TICKS))
}

fn start_time() -> Option<MetricValue> {
    let fields = stat_fields()?;
    let since_boot = fields.get(19)?.parse::<f64>().ok()? / TICKS;
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot = stat
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse::<f64>()
        .ok()?;
    Some(MetricValue::Gauge(boot + since_boot))
}

fn status_kib(name: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))?
        .trim()
        .trim_end_matches(" kB")
        .trim()
        .parse()
        .ok()
}

fn kib_gauge(kib: f64) -> MetricValue {
    MetricValue::Gauge(kib * 1024.0)
}

fn open_files() -> Option<MetricValue> {
    Some(MetricValue::Gauge(
        fs::read_dir("/proc/self/fd").ok()?.count() as f64
    ))
}

fn max_files() -> Option<MetricValue> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace()
        .next()?
        .parse()
        .ok()
        .map(MetricValue::Gauge)
}
