//! Numbers of the process, from the kernel. Linux only: elsewhere the files are missing, and so are the numbers.

use std::fs;

use super::family::{Family, MetricValue, Series};

/// What the kernel tells of this process; families it does not tell are left out.
pub(super) fn families() -> Vec<Family> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let network = fs::read_to_string("/proc/self/net/netstat").unwrap_or_default();
    [
        gauge(
            "process_start_time_seconds",
            "When the process began, in seconds since 1970.",
            start_time(&stat),
        ),
        counter(
            "process_cpu_seconds_total",
            "CPU time of the process, by itself and by the kernel for it.",
            cpu_seconds(&stat),
        ),
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory of the process.",
            stat_field(&stat, 23),
        ),
        gauge(
            "process_virtual_memory_max_bytes",
            "Limit of virtual memory.",
            limit(&limits, "Max address space"),
        ),
        gauge(
            "process_resident_memory_bytes",
            "Resident memory of the process.",
            resident_bytes(),
        ),
        gauge("process_open_fds", "File descriptors open.", open_files()),
        gauge(
            "process_max_fds",
            "Limit of file descriptors.",
            limit(&limits, "Max open files"),
        ),
        counter(
            "process_network_receive_bytes_total",
            "Bytes received by all processes of the network namespace.",
            network_octets(&network, "InOctets"),
        ),
        counter(
            "process_network_transmit_bytes_total",
            "Bytes sent by all processes of the network namespace.",
            network_octets(&network, "OutOctets"),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn gauge(name: &'static str, help: &'static str, value: Option<f64>) -> Option<Family> {
    family(name, help, value.map(MetricValue::Gauge))
}

fn counter(name: &'static str, help: &'static str, value: Option<f64>) -> Option<Family> {
    family(name, help, value.map(MetricValue::Counter))
}

fn family(name: &'static str, help: &'static str, value: Option<MetricValue>) -> Option<Family> {
    value.map(|value| Family {
        name,
        help,
        series: Series::Values(vec![(Vec::new(), value)]),
    })
}

/// Ticks per second of the times in `/proc`, fixed by the kernel's interface to user space.
const TICKS: f64 = 100.0;

/// A field of `/proc/self/stat`, by its number in proc(5). Fields are counted from behind the name, the second,
/// which may hold spaces and parentheses.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let index = number.checked_sub(3)?;
    rest.split_whitespace().nth(index)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((stat_field(stat, 14)? + stat_field(stat, 15)?) / TICKS)
}

fn start_time(stat: &str) -> Option<f64> {
    let since_boot = stat_field(stat, 22)? / TICKS;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(boot + since_boot)
}

/// From `status`, which tells it in KiB; `stat` counts in pages of a size it does not tell.
fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0)
}

fn open_files() -> Option<f64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}

/// The soft limit of that name.
fn limit(limits: &str, name: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX as f64),
        value => value.parse().ok(),
    }
}

/// A value of the group `IpExt`, which has a line of names and a line of values.
fn network_octets(netstat: &str, name: &str) -> Option<f64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("IpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let column = names.split_whitespace().position(|column| column == name)?;
    values.split_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_understood() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 17 18 900 4096 21";
        assert_eq!(stat_field(stat, 14), Some(150.0));
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(stat_field(stat, 23), Some(4096.0));

        let limits = "Limit   Soft   Hard   Units\nMax open files   1024   4096   files\nMax address space   unlimited   unlimited   bytes\n";
        assert_eq!(limit(limits, "Max open files"), Some(1024.0));
        assert_eq!(limit(limits, "Max address space"), Some(u64::MAX as f64));

        let netstat = "TcpExt: A B\nTcpExt: 1 2\nIpExt: InNoRoutes InOctets OutOctets\nIpExt: 0 10 20\n";
        assert_eq!(network_octets(netstat, "InOctets"), Some(10.0));
        assert_eq!(network_octets(netstat, "OutOctets"), Some(20.0));
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        assert_eq!(stat_field("", 14), None);
        assert_eq!(limit("", "Max open files"), None);
        assert_eq!(network_octets("IpExt: A\nIpExt: 1\n", "InOctets"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_numbers() {
        let value = |name: &str| {
            let families = families();
            let family = families.iter().find(|family| family.name == name).unwrap();
            match &family.series {
                Series::Values(values) => values[0].1.get(),
                _ => panic!("no value"),
            }
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(value("process_open_fds") <= value("process_max_fds"));
        assert!(value("process_start_time_seconds") > 1.5e9);
    }
}
