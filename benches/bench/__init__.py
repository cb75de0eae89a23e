"""What the measurements in benches/ share: servers to measure, load, runs, baselines, plots."""
